# SPDX-License-Identifier: Apache-2.0
"""`smmulab run [CONFIG.toml]`: one configuration, one seed."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from smmulab import report, store, tables
from smmulab.commands.options import add_dma_trace, with_options
from smmulab.running import run as simulate
from smmulab.study.file import Study, read_study

EXIT_FAILURE = 1


def configure(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    parser.add_argument(
        "config", nargs="?", metavar="CONFIG.toml", help="machine or study file (docs/studies.md)"
    )
    parser.add_argument("-t", "--trace", metavar="TRACE", help="recorded trace")
    add_dma_trace(parser)
    parser.add_argument(
        "-s",
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="a parameter, protocol, engine, preset or generate.FIELD; may be repeated",
    )
    parser.add_argument(
        "--seed", type=int, default=1, metavar="N", help="seed of the generator (default: 1)"
    )
    parser.add_argument(
        "-o",
        "--out",
        type=Path,
        metavar="FOLDER",
        help="write configuration, Parquet tables and manifest there (default: nothing is written)",
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")


def run(args: argparse.Namespace) -> int:
    """0, or 1 if it deadlocked or ended in a wrong state."""
    study = Study() if args.config is None else read_study(args.config)
    if study.factors:
        names = [[key] if isinstance(key, str) else key for key in study.factors]
        named = ", ".join(name for group in names for name in group)
        print(
            f"smmulab: warning: run takes one value of each parameter: {named} of {args.config} are "
            "not varied (smmulab sweep does)",
            file=sys.stderr,
        )
    config = study.config
    config = with_options(config, args.set, args.trace, args.dma_trace)
    if args.out is not None:
        store.prepare_folder(args.out)
    result = simulate(config, seed=args.seed)
    for warning in tables.warnings([result.document]):
        print(f"smmulab: warning: {warning}", file=sys.stderr)
    if args.out is not None:
        store.save_run(result, args.out)
    if args.json:
        told = {"run_id": result.run_id, "seed": result.seed, "config": result.config.to_dict()}
        print(json.dumps({**told, "result": result.document}))
    else:
        print(report.run_text(result))
        if args.out is not None:
            print(f"\nwritten to {args.out} (run {result.run_id[:12]})")
    return 0 if result.status == "ok" else EXIT_FAILURE
