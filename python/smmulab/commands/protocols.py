# SPDX-License-Identifier: Apache-2.0
"""`smmulab protocols`: the locking designs that can be compared."""

from __future__ import annotations

import argparse
import json

from smmulab import _core


def configure(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")


def _json() -> str:
    keys = ("name", "kernel", "description")
    hazard_keys = ("name", "effect", "mended_by")
    return json.dumps(
        [
            {
                **dict(zip(keys, row, strict=True)),
                "hazards": [
                    dict(zip(hazard_keys, hazard, strict=True)) for hazard in _core.hazards(row[0])
                ],
            }
            for row in _core.protocols()
        ],
        indent=1,
    )


def _table() -> str:
    rows = _core.protocols()
    name_width, kernel_width = (max(len(row[i]) for row in rows) for i in (0, 1))
    lines = []
    hazards = {}
    for name, kernel, description in rows:
        found = _core.hazards(name)
        hazards.update({hazard[0]: hazard[1:] for hazard in found})
        names = f" [{', '.join(hazard[0] for hazard in found)}]" if found else ""
        lines.append(f"{name:<{name_width}}  {kernel:<{kernel_width}}  {description}{names}")
    lines += ["", "Hazards, and what mends them:"]
    hazard_width = max(len(name) for name in hazards)
    for name, (effect, mended_by) in hazards.items():
        remedy = f"-s {mended_by}=true" if mended_by else "no remedy in the design"
        lines.append(f"{name:<{hazard_width}}  {effect} ({remedy})")
    return "\n".join(lines)


def run(args: argparse.Namespace) -> int:
    """Prints name, kernel, description and hazards."""
    print(_json() if args.json else _table())
    return 0
