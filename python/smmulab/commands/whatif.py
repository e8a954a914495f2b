# SPDX-License-Identifier: Apache-2.0
"""`smmulab whatif TRACE`: what would help, and by how much."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path

from smmulab import report_waits, store
from smmulab.commands.options import Runs, add_protocol, add_settings
from smmulab.what_if import absent, whatif


def configure(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    parser.add_argument("trace", metavar="TRACE", help="trace (.iotrace or .iotrace.zst)")
    add_protocol(parser, default="igroup")
    add_settings(parser)
    parser.add_argument(
        "-j",
        "--jobs",
        type=int,
        metavar="N",
        help="replays at a time (default: 2, or 1 with one CPU)",
    )
    parser.add_argument(
        "-o",
        "--out",
        type=Path,
        default=Path("out/whatif"),
        metavar="FOLDER",
        help="where configuration, Parquet, figure and manifest go (default: out/whatif)",
    )
    parser.add_argument(
        "--all", action="store_true", help="print every change that makes a difference"
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")


def run(args: argparse.Namespace) -> int:
    """0: a changed run that goes wrong is a result."""
    store.prepare_folder(args.out)
    with Runs() as progress:
        found = whatif(
            args.trace,
            args.protocol,
            args.machine,
            set=args.set,
            progress=progress,
            jobs=args.jobs,
        )
    made = store.save_whatif(found, args.out)
    if args.json:
        changes = [
            {**asdict(change), "result": result}
            for change, result in zip(found.changes, found.results, strict=True)
        ]
        print(
            json.dumps(
                {"manifest": made, "base": found.base, "changes": changes, "unused": found.unused}
            )
        )
    else:
        print(report_waits.whatif_text(found, absent(found.config), every=args.all))
        print(f"\nwritten to {args.out} (run {made['run_id'][:12]}); figure: whatif.png")
    return 0
