# SPDX-License-Identifier: Apache-2.0
"""`compare`: replays one trace under several protocols; `Comparison` holds what came out."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from os import PathLike, fspath
from typing import TYPE_CHECKING, Any

from smmulab import _core, report, tables
from smmulab._version import __version__
from smmulab.checking import FileToRead
from smmulab.protocol_source import ProtocolLike, expect, key_and_name, source_hashes

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

# Progress of a comparison: (protocol, operations ended) -> go on?
ProgressFunction = Callable[[str, int], bool]


@dataclass(frozen=True)
class Comparison:
    """Results of one trace under several protocols, in the order asked for.

    `results` has the raw document of each protocol as `smmulab-replay --json` prints it (times are
    integers in ps); `config` every parameter as resolved; `trace_hash` the XXH3-128 of the trace's
    uncompressed bytes; `sources` the SHA-256 of each protocol's source that is written in Python, by
    name; `dma_trace` the DMA trace that the devices issued, if any, `dma_trace_hash` as `trace_hash`.
    """

    trace: str
    trace_hash: str
    engine: str
    config: dict[str, Any] = field(repr=False)
    results: list[dict[str, Any]] = field(repr=False)
    version: str = __version__
    sources: dict[str, str] = field(default_factory=dict, repr=False)
    dma_trace: str | None = None
    dma_trace_hash: str | None = None

    def __repr__(self) -> str:
        """The table that says most, as text: what a prompt shows, and print()."""
        return report.summary_text(self)

    def _repr_html_(self) -> str:
        return report.html(repr(self))

    @property
    def protocols(self) -> list[str]:
        """The protocols' names, in order."""
        return [str(result["protocol"]) for result in self.results]

    def result(self, protocol: str) -> dict[str, Any]:
        """The raw document of one protocol; KeyError if it was not run."""
        for result in self.results:
            if result["protocol"] == protocol:
                return result
        raise KeyError(f"'{protocol}' was not run; these were: {', '.join(self.protocols)}")

    @property
    def warnings(self) -> list[str]:
        """What may not be meant, such as CPUs that no thread uses; each once."""
        return tables.warnings(self.results)

    def frame(self) -> pd.DataFrame:
        """Tidy: a row for each protocol and kind of operation.

        Columns: protocol, status, kind, count, errors, different_result (errno is not the recorded
        one), ops_per_s (all of this kind, failed ones too, over the main phase's span; NaN unless status
        is "ok"), mean_ps, p50_ps, p99_ps, p999_ps, max_ps.
        """
        return tables.operations(self.results)

    def locks(self, *, by: str = "lockstat") -> pd.DataFrame:
        """Lock classes with the columns of /proc/lock_stat (`by="lockstat"`) or of `perf lock
        contention` (`by="perf"`), most wait first within each protocol. Times in ps.

        Raises ValueError for another `by`.
        """
        if by == "lockstat":
            return tables.lockstat(self.results)
        if by == "perf":
            return tables.perf_contention(self.results)
        raise ValueError(f"by must be 'lockstat' or 'perf', not '{by}'")

    def summary(self) -> pd.DataFrame:
        """A row for each protocol: throughput, total lock wait, CPU time spent spinning for locks, dark time.

        ops_per_s counts the successful operations of the main phase and is NaN unless status is "ok"
        (deadlock_cycle and broken_invariants tell why); errors and different_result (errno is not the
        recorded one) are of the whole trace.
        """
        return tables.summary(self.results)

    def devices(self) -> pd.DataFrame:
        """A row for each protocol and device: how long its DMA was dark (ps).

        dark_* and replace_dark_* are what its STE and CD say. With streams (stream.*, or a DMA trace;
        NaN for devices that have none) there are also dma_transactions, dma_passed, dma_aborted, dma_faulted, dma_bytes_per_s, dma_translation_*
        (percentiles, ps), dma_tlb_reach_* (bytes that TLB entries which it filled cover, mean over time and
        most), dma_dark_* (from the first refused transaction to the next that passed),
        dma_unmaps_used and dma_old_uses (unmaps after which an old translation was used, and how
        often), dma_old_use_* (from the unmap to the last of those). With driver.events, dma_events and
        dma_events_lost: records of its faults in the event queue, and those that found it full. With
        stream.ats, dma_atc_hits and dma_translation_requests (NaN for devices without ATS).
        """
        return tables.devices(self.results)

    def pmu(self) -> pd.DataFrame:
        """A row for each protocol, SMMU, unit and event: what `perf stat -e smmuv3_pmcg_...` would count
        from the start of the run to its end. Empty with smmuv3.hardware=counted.

        Columns: protocol, smmu (its number), unit ("tcu", "tbu0", ...: a PMCG each), event (up to id 7
        the kernel's name, from 128 on after the MMU-600 and MMU-700 manuals), id, count. The events
        cycles, slots_full and out_of_trans_tokens count cycles of smmuv3.tbu.cycle, the others how often it
        happened. With smmuv3.pmu.filter_enable, ids 1 to 7 are of the filter's StreamIDs alone.
        """
        return tables.pmu(self.results)

    def plot(self, ax: Axes | None = None) -> Axes:
        """Latency percentiles of each kind of operation by protocol; see `smmulab.plot.latency`."""
        from smmulab import plot  # noqa: PLC0415  imports matplotlib

        return plot.latency(self.frame(), ax=ax)


# Trace, protocol, assignments, machine, engine.
_Job = tuple[str, str, list[str], str | None, str]


def _one(job: _Job, dma_trace: str | None, known: str | list[str]) -> str:
    """Runs in a process of its own: SimGrid allows one engine per process. `known`: the protocol's
    identity."""
    trace, protocol, assignments, machine, engine = job
    expect(protocol, known)
    return _core.replay_json(trace, protocol, assignments, machine, engine, dma_trace=dma_trace)


def _in_child(job: _Job, dma_trace: str | None, known: str | list[str]) -> str:
    from concurrent.futures import ProcessPoolExecutor  # noqa: PLC0415  few need it
    from multiprocessing import get_context  # noqa: PLC0415

    with ProcessPoolExecutor(max_workers=1, mp_context=get_context("spawn")) as pool:
        return pool.submit(_one, job, dma_trace, known).result()


def _keys(protocols: ProtocolLike | Sequence[ProtocolLike] | None) -> list[str]:
    if protocols is None:
        return [row[0] for row in _core.protocols()]
    given = [protocols] if isinstance(protocols, str | type) else list(protocols)
    keys, names = [], []
    for protocol in given:
        key, name = key_and_name(protocol)
        if name in names:
            # Every run of it gives the same result, and the tables have a row for each name.
            raise _core.ConfigError(f"protocol '{name}' is named twice")
        keys.append(key)
        names.append(name)
    return keys


def assignments_of(settings: str | Sequence[str] | Mapping[str, object]) -> list[str]:
    """ "KEY=VALUE" of each setting."""
    if isinstance(settings, str):
        return [settings]
    if not isinstance(settings, Mapping):
        return list(settings)
    # True is "true", as in a machine file.
    return [
        f"{key}={str(value).lower() if isinstance(value, bool) else value}"
        for key, value in settings.items()
    ]


def compare(
    trace: str | PathLike[str],
    protocols: ProtocolLike | Sequence[ProtocolLike] | None = None,
    machine: str | PathLike[str] | None = None,
    *,
    set: str | Sequence[str] | Mapping[str, object] = (),
    engine: str = "native",
    progress: ProgressFunction | None = None,
    dma_trace: str | PathLike[str] | None = None,
) -> Comparison:
    """Replay `trace` (.iotrace or .iotrace.zst) under each of `protocols` (one or several: names,
    subclasses of Protocol, "FILE.py:CLASS"; default: all built-in ones).

    `machine`: a TOML file with parameters; `set`: assignments after it (see `smmulab describe`),
    "preset=NAME" included, as "KEY=VALUE", several of them, or a mapping. `engine`: "native" or "simgrid" (same results).
    `progress(protocol, operations_ended)` is called now and then; False ends the run. `dma_trace`: a
    DMA trace whose transactions the devices issue meanwhile, over and over (docs/timed.md); not with
    stream.pattern, nor with smmuv3.hardware=counted.

    Raises ConfigError (unknown or repeated name, value out of range, unreadable file), TraceError
    (file:line:column), Interrupted. A deadlock is a result with status "deadlock", a broken
    invariant one with status "wrong state"; neither is an error, and other protocols go on.
    """
    plan = Plan.of(trace, protocols, machine, set, engine, dma_trace)
    return plan.comparison(list(plan.results(progress)))


@dataclass(frozen=True)
class Plan:
    """A checked comparison before it runs: results come one by one, so that what has finished is
    not lost if the rest is interrupted."""

    trace: str
    protocols: list[str]
    machine: str | None
    assignments: list[str]
    engine: str
    config: dict[str, Any]
    sources: dict[str, str]
    dma_trace: str | None = None
    files: tuple[FileToRead, ...] = ()

    @classmethod
    def of(
        cls,
        trace: str | PathLike[str],
        protocols: ProtocolLike | Sequence[ProtocolLike] | None,
        machine: str | PathLike[str] | None,
        settings: str | Sequence[str] | Mapping[str, object],
        engine: str,
        dma_trace: str | PathLike[str] | None = None,
    ) -> Plan:
        """As `compare` takes them; raises ConfigError."""
        keys = _keys(protocols)
        assignments = assignments_of(settings)
        machine_path = None if machine is None else fspath(machine)
        config = json.loads(_core.resolve(assignments, machine_path))
        sources = source_hashes(keys)
        dma = None if dma_trace is None else fspath(dma_trace)
        path = fspath(trace)
        files = tuple(FileToRead.of(name) for name in (path, dma) if name is not None)
        return cls(path, keys, machine_path, assignments, engine, config, sources, dma, files)

    def results(self, progress: ProgressFunction | None = None) -> Iterator[dict[str, Any]]:
        """The raw document of each protocol, in order, each when it has been run."""
        for key in self.protocols:
            job = (self.trace, key, self.assignments, self.machine, self.engine)
            name = _core.protocol_name(key)
            if self.engine == "simgrid":
                source = self.sources.get(name)
                text = _in_child(job, self.dma_trace, key if source is None else [name, source])
            else:
                tell = None if progress is None else _teller(progress, name)
                text = _core.replay_json(*job, None, tell, self.dma_trace)
            yield json.loads(text)

    def comparison(self, results: list[dict[str, Any]]) -> Comparison:
        """Of some or all results. ConfigError if a trace has changed since `of`."""
        # The hashes last: a replay says better where a damaged trace is wrong.
        trace_hash, *dma_hash = [file.hash() for file in self.files]
        ran = {result["protocol"] for result in results}
        sources = {name: source for name, source in self.sources.items() if name in ran}
        return Comparison(
            self.trace,
            trace_hash,
            self.engine,
            self.config,
            results,
            sources=sources,
            dma_trace=self.dma_trace,
            dma_trace_hash=dma_hash[0] if dma_hash else None,
        )


def _teller(progress: ProgressFunction, protocol: str) -> Callable[[int], bool]:
    def tell(ended: int) -> bool:
        return progress(protocol, ended)

    return tell
