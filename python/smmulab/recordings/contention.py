# SPDX-License-Identifier: Apache-2.0
"""Oracle O11: on which lock the waiting falls, from lock:contention_begin / contention_end.

An acquisition is contended once, however often its waiter goes from spinning to sleeping and
back: it runs from its first begin to the end with ret=0. The recordings' README counts begins
instead (one per such turn), so both numbers are given.

The tracepoints carry an address and no name. With the kernel's stack (SHAPE.contention_stacks.txt)
the class follows from the function that takes the lock; else from where the wait happened:
  static address     the table that `static_locks` makes from a run of the same kernel image with
                     SHAPE.lockaddr.txt; without one, asid_lock if inside an operation: the only
                     mutex of the image that these wait for
  mutex              all waiters are devices of one group of several: igroup->lock (what is outer
                     to it, dev_set->lock, is private to a device here; what is inner cannot be
                     contended). Operations by ioas id that all name one ioas: ioas->mutex. Else,
                     in an attach or replace: init_mutex, the one left that devices share.
  rw_semaphore       written inside an operation: iova_rwsem; read inside one: domains_rwsem
  outside any operation of the waiting thread: "outside" (memory map, thread start and exit)
  else "unnamed" (a few spinlocks).
Blind spots of the tracepoint: an rwsem writer's optimistic spin, and a spinlock's pending bit.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from smmulab.recordings.ftrace import PROGRAM, OpFinder, read_events, threads_by_pid
from smmulab.recordings.lock_classes import MUTEX_FUNCTIONS, RELEASED_BY, TAKEN_BY
from smmulab.recordings.op_kinds import add_kinds

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

    from smmulab.recordings.archive import TextLog
    from smmulab.recordings.ftrace import FtraceEvent
    from smmulab.recordings.ops_log import OpsLog

_BEGIN = re.compile(r"([0-9a-f]+) \(flags=([A-Z|]+)\)$")
_END = re.compile(r"([0-9a-f]+) \(ret=(-?\d+)\)$")
_UNLOCK = re.compile(r"lock=0x([0-9a-f]+) caller=([\w.]+)\+")
_KERNEL_IMAGE = "ffff8000"  # static objects of arm64 Linux with 48-bit addresses


@dataclass
class ContendedAcquisition:
    """One wait for a lock. `thread` is the log's, or the task id where threads are not told apart;
    times in ns, truncated to microseconds; `stack` innermost first."""

    thread: int
    address: str
    begin_ns: int
    flags: list[str]
    end_ns: int | None = None
    op: int | None = None
    lock_class: str = "unnamed"
    stack: tuple[str, ...] = ()

    @property
    def kind(self) -> str:
        """mutex, rwsem_read, rwsem_write or spin (spinlocks and rwlocks)."""
        if any("MUTEX" in flags for flags in self.flags):
            return "mutex"
        first = self.flags[0]
        if first.startswith("SPIN"):
            return "spin"
        return "rwsem_" + first.lower()


@dataclass
class Contention:
    """Contention of one shape: counts per kind of lock and class, by begins and by acquisitions."""

    shape: str
    acquisitions: list[ContendedAcquisition]
    counts: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    begins: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))

    def share(self, kind: str, lock_class: str) -> float:
        """Part (0..1) of the contended acquisitions of that kind that fall on the class."""
        total = self.counts[kind].total()
        return self.counts[kind][lock_class] / total if total else 0.0


def static_locks(log: TextLog) -> dict[str, str]:
    """Address -> our name for the locks of the kernel image, from a SHAPE.lockaddr.txt."""
    names: dict[str, str] = {}
    for event in read_events(log):
        found = _UNLOCK.search(event.args) if event.name == "mutex_unlock" else None
        if found is None or not found[1].startswith(_KERNEL_IMAGE):
            continue
        name = RELEASED_BY.get(found[2])
        if name is not None and names.setdefault(found[1], name) != name:
            raise log.fault(f"lock {found[1]} is both {names[found[1]]} and {name}", event.line)
    return names


def read_contention(log: TextLog, ops: OpsLog, shape: str, static: Mapping[str, str]) -> Contention:
    """Read SHAPE.events.txt; `static` is what `static_locks` gave for the same kernel."""
    events = list(read_events(log))
    acquisitions = _acquisitions(log, events, threads_by_pid(log, events, ops))
    frame = add_kinds(ops)
    finder = OpFinder(frame)
    by_address: dict[str, list[ContendedAcquisition]] = defaultdict(list)
    for acquisition in acquisitions:
        acquisition.op = finder.find(acquisition.thread, acquisition.begin_ns)
        by_address[acquisition.address].append(acquisition)
    result = Contention(shape, acquisitions)
    for address, waits in by_address.items():
        inside = [a.op for a in waits if a.op is not None]
        name = static.get(address) or _class_of(waits, frame.loc[inside], ops)
        if name == "init_mutex" and address.startswith(_KERNEL_IMAGE):
            name = "asid_lock"
        for acquisition in waits:
            in_op = acquisition.op is not None or address in static
            acquisition.lock_class = name if in_op else "outside"
            result.counts[acquisition.kind][acquisition.lock_class] += 1
            result.begins[acquisition.kind][acquisition.lock_class] += len(acquisition.flags)
    return result


def read_contention_stacks(log: TextLog, shape: str) -> Contention:
    """Read SHAPE.contention_stacks.txt: mutexes only; the program's tasks are told by their name."""
    events = list(read_events(log))
    tasks = {event.pid: event.pid for event in events if event.comm == PROGRAM}
    found = _acquisitions(log, events, tasks)
    result = Contention(shape, [wait for wait in found if wait.kind == "mutex"])
    for wait in result.acquisitions:
        wait.lock_class = _taken_by(wait)
        result.counts[wait.kind][wait.lock_class] += 1
        result.begins[wait.kind][wait.lock_class] += len(wait.flags)
    return result


def _taken_by(wait: ContendedAcquisition) -> str:
    outer = [name for name in wait.stack if not name.startswith(MUTEX_FUNCTIONS)]
    name = TAKEN_BY.get(outer[0], "outside") if outer else "unnamed"
    if outer and outer[0].startswith("iopt_"):
        return "pages->mutex"
    # Two mutexes are taken there; only one of them is in the kernel's image.
    return "asid_lock" if name == "init_mutex" and wait.address.startswith(_KERNEL_IMAGE) else name


def _acquisitions(
    log: TextLog, events: list[FtraceEvent], threads: Mapping[int, int]
) -> list[ContendedAcquisition]:
    waiting: dict[tuple[int, str], ContendedAcquisition] = {}
    found: list[ContendedAcquisition] = []
    for event in events:
        thread = threads.get(event.pid)
        if thread is None:
            continue
        if event.name == "contention_begin":
            begin = _BEGIN.match(event.args)
            if begin is None:
                raise log.fault(f"cannot read contention event '{event.args}'", event.line)
            key = (event.pid, begin[1])
            if key in waiting:
                waiting[key].flags.append(begin[2])
            else:
                wait = ContendedAcquisition(
                    thread, begin[1], event.time_ns, [begin[2]], stack=event.stack
                )
                waiting[key] = wait
                found.append(wait)
        elif event.name == "contention_end":
            end = _END.match(event.args)
            if end is None:
                raise log.fault(f"cannot read contention event '{event.args}'", event.line)
            ended = waiting.pop((event.pid, end[1]), None)
            if ended is None:
                raise log.fault(f"end of a wait for {end[1]} that never began", event.line)
            ended.end_ns = event.time_ns
    return found


def _class_of(waits: list[ContendedAcquisition], during: pd.DataFrame, ops: OpsLog) -> str:
    """Class of one dynamically allocated lock from the operations that waited for it."""
    if during.empty:
        return "outside"
    kind = waits[0].kind
    if kind == "rwsem_write":
        return "iova_rwsem"
    if kind == "rwsem_read":
        return "domains_rwsem"
    device_ops = set(during["op"]) <= {"attach", "replace", "detach"}
    if kind != "mutex" or not device_ops:
        return "unnamed"
    devices = {int(dev) for dev in during["dev"]}
    groups = {ops.header.group_of(dev) for dev in devices}
    if len(groups) == 1 and ops.header.group_size(next(iter(devices))) > 1:
        return "igroup->lock"
    if ops.header.workload == "auto":
        return "ioas->mutex"
    return "unnamed" if "detach" in set(during["op"]) else "init_mutex"
