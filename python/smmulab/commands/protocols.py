# SPDX-License-Identifier: Apache-2.0
"""`smmulab protocols`: the locking designs that can be compared."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from smmulab import ConfigError, _core
from smmulab.commands.options import Runs


def configure(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    parser.add_argument(
        "traces", nargs="*", type=Path, metavar="TRACE", help="with --document: traces to replay"
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument(
        "--document",
        type=Path,
        metavar="FILE",
        help="write a page (Markdown) that explains each: its locks, history, hazards, and how it "
        "fares in lockdep, explore and on the traces",
    )
    parser.add_argument(
        "-s",
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="with --document: a parameter for the replays of the traces; may be repeated",
    )


def _json() -> str:
    keys = ("name", "kernel", "description")
    hazard_keys = ("name", "effect", "mended_by")
    return json.dumps(
        [
            {
                **dict(zip(keys, row, strict=True)),
                "history": _core.protocol_history(row[0]),
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


def _document(args: argparse.Namespace) -> int:
    if not args.traces:
        raise ConfigError("--document needs at least one TRACE")
    from smmulab import protocol_doc  # noqa: PLC0415  pandas takes long, and the list needs none
    from smmulab.store import publish  # noqa: PLC0415

    with Runs() as tell:
        text = protocol_doc.document(sorted(args.traces), args.set, tell)
    publish(args.document, lambda path: path.write_text(text, encoding="utf-8"))
    return 0


def run(args: argparse.Namespace) -> int:
    """Prints name, kernel, description and hazards, or writes the page."""
    if args.document is None:
        if args.traces or args.set:
            raise ConfigError("traces and --set go with --document FILE")
    else:
        return _document(args)
    print(_json() if args.json else _table())
    return 0
