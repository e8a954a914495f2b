# SPDX-License-Identifier: Apache-2.0
"""`smmulab generate -o TRACE`: a seeded trace, valid by construction."""

from __future__ import annotations

import argparse
import json
from dataclasses import fields
from pathlib import Path

from smmulab import _core
from smmulab.commands.options import Lines
from smmulab.workload import Workload, generate


def configure(parser: argparse.ArgumentParser) -> None:
    """One option for each field of Workload."""
    for item in (item for item in fields(Workload) if item.init):
        parser.add_argument(
            f"--{item.name.replace('_', '-')}",
            metavar="N" if "low" in item.metadata else item.name.upper(),
            help=f"{item.metadata['doc']} (default: {item.default})",
        )
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="random seed (default: 1)")
    parser.add_argument(
        "-o",
        "--out",
        required=True,
        type=Path,
        metavar="TRACE",
        help="file to write: .iotrace, or .iotrace.zst for a compressed one",
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of text")


def run(args: argparse.Namespace) -> int:
    """0; errors of the options raise ConfigError."""
    given = {name: getattr(args, name) for name in Workload.names()}
    workload = Workload.of({name: value for name, value in given.items() if value is not None})
    with Lines() as progress:
        made = generate(workload, args.out, args.seed, progress=progress)
    digest = _core.trace_hash(str(made.path))
    if args.json:
        row = {"trace": str(made.path), "operations": made.operations, "bytes": made.bytes}
        print(json.dumps({**row, "xxh3_128": digest, "workload": workload.to_dict()}))
        return 0
    print(f"{made.path}: {made.operations:,} operations, XXH3-128 {digest}")
    if workload.has_think:
        print("replay it with -s replay.think=recorded to keep the think times")
    return 0
