# SPDX-License-Identifier: Apache-2.0
"""The operations of a generated trace, as lines, in order of issue.

Random numbers: one Philox stream for each thread, named by (seed, thread), so that another thread
more or less does not move the numbers of the others. Only raw 64-bit words are taken from numpy:
these it keeps stable over versions, its distributions it does not.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from heapq import heapify, heapreplace
from itertools import accumulate

import numpy as np

from smmulab.workload.spec import WINDOW_BYTES, Workload
from smmulab.workload.think import parse_think

_BLOCK = 512
_NUMBERS = 4  # of an operation: kind, what, target, think time


class Machine:
    """Who is where: objects' ids, groups of devices, devices of threads."""

    def __init__(self, workload: Workload) -> None:
        w = self.workload = workload
        self.smmu_of_group = [group % w.smmus for group in range(w.groups)]
        self.group_of = [device % w.groups for device in range(w.devices)]
        self.ioas_ids = list(range(1, w.ioases + 1))
        first = w.ioases + 1
        self.hwpts_of_smmu = [
            [first + smmu * w.hwpts + place for place in range(w.hwpts)] for smmu in range(w.smmus)
        ]

        units = self.group_of if w.drive == "group" else range(w.devices)
        self.devices_of: list[list[int]] = [[] for _ in range(w.threads)]
        for device, unit in enumerate(units):
            self.devices_of[unit % w.threads].append(device)


def set_up(machine: Machine) -> Iterator[str]:
    """Lines of the first phase: everything is bound, made and attached, by thread 0."""
    w = machine.workload
    for device in range(w.devices):
        yield f"0 0 bind dev={device}"
    for ioas in machine.ioas_ids:
        yield f"0 0 ioas_alloc ioas={ioas}"
    first_device: dict[int, int] = {}
    for device, group in enumerate(machine.group_of):
        first_device.setdefault(machine.smmu_of_group[group], device)
    for smmu, hwpts in enumerate(machine.hwpts_of_smmu):
        for place, hwpt in enumerate(hwpts):
            ioas = machine.ioas_ids[place % w.ioases]
            yield f"0 0 hwpt_alloc hwpt={hwpt} dev={first_device[smmu]} pt={ioas}"
    for device, group in enumerate(machine.group_of):
        hwpts = machine.hwpts_of_smmu[machine.smmu_of_group[group]]
        yield f"0 0 attach dev={device} pt={hwpts[group % w.hwpts]}"


class _Thread:
    """One thread: its random numbers, its devices, its areas."""

    def __init__(self, machine: Machine, number: int, seed: int, domains: list[int]) -> None:
        w = machine.workload
        self._machine, self._domains = machine, domains
        self._think = parse_think(w.think)
        sequence = np.random.SeedSequence(seed, spawn_key=(number,))
        self._philox = np.random.Philox(sequence)
        self._devices = machine.devices_of[number]
        kinds = [
            (kind, weight)
            for kind, weight in w.weights.items()
            if self._devices or kind in {"map", "unmap"}
        ]
        self._kinds = [kind for kind, _ in kinds]
        self._edges = list(accumulate(weight for _, weight in kinds))
        self._map_words = f"ioas={machine.ioas_ids[number % w.ioases]} iova="
        base = (number + 1) * WINDOW_BYTES
        self._addresses = [
            f"{base + slot * w.map_bytes:#x} len={w.map_bytes}" for slot in range(w.areas)
        ]
        self._free, self._mapped = self._addresses[::-1], list[str]()
        self._pending = ""  # the second half of detach, attach
        self._blocks = self._draw()

    def _draw(self) -> Iterator[tuple[float, float, float, int]]:
        while True:
            raw = self._philox.random_raw(_BLOCK * _NUMBERS)
            uniform = (raw >> np.uint64(11)).astype(np.float64) * 2.0**-53
            kind, what, target, think = uniform.reshape(_NUMBERS, _BLOCK)
            times = self._think.sample(think)
            yield from zip(
                kind.tolist(), what.tolist(), target.tolist(), times.tolist(), strict=True
            )

    def operation(self) -> tuple[str, int]:
        """The next operation's words, and the think time (ns) after it."""
        pick, what, target, think = next(self._blocks)
        if self._pending:
            words, self._pending = self._pending, ""
            return words, think
        kind = self._kinds[bisect_right(self._edges, pick * self._edges[-1])]
        if kind == "replace":
            return self._replace(what, target), think
        if kind == "attach":
            return self._detach_attach(what, target), think
        if (kind == "map" and self._free) or not self._mapped:
            address = self._free.pop()
            self._mapped.append(address)
            return f"map {self._map_words}{address}", think
        place = int(what * len(self._mapped))
        address = self._mapped[place]
        self._mapped[place] = self._mapped[-1]
        self._mapped.pop()
        self._free.append(address)
        return f"unmap {self._map_words}{address}", think

    def _another(self, group: int, target: float) -> int:
        """An hwpt of the group's SMMU that the group is not attached to."""
        hwpts = self._machine.hwpts_of_smmu[self._machine.smmu_of_group[group]]
        now = self._domains[group] - hwpts[0]
        return hwpts[(now + 1 + int(target * (len(hwpts) - 1))) % len(hwpts)]

    def _replace(self, what: float, target: float) -> str:
        device = self._devices[int(what * len(self._devices))]
        group = self._machine.group_of[device]
        # With drive=device a group-mate may have moved the group meanwhile: never an error.
        self._domains[group] = self._another(group, target)
        return f"replace dev={device} pt={self._domains[group]}"

    def _detach_attach(self, what: float, target: float) -> str:
        """The detach; the attach is the thread's next operation. A group's last device may come
        back to any hwpt, another one only to the one that its mates have."""
        w = self._machine.workload
        device = self._devices[int(what * len(self._devices))]
        group = self._machine.group_of[device]
        alone = (w.devices - group - 1) // w.groups == 0
        if alone and w.hwpts > 1:
            self._domains[group] = self._another(group, target)
        self._pending = f"attach dev={device} pt={self._domains[group]}"
        return f"detach dev={device}"


def run_phase(machine: Machine, seed: int) -> Iterator[str]:
    """`ops` lines in order of issue: each thread goes on when its think time is over; at equal times
    the one that has done least, the lowest of these."""
    w = machine.workload
    domains = [
        machine.hwpts_of_smmu[machine.smmu_of_group[group]][group % w.hwpts]
        for group in range(w.groups)
    ]
    # A replay takes think times from the end of one operation to the next one's issue: it needs ends.
    end = " dur=0" if w.has_think else ""
    threads = [_Thread(machine, number, seed, domains) for number in range(w.threads)]
    heap = [(0, 0, number) for number in range(w.threads)]
    heapify(heap)
    for _ in range(w.ops):
        time, turn, number = heap[0]
        words, think = threads[number].operation()
        yield f"{time} {number} {words}{end}"
        heapreplace(heap, (time + think, turn + 1, number))
