# SPDX-License-Identifier: Apache-2.0
"""`smmulab tlb [TRACE]`: a DMA trace or a built-in pattern through the SMMU's caches, for each value of
one size: hit ratio, table reads, latency of translations."""

from __future__ import annotations

import argparse
from pathlib import Path

import pandas as pd

from smmulab import ConfigError, plot
from smmulab.commands.options import add_settings
from smmulab.dma_caches import LATENCIES, PATTERNS, SIZES, tlb

SWEEP = f"smmuv3.mtlb_entries={','.join(map(str, SIZES))}"


def configure(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    parser.add_argument(
        "trace", nargs="?", metavar="TRACE", help="a DMA trace (docs/dma-trace.md), FILE.dma[.zst]"
    )
    parser.add_argument("--pattern", choices=PATTERNS, help="in place of a trace (default: ring)")
    parser.add_argument("--footprint", default="8M", help="bytes the pattern covers (default: 8M)")
    parser.add_argument(
        "--page", default="4k", help="4k, 64k, 2M, 32M or 1G: bytes of a page (default: 4k)"
    )
    parser.add_argument("--stride", default="4k", help="bytes from access to access (default: 4k)")
    parser.add_argument(
        "--accesses",
        default="200000",
        help="accesses of the pattern, the first fifth not counted (default: 200000)",
    )
    parser.add_argument(
        "--outstanding",
        type=int,
        default=1,
        metavar="N",
        help="accesses under way at once where translations are timed (default: 1, so that none waits "
        "for another; 0: nothing is timed, which is faster)",
    )
    parser.add_argument("--preset", metavar="NAME", help="an SMMU preset of `describe smmuv3`")
    parser.add_argument(
        "--sweep",
        default=SWEEP,
        metavar="KEY=V1,V2,...",
        help=f"the parameter to vary (default: {SWEEP})",
    )
    parser.add_argument(
        "-o",
        "--out",
        metavar="FOLDER",
        help="write tlb.csv and tlb.png there (default: nothing is written)",
    )
    add_settings(parser)


def _points(sweep: str) -> tuple[str, list[str]]:
    key, _, values = sweep.partition("=")
    chosen = [value for value in values.split(",") if value]
    if not key or not chosen:
        raise ConfigError(f"--sweep {sweep}: expected KEY=V1,V2,...")
    return key, chosen


def study(args: argparse.Namespace) -> pd.DataFrame:
    """What `smmulab.tlb` gives for these arguments."""
    key, values = _points(args.sweep)
    preset = [f"smmuv3.preset={args.preset}"] if args.preset else []
    return tlb(
        args.trace,
        args.machine,
        pattern=args.pattern,
        footprint=args.footprint,
        page=args.page,
        stride=args.stride,
        accesses=args.accesses,
        outstanding=args.outstanding,
        vary=key,
        values=values,
        set=[*preset, *args.set],
    )


def _time(value: float) -> str:
    return "-" if pd.isna(value) else f"{value:.1f}"


def run(args: argparse.Namespace) -> int:
    """Prints the table; writes it and the figure if asked."""
    frame = study(args)
    shown = ["value", "accesses", "utlb_hits", "mtlb_hits", "walks", "faults", "walk_reads"]
    latencies = [f"{name}_ns" for name in LATENCIES]
    print(frame["key"].iloc[0])
    print(
        frame[[*shown, "hit_ratio", "reads_per_access", *latencies]].to_string(
            index=False,
            float_format=lambda value: f"{value:.4f}",
            formatters=dict.fromkeys(latencies, _time),
            na_rep="-",
        )
    )
    if frame["mean_ns"].notna().any():
        print(f"*_ns: of a translation, with {args.outstanding} under way at once")
    if (frame["walk_reads"] < frame["walks"]).any():
        print(
            "walks: look-ups that miss both TLBs; one whose last entry is in a walk cache "
            "(smmuv3.wc_*) reads no table"
        )
    if args.out:
        folder = Path(args.out)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            frame.to_csv(folder / "tlb.csv", index=False)
            plot.tlb_sizes(frame).savefig(folder / "tlb.png", dpi=120)
        except OSError as error:
            raise ConfigError(f"{folder}: cannot be written: {error.strerror or error}") from error
        print(f"wrote {folder / 'tlb.csv'} and {folder / 'tlb.png'}")
    return 0
