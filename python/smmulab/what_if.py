# SPDX-License-Identifier: Apache-2.0
"""`whatif`: replays one trace again and again with one thing changed; `WhatIf` ranks what it buys.

Every number is a simulation of its own, none is extrapolated. Replays draw no random numbers, so
that a difference comes from the change alone.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import asdict, dataclass, field
from fractions import Fraction
from itertools import islice
from os import PathLike, fspath
from threading import Event
from typing import TYPE_CHECKING, Any

from smmulab import _core, report, report_waits, tables
from smmulab._version import __version__
from smmulab.checking import FileToRead
from smmulab.comparison import assignments_of
from smmulab.config import inert_costs
from smmulab.protocol_source import ProtocolLike, key_and_name, source_hashes

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

# (runs that ended, runs known so far, what the last one changed) -> go on?
ProgressFunction = Callable[[int, int, str], bool]

# Groups of costs that are changed together, too: whose time it is.
BLOCKS = {
    "driver": "SMMUv3 driver, CPU time",
    "hw": "SMMU hardware, counted",
    "smmuv3": "SMMU hardware, timed",
    "iommufd": "iommufd and VFIO, CPU time",
    "lock": "lock primitives, not contended",
    "sched": "scheduler",
    "line": "cache lines",
}
FACTORS = (Fraction(0), Fraction(1, 2))
# What the models cannot change today, in the words of those who ask for it.
ABSENT = (
    "destroy_rwsem free or split: it counts references, without it objects are freed while in use",
)
# What a lock may be split by: parameters split.*.
SPLITS = ("device", "group", "hwpt", "ioas", "smmu")
_PS = {"ps": 1, "ns": 10**3, "us": 10**6, "ms": 10**9, "s": 10**12}
# A run in which no operation ends for so many looks at it (65536 events each) goes round in circles.
_STALLED = 256


@dataclass(frozen=True)
class Change:
    """One thing changed: `what` became `to`, by these assignments.

    `change` is "lock" (a class made free), "split" (each lock of a class made several), "block" (all
    costs below a prefix), "cost" (one parameter) or "setting".
    """

    change: str
    what: str
    to: str
    assignments: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.what} {self.to}"


@dataclass(frozen=True)
class WhatIf:
    """What each change does to one trace under one protocol, in the order in which they were tried.

    `base` is the raw document of the run as it is, `results` those of the changed runs (see
    Comparison.results); `config` every parameter of the base run. Costs that make no difference
    when they are 0 are in `unused`, not in `changes`; `sources` as in Comparison.
    """

    trace: str
    trace_hash: str
    protocol: str
    config: dict[str, Any] = field(repr=False)
    base: dict[str, Any] = field(repr=False)
    changes: list[Change] = field(repr=False)
    results: list[dict[str, Any]] = field(repr=False)
    unused: list[str] = field(repr=False)
    version: str = __version__
    engine: str = "native"
    sources: dict[str, str] = field(default_factory=dict, repr=False)

    def __repr__(self) -> str:
        """The table that says most, as text: what a prompt shows, and print()."""
        return report_waits.whatif_summary_text(self)

    def _repr_html_(self) -> str:
        return report.html(repr(self))

    @property
    def protocols(self) -> list[str]:
        """The one protocol, as `smmulab.store` wants it."""
        return [self.protocol]

    def frame(self) -> pd.DataFrame:
        """Tidy: a row for each change and kind of operation, in the order of `changes`.

        Columns: change, what, to, status, errors (of all operations, less those of the base run),
        ops_per_s and ops_gain (of all operations; 0.1: 10 % more), kind, count, mean_ps, p50_ps,
        p99_ps, p99_gain (0.1: 10 % less time). NaN where a run did not end. A run in status "wrong
        state" has numbers: a lock that is free excludes nobody, and what it protected broke.
        """
        return tables.what_if(self.base, self._pairs())

    def summary(self) -> pd.DataFrame:
        """A row for each change, what buys most throughput first: change, what, to, status, errors,
        ops_per_s, ops_gain, lock_wait_total_ps, spin_cpu_ps."""
        return tables.what_if_summary(self.base, self._pairs())

    def plot(self, ax: Axes | None = None) -> Axes:
        """A tornado of throughput gains; see `smmulab.plot.tornado`."""
        from smmulab import plot  # noqa: PLC0415  imports matplotlib

        return plot.tornado(self.summary(), ax=ax)

    def _pairs(self) -> Iterator[tuple[dict[str, str], dict[str, Any]]]:
        for change, result in zip(self.changes, self.results, strict=True):
            names = asdict(change)
            del names["assignments"]
            yield names, result


def _picoseconds(text: str) -> Fraction:
    digits = text.rstrip("pnums")
    return Fraction(digits) * _PS[text[len(digits) :] or "ps"]


def _scaled(config: dict[str, Any], keys: Iterable[str], factor: Fraction) -> tuple[str, ...]:
    return tuple(f"{key}={int(_picoseconds(config[key]) * factor)}ps" for key in keys)


def _durations(config: dict[str, Any]) -> Iterator[_core.Parameter]:
    """Durations of BLOCKS that are not 0, without those that do nothing with this hardware."""
    inert = inert_costs(config)
    for p in _core.parameters():
        if p.unit != "ps" or p.key.split(".")[0] not in BLOCKS or p.key.startswith(inert):
            continue
        if _picoseconds(config[p.key]) > 0:
            yield p


def costs(config: dict[str, Any]) -> list[str]:
    """The parameters that are costs: durations of a block that may be 0 and are not."""
    return [p.key for p in _durations(config) if _picoseconds(p.minimum) == 0]


def absent(config: dict[str, Any]) -> list[str]:
    """What is not tried, with the reason: ABSENT, and durations that may not be 0."""
    never_0 = [p.key for p in _durations(config) if _picoseconds(p.minimum) > 0]
    return [*ABSENT, f"{', '.join(never_0)} at 0 or half: these times may not be 0"]


def scale(config: dict[str, Any], keys: Sequence[str], what: str, factor: Fraction) -> Change:
    """The change that multiplies these costs, rounded down to whole picoseconds."""
    return Change(
        "cost" if keys == [what] else "block",
        what,
        f"x{float(factor):g}",
        _scaled(config, keys, factor),
    )


def lock_changes(config: dict[str, Any], base: dict[str, Any]) -> list[Change]:
    """Each lock class that the base run took, made free."""
    changes = []
    for lock in base["locks"]:
        key = "free." + lock["class"].replace("->", "_")
        taken = lock["write"]["acquisitions"] + lock["read"]["acquisitions"]
        if taken and config.get(key) is False:
            changes.append(Change("lock", lock["class"], "free", (f"{key}=true",)))
    return changes


def split_changes(config: dict[str, Any], base: dict[str, Any]) -> list[Change]:
    """Each lock class that somebody waited for in the base run, split by each of SPLITS."""
    changes = []
    for lock in base["locks"]:
        key = "split." + lock["class"].replace("->", "_")
        waited = lock["write"]["contentions"] + lock["read"]["contentions"]
        if waited and config.get(key) == "nothing":
            changes += [
                Change("split", lock["class"], f"per {by}", (f"{key}={by}",)) for by in SPLITS
            ]
    return changes


def _as_fast(result: dict[str, Any], base: dict[str, Any]) -> bool:
    """The same operations in the same time; locks are counted otherwise where one is split."""
    keys = ("status", "end_ps", "kinds", "devices", "threads")
    return all(result[key] == base[key] for key in keys if key in base and key in result)


def setting_changes(config: dict[str, Any]) -> list[Change]:
    """Switches that a kernel or a machine could have the other way."""
    keys = ("lock.spin_on_owner", "driver.global_asid_lock", "driver.range_inv")
    changes = [
        Change(
            "setting", key, str(not config[key]).lower(), (f"{key}={str(not config[key]).lower()}",)
        )
        for key in keys
    ]
    if config["driver.cmdq_kind"] == "single":
        queues = ("driver.cmdq_kind=ecmdq", "driver.cmdq_count=0")
        changes.append(Change("setting", "driver.cmdq_kind", "ecmdq", queues))
    return changes


class _Runner:
    """Replays in threads: the simulator works without Python's lock. One trace, one protocol."""

    def __init__(
        self,
        trace: str,
        key: str,
        name: str,
        machine: str | None,
        assignments: list[str],
        progress: ProgressFunction | None,
        jobs: int,
    ) -> None:
        self._trace, self._key, self._name, self._machine = trace, key, name, machine
        self._assignments, self._progress, self._jobs = assignments, progress, jobs
        self._stop = Event()
        self._ended = 0
        self.known = 0

    def replay(self, change: Change) -> dict[str, Any]:
        """The document of one run. A run that goes wrong has a status, as in `compare`."""
        seen, looks = -1, 0

        def watch(ended: int) -> bool:
            nonlocal seen, looks
            looks = looks + 1 if ended == seen else 0
            seen = ended
            return looks < _STALLED and not self._stop.is_set()

        assignments = [*self._assignments, *change.assignments]
        try:
            text = _core.replay_json(
                self._trace, self._key, assignments, self._machine, progress=watch
            )
        except _core.ModelError as error:
            return tables.unfinished(self._name, "model error", str(error))
        except _core.Interrupted:
            if looks < _STALLED:
                raise
            return tables.unfinished(self._name, "no progress", "no operation ends any more")
        result: dict[str, Any] = json.loads(text)
        return result

    def run(self, changes: Sequence[Change]) -> list[dict[str, Any]]:
        """Results in the order of `changes`. Raises Interrupted if `progress` says so."""
        results: dict[int, dict[str, Any]] = {}
        waiting = iter(enumerate(changes))
        running: dict[Future[dict[str, Any]], int] = {}
        with ThreadPoolExecutor(self._jobs) as pool:
            try:
                while len(results) < len(changes):
                    for place, change in islice(waiting, self._jobs - len(running)):
                        running[pool.submit(self.replay, change)] = place
                    for future in wait(running, return_when=FIRST_COMPLETED).done:
                        place = running.pop(future)
                        results[place] = future.result()
                        self._tell(str(changes[place]))
            finally:
                self._stop.set()  # Ctrl-C or an error: the other runs end soon
        self._stop.clear()
        return [results[place] for place in range(len(changes))]

    def _tell(self, what: str) -> None:
        self._ended += 1
        if self._progress is not None and not self._progress(self._ended, self.known, what):
            raise _core.Interrupted("interrupted")


def whatif(
    trace: str | PathLike[str],
    protocol: ProtocolLike = "igroup",
    machine: str | PathLike[str] | None = None,
    *,
    set: str | Sequence[str] | Mapping[str, object] = (),
    progress: ProgressFunction | None = None,
    jobs: int | None = None,
) -> WhatIf:
    """Replay `trace` under `protocol` with one thing changed at a time.

    Changed are: each lock class, made free (parameters free.*); each that somebody waited for, split
    by device, group, hwpt, ioas and SMMU (split.*; what makes no difference is left out); each cost
    that the run uses and each block of them, at 0 and at half (of the hardware smmuv3.*, or hw.* with
    smmuv3.hardware=counted); spinning; the global ASID lock; range invalidation; a command queue for
    each CPU. `absent` tells what is not.

    `machine` and `set` as in `compare`; `jobs`: runs at a time (default: two, or one CPU).
    `progress(ended, known, what)` is called after each run; False ends them.

    Raises what `compare` raises, and ModelError if the run as it is does not end well: there is then
    nothing to compare with.
    """
    key, name = key_and_name(protocol)
    sources = source_hashes([key])
    if jobs is None:
        jobs = min(2, len(os.sched_getaffinity(0)))
    if jobs < 1:
        raise _core.ConfigError(f"jobs must be 1 or more, not {jobs}")
    path, assignments = fspath(trace), assignments_of(set)
    file = FileToRead.of(path)
    machine_path = None if machine is None else fspath(machine)
    config = json.loads(_core.resolve(assignments, machine_path))
    runner = _Runner(path, key, name, machine_path, assignments, progress, jobs)
    runner.known = 1
    (base,) = runner.run([Change("base", "as it is", "", ())])
    if base["status"] != "ok":
        raise _core.ModelError(f"{name} on {path}: {base['status']}: {base['message']}")

    keys = costs(config)
    groups = {
        f"{block}.*": [key for key in keys if key.startswith(f"{block}.")] for block in BLOCKS
    }
    scalable = {what: group for what, group in groups.items() if group} | {
        key: [key] for key in keys
    }
    splits = split_changes(config, base)
    first = lock_changes(config, base) + splits + setting_changes(config)
    zero = [scale(config, group, what, FACTORS[0]) for what, group in scalable.items()]
    runner.known += len(first) + 2 * len(zero)
    results = runner.run([*first, *zero])
    # A cost that changes nothing when it is 0 is not used: nor does a half of it.
    used = [c for c, result in zip(zero, results[len(first) :], strict=True) if result != base]
    runner.known -= len(zero) - len(used)
    half = [scale(config, scalable[change.what], change.what, FACTORS[1]) for change in used]
    changes = [*first, *zero, *half]
    results += runner.run(half)
    kept = [
        (change, result)
        for change, result in zip(changes, results, strict=True)
        if (change not in zero or change in used)
        and not (change in splits and _as_fast(result, base))
    ]
    return WhatIf(
        path,
        file.hash(),
        name,
        config,
        base,
        [change for change, _ in kept],
        [result for _, result in kept],
        [change.what for change in zero if change not in used],
        sources=sources,
    )
