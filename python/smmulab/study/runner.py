# SPDX-License-Identifier: Apache-2.0
"""`Runner`: gives the runs of a sweep to an executor, a few at a time, and again if it loses them."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import (
    FIRST_COMPLETED,
    BrokenExecutor,
    CancelledError,
    Executor,
    Future,
    ThreadPoolExecutor,
    wait,
)
from typing import Any, Self

from smmulab._core import ConfigError, Interrupted
from smmulab.checking import whole_number
from smmulab.study import rows
from smmulab.study.isolated import Workers, run_isolated
from smmulab.study.job import Job

# (runs that ended, runs in all, what ended last) -> go on?
ProgressFunction = Callable[[int, int, str], bool]
# How often a run is given to an executor that loses it (a Dask worker that was killed, say).
_GIVEN = 3


class Runner:
    """An executor with some runs in flight: few, so that a stop loses few.

    `executor`: as in `sweep`; `jobs`: workers on this machine without one. Leaving it kills the runs
    in flight on this machine.
    """

    def __init__(self, executor: Executor | str | None, jobs: int | None) -> None:
        self._ends: list[Callable[[], object]] = []
        self._run: Callable[[dict[str, Any]], dict[str, Any]] = run_isolated
        self._is_own = False
        self._start: Callable[[int], None] | None = None
        if isinstance(executor, Executor):
            self._executor = executor
            self._width = 4 * (os.cpu_count() or 1)
            if isinstance(executor, ThreadPoolExecutor):
                self._run = self._workers().run
        elif isinstance(executor, str):
            from smmulab.study.dask import connect  # noqa: PLC0415  few have it

            self._executor, self._width, close = connect(executor)
            self._ends.append(close)
        elif executor is None:
            self._run_here(jobs)
        else:
            raise ConfigError(
                f"executor: expected an Executor or dask://HOST:PORT, not '{executor}'"
            )

    def _workers(self) -> Workers:
        workers = Workers()
        self._ends.append(workers.stop)
        return workers

    def _run_here(self, jobs: int | None) -> None:
        if jobs is None:
            jobs = min(2, len(os.sched_getaffinity(0)))
        count = whole_number(jobs, 1, 1024, "jobs")
        # Each has its next run waiting, so that it does not wait while rows are made of the last one.
        self._width = 2 * count
        workers = self._workers()
        self._run = workers.run
        self._start = lambda runs: workers.start(min(count, runs))
        pool = ThreadPoolExecutor(count, thread_name_prefix="smmulab-sweep")
        self._executor, self._is_own = pool, True
        self._ends.append(lambda: pool.shutdown(cancel_futures=True))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for end in self._ends:
            end()

    def start(self, runs: int) -> None:
        """Start workers on this machine, if the runs are to be theirs, for so many that are yet to be
        given."""
        if self._start is not None:
            self._start(runs)

    def run(
        self,
        jobs: Iterable[Job],
        keep: Callable[[Mapping[str, Any]], None],
        tell: ProgressFunction | None,
    ) -> None:
        """Run all, keep each when it ends. Raises Interrupted if `tell` says so, ConfigError if the
        executor was shut down."""
        waiting = list(jobs)[::-1]
        known = len(waiting)
        running: dict[Future[dict[str, Any]], Job] = {}
        lost: Counter[str] = Counter()
        ended = 0
        try:
            while ended < known:
                while waiting and len(running) < self._width:
                    job = waiting.pop()
                    running[self._submit(job)] = job
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    job = running.pop(future)
                    answer = self._answer(future, job, lost)
                    if answer is None:
                        waiting.append(job)
                        continue
                    keep(rows.record(job, answer))
                    ended += 1
                    if tell is not None and not tell(ended, known, job.protocol_name):
                        raise Interrupted("interrupted")
        finally:
            for future in running:
                future.cancel()

    def _submit(self, job: Job) -> Future[dict[str, Any]]:
        try:
            return self._executor.submit(self._run, job.to_dict())
        except BrokenExecutor:
            self._take_over()
        except RuntimeError as error:
            raise ConfigError(
                f"the executor takes no more runs: {error}; those that ended are kept"
            ) from None
        return self._executor.submit(self._run, job.to_dict())

    def _take_over(self) -> None:
        """A broken pool never mends: the rest runs here."""
        if not self._is_own:
            self._run_here(None)

    def _answer(
        self, future: Future[dict[str, Any]], job: Job, lost: Counter[str]
    ) -> dict[str, Any] | None:
        """What the run gave; None if it is to be tried again, for the executor lost it; a crash if
        that happened too often."""
        try:
            return future.result()
        except CancelledError:
            error = "the executor cancelled it"
        except Exception as raised:  # noqa: BLE001  each executor has its own
            if isinstance(raised, BrokenExecutor):
                self._take_over()
            error = f"{type(raised).__name__}: {raised}"
        lost[job.run_id] += 1
        if lost[job.run_id] < _GIVEN:
            return None
        return {"run_id": job.run_id, "status": "crashed", "error": error, "result": None}
