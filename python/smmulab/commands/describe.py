# SPDX-License-Identifier: Apache-2.0
"""`smmulab describe [PREFIX]`: every parameter with unit, default, range and provenance; with
--toml as a machine file."""

from __future__ import annotations

import argparse
import difflib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from smmulab import ConfigError, _core
from smmulab.commands.options import add_settings

FIELDS = ("key", "unit", "default", "minimum", "maximum", "doc", "provenance")


def configure(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    parser.add_argument(
        "prefix",
        nargs="?",
        default="",
        metavar="PREFIX",
        help="how the keys begin: a component (lock), a key, or a part of one",
    )
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print JSON instead of text")
    form.add_argument(
        "--toml",
        nargs="?",
        const="",
        metavar="preset=NAME",
        help="print a machine file with the values that --machine and --set give, on that preset",
    )
    add_settings(parser)


def machine_file(chosen: Sequence[_core.Parameter], values: Mapping[str, Any]) -> str:
    """`chosen` parameters as TOML, each with its text above it. JSON's strings, integers and
    booleans are TOML's, too."""
    lines = []
    table = ""
    for p in chosen:
        component, _, name = p.key.partition(".")
        if component != table:
            table = component
            lines.append(f"\n[{table}]")
        limits = "true|false" if p.unit == "bool" else p.maximum
        if p.unit not in {"bool", "enum"}:
            limits = f"{p.minimum} .. {p.maximum}"
        lines.append(f"# {p.doc} [{limits}]\n{name} = {json.dumps(values[p.key])}")
    return "\n".join(lines).lstrip("\n")


def run(args: argparse.Namespace) -> int:
    """Prints the parameters whose key begins with PREFIX, and the machine presets."""
    parameters = _core.parameters()
    chosen = [p for p in parameters if p.key.startswith(args.prefix)]
    if args.toml is None and (args.set or args.machine):
        raise ConfigError("--set and --machine go with --toml: the list shows defaults")
    if not chosen:
        known = sorted({p.key.split(".")[0] for p in parameters} | {p.key for p in parameters})
        near = difflib.get_close_matches(args.prefix, known, n=1)
        hint = f"; did you mean '{near[0]}'?" if near else ""
        raise ConfigError(f"no parameter '{args.prefix}'{hint}")
    if args.toml is not None:
        assignments = [args.toml, *args.set] if args.toml else args.set
        values = json.loads(_core.resolve(assignments, args.machine))
        print(machine_file(chosen, values))
        return 0
    if args.json:
        rows = [{name: getattr(p, name) for name in FIELDS} for p in chosen]
        print(json.dumps(rows, indent=1))
        return 0
    for p in chosen:
        limits = p.maximum if p.unit == "enum" else f"{p.minimum} .. {p.maximum}"
        limits = "true|false" if p.unit == "bool" else limits
        print(f"{p.key} = {p.default}  [{limits}]\n    {p.doc}\n    source: {p.provenance}")
    if not args.prefix:
        print("\nMachine presets (--set preset=NAME):")
        for name, text in _core.presets():
            print(f"  {name}: {text}")
    if not args.prefix or args.prefix.startswith("smmuv3"):
        print("\nSMMU presets (--set smmuv3.preset=NAME):")
        for name, text in _core.smmu_presets():
            print(f"  {name}: {text}")
    return 0
