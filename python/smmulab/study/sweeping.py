# SPDX-License-Identifier: Apache-2.0
"""`sweep`: runs every point of a design with every seed, and keeps the results in a store."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from math import prod
from os import PathLike, fspath
from pathlib import Path
from typing import TYPE_CHECKING, Any

from smmulab import _core
from smmulab._core import ConfigError
from smmulab.checking import whole_number
from smmulab.config import Config, check_counted_costs
from smmulab.study.design import Factors, Filter, Point, points, with_protocol_keys
from smmulab.study.job import Job
from smmulab.study.runner import ProgressFunction, Runner
from smmulab.study.store import Store

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Sweep:
    """The runs of one sweep, in a store that may hold others too.

    `run_ids`: those of this sweep, in the order of the design; `ran`: how many of them were
    simulated now, `skipped`: how many were there already. Tables have the runs of this sweep only.
    """

    store: Store
    run_ids: tuple[str, ...] = field(repr=False)
    ran: int
    skipped: int

    def __repr__(self) -> str:
        """What was done, and what a prompt needs to go on."""
        return (
            f"{len(self.run_ids)} runs in {self.store.folder}, {self.ran} of them simulated now; "
            "frame() has a row for each"
        )

    def _mine(self, frame: pd.DataFrame) -> pd.DataFrame:
        place = {run_id: number for number, run_id in enumerate(self.run_ids)}
        mine = frame[frame["run_id"].isin(place)]
        order = mine["run_id"].map(place)
        mine = mine.iloc[order.argsort(kind="stable")]
        constant = [
            name for name in mine.columns if name.startswith("param.") and not _varies(mine, name)
        ]
        return mine.drop(columns=constant).reset_index(drop=True)

    def frame(self) -> pd.DataFrame:
        """A row for each run: `param.*` (those that vary, protocol and seed), status, error,
        ops_per_s (successful operations of the main phase), lock_wait_total_ps, spin_cpu_ps,
        replace_dark_total_ps, ... (Comparison.summary). Durations are integers in ps."""
        return self._mine(self.store.runs())

    def operations(self) -> pd.DataFrame:
        """A row for each run and kind of operation: count, errors, mean_ps, p50_ps, p99_ps, ..."""
        return self._mine(self.store.with_parameters("operations"))

    def locks(self) -> pd.DataFrame:
        """A row for each run, lock class and mode, with the columns of /proc/lock_stat, in ps."""
        return self._mine(self.store.with_parameters("locks"))

    def latencies(self) -> pd.DataFrame:
        """A row for each run, kind and bucket of its latency histogram: low_ps, high_ps, count."""
        return self._mine(self.store.with_parameters("latencies"))

    @property
    def failed(self) -> pd.DataFrame:
        """The runs without a result: status "error", "crashed" or "no progress", and the error."""
        frame = self.frame()
        return frame[frame["status"].isin(("error", "crashed", "no progress"))]


def _varies(frame: pd.DataFrame, name: str) -> bool:
    if name in {"param.protocol", "param.seed"}:
        return True
    return len(frame[name].drop_duplicates()) > 1


def _seeds(seeds: int | Sequence[int], generated: bool) -> list[int]:
    if isinstance(seeds, Sequence) and not isinstance(seeds, str):
        numbers = [whole_number(seed, 0, 2**63 - 1, "seed") for seed in seeds]
    else:
        numbers = list(range(1, whole_number(seeds, 1, 10**6, "seeds") + 1))
    if not numbers:
        raise ConfigError("seeds: none given")
    if len(numbers) > 1 and not generated:
        raise ConfigError(
            "seeds: a recorded trace draws no random numbers, each seed would give the same run; "
            "give one seed, or a generator"
        )
    return numbers


def jobs_of(
    config: Config,
    factors: Factors,
    *,
    seeds: int | Sequence[int] = 1,
    where: Filter | None = None,
    design: str = "grid",
    samples: int | None = None,
    design_seed: int = 1,
    max_runs: int | None = None,
) -> list[Job]:
    """The runs of a sweep, each once; nothing is run. Errors as in `sweep`."""
    if max_runs is not None:
        max_runs = whole_number(max_runs, 1, 2**63 - 1, "max_runs")
    generated = config.workload is not None
    found = points(factors, generated=generated, design=design, samples=samples, seed=design_seed)
    found = with_protocol_keys(found)
    jobs: dict[str, Job] = {}
    numbers: list[int] | None = None
    resolved: dict[tuple[tuple[str, str], ...], Config] = {}
    for point in found:
        # Resolving parameters takes long; protocols share it.
        others = {key: value for key, value in point.items() if key != "protocol"}
        key = tuple((name, repr(value)) for name, value in others.items())
        if key not in resolved:
            try:
                resolved[key] = config.replace(others)
            except ConfigError:
                # A point that cannot be is what filters are there to leave out.
                if where is not None and not where({**_view(config), **_named(point)}):
                    continue
                raise
        changed = resolved[key]
        if "protocol" in point:
            changed = changed.replace(protocol=point["protocol"])
        if where is not None and not where(_view(changed)):
            continue
        check_counted_costs(changed)
        if changed.trace is None and changed.workload is None:
            raise ConfigError("nothing to run: give a trace or a generator")
        if numbers is None:
            numbers = _seeds(seeds, changed.workload is not None)
        for seed in numbers:
            job = Job(changed, seed)
            jobs[job.run_id] = job
    if not jobs:
        raise ConfigError("the design is empty: the filter keeps no point")
    if max_runs is not None and len(jobs) > max_runs:
        raise ConfigError(f"{len(jobs)} runs are more than the {max_runs} of max_runs")
    return list(jobs.values())


def _named(point: Point) -> Point:
    """The point with the protocol's name, as tables have it."""
    if "protocol" not in point:
        return point
    return {**point, "protocol": _core.protocol_name(point["protocol"])}


def _view(config: Config) -> dict[str, Any]:
    """What a filter is given."""
    generate = {} if config.workload is None else config.workload.to_dict()
    own = {"protocol": config.protocol, "engine": config.engine}
    own = _named({**own, "trace": config.trace, "dma_trace": config.dma_trace})
    return {**config.parameters, **{f"generate.{key}": v for key, v in generate.items()}, **own}


def sweep(
    config: Config,
    factors: Factors = {},  # noqa: B006  never written to
    *,
    out: str | PathLike[str],
    trace: str | PathLike[str] | None = None,
    seeds: int | Sequence[int] = 1,
    where: Filter | None = None,
    design: str = "grid",
    samples: int | None = None,
    design_seed: int = 1,
    jobs: int | None = None,
    executor: Executor | str | None = None,
    resume: bool = True,
    progress: bool | ProgressFunction = False,
    max_runs: int | None = None,
) -> Sweep:
    """Run `config` at every point of a design of `factors` with every seed, results into `out`.

    `factors`: names (a parameter of `smmulab describe`, "protocol", "trace", "dma_trace", "generate.FIELD";
    "cores" is short) to lists of values (of protocols also classes) or a `Range`; a tuple of names goes with tuples of values. `design`,
    `samples`, `design_seed`, `where`: see `smmulab.study.design`. `seeds`: how many, or which. The
    same seeds go to every point, so that protocols meet the same operations (common random numbers).

    `executor`: any concurrent.futures.Executor, "dask://HOST:PORT", or None for `jobs` workers on
    this machine (default: two, or one CPU). Each run has a process of its own. A run whose process
    dies twice, or that the executor loses three times, gets a row with status "crashed", one that
    raises a row with its error; the others go on. If the executor breaks for good (BrokenExecutor),
    workers on this machine take over. Ctrl-C kills the runs in flight on this machine; those that ended
    are kept. Runs are identified by configuration, trace and build; those that the store has are skipped
    with `resume`, made again without. `progress`: True for a bar, or progress(ended, all, what) ->
    go on?

    Raises ConfigError (unknown names, values out of range, empty design, more than `max_runs` runs,
    a folder that holds something else, unreachable scheduler, an executor that was shut down),
    TraceError, Interrupted.
    """
    if trace is not None:
        config = config.replace(trace=fspath(trace), workload=None)
    options: dict[str, Any] = {"seeds": seeds, "where": where, "design": design}
    with Runner(executor, jobs) as runner:
        if not Path(out, "store.json").exists():  # it may be that all is done
            runner.start(_most_runs(factors, seeds))
        every = jobs_of(
            config, factors, **options, samples=samples, design_seed=design_seed, max_runs=max_runs
        )
        store = Store(out, create=True)
        store.compact()  # takes in what an interrupted sweep left
        done = store.done() if resume else set()
        missing = [job for job in every if job.run_id not in done]
        tell = _new_bar() if progress is True else (progress or None)
        with store.journal() as journal:
            runner.run(missing, journal.append, tell)
    store.compact()
    return Sweep(store, tuple(job.run_id for job in every), len(missing), len(every) - len(missing))


def _most_runs(factors: Factors, seeds: int | Sequence[int]) -> int:
    """Not less than a grid has, told without making it; 2 if in doubt."""
    lengths = [len(values) if isinstance(values, Sequence) else 2 for values in factors.values()]
    lengths.append(len(seeds) if isinstance(seeds, Sequence) else 1 if seeds == 1 else 2)
    return prod(max(1, length) for length in lengths)


def _new_bar() -> ProgressFunction:
    """A bar by tqdm, in notebooks too."""
    from tqdm.auto import tqdm  # noqa: PLC0415  few want it

    bar: tqdm[Any] = tqdm(unit=" runs")

    def tell(ended: int, known: int, what: str) -> bool:
        bar.total = known
        bar.set_description_str(what, refresh=False)
        bar.update(ended - bar.n)
        if ended == known:
            bar.close()
        return True

    return tell
