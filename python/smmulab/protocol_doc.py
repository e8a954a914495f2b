# SPDX-License-Identifier: Apache-2.0
"""The page that explains the protocols: text from the registry, the rest from runs made for it.

Same build and traces, same bytes.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from smmulab import _core, tables
from smmulab._version import __version__
from smmulab.comparison import Plan

# One thread, so that an operation's locks are all that is seen: two hwpts in ioas 1, one in ioas 2.
_SCENE = """\
smmulab-trace 1
cpu 0 socket=0 node=0
smmu 0
group 0
devset 0
device 0 name=nic smmu=0 sid=0x10 group=0 devset=0
thread 0 name=t cpu=0
begin
0 0 bind dev=0
0 0 ioas_alloc ioas=1
0 0 ioas_alloc ioas=2
0 0 map ioas=1 iova=0x100000 len=0x200000
0 0 map ioas=2 iova=0x100000 len=0x200000
0 0 hwpt_alloc hwpt=11 dev=0 pt=1
0 0 hwpt_alloc hwpt=12 dev=0 pt=1
0 0 hwpt_alloc hwpt=21 dev=0 pt=2
0 0 attach dev=0 pt=11
"""
# (title, kind of operation, what follows the scene)
_PICTURES = (
    ("attach", "attach", ()),
    ("replace by an hwpt of the same ioas", "replace", ("replace dev=0 pt=12",)),
    ("replace by an hwpt of another ioas", "replace", ("replace dev=0 pt=21",)),
    ("detach", "detach", ("detach dev=0",)),
)
# What no kernel can be: they bound the others and have no place among them.
_BOUNDS = ("no-locks", "one-lock")
# Rates that are nearer to each other than this have one place.
_SAME_RATE = 0.01
_MODES = {"M": "", "R": " (read)", "W": " (write)", "S": " (spinlock)"}


Tell = Callable[[int, int, str], object]


@dataclass(frozen=True)
class _Trace:
    name: str
    hash: str
    results: dict[str, dict[str, Any]]  # by protocol

    @property
    def shape(self) -> str:
        """The name without the run it was recorded in."""
        return self.name.split("-", 1)[-1]


def _scene(lines: Sequence[str]) -> str:
    body = "".join(f"0 0 {line}\n" for line in lines)
    operations = (_SCENE + body).split("begin\n", maxsplit=1)[1].count("\n")
    return f"{_SCENE}{body}end {operations}\n"


def lock_tree(sequence: str) -> list[str]:
    """A lock sequence ("+M a; +R b; -R b; -M a") as lines, each indented by the locks then held.

    A lock that is released before one taken after it is marked; two equal neighbours are one line
    with a count.
    """
    lines: list[str] = []
    held: list[tuple[str, int]] = []  # token without its sign, line
    for word in sequence.split("; "):
        sign, token = word[:1], word[1:]
        if sign == "+":
            held.append((token, len(lines)))
            mode, name = token.split(" ", maxsplit=1)
            lines.append("  " * (len(held) - 1) + name + _MODES[mode])
        else:
            place = max(i for i, (other, _) in enumerate(held) if other == token)
            _, line = held.pop(place)
            if place != len(held):
                lines[line] += "  [released before what it encloses]"
    return _counted(lines)


def _counted(lines: Sequence[str]) -> list[str]:
    out: list[str] = []
    count = 0
    for place, line in enumerate(lines):
        count += 1
        if place + 1 == len(lines) or lines[place + 1] != line:
            out.append(line + (f"  x{count}" if count > 1 else ""))
            count = 0
    return out


def lock_pictures(protocol: str) -> dict[str, list[str]]:
    """The locks of attach, replace and detach by one thread, as `lock_tree` draws them, by title."""
    trees = {}
    for title, kind, after in _PICTURES:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "scene.iotrace"
            path.write_text(_scene(after), encoding="utf-8")
            rows = _core.lock_sequences(str(path), protocol, [])
        sequence = next(seq for row_kind, seq, _ in rows if row_kind == kind)
        trees[title] = lock_tree(sequence) if sequence else ["(no lock)"]
    return trees


def pictures_text(trees: Mapping[str, Sequence[str]]) -> list[str]:
    """`lock_pictures` as lines, with an empty one between two."""
    lines = []
    for title, tree in trees.items():
        lines += [f"{title}:", *(f"  {line}" for line in tree), ""]
    return lines[:-1]


def _lockdep(protocol: str) -> tuple[str, str]:
    """(cell, sentence)."""
    found = json.loads(_core.lockdep(protocol, []).json)
    if not found["hazards"]:
        return "clean", "clean on the covering set."
    names = ", ".join(found["names"])
    return names, f"{found['hazards']} findings on the covering set ({names})."


def _explore(protocol: str) -> tuple[str, list[str]]:
    """(cell, a line for each case)."""
    found = json.loads(_core.explore(protocol, []).json)
    failed = []
    lines = []
    for case in found["cases"]:
        if case["left_out"]:
            lines.append(f"- `{case['case']}`: left out ({case['left_out']})")
            continue
        schedules = f"{case['schedules']} schedule{'s' if case['schedules'] != 1 else ''}"
        if not case["failures"]:
            lines.append(f"- `{case['case']}`: clean, {schedules}")
            continue
        failed.append(case["case"])
        worst = case["failures"][0]
        lines.append(
            f"- `{case['case']}`: {worst['kind']} ({worst['message']}), {schedules}; "
            f"`--replay {case['case']}:{worst['schedule']}`"
        )
    return (", ".join(failed) if failed else "clean"), lines


def _cell(result: dict[str, Any]) -> str:
    row = tables.summary([result]).iloc[0]
    return f"{row['ops_per_s']:,.0f}" if result["status"] == "ok" else str(result["status"])


def _place(protocol: str, rates: Mapping[str, float]) -> int:
    """1 more than the number of protocols that are faster, bounds left out."""
    mine = rates[protocol] * (1 + _SAME_RATE)
    return 1 + sum(rate > mine for name, rate in rates.items() if name not in _BOUNDS)


def _verdict(protocol: str, traces: Sequence[_Trace]) -> str:
    """How it fared on the traces, in words."""
    broken: dict[str, list[str]] = {}
    places = []
    for trace in traces:
        status = trace.results[protocol]["status"]
        if status != "ok":
            broken.setdefault(status, []).append(trace.shape)
            continue
        rates = {
            name: float(tables.summary([result]).iloc[0]["ops_per_s"])
            for name, result in trace.results.items()
            if result["status"] == "ok"
        }
        places.append(_place(protocol, rates))
    parts = [f"{status} on {', '.join(names)}" for status, names in broken.items()]
    ended = "all traces" if not broken else f"the other {len(places)}"
    if places and protocol in _BOUNDS:
        parts.append(f"a bound, without a place; it ends well on {ended}")
    elif places:
        span = f"{min(places)}" if min(places) == max(places) else f"{min(places)} to {max(places)}"
        parts.append(f"place {span} by operations a second on {ended}")
    text = "; ".join(parts)
    return text[0].upper() + text[1:] + "."


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    line = "| " + " | ".join("---" for _ in header) + " |"
    return [f"| {' | '.join(cells)} |" for cells in (header,)] + [
        line,
        *(f"| {' | '.join(cells)} |" for cells in rows),
    ]


def _run(paths: Sequence[Path], settings: Sequence[str], tell: Tell) -> list[_Trace]:
    traces = []
    for done, path in enumerate(paths):
        tell(done, len(paths) + len(_core.protocols()), path.name)
        plan = Plan.of(path, None, None, settings, "native")
        results = {str(result["protocol"]): result for result in plan.results()}
        traces.append(_Trace(path.name.split(".")[0], _core.trace_hash(str(path)), results))
    return traces


def document(paths: Sequence[Path], settings: Sequence[str], tell: Tell = lambda *_: True) -> str:
    """The page, as Markdown, with a column for each trace of `paths` replayed with `settings`.

    `tell(done, known, what)` is called before each longer step. Raises ConfigError and TraceError as `compare`.
    """
    traces = _run(paths, settings, tell)
    sections: list[str] = []
    overview = []
    known = _core.protocols()
    for done, (name, kernel, description) in enumerate(known, len(traces)):
        tell(done, len(traces) + len(known), name)
        lockdep_cell, lockdep_text = _lockdep(name)
        explore_cell, explore_lines = _explore(name)
        hazards = _core.hazards(name)
        overview.append(
            [
                f"[`{name}`](#{name.replace('.', '')})",
                kernel,
                description,
                lockdep_cell,
                explore_cell,
            ]
        )
        sections += [f"## {name}", "", f"*{kernel}*: {description}.", ""]
        sections += [_core.protocol_history(name), ""]
        sections += ["```text", *pictures_text(lock_pictures(name)), "```", ""]
        for hazard, effect, mend in hazards:
            remedy = f"`-s {mend}=true` mends it" if mend else "the design has no remedy"
            sections.append(f"- Hazard **{hazard}**: {effect}; {remedy}.")
        sections += [""] if hazards else []
        sections += [f"Lock order: {lockdep_text} Every order of two threads' steps:", ""]
        sections += [*explore_lines, "", f"Recorded traces: {_verdict(name, traces)}", ""]
    rates = [
        [f"`{name}`", *(_cell(trace.results[name]) for trace in traces)]
        for name, _, _ in _core.protocols()
    ]
    set_words = " ".join(f"-s {setting}" for setting in settings)
    head = [
        "<!-- SPDX-License-Identifier: Apache-2.0 -->",
        "<!-- Made by `smmulab protocols --document`; a test holds it to that. -->",
        "# The protocols",
        "",
        f"Texts from the registry, everything else from runs of smmulab {__version__}. Made by",
        "",
        f"    smmulab protocols --document docs/protocols.md {set_words} \\",
        "        workloads/traces/*.iotrace.zst",
        "",
        "*lockdep*: hazards that `smmulab lockdep` names on its covering set. *explore*: built-in cases",
        "that fail in some order of two threads' steps (`smmulab explore`; a case that a hazard fails by",
        "design, or that needs a younger kernel, is left out). Both with default settings, nothing mended.",
        "",
        *_table(["protocol", "kernel or message", "design", "lockdep", "explore"], overview),
        "",
        "## Recorded traces",
        "",
        "Successful operations a second of simulated time in each trace's main phase, closed-loop, with",
        f"`{set_words}` and the default preset `server`, whose costs are mostly assumed."
        if set_words
        else "the default preset `server`, whose costs are mostly assumed.",
        "A phase of few operations says little; `smmulab compare` has latencies, waits and dark times.",
        "Places, below: rates within 1 % of each other count as equal, and the bounds "
        + " and ".join(f"`{name}`" for name in _BOUNDS)
        + " have none.",
        "",
        *_table(["protocol", *(trace.shape for trace in traces)], rates),
        "",
        "XXH3-128 of the traces' uncompressed bytes: "
        + ", ".join(f"{trace.name} `{trace.hash}`" for trace in traces)
        + ".",
        "",
        "In the lock pictures below each line is a lock, indented by those held when it is taken, of one",
        "thread with nobody else about, a device in a group of its own, driver 6.12, VFIO above.",
        "",
    ]
    return "\n".join(head + sections).rstrip("\n") + "\n"
