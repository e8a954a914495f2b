# SPDX-License-Identifier: Apache-2.0
"""O4: an operation of the model takes the lock classes that the recorded kernel took.

Replays a run under igroup with driver 6.12 at the recorded issue times (so that threads meet as
they did), and looks each operation's sequence of requests and releases up among those recorded for
its kind: in the run itself if it was recorded with lockdep's events, else in run B_lk_smp2.
"""

from __future__ import annotations

import difflib
import textwrap
from collections.abc import Iterable, Mapping

import pandas as pd

from smmulab import _core
from smmulab.oracles.recorded_run import RecordedRun
from smmulab.recordings import Reference, load_reference
from smmulab.recordings.extract import lock_sequences

# Lock classes that the model has as locks, and recorded ones that it has as contended cache lines
# or costs instead: they are left out of both sides.
COVERED = frozenset(
    {
        "dev_set->lock",
        "ioas->mutex",
        "igroup->lock",
        "group->mutex",
        "pages->mutex",
        "init_mutex",
        "asid_lock",
        "devices_lock",
        "domains_rwsem",
        "iova_rwsem",
    }
)
UNCOVERED = frozenset(
    {
        "objects.xa_lock",
        "groups.xa_lock",
        "pasid_array.xa_lock",
        "domains.xa_lock",
        "asid_xa.xa_lock",
    }
)
# Operation of a trace -> kinds of the recording (a replace that finds the device detached is an
# attach and the reverse, as VFIO has it).
_MOVES = ("attach", "replace", "group_attach", "group_replace")
KINDS = {
    "bind": ("bind", "group_bind"),
    "ioas_alloc": ("ioas_alloc",),
    "ioas_destroy": ("destroy_ioas",),
    "hwpt_alloc": ("hwpt_alloc",),
    "hwpt_destroy": ("destroy_hwpt",),
    "attach": _MOVES,
    "replace": _MOVES,
    "detach": ("detach", "group_detach"),
    "map": ("map",),
    "unmap": ("unmap",),
}
# A replace by ioas id that makes the new automatic hwpt, or destroys the old one: the recording has
# such an attach and such a detach, but no such replace.
_MAKES = "+M ioas->mutex; +M asid_lock; -M asid_lock; +W domains_rwsem"
_DESTROYS = "-M ioas->mutex; +M ioas->mutex; -M ioas->mutex; +W domains_rwsem"
# What the program of the recording never did, by all that such an operation takes.
_NEVER_DONE: dict[tuple[str, tuple[str, ...]], str] = {
    ("map", ("+W iova_rwsem", "-W iova_rwsem")): "a map onto mapped IOVA was not recorded",
    (
        "detach",
        ("+M dev_set->lock", "-M dev_set->lock"),
    ): "a detach of a device that is not attached was not recorded",
}


def covered(words: Iterable[str]) -> tuple[str, ...]:
    """The words of covered lock classes; marks of tracepoints are dropped too."""
    return tuple(w for w in words if not w.startswith("{") and w.split()[1] in COVERED)


Known = Mapping[tuple[str, ...], str]  # sequence of covered words -> recorded kind


def reference_of(run: RecordedRun) -> Reference:
    """The run's own lock sequences, or those of B_lk_smp2 if it has none."""
    if run.made_reference or not run.has("lockdep.txt"):
        return load_reference()
    return Reference({"lock_sequences": lock_sequences(run.recording)})


def recorded(reference: Reference, operation: str) -> Known:
    """All sequences of the kinds that `operation` may be."""
    return {
        covered(sequence.words): kind
        for kind in reference.kinds()
        if kind.startswith(KINDS.get(operation, ()))
        for sequence in reference.sequences(kind)
    }


def _judge(operation: str, words: str, known: Known) -> tuple[str, str]:
    """(verdict, recorded kind or why it was not judged)."""
    sequence = covered(words.split("; ") if words else ())
    kind = known.get(sequence)
    if kind is not None:
        return "ok", kind
    if reason := _NEVER_DONE.get((operation, sequence)):
        return "not judged", reason
    text = "; ".join(sequence)
    if operation == "replace" and (_MAKES in text or _DESTROYS in text):
        return "not judged", "a replace that makes or destroys an automatic hwpt was not recorded"
    return "miss", ""


def details(verdict: str, model: str, known: Known) -> str:
    """The operation's words, wrapped; of a miss, line by line against the nearest recorded sequence:
    "-" stands only there, "+" only in the model."""
    words = model.split("; ") if model else []
    if verdict != "miss":
        return textwrap.fill("; ".join(words), 100)
    of_model = covered(words)
    matcher = difflib.SequenceMatcher(b=of_model, autojunk=False)

    def likeness(sequence: tuple[str, ...]) -> float:
        matcher.set_seq1(sequence)
        return matcher.ratio()

    nearest = max(known, key=likeness, default=())
    heading = (
        f"against a recorded {known[nearest]}:" if known else "no such operation was recorded:"
    )
    compared = difflib.ndiff(nearest, of_model)
    return "\n".join([heading, *(line for line in compared if not line.startswith("?"))])


def check(run: RecordedRun) -> pd.DataFrame:
    """Columns: shape, operation, count, verdict, recorded (kind or reason), model (the words),
    details (the words for people)."""
    reference = reference_of(run)
    rows = []
    for shape, trace in run.traces.items():
        header = run.log(shape).header
        group = any(header.group_size(device.index) > 1 for device in header.devices)
        unknown = header.workload == "auto" and group and reference is load_reference()
        found = _core.lock_sequences(
            str(trace),
            "igroup",
            ["driver.version=6.12", "replay.mode=timed", *run.settings],
            progress=run.telling(f"lock-sequences {shape}"),
        )
        for operation, words, count in found:
            if operation == "dma":
                continue
            known = recorded(reference, operation)
            verdict, kind = _judge(operation, words, known)
            if verdict == "miss" and unknown and "ioas->mutex" in words:
                verdict, kind = (
                    "not judged",
                    "groups of several with automatic domains: not recorded",
                )
            text = details(verdict, words, known)
            rows.append((shape, operation, count, verdict, kind, words, text))
    columns = ["shape", "operation", "count", "verdict", "recorded", "model", "details"]
    return pd.DataFrame(rows, columns=columns)
