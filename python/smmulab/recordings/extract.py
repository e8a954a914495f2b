# SPDX-License-Identifier: Apache-2.0
"""Make the reference figures (oracles O4, O11, O12) from the recorded runs.

    python -m smmulab.recordings.extract ../shared/traces -o python/smmulab/recordings/data

The same recordings give the same bytes. Exit code 2: a recording is absent or damaged.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

from smmulab.recordings.archive import Recording, RecordingError, open_recording
from smmulab.recordings.contention import Contention, read_contention, static_locks
from smmulab.recordings.lock_classes import XARRAYS
from smmulab.recordings.lockdep_log import read_lock_sequences
from smmulab.recordings.map_costs import fit_map_costs
from smmulab.recordings.op_kinds import add_kinds
from smmulab.recordings.op_stats import stats_by_kind, think_times, uncontended
from smmulab.recordings.ops_log import OpsLog, read_ops_log

Figures = dict[str, Any]  # what goes into the JSON file

FORMAT = 1
FILE_NAME = "reference.json"
NS_PER_INSTRUCTION = 8  # QEMU -icount shift=3
LOCKDEP_RUN = "B_lk_smp2"
EVENTS_RUN = "A_ev_smp2"
ADDRESS_RUN = "A_la_smp2"
INSTRUCTION_RUN = "A_ic_smp2"


def shape_ops(run: Recording, shape: str) -> OpsLog:
    """The operation log of one shape."""
    return read_ops_log(run.log(f"{shape}.ops.txt"))


def lock_sequences(run: Recording) -> dict[str, Any]:
    """O4: every distinct lock sequence of every kind, with its count in each shape."""
    counts: dict[str, dict[tuple[str, ...], dict[str, int]]] = defaultdict(dict)
    dropped: Counter[str] = Counter()
    corrected: dict[str, int] = {}
    for shape in run.shapes("lockdep.txt"):
        log = run.log(f"{shape}.lockdep.txt")
        found = read_lock_sequences(log, shape_ops(run, shape), shape)
        dropped += found.dropped
        if found.reclassified:
            corrected[shape] = found.reclassified
        for kind, sequences in found.by_kind.items():
            for words, n in sequences.items():
                counts[kind].setdefault(words, {})[shape] = n
    sequences_by_kind: dict[str, list[dict[str, Any]]] = {}
    for kind in sorted(counts):
        ranked = sorted(counts[kind].items(), key=lambda item: (-sum(item[1].values()), item[0]))
        sequences_by_kind[kind] = [
            {"n": sum(shapes.values()), "shapes": shapes, "locks": list(words)}
            for words, shapes in ranked
        ]
    return {
        "run": run.name,
        "dropped_lines": dict(sorted(dropped.items())),
        "kinds_told_by_sequence": corrected,
        "xarrays": XARRAYS,
        "sequences": sequences_by_kind,
    }


def contention(run: Recording, addresses: Recording) -> dict[str, Any]:
    """O11: contended acquisitions (and begin events) per lock class, shape and kind of lock."""
    static: dict[str, str] = {}
    for shape in addresses.shapes("lockaddr.txt"):
        static |= static_locks(addresses.log(f"{shape}.lockaddr.txt"))
    shapes: dict[str, Any] = {}
    for shape in run.shapes("events.txt"):
        log = run.log(f"{shape}.events.txt")
        shapes[shape] = _counts(read_contention(log, shape_ops(run, shape), shape, static))
    return {"run": run.name, "static_locks_from": addresses.name, "shapes": shapes}


def _counts(found: Contention) -> dict[str, dict[str, dict[str, float]]]:
    return {
        kind: {
            name: {
                "acquisitions": found.counts[kind][name],
                "begins": found.begins[kind][name],
                "share": round(found.share(kind, name), 6),
            }
            for name in sorted(found.counts[kind])
        }
        for kind in sorted(found.counts)
    }


def latencies(run: Recording) -> dict[str, Any]:
    """O12: durations in virtual time per shape and kind: all, and those with nobody else at work;
    and the program's own time between operations."""
    shapes: dict[str, Any] = {}
    for shape in run.shapes("ops.txt"):
        ops = shape_ops(run, shape)
        frame = add_kinds(ops)
        parts = {
            "all": stats_by_kind(frame),
            "uncontended": stats_by_kind(uncontended(frame)),
            "think_time": think_times(frame),
        }
        shapes[shape] = {
            "run_ns": ops.header.settings["run_ns"],
            **{name: {k: s.as_dict() for k, s in part.items()} for name, part in parts.items()},
        }
    return {"run": run.name, "ns_per_instruction": NS_PER_INSTRUCTION, "shapes": shapes}


def map_costs(run: Recording) -> dict[str, Any]:
    """Costs of map and unmap fitted to all shapes of the instruction-counting run."""
    logs = (shape_ops(run, shape) for shape in run.shapes("ops.txt"))
    of_map, of_unmap = fit_map_costs(logs)
    return {"run": run.name, "map": of_map.as_dict(), "unmap": of_unmap.as_dict()}


def extract(traces: Path) -> Figures:
    """All reference figures from a folder that holds runs/NAME.tar.xz."""
    names = (LOCKDEP_RUN, EVENTS_RUN, ADDRESS_RUN, INSTRUCTION_RUN)
    runs = {name: open_recording(traces / "runs" / f"{name}.tar.xz") for name in names}
    return {
        "format": FORMAT,
        "archives_sha256": {name: run.sha256 for name, run in runs.items()},
        "lock_sequences": lock_sequences(runs[LOCKDEP_RUN]),
        "contention": contention(runs[EVENTS_RUN], runs[ADDRESS_RUN]),
        "latencies": latencies(runs[INSTRUCTION_RUN]),
        "map_costs": map_costs(runs[INSTRUCTION_RUN]),
    }


def render(figures: Figures) -> str:
    """Canonical text of the figures: sorted keys, innermost objects and lists on one line."""
    return _render(figures, 0) + "\n"


def _render(value: Any, depth: int) -> str:
    if not isinstance(value, dict | list) or not _has_nested(value):
        return json.dumps(value, sort_keys=True)
    pad, end = " " * (depth + 1), " " * depth
    if isinstance(value, list):
        inner = [pad + _render(item, depth + 1) for item in value]
        return "[\n" + ",\n".join(inner) + f"\n{end}]"
    inner = [f"{pad}{json.dumps(k)}: {_render(value[k], depth + 1)}" for k in sorted(value)]
    return "{\n" + ",\n".join(inner) + f"\n{end}}}"


def _has_nested(value: dict[str, Any] | list[Any]) -> bool:
    items = value.values() if isinstance(value, dict) else value
    return any(isinstance(item, dict | list) for item in items)


def main(argv: list[str] | None = None) -> int:
    """Command line; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m smmulab.recordings.extract")
    parser.add_argument("traces", type=Path, help="folder that holds runs/NAME.tar.xz")
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder to write to")
    options = parser.parse_args(argv)
    try:
        text = render(extract(options.traces))
        options.output.mkdir(parents=True, exist_ok=True)
        (options.output / FILE_NAME).write_text(text, encoding="utf-8")
    except (RecordingError, OSError) as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
