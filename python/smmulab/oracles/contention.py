# SPDX-License-Identifier: Apache-2.0
"""O11: on which lock class does the waiting fall?

The share of contended mutex acquisitions of each class, for each shape of a run recorded with the
tracepoint contention_begin (contended: the fast path failed), against the model's contentions in a
closed-loop replay of the same shape on as many CPUs, which take turns if the run's did (-icount),
with the costs of A_ic_smp2.
"""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from smmulab.comparison import compare
from smmulab.oracles.recorded_run import RecordedRun, replay_settings
from smmulab.recordings import load_reference
from smmulab.recordings.contention import (
    Contention,
    read_contention,
    read_contention_stacks,
    static_locks,
)

TOLERANCE_POINTS = 10.0
JUDGED_ABOVE = 0.05  # share in the recording or the model
FEWEST = 20  # recorded contended acquisitions below which shares are noise
STACKS = "contention_stacks.txt"
EVENTS = "events.txt"
COLUMNS = ("shape", "lock_class", "recorded_share", "model_share", "error_points", "verdict")


def why_not(run: RecordedRun) -> str | None:
    """Why the run says nothing about contention, or None."""
    if run.has("lockdep.txt"):
        return "its kernel has lock debugging: every mutex_lock() looks contended"
    if not run.has(EVENTS) and not run.has(STACKS):
        return f"it has no SHAPE.{EVENTS} or SHAPE.{STACKS}"
    return None


def _of_reference(run: RecordedRun) -> Mapping[str, Mapping[str, tuple[int, float]]]:
    """Shape -> class -> (acquisitions, share), from the package's figures of this very archive."""
    table = load_reference().contention()
    table = table[table["kind"] == "mutex"]
    return {
        shape: {
            str(row["lock_class"]): (int(row["acquisitions"]), float(row["share"]))
            for _, row in table[table["shape"] == shape].iterrows()
        }
        for shape in run.traces
    }


def _read(run: RecordedRun, shape: str, static: Mapping[str, str]) -> Contention | None:
    for suffix in (STACKS, EVENTS):
        if f"{shape}.{suffix}" in run.recording.members:
            log = run.recording.log(f"{shape}.{suffix}")
            if suffix == STACKS:
                return read_contention_stacks(log, shape)
            return read_contention(log, run.log(shape), shape, static)
    return None


def recorded(run: RecordedRun) -> Mapping[str, Mapping[str, tuple[int, float]]]:
    """Shape -> class -> (contended acquisitions of mutexes, their share), inside operations."""
    if run.made_reference:
        return _of_reference(run)
    static: dict[str, str] = {}
    for shape in run.recording.shapes("lockaddr.txt"):
        static |= static_locks(run.recording.log(f"{shape}.lockaddr.txt"))
    shapes: dict[str, dict[str, tuple[int, float]]] = {}
    for shape in run.traces:
        found = _read(run, shape, static)
        if found is None:
            continue
        counts = found.counts["mutex"]
        counts.pop("outside", None)
        total = counts.total()
        shapes[shape] = {name: (counts[name], counts[name] / total) for name in sorted(counts)}
    return shapes


def shares(run: RecordedRun, shape: str) -> dict[str, float]:
    """Lock class -> share of contended mutex acquisitions in the model; empty: none contended."""
    settings = replay_settings(run, run.log(shape))
    tell = run.telling(f"contention {shape}")
    progress = None if tell is None else lambda _protocol, ended: tell(ended)
    locks = compare(run.traces[shape], ["igroup"], set=settings, progress=progress).locks()
    mutexes = locks[locks["type"] == "mutex"]
    total = mutexes["contentions"].sum()
    if total == 0:
        return {}
    return {
        str(name): float(count) / float(total)
        for name, count in zip(mutexes["class"], mutexes["contentions"], strict=True)
    }


def check(run: RecordedRun) -> pd.DataFrame:
    """Columns: shape, lock_class, recorded_share, model_share, error_points, verdict."""
    rows = []
    for shape, classes in recorded(run).items():
        enough = sum(count for count, _ in classes.values()) >= FEWEST
        model = shares(run, shape)
        for name in sorted(set(classes) | set(model)):
            seen = classes.get(name, (0, 0.0))[1]
            had = model.get(name, 0.0)
            if max(seen, had) <= JUDGED_ABOVE:
                continue
            points = 100 * (had - seen)
            verdict = "ok" if abs(points) <= TOLERANCE_POINTS else "miss"
            judged = verdict if enough else "not judged: hardly any contention recorded"
            rows.append((shape, name, seen, had, points, judged))
    return pd.DataFrame(rows, columns=list(COLUMNS))
