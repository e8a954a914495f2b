# SPDX-License-Identifier: Apache-2.0
"""The text of Linux's ftrace ring buffer, and whose operation each line belongs to.

The recordings use trace clock `mono`, the same clock as the operation log, printed with
microsecond resolution; times here are in ns. A buffer that lost events is refused. With the trace
option `stacktrace` each event is followed by the kernel functions that led to it.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import pandas as pd

    from smmulab.recordings.archive import TextLog
    from smmulab.recordings.ops_log import OpsLog

PROGRAM = "iofd_bench"
RESOLUTION_NS = 1000
_LINE = re.compile(r"\s*(.+)-(\d+)\s+\[(\d+)\]\s+\S+\s+(\d+)\.(\d{6}): ([\w<> ]+):? ?(.*)$")
_ENTRIES = re.compile(r"entries-in-buffer/entries-written: (\d+)/(\d+)")
_STACK = "<stack trace>"
_FRAME = re.compile(r" => ([^ ]+)$")
_ON_DEVICE = re.compile(r"device=(\S+)")


@dataclass(frozen=True)
class FtraceEvent:
    """One trace line. `time_ns` is truncated to whole microseconds by the kernel's printing.
    `stack`: kernel functions, innermost first, without the compiler's suffixes; empty if the trace
    has none."""

    line: int
    comm: str
    pid: int
    cpu: int
    time_ns: int
    name: str
    args: str
    stack: tuple[str, ...] = ()


def read_events(log: TextLog) -> Iterator[FtraceEvent]:
    """Yield the events of a trace in file order; anything unreadable raises RecordingError."""
    if not log.text.startswith("# tracer:"):
        raise log.fault("not an ftrace text: the first line is not '# tracer: ...'", 1)
    if not log.text.endswith("\n"):
        raise log.fault("the last line is cut off: truncated log")
    held: FtraceEvent | None = None  # until it is known whether a stack follows
    frames: list[str] = []
    for number, line in log.lines():
        if line.startswith("#"):
            entries = _ENTRIES.search(line)
            if entries and entries[1] != entries[2]:
                lost = int(entries[2]) - int(entries[1])
                raise log.fault(f"the trace buffer overran: {lost} events were lost", number)
        elif frame := _FRAME.match(line):
            frames.append(frame[1].split(".", maxsplit=1)[0])
        elif line:
            event = _event(log, number, line)
            if event.name == _STACK:
                continue
            if held is not None:
                yield replace(held, stack=tuple(frames)) if frames else held
            held, frames = event, []
    if held is not None:
        yield replace(held, stack=tuple(frames)) if frames else held


def _event(log: TextLog, number: int, line: str) -> FtraceEvent:
    found = _LINE.match(line)
    if found is None:
        raise log.fault(f"not an ftrace event: '{line.strip()}'", number)
    comm, pid, cpu, seconds, micros, name, args = found.groups()
    time_ns = int(seconds) * 1_000_000_000 + int(micros) * 1000
    return FtraceEvent(number, comm, int(pid), int(cpu), time_ns, name, args)


def threads_by_pid(log: TextLog, events: Iterable[FtraceEvent], ops: OpsLog) -> dict[int, int]:
    """Task id -> thread number of the operation log (-1: main thread), for the test program.

    Thread ids come from the kernel in order of creation: main first, then the device threads,
    then the map threads. Shells share the trace, and the program's own process starts under
    the shell's name, so its tasks are told by name, and main by the binds' attach events.
    """
    bound = {device.bdf for device in ops.header.devices}
    started = int(ops.frame.loc[ops.frame["thread"] >= 0, "start_ns"].min()) - RESOLUTION_NS
    pids: set[int] = set()
    binders: set[int] = set()
    for event in events:
        if event.comm != PROGRAM:
            continue
        pids.add(event.pid)
        device = _ON_DEVICE.search(event.args)
        if event.time_ns < started and device and device[1] in bound:
            binders.add(event.pid)
    if len(binders) != 1:
        raise log.fault(f"cannot tell the program's main thread: {len(binders)} tasks bind devices")
    main = binders.pop()
    workers = sorted(pid for pid in pids if pid > main)
    numbers = sorted(int(t) for t in ops.frame["thread"].unique() if t >= 0)
    if len(workers) != len(numbers):
        message = f"{len(workers)} tasks of {PROGRAM} for {len(numbers)} threads of {ops.name}"
        raise log.fault(message)
    return {main: -1, **dict(zip(workers, numbers, strict=True))}


class OpFinder:
    """Finds which operation of a thread was under way at a trace time."""

    def __init__(self, frame: pd.DataFrame) -> None:
        """`frame`: an operation log's frame; its index identifies the operations."""
        self._by_thread: dict[int, tuple[list[int], list[int], list[Any]]] = {}
        for thread, own in frame.sort_values("start_ns").groupby("thread"):
            starts = [int(t) // RESOLUTION_NS * RESOLUTION_NS for t in own["start_ns"]]
            ends = [int(t) for t in own["end_ns"]]
            self._by_thread[int(str(thread))] = (starts, ends, list(own.index))

    def find(self, thread: int, time_ns: int) -> Any | None:
        """Index of the operation that contains that (truncated) time, or None."""
        starts, ends, index = self._by_thread[thread]
        at = bisect_right(starts, time_ns) - 1
        return index[at] if at >= 0 and time_ns <= ends[at] else None
