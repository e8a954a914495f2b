# SPDX-License-Identifier: Apache-2.0
"""`smmulab protocols`: the locking designs that can be compared."""

from __future__ import annotations

import argparse
import json

from smmulab import _core


def configure(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")


def run(args: argparse.Namespace) -> int:
    """Prints name, kernel and description."""
    rows = _core.protocols()
    if args.json:
        keys = ("name", "kernel", "description")
        print(json.dumps([dict(zip(keys, row, strict=True)) for row in rows], indent=1))
        return 0
    name_width, kernel_width = (max(len(row[i]) for row in rows) for i in (0, 1))
    for name, kernel, description in rows:
        print(f"{name:<{name_width}}  {kernel:<{kernel_width}}  {description}")
    return 0
