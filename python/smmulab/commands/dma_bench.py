# SPDX-License-Identifier: Apache-2.0
"""`smmulab dma-bench`: the map+unmap loop of the DMA API on more and more CPUs."""

from __future__ import annotations

import argparse
from pathlib import Path

from matplotlib.figure import Figure

from smmulab import ConfigError, plot_dma, store
from smmulab.commands.options import Runs, add_settings, names_of
from smmulab.map_bench import COUNTS, LIMITS, ROUNDS, VARIANTS, Load, check_integer, map_bench
from smmulab.oracles import published


def configure(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    parser.add_argument(
        "-c",
        "--cpus",
        default=",".join(map(str, COUNTS)),
        metavar="N,N,...",
        help=f"numbers of CPUs (default: {','.join(map(str, COUNTS))})",
    )
    parser.add_argument(
        "-V",
        "--variant",
        action="append",
        metavar="NAME",
        help=f"{', '.join(VARIANTS)}; several with commas between, or repeated (default: cmpxchg, spinlock, series)",
    )
    add_settings(parser)
    parser.add_argument(
        "--rounds",
        type=int,
        default=ROUNDS,
        metavar="N",
        help=f"rounds of all CPUs, after warm-up (default: {ROUNDS})",
    )
    parser.add_argument(
        "--size", type=int, default=4096, metavar="BYTES", help="bytes of a buffer (default: 4096)"
    )
    parser.add_argument(
        "--in-flight",
        type=int,
        default=1,
        metavar="N",
        help="buffers of a CPU that are mapped at a time (default: 1)",
    )
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="random seed (default: 1)")
    parser.add_argument(
        "-o", "--out", type=Path, metavar="FOLDER", help="write table.csv and figure.png there"
    )
    parser.add_argument(
        "--published",
        action="store_true",
        help="draw the published measurements of a HiSilicon D06 into the figure of --out",
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")


def run(args: argparse.Namespace) -> int:
    """0."""
    for name, most in LIMITS.items():
        check_integer(f"--{name.replace('_', '-')}", getattr(args, name), most)
    load = Load(args.rounds, args.size, args.in_flight, args.seed)
    if args.published and args.out is None:
        raise ConfigError("--published draws into a figure: it needs --out FOLDER")
    if args.out is not None:
        store.prepare_folder(args.out)
    with Runs() as progress:
        table = map_bench(
            _counts(args.cpus),
            names_of(args.variant or ()) or ("cmpxchg", "spinlock", "series"),
            args.machine,
            set=args.set,
            load=load,
            progress=progress,
        )
    if args.json:
        print(table.to_json(orient="records"))
    else:
        print(table.to_string(index=False, float_format=lambda value: f"{value:.3g}"))
    if args.out is not None:
        table.to_csv(args.out / "table.csv", index=False)
        figure = Figure(figsize=(7, 4.2), layout="constrained")
        measured = published.measured() if args.published else None
        plot_dma.throughput(table, measured, ax=figure.add_subplot())
        figure.savefig(args.out / "figure.png", dpi=150)
    return 0


def _counts(text: str) -> list[int]:
    try:
        counts = [int(part) for part in text.split(",")]
    except ValueError:
        counts = []
    if not counts or min(counts) < 1:
        raise ConfigError(f"--cpus {text}: expected numbers of CPUs, such as 2,4,8")
    return counts
