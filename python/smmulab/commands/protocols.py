# SPDX-License-Identifier: Apache-2.0
"""`smmulab protocols [NAME ...]`: the locking designs that can be compared; some of them at length."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

from smmulab import ConfigError, _core
from smmulab.checking import known_name
from smmulab.commands.options import Runs


def configure(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    parser.add_argument(
        "names",
        nargs="*",
        metavar="NAME",
        help="protocols to tell more of: history, hazards, the locks of each operation; "
        "with --document: traces to replay",
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


def _chosen(names: Sequence[str]) -> list[tuple[str, str, str]]:
    """Rows of the registry, in the order of `names` or all; ConfigError for a name that is not there."""
    rows = {row[0]: row for row in _core.protocols()}
    for name in names:
        if ".iotrace" in name:
            raise ConfigError(f"{name}: traces go with --document FILE")
        known_name(name, rows, "protocol")
    return [rows[name] for name in names or rows]


def _at_length(names: Sequence[str]) -> str:
    from smmulab.protocol_doc import lock_pictures, pictures_text  # noqa: PLC0415  imports pandas

    parts = []
    for name, kernel, description in _chosen(names):
        lines = [f"{name} ({kernel}): {description}", "", _core.protocol_history(name), ""]
        lines += ["Locks, each indented by those held when it is taken, of one thread alone:", ""]
        lines += [*pictures_text(lock_pictures(name)), "", "Hazards:"]
        hazards = _core.hazards(name)
        width = max((len(hazard) for hazard, _, _ in hazards), default=0)
        lines += [_hazard(*hazard, width) for hazard in hazards] or ["none known"]
        lines += [
            "",
            f"Lock order, every order, recorded traces: docs/protocols.md, section {name}",
        ]
        parts.append("\n".join(lines))
    return "\n\n\n".join(parts)


def _hazard(name: str, effect: str, mended_by: str, width: int) -> str:
    remedy = f"-s {mended_by}=true" if mended_by else "no remedy in the design"
    return f"{name:<{width}}  {effect} ({remedy})"


def _json(names: Sequence[str]) -> str:
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
            for row in _chosen(names)
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
    lines += [_hazard(name, *hazard, hazard_width) for name, hazard in hazards.items()]
    return "\n".join(lines)


def _document(args: argparse.Namespace) -> int:
    if not args.names:
        raise ConfigError("--document needs at least one TRACE")
    from smmulab import protocol_doc  # noqa: PLC0415  pandas takes long, and the list needs none
    from smmulab.store import publish  # noqa: PLC0415

    with Runs() as tell:
        text = protocol_doc.document(sorted(map(Path, args.names)), args.set, tell)
    publish(args.document, lambda path: path.write_text(text, encoding="utf-8"))
    return 0


def run(args: argparse.Namespace) -> int:
    """Prints name, kernel, description and hazards, of chosen ones more, or writes the page."""
    if args.document is not None:
        return _document(args)
    if args.set:
        raise ConfigError("--set goes with --document FILE")
    if args.json:
        print(_json(args.names))
    else:
        print(_at_length(args.names) if args.names else _table())
    return 0
