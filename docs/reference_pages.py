# SPDX-License-Identifier: Apache-2.0
"""A Sphinx extension: the pages that are made from the code, so that they can not lag behind it.

In docs/reference/NAME.md the line `<!-- generated -->` stands for what the function NAME of PAGES
gives (Markdown).
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

from sphinx.application import Sphinx

from smmulab import _core
from smmulab.commands import COMMANDS

MARK = "<!-- generated -->"


def _cell(text: str) -> str:
    """Text that means itself within a table of Markdown."""
    return re.sub(r"([|\\*_<>\[\]])", r"\\\1", " ".join(text.split()))


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> list[str]:
    names = list(head)
    lines = [names, ["---"] * len(names), *map(list, rows)]
    return [f"| {' | '.join(line)} |" for line in lines]


def _invocation(action: argparse.Action) -> str:
    """As --help has it, shorter: the value once, after the last spelling."""
    value = action.metavar or ("" if action.nargs == 0 else action.dest.upper())
    if isinstance(value, tuple):
        value = " ".join(value)
    if action.choices is not None:
        value = action.metavar or "{" + ",".join(map(str, action.choices)) + "}"
    if not action.option_strings:
        return f"`{value}`"
    return f"`{', '.join(action.option_strings)}{' ' if value else ''}{value}`"


def commands() -> str:
    """A section for each command: what it does, its usage, its arguments."""
    lines: list[str] = []
    for command in COMMANDS:
        parser = argparse.ArgumentParser(prog=f"smmulab {command.name}")
        command.load().configure(parser)
        lines += [f"## {command.name}", "", command.summary, ""]
        # Its further lines stand below the first one, which begins after these words.
        usage = parser.format_usage().rstrip().replace("\n" + " " * len("usage: "), "\n")
        lines += ["```text", usage.removeprefix("usage: "), "```", ""]
        formatter = parser.formatter_class(prog=parser.prog)
        rows = [
            (_invocation(action), _cell(formatter._expand_help(action) if action.help else ""))
            for action in parser._actions
            if not isinstance(action, argparse._HelpAction)
        ]
        if rows:
            lines += [*_table(("argument", "meaning"), rows), ""]
    replay = Path(sys.executable).parent / "smmulab-replay"
    text = subprocess.run(
        [replay.name, "--help"], executable=replay, check=True, capture_output=True, text=True
    ).stdout
    lines += ["## smmulab-replay", "", "The C++ command; it needs no Python.", ""]
    lines += ["```text", text.strip(), "```", ""]
    return "\n".join(lines)


def parameters() -> str:
    """A section for each component, a row for each of its parameters."""
    lines: list[str] = []
    components: dict[str, list[_core.Parameter]] = {}
    for parameter in _core.parameters():
        components.setdefault(parameter.key.split(".")[0], []).append(parameter)
    for component, chosen in components.items():
        rows = [
            (f"`{p.key}`", f"`{p.default}`", _range(p), _cell(p.doc), _cell(p.provenance))
            for p in chosen
        ]
        head = ("parameter", "default", "range", "meaning", "where the value is from")
        lines += [f"## {component}", "", *_table(head, rows), ""]
    for title, option, presets in (
        ("Machine presets", "preset", _core.presets()),
        ("SMMU presets", "smmuv3.preset", _core.smmu_presets()),
    ):
        rows_of = [(f"`{name}`", _cell(text)) for name, text in presets]
        lines += [f"## {title}", "", f"`--set {option}=NAME`", ""]
        lines += [*_table(("name", "is"), rows_of), ""]
    return "\n".join(lines)


def _range(parameter: _core.Parameter) -> str:
    if parameter.unit == "bool":
        return "`true`, `false`"
    if parameter.unit == "enum":
        return ", ".join(f"`{name}`" for name in parameter.maximum.split("|"))
    return f"{parameter.minimum} .. {parameter.maximum}"


PAGES: dict[str, Callable[[], str]] = {
    "docs/reference/commands": commands,
    "docs/reference/parameters": parameters,
}


def _fill_in(_app: Sphinx, name: str, source: list[str]) -> None:
    if name in PAGES:
        source[0] = source[0].replace(MARK, PAGES[name]())


def setup(app: Sphinx) -> dict[str, bool]:
    """Called by Sphinx."""
    app.connect("source-read", _fill_in)
    return {"parallel_read_safe": True}
