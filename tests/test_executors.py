# SPDX-License-Identifier: Apache-2.0
"""Does a sweep survive executors that lose runs or break, and Ctrl-C, without a wrong number?"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest

import smmulab
from smmulab import Config, Store, Workload, sweep
from smmulab.study import isolated, jobs_of, rows
from smmulab.study.job import Job

SMALL = Config(workload=Workload(devices=3, ops=60))
FACTORS = {"protocol": ["igroup", "v6.2"], "threads": [1, 2]}
# Its trace alone takes minutes.
ENDLESS = 10**8


class Losing(Executor):
    """Loses its first job `times` times, as a cluster does whose workers are killed."""

    def __init__(self, times: int) -> None:
        self.times, self.seen = times, 0

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        self.seen += 1
        if self.seen <= self.times:
            future.set_exception(RuntimeError("the worker was killed"))
        else:
            future.set_result(fn(*args, **kwargs))
        return future


def test_a_lost_run_is_given_again(tmp_path: Path) -> None:
    done = sweep(SMALL, {}, out=tmp_path, executor=Losing(2))
    assert (done.ran, len(done.failed)) == (1, 0)


def test_a_run_lost_three_times_has_a_row_and_is_made_at_the_next_sweep(tmp_path: Path) -> None:
    executor = Losing(3)
    first = sweep(SMALL, {}, out=tmp_path, executor=executor)
    assert executor.seen == 3
    assert first.failed["status"].to_list() == ["crashed"]
    assert first.failed["error"].to_list() == ["RuntimeError: the worker was killed"]
    again = sweep(SMALL, {}, out=tmp_path)
    assert (again.ran, len(again.failed)) == (1, 0)


def kill_the_pool() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_broken_pool_is_replaced(tmp_path: Path) -> None:
    """BrokenProcessPool: the pool takes no more runs, so this machine's workers do."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        pool.submit(kill_the_pool)
        done = sweep(SMALL, FACTORS, out=tmp_path, executor=pool)
    assert (done.ran, len(done.failed)) == (4, 0)


def test_an_executor_that_was_shut_down_is_a_clear_error(tmp_path: Path) -> None:
    pool = ThreadPoolExecutor(1)
    pool.shutdown()
    with pytest.raises(smmulab.ConfigError, match=r"the executor takes no more runs: .*shutdown"):
        sweep(SMALL, {}, out=tmp_path, executor=pool)


def interrupted_after(seconds: float, work: Any) -> None:
    """Ctrl-C that soon."""

    def handler(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, handler)
    try:
        signal.setitimer(signal.ITIMER_REAL, seconds)
        with pytest.raises(KeyboardInterrupt):
            work()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def test_after_a_stop_the_next_run_gives_its_own_numbers() -> None:
    """The answer of the run that was stopped is not the next one's."""
    other = SMALL.replace({"protocol": "v6.2"})
    expected = smmulab.run(other).document
    slow = SMALL.replace({"ops": 200_000})
    interrupted_after(0.2, lambda: smmulab.run(slow))
    assert smmulab.run(other).document == expected


def test_an_answer_for_another_run_is_refused() -> None:
    first, second = (job.to_dict() for job in jobs_of(SMALL, {"protocol": ["igroup", "v6.2"]}))
    workers = isolated.Workers()
    worker = isolated.Worker()
    assert worker.process.stdin is not None
    stale = isolated.json.dumps({"job": first, "folder": workers.folder()})
    worker.process.stdin.write(stale.encode() + b"\n")
    with pytest.raises(isolated.WorkerDied, match="answered for another run"):
        worker.ask(second, workers.folder())
    assert not worker.close.alive


@pytest.mark.parametrize("given", [False, True])
def test_a_stop_does_not_wait_for_the_runs_in_flight(tmp_path: Path, given: bool) -> None:
    def stop(*_: object) -> bool:
        signal.raise_signal(signal.SIGINT)
        return True

    factors = {"ops": [60, ENDLESS]}
    pool = ThreadPoolExecutor(2)
    start = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        sweep(SMALL, factors, out=tmp_path, jobs=2, progress=stop, executor=pool if given else None)
    pool.shutdown()
    assert time.monotonic() - start < 30
    assert list(Store(tmp_path).statuses().values()) == ["ok"]
    again = sweep(SMALL, {"ops": [60]}, out=tmp_path)
    assert (again.ran, again.skipped) == (0, 1)


def test_ctrl_c_ends_the_command_at_once(tmp_path: Path) -> None:
    """As a terminal does it: to the whole process group, which the workers are no part of."""
    argv = [sys.executable, "-m", "smmulab", "sweep", "-o", str(tmp_path / "out"), "-f"]
    argv += [f"ops=60,{ENDLESS}", "-s", "generate.devices=3"]
    with subprocess.Popen(argv, stderr=subprocess.PIPE, text=True, process_group=0) as process:
        deadline = time.monotonic() + 60
        while not any(path.stat().st_size for path in (tmp_path / "out").glob("journal-*")):
            assert time.monotonic() < deadline
            time.sleep(0.1)
        os.killpg(process.pid, signal.SIGINT)
        _, told = process.communicate(timeout=30)
    assert process.returncode == 130
    assert told == "smmulab: interrupted\n"
    assert list(Store(tmp_path / "out").statuses().values()) == ["ok"]


def test_folders_of_traces_are_their_own() -> None:
    """Of two at a time neither takes the other's away, and nobody can put a file in."""
    first, second = isolated.Workers(), isolated.Workers()
    folder, other = Path(first.folder()), Path(second.folder())
    assert folder != other
    assert folder.stat().st_mode & 0o777 == 0o700
    assert str(os.getpid()) not in folder.name.split("-")
    del second
    assert (folder.exists(), other.exists()) == (True, False)


def test_a_fork_has_workers_of_its_own(tmp_path: Path) -> None:
    """A pool that forks inherits the pipes of the workers; it must not use them."""
    expected = smmulab.run(SMALL).document
    code = (
        "import sys, smmulab; from concurrent.futures import ProcessPoolExecutor as P;"
        "from multiprocessing import get_context as c; sys.path[:0] = sys.argv[2:];"
        "import test_executors as t; smmulab.run(t.SMALL);"
        "p = P(1, mp_context=c('fork'));"
        "d = smmulab.sweep(t.SMALL, {}, out=sys.argv[1], executor=p); p.shutdown();"
        "print(d.frame()['span_ps'][0], smmulab.run(t.SMALL).document['main_span_ps'])"
    )
    argv = [sys.executable, "-c", code, str(tmp_path), str(Path(__file__).parent)]
    told = subprocess.run(argv, check=True, capture_output=True, text=True, timeout=120).stdout
    assert told.split() == [str(expected["main_span_ps"])] * 2


def test_workers_start_while_the_design_is_made_and_end_if_it_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[isolated.Worker] = []
    new = isolated.Worker.__init__

    def hooked(worker: isolated.Worker) -> None:
        new(worker)
        started.append(worker)

    monkeypatch.setattr(isolated.Worker, "__init__", hooked)
    with pytest.raises(smmulab.ConfigError, match="more than the 3"):
        sweep(SMALL, FACTORS, out=tmp_path / "a", jobs=2, max_runs=3)
    assert len(started) == 2
    assert all(worker.process.poll() is not None for worker in started)
    assert not (tmp_path / "a").exists()
    started.clear()
    assert sweep(SMALL, {}, out=tmp_path / "b", jobs=2).ran == 1
    assert len(started) == 1
    started.clear()
    assert sweep(SMALL, {}, out=tmp_path / "b", jobs=2).skipped == 1
    assert not started


def test_a_worker_has_its_next_run_while_rows_are_made_of_the_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first row is made only when a worker that was not waited for has ended all it was given."""
    ended: list[str] = []
    seen: list[int] = []
    ask, make = isolated.Worker.ask, rows.record

    def asking(worker: isolated.Worker, job: dict[str, Any], folder: str) -> dict[str, Any]:
        answer = ask(worker, job, folder)
        ended.append(job["run_id"])
        return answer

    def making(job: Job, answer: dict[str, Any]) -> Any:
        end = time.monotonic() + 60
        while not seen and len(ended) < 2 and time.monotonic() < end:
            time.sleep(0.01)
        seen.append(len(ended))
        return make(job, answer)

    monkeypatch.setattr(isolated.Worker, "ask", asking)
    monkeypatch.setattr(rows, "record", making)
    assert sweep(SMALL, FACTORS, out=tmp_path, jobs=1).ran == 4
    assert seen[0] == 2


def worker_and_maker(worker: isolated.Worker) -> tuple[int, int]:
    """Process ids; the maker of traces is the worker's only child while no run is in flight."""
    pid = worker.process.pid
    (child,) = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return pid, int(child)


def runs(pid: int) -> bool:
    """Whether there is such a process, and not only its exit code."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_a_maker_of_traces_that_dies_takes_its_worker_along_and_no_run() -> None:
    jobs = [job.to_dict() for job in jobs_of(SMALL, {}, seeds=2)]
    workers = isolated.Workers()
    assert workers.run(jobs[0])["status"] == "ok"
    worker, maker = worker_and_maker(workers._local.worker)
    os.kill(maker, signal.SIGKILL)
    assert workers.run(jobs[1])["status"] == "ok"
    assert workers._local.worker.process.pid != worker
    workers.stop()


def test_a_maker_of_traces_ends_with_its_worker() -> None:
    (job,) = (job.to_dict() for job in jobs_of(SMALL, {}))
    workers = isolated.Workers()
    assert workers.run(job)["status"] == "ok"
    worker, maker = worker_and_maker(workers._local.worker)
    os.kill(worker, signal.SIGKILL)
    # Its answers end at once, though the other process is there still.
    assert workers._local.worker.process.stdout.read() == b""
    end = time.monotonic() + 60
    while runs(maker) and time.monotonic() < end:
        time.sleep(0.01)
    assert not runs(maker)
    workers.stop()


def test_a_trace_that_cannot_be_made_is_the_error_of_its_run(tmp_path: Path) -> None:
    (job,) = (job.to_dict() for job in jobs_of(SMALL, {}))
    worker = isolated.Worker()
    answer = worker.ask(job, str(tmp_path / "gone"))
    assert answer["status"] == "error"
    assert answer["error"].startswith("FileNotFoundError: ")
    assert worker.ask(job, str(tmp_path))["status"] == "ok"
    worker.close()


def test_workers_share_a_trace() -> None:
    """One of them makes it, the others wait for that one."""
    jobs = [
        job.to_dict() for job in jobs_of(SMALL.replace({"ops": 30_000}), FACTORS | {"threads": [1]})
    ]
    workers = isolated.Workers()
    folder = Path(workers.folder())
    made: list[int] = []
    with ThreadPoolExecutor(2) as pool:
        running = [pool.submit(workers.run, job) for job in jobs]
        while not all(future.done() for future in running):
            made.append(len(list(folder.glob(".partial*"))))
            time.sleep(0.002)
    assert [future.result()["status"] for future in running] == ["ok", "ok"]
    assert max(made) == 1
    workers.stop()
