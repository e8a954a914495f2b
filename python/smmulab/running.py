# SPDX-License-Identifier: Apache-2.0
"""`run`: one configuration, one seed, one `Result`."""

from __future__ import annotations

from dataclasses import dataclass, field
from os import PathLike, fspath
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from smmulab import _core, tables
from smmulab._core import ConfigError
from smmulab.config import Config
from smmulab.study.isolated import run_isolated
from smmulab.study.job import Job

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Result:
    """What one run gave. `document`: as `smmulab-replay --json` prints it, times in ps; `run_id`:
    hash of configuration, trace and build."""

    config: Config
    seed: int
    run_id: str
    document: dict[str, Any] = field(repr=False)

    @property
    def status(self) -> str:
        """ "ok", "deadlock" or "wrong state"."""
        return str(self.document["status"])

    @property
    def ops_per_s(self) -> float:
        """Successful operations of the main phase per second; NaN unless the status is "ok"."""
        return float(tables.summary_row(self.document)["ops_per_s"])

    def frame(self) -> pd.DataFrame:
        """A row for each kind of operation (columns of Comparison.frame)."""
        return tables.operations([self.document])

    def locks(self, *, by: str = "lockstat") -> pd.DataFrame:
        """Lock classes, most wait first; `by` "lockstat" or "perf" (Comparison.locks)."""
        if by not in {"lockstat", "perf"}:
            raise ValueError(f"by must be 'lockstat' or 'perf', not '{by}'")
        made = tables.lockstat if by == "lockstat" else tables.perf_contention
        return made([self.document])

    def devices(self) -> pd.DataFrame:
        """A row for each device: how long its DMA was dark (ps)."""
        return tables.devices([self.document])


def run(
    config: Config | None = None, trace: str | PathLike[str] | None = None, *, seed: int = 1
) -> Result:
    """Simulate `config` (default: all defaults) on `trace`, or on what it holds itself, in another
    process: a crash there is an error here. `seed`: of a generated trace.

    Raises ConfigError if there is neither trace nor generator, TraceError, and ModelError for a run
    that ended without a result. A deadlock or a wrong state is a result.
    """
    job = _job(config, trace, seed)
    return Result(job.config, seed, job.run_id, _result(job.to_dict()))


def _job(config: Config | None, trace: str | PathLike[str] | None, seed: int) -> Job:
    config = Config() if config is None else config
    if not isinstance(config, Config):
        raise ConfigError(f"config: expected a Config, not '{config}'")
    if trace is not None:
        config = config.replace(trace=fspath(trace), workload=None)
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
