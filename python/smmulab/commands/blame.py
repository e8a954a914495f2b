# SPDX-License-Identifier: Apache-2.0
"""`smmulab blame TRACE`: who waits for whom, and the critical path."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from smmulab import report_waits, store
from smmulab.commands.options import Progress, add_protocol, add_settings
from smmulab.waits import blame

EXIT_FAILURE = 1


def configure(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    parser.add_argument("trace", metavar="TRACE", help="trace (.iotrace or .iotrace.zst)")
    add_protocol(parser, default="igroup")
    add_settings(parser)
    parser.add_argument(
        "-o",
        "--out",
        type=Path,
        default=Path("out/blame"),
        metavar="FOLDER",
        help="where configuration, Parquet, blame.folded (for flame graphs) and manifest go "
        "(default: out/blame)",
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")


def run(args: argparse.Namespace) -> int:
    """0, or 1 if the protocol deadlocked or ended in a wrong state."""
    store.prepare_folder(args.out)
    with Progress() as progress:
        found = blame(args.trace, args.protocol, args.machine, set=args.set, progress=progress)
    made = store.save_blame(found, args.out)
    if args.json:
        print(
            json.dumps(
                {
                    "manifest": made,
                    "rows": found.rows,
                    "stacks": found.stacks,
                    "unfinished": found.unfinished,
                    "critical_path": found.path,
                    "tracepoints": found.seen,
                }
            )
        )
    else:
        print(report_waits.blame_text(found))
        print(f"\nwritten to {args.out} (run {made['run_id'][:12]}); stacks: blame.folded")
    return 0 if found.result["status"] == "ok" else EXIT_FAILURE
