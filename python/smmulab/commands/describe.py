# SPDX-License-Identifier: Apache-2.0
"""`smmulab describe [PREFIX]`: every parameter with unit, default, range and provenance."""

from __future__ import annotations

import argparse
import difflib
import json

from smmulab import ConfigError, _core

FIELDS = ("key", "unit", "default", "minimum", "maximum", "doc", "provenance")


def configure(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    parser.add_argument(
        "prefix", nargs="?", default="", metavar="PREFIX", help="a component (lock) or a key"
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of text")


def run(args: argparse.Namespace) -> int:
    """Prints the parameters whose key is PREFIX or lies below it, and the machine presets."""
    parameters = _core.parameters()
    chosen = [
        p
        for p in parameters
        if not args.prefix or p.key == args.prefix or p.key.startswith(args.prefix + ".")
    ]
    if not chosen:
        known = sorted({p.key.split(".")[0] for p in parameters} | {p.key for p in parameters})
        near = difflib.get_close_matches(args.prefix, known, n=1)
        hint = f"; did you mean '{near[0]}'?" if near else ""
        raise ConfigError(f"no parameter '{args.prefix}'{hint}")
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
    return 0
