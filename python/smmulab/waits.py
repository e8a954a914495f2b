# SPDX-License-Identifier: Apache-2.0
"""`blame`: who waited for whom in one replay, and the replay's critical path."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from os import PathLike, fspath
from typing import TYPE_CHECKING, Any, Literal

from smmulab import _core, report, report_waits, tables
from smmulab._version import __version__
from smmulab.checking import FileToRead
from smmulab.comparison import assignments_of
from smmulab.protocol_source import ProtocolLike, key_and_name, source_hashes

if TYPE_CHECKING:
    import pandas as pd

# Progress of the replay: (protocol, operations ended) -> go on?
ProgressFunction = Callable[[str, int], bool]
# Who waits, who is waited for: single threads, or operations of any thread.
Side = Literal["thread", "op"]


@dataclass(frozen=True)
class Blame:
    """What the threads of one replay waited for.

    `result` is the replay's raw document (see Comparison.results), `config` every parameter as
    resolved; `rows`, `stacks` and `path` what the methods give as tables and text; `sources` as in
    Comparison.
    """

    trace: str
    trace_hash: str
    protocol: str
    config: dict[str, Any] = field(repr=False)
    result: dict[str, Any] = field(repr=False)
    rows: list[dict[str, Any]] = field(repr=False)
    stacks: list[str] = field(repr=False)
    unfinished: int = field(repr=False)
    path: dict[str, Any] = field(repr=False)
    seen: list[dict[str, Any]] = field(repr=False)
    version: str = __version__
    engine: str = "native"
    sources: dict[str, str] = field(default_factory=dict, repr=False)

    def __repr__(self) -> str:
        """The table that says most, as text: what a prompt shows, and print()."""
        return report_waits.blame_summary_text(self)

    def _repr_html_(self) -> str:
        return report.html(repr(self))

    @property
    def protocols(self) -> list[str]:
        """The one protocol, as `smmulab.store` wants it."""
        return [self.protocol]

    def frame(self) -> pd.DataFrame:
        """A row for each waiter (thread, operation), holder (the same) and lock instance, most time
        first. Columns: waiter, waiter_op, holder, holder_op, kind, awaited, lock_class, total_ps,
        longest_ps, count.

        kind "lock": each moment of a wait is charged to who holds the lock then (of several readers
        to the one that has had it longest); holder "" is the time in which the lock is free, but not
        yet the waiter's. kind "object" (CMD_SYNC, references) and "cpu" have no holder.
        """
        return tables.blame(self.rows)

    def matrix(self, side: Side = "thread") -> pd.DataFrame:
        """Total time (ps) waited for locks: a row for each waiter, a column for each holder."""
        return tables.blame_matrix(self.rows, side)

    def critical_path(self) -> pd.DataFrame:
        """The critical path by thread, operation, state and lock class, most time first. Columns:
        thread, op, state, lock_class, awaited, total_ps, longest_ps, share (of the run), count.

        state: "runs", "waits" (for `awaited`; lock_class of both: the lock taken last of those held),
        "handed over" (from a release to the acquisition it let in), "wakes up", "needs CPU",
        "asleep".
        """
        return tables.critical_path(self.path)

    def tracepoints(self) -> pd.DataFrame:
        """What `perf lock contention` would have shown of the contention: a row for each lock class
        and mode, most unseen time first. Columns: class, mode, contended, wait_total_ps, seen,
        seen_wait_ps, unseen_wait_ps.

        Its tracepoints see a mutex's contention whole, of an rwsem's only what queues to sleep (not
        optimistic spinning), of a spinlock's not the first waiter (on the pending bit).
        """
        return tables.tracepoints(self.seen)

    def folded(self) -> str:
        """Folded stacks for flame graphs: "thread;op;lock;holder;op;... WEIGHT", in ns."""
        return "".join(f"{line}\n" for line in self.stacks)


def blame(
    trace: str | PathLike[str],
    protocol: ProtocolLike = "igroup",
    machine: str | PathLike[str] | None = None,
    *,
    set: str | Sequence[str] | Mapping[str, object] = (),
    progress: ProgressFunction | None = None,
) -> Blame:
    """Replay `trace` under `protocol` with a record, and read who waited for whom.

    Arguments and errors as in `compare`. The record takes 32 bytes an event while this runs. Of a
    run that deadlocks the waits up to there are told, and `unfinished` requests never granted.
    """
    key, name = key_and_name(protocol)
    sources = source_hashes([key])
    path, assignments = fspath(trace), assignments_of(set)
    file = FileToRead.of(path)
    machine_path = None if machine is None else fspath(machine)
    config = json.loads(_core.resolve(assignments, machine_path))
    tell = None if progress is None else (lambda ended: progress(name, ended))
    waits = _core.waits(path, key, assignments, machine_path, tell)
    found = json.loads(waits.blame)
    return Blame(
        path,
        file.hash(),
        name,
        config,
        json.loads(waits.result),
        found["rows"],
        found["stacks"],
        found["unfinished"],
        json.loads(waits.critical_path),
        json.loads(waits.tracepoints),
        sources=sources,
    )
