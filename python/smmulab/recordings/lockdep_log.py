# SPDX-License-Identifier: Apache-2.0
"""Oracle O4: which locks each ioctl of the recorded kernel takes, in which order.

Reads SHAPE.lockdep.txt (lock:lock_acquire / lock_release with class names) and the operation log
of the same run, and gives each operation its own sequence. Words of a sequence:
  +M x, -M x   mutex requested, released          +S x, -S x   spinlock
  +R x, -R x / +W x, -W x   rw_semaphore, for reading / for writing
  {attach_device_to_domain} {map} {unmap}   the iommu core's tracepoint fired (repeats folded)
`+` stands where the lock was asked for: a task takes nothing else while it waits.
Not seen: locks outside the recorder's name filter (slab, page allocator, run queues), refcounts,
the lock-free command queue, page-table cmpxchg. A mutex's wait_lock, mmap_lock and the CPU's ASID
lock are dropped and counted.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from smmulab.recordings.ftrace import OpFinder, read_events, threads_by_pid
from smmulab.recordings.lock_classes import KERNEL_NAMES, KIND_OF_LOCK, RWSEMS, is_dropped
from smmulab.recordings.op_kinds import add_kinds

if TYPE_CHECKING:
    from collections.abc import Mapping

    from smmulab.recordings.archive import TextLog
    from smmulab.recordings.ftrace import FtraceEvent
    from smmulab.recordings.ops_log import OpsLog

MARKS = frozenset({"attach_device_to_domain", "map", "unmap"})
_LOCK_ARGS = re.compile(r"([0-9a-f]+) (try )?(read )?(\S+)$")


@dataclass
class LockSequences:
    """Lock sequences of one shape: for each kind of operation, each distinct one with its count."""

    shape: str
    by_kind: dict[str, Counter[tuple[str, ...]]] = field(
        default_factory=lambda: defaultdict(Counter)
    )
    dropped: Counter[str] = field(default_factory=Counter)  # kernel name -> lines inside operations
    reclassified: int = 0  # group replaces whose kind the sequence corrected


@dataclass
class _OpTrace:
    """Raw events of one operation: (sign, mode, class, address), or a mark as the class."""

    steps: list[tuple[str, str, str, str]] = field(default_factory=list)
    held_modes: dict[str, str] = field(default_factory=dict)  # address -> R or W


def read_lock_sequences(log: TextLog, ops: OpsLog, shape: str) -> LockSequences:
    """Join a lockdep trace with its operation log."""
    events = list(read_events(log))
    threads = threads_by_pid(log, events, ops)
    frame = add_kinds(ops)
    finder = OpFinder(frame)
    traces: dict[int, _OpTrace] = defaultdict(_OpTrace)
    result = LockSequences(shape)
    for event in events:
        thread = threads.get(event.pid)
        if thread is None or event.name not in ("lock_acquire", "lock_release", *MARKS):
            continue
        op = finder.find(thread, event.time_ns)
        if op is not None:
            _add_step(log, traces[op], event, result.dropped)
    kinds = frame["kind"].to_dict()
    xarrays = _name_xarrays(traces, frame["op"].to_dict())
    for op, trace in traces.items():
        words = _words(trace, xarrays)
        kind = str(kinds[op])
        true_kind = _kind_by_sequence(kind, words)
        result.reclassified += kind != true_kind
        result.by_kind[true_kind][words] += 1
    return result


def _add_step(log: TextLog, trace: _OpTrace, event: FtraceEvent, dropped: Counter[str]) -> None:
    if event.name in MARKS:
        trace.steps.append(("", "", event.name, ""))
        return
    found = _LOCK_ARGS.match(event.args)
    if found is None:
        raise log.fault(f"cannot read lock event '{event.args}'", event.line)
    address, _, read, kernel_name = found.groups()
    if is_dropped(kernel_name):
        dropped[kernel_name] += 1
        return
    name = KERNEL_NAMES.get(kernel_name)
    if name is None:
        raise log.fault(f"lock class '{kernel_name}' is not in the table of names", event.line)
    if event.name == "lock_acquire":
        mode = ("R" if read else "W") if name in RWSEMS else KIND_OF_LOCK[name]
        trace.held_modes[address] = mode
        trace.steps.append(("+", mode, name, address))
    else:
        mode = trace.held_modes.pop(address, "?")
        trace.steps.append(("-", mode, name, address))


def _name_xarrays(traces: dict[int, _OpTrace], ops: Mapping[Any, str]) -> dict[str, str]:
    """Address -> name of each xarray lock, by the place where it is taken.

    The first one of an attach or map is the fd's object table (look-up of the id). Inside
    group->mutex: the group's attach handles. Inside iova_rwsem: the ioas's domains. First in a
    bind, and not the object table: the fd's groups.
    """
    names: dict[str, str] = {}
    binds: list[str] = []
    for op, trace in traces.items():
        held: list[str] = []
        first = True
        for sign, _, name, address in trace.steps:
            if sign == "+":
                if name == "xa_lock":
                    if "group->mutex" in held:
                        names.setdefault(address, "pasid_array.xa_lock")
                    elif "iova_rwsem" in held:
                        names.setdefault(address, "domains.xa_lock")
                    elif first and ops[op] in ("attach", "replace", "map", "unmap"):
                        names[address] = "objects.xa_lock"
                    elif first and ops[op] == "bind":
                        binds.append(address)
                    first = False
                held.append(name)
            elif sign == "-" and name in held:
                held.remove(name)
    for address in binds:
        names.setdefault(address, "groups.xa_lock")
    return names


def _words(trace: _OpTrace, xarrays: dict[str, str]) -> tuple[str, ...]:
    words: list[str] = []
    for sign, mode, name, address in trace.steps:
        if not sign:
            mark = "{" + name + "}"
            if not words or words[-1] != mark:
                words.append(mark)
            continue
        words.append(f"{sign}{mode} {xarrays.get(address, name)}")
    return tuple(words)


def _kind_by_sequence(kind: str, words: tuple[str, ...]) -> str:
    """A group's replace by the locks it took: the log alone cannot always order a group's threads
    (op_kinds.py). That a replace to the same hwpt takes no group->mutex is certain from groups
    of one device, where the log tells the kinds apart."""
    if not kind.startswith("group_replace"):
        return kind
    if "+M group->mutex" not in words:
        return "group_replace_same"
    return "group_replace_in_ioas" if kind == "group_replace_same" else kind
