# SPDX-License-Identifier: Apache-2.0
"""`run`: one configuration, one seed, one `Result`."""

from __future__ import annotations

from dataclasses import dataclass, field
from os import PathLike, fspath
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from smmulab import _core, report, tables
from smmulab._core import ConfigError
from smmulab.config import Config
from smmulab.study.isolated import run_isolated
from smmulab.study.job import Job

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Result:
    """What one run gave; immutable, picklable.

    `config`: as it ran, its trace included; `seed`: of the generated trace; `run_id`: SHA-256 of
    configuration, trace and build, 64 hexadecimal digits; `trace_hash`, `dma_trace_hash`: XXH3-128 of the
    recorded trace and of the DMA trace, uncompressed, None if there is none; `document`: as
    `smmulab-replay --json` prints it, times are integers in ps of simulated time, without the final state.
    """

    config: Config
    seed: int
    run_id: str
    trace_hash: str | None
    dma_trace_hash: str | None
    document: dict[str, Any] = field(repr=False)

    def __repr__(self) -> str:
        """The table that says most, as text: what a prompt shows, and print()."""
        return report.run_summary_text(self)

    def _repr_html_(self) -> str:
        return report.html(repr(self))

    @property
    def status(self) -> str:
        """ "ok", "deadlock" or "wrong state"."""
        return str(self.document["status"])

    @property
    def ops_per_s(self) -> float:
        """Successful operations of the main phase per second; NaN unless the status is "ok"."""
        return float(tables.summary_row(self.document)["ops_per_s"])

    def frame(self) -> pd.DataFrame:
        """A row for each kind of operation: protocol, status, kind, count, errors, different_result,
        ops_per_s (1/s; NaN unless the status is "ok"), mean_ps, p50_ps, p99_ps, p999_ps, max_ps."""
        return tables.operations([self.document])

    def locks(self, *, by: str = "lockstat") -> pd.DataFrame:
        """A row for each lock class and mode, most wait first: the columns of /proc/lock_stat
        (`by="lockstat"`) or of `perf lock contention` (`by="perf"`), times in ps. ValueError for
        another `by`."""
        if by not in {"lockstat", "perf"}:
            raise ValueError(f"by must be 'lockstat' or 'perf', not '{by}'")
        made = tables.lockstat if by == "lockstat" else tables.perf_contention
        return made([self.document])

    def devices(self) -> pd.DataFrame:
        """A row for each device: protocol, device, for how long its DMA was dark (dark_windows,
        dark_total_ps, dark_max_ps), and how much of that was for replaces (replaces,
        replace_dark_total_ps, replace_dark_max_ps); see `Comparison.devices`."""
        return tables.devices([self.document])

    def pmu(self) -> pd.DataFrame:
        """A row for each SMMU, unit and event of its PMCGs: protocol, smmu, unit, event, id, count
        (of cycles for cycles, slots_full and out_of_trans_tokens); see `Comparison.pmu`."""
        return tables.pmu([self.document])


def run(
    config: Config | None = None,
    trace: str | PathLike[str] | None = None,
    *,
    seed: int = 1,
    dma_trace: str | PathLike[str] | None = None,
) -> Result:
    """Simulate `config` (default: all defaults) on `trace` (a path; it takes the place of what `config`
    has), or on what `config` holds itself, in another process: a crash there is an error here. `seed`:
    of a generated trace, 0 to 2^63 - 1; a recorded one draws no random numbers. `dma_trace`: in place of
    the DMA trace that `config` has, as for `compare`.

    Raises ConfigError (neither trace nor generator, a seed out of range, a trace that cannot be read),
    TraceError (file:line:column), ModelError for a run that ended without a result (its process died
    twice, or no operation ended any more). A deadlock or a wrong state is a result. Ctrl-C kills the run.
    """
    job = _job(config, trace, seed, dma_trace)
    recorded = None if job.config.trace is None else job.trace_identity
    return Result(
        job.config, seed, job.run_id, recorded, job.dma_trace_identity, _result(job.to_dict())
    )


def _job(
    config: Config | None,
    trace: str | PathLike[str] | None,
    seed: int,
    dma_trace: str | PathLike[str] | None = None,
) -> Job:
    config = Config() if config is None else config
    if not isinstance(config, Config):
        raise ConfigError(f"config: expected a Config, not '{config}'")
    if trace is not None:
        config = config.replace(trace=fspath(trace), workload=None)
    if dma_trace is not None:
        config = config.replace(dma_trace=dma_trace)
    if config.trace is None and config.workload is None:
        raise ConfigError("nothing to run: give a trace, or a configuration with a generator")
    return Job(config, seed)


def _result(job: dict[str, Any]) -> dict[str, Any]:
    """The document of a run in another process. Raises what `run` raises."""
    answer = run_isolated(job)
    if answer["result"] is None:
        kind, _, message = answer["error"].partition(": ")
        known = {"TraceError": _core.TraceError, "ConfigError": ConfigError}
        if kind in known:
            raise known[kind](message)
        raise _core.ModelError(f"{answer['status']}: {answer['error']}")
    document: dict[str, Any] = answer["result"]
    return document


def operations(
    config: Config, trace: str | PathLike[str] | None = None, *, seed: int = 1
) -> pd.DataFrame:
    """Each operation of a run, for `smmulab.plot.gantt`: number (place in the trace), thread, kind,
    start_ps, end_ps, result (0 or -errno). Arguments, process and errors as in `run`."""
    import pandas as pd  # noqa: PLC0415  most of a start-up's time

    job = _job(config, trace, seed).to_dict()
    names = ["number", "thread", "kind", "start_ps", "end_ps", "result"]
    with TemporaryDirectory() as folder:
        ops = str(Path(folder) / "ops")
        _result({**job, "operations": ops})
        return pd.read_csv(ops, sep=" ", names=names)
