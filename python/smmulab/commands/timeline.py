# SPDX-License-Identifier: Apache-2.0
"""`smmulab timeline TRACE`: a replay as a trace for Perfetto."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from smmulab import store
from smmulab.commands.options import Progress, add_protocol, add_settings
from smmulab.timelines import timeline

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
        default=Path("out/timeline.perfetto-trace"),
        metavar="FILE",
        help="the file to write, its folder made if need be; open it at ui.perfetto.dev "
        "(default: out/timeline.perfetto-trace)",
    )
    parser.add_argument("--json", action="store_true", help="print the replay's result as JSON")


def run(args: argparse.Namespace) -> int:
    """0, or 1 if the protocol deadlocked or ended in a wrong state."""
    with store.output_folder(args.out.parent), Progress() as progress:
        result = timeline(
            args.trace, args.out, args.protocol, args.machine, set=args.set, progress=progress
        )
    if args.json:
        print(json.dumps(result))
    else:
        operations = f"{result['operations']} operations, status {result['status']}"
        print(
            f"{args.out}: protocol {result['protocol']}, {operations}; open it at ui.perfetto.dev"
        )
    return 0 if result["status"] == "ok" else EXIT_FAILURE
