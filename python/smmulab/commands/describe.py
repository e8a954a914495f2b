# SPDX-License-Identifier: Apache-2.0
"""`smmulab describe [KEYS]`: every parameter with unit, default, range and provenance; with --toml
as a machine file."""

from __future__ import annotations

import argparse
import difflib
import fnmatch
import json
from collections.abc import Mapping, Sequence
from typing import Any

from smmulab import ConfigError, _core
from smmulab.commands.options import add_settings

FIELDS = ("key", "unit", "default", "minimum", "maximum", "doc", "provenance")
WILD = "*?["


def configure(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    parser.add_argument(
        "keys",
        nargs="?",
        default="",
        metavar="KEYS",
        help="how the keys begin: a component (lock), a key, or a part of one; or a pattern of whole "
        "keys with *, ? or [...] ('smmuv3.*', '*.cycle'); or a preset's name: what it sets; or preset: "
        "all presets",
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


def _machine_presets() -> str:
    rows = [f"  {name}: {text}" for name, text in _core.presets()]
    return "\n".join(["Machine presets (--set preset=NAME):", *rows])


def _smmu_presets() -> str:
    rows = [f"  {name}: {text}" for name, text in _core.smmu_presets()]
    return "\n".join(["SMMU presets (--set smmuv3.preset=NAME):", *rows])


def _preset(name: str) -> dict[str, Any] | None:
    """What a preset is and what it sets, or None if there is none of this name."""
    for key, presets in (("preset", _core.presets()), ("smmuv3.preset", _core.smmu_presets())):
        if name in dict(presets):
            before = json.loads(_core.resolve([]))
            after = json.loads(_core.resolve([f"{key}={name}"]))
            sets = {of: value for of, value in after.items() if value != before[of] and of != key}
            return {"setting": f"{key}={name}", "doc": dict(presets)[name], "sets": sets}
    return None


def _preset_text(preset: Mapping[str, Any]) -> str:
    defaults = json.loads(_core.resolve([]))
    lines = [f"{preset['setting']}: {preset['doc']}"]
    for key, value in preset["sets"].items():
        new, old = (str(v).lower() if isinstance(v, bool) else v for v in (value, defaults[key]))
        lines.append(f"  {key} = {new}  (default {old})")
    if not preset["sets"]:
        lines.append("  every parameter at its default")
    return "\n".join(lines)


def _chosen(parameters: Sequence[_core.Parameter], keys: str) -> list[_core.Parameter]:
    """Those whose key begins with `keys` or, if that is a shell's pattern, is wholly like it."""
    if any(letter in keys for letter in WILD):
        return [p for p in parameters if fnmatch.fnmatchcase(p.key, keys)]
    return [p for p in parameters if p.key.startswith(keys)]


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
    """Prints the parameters that KEYS names, and the presets."""
    parameters = _core.parameters()
    chosen = _chosen(parameters, args.keys)
    if args.toml is None and (args.set or args.machine):
        raise ConfigError("--set and --machine go with --toml: the list shows defaults")
    if not chosen and args.toml is None and (preset := _preset(args.keys)) is not None:
        print(json.dumps(preset, indent=1) if args.json else _preset_text(preset))
        return 0
    if args.keys in {"preset", "presets"} and args.toml is None:
        names = {"machine": _core.presets(), "smmuv3": _core.smmu_presets()}
        if args.json:
            print(json.dumps({kind: dict(rows) for kind, rows in names.items()}, indent=1))
        else:
            print(f"{_machine_presets()}\n\n{_smmu_presets()}")
            print("\n`smmulab describe NAME` lists what one of them sets")
        return 0
    if not chosen:
        known = sorted({p.key.split(".")[0] for p in parameters} | {p.key for p in parameters})
        known += [name for name, _ in (*_core.presets(), *_core.smmu_presets())]
        near = difflib.get_close_matches(args.keys.rstrip("*?."), known, n=1)
        hint = f"; did you mean '{near[0]}'?" if near else ""
        raise ConfigError(f"no parameter or preset '{args.keys}'{hint}")
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
    if not args.keys:
        print(f"\n{_machine_presets()}")
    if not args.keys or args.keys.startswith("smmuv3"):
        print(f"\n{_smmu_presets()}")
    return 0
