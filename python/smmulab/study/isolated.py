# SPDX-License-Identifier: Apache-2.0
"""`run_isolated`: carries out one job in another process, whoever calls it.

This is the function that every executor is given: processes, Dask, threads of somebody else. Each
thread that calls it keeps a worker process (study/worker.py) for its next jobs; a sweep's own threads
have `Workers` of their own, which it can stop.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import weakref
from contextlib import suppress
from multiprocessing.util import Finalize
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from smmulab.study.job import build_hash

_ATTEMPTS = 2


class WorkerDied(Exception):
    """The worker process ended without an answer."""


def _end(process: subprocess.Popen[bytes], owner: int) -> None:
    if os.getpid() != owner:  # a fork of the owner: the process is not its child
        return
    # Its children, too: it leads a session of its own.
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with suppress(OSError):
                pipe.close()
    process.wait()


class Worker:
    """One worker process. Ends with this object, or with Python."""

    def __init__(self) -> None:
        package = Path(__file__).parents[2]
        path = os.pathsep.join([str(package), *filter(None, [os.environ.get("PYTHONPATH")])])
        # One thread each: a fork copies no other, and runs share the machine.
        environment = {**os.environ, "PYTHONPATH": path, "OPENBLAS_NUM_THREADS": "1"}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "smmulab.study.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
            env=environment,
        )
        self.close = weakref.finalize(self, _end, self.process, os.getpid())

    def ask(self, job: dict[str, Any], folder: str) -> dict[str, Any]:
        """Carry out one job. Raises WorkerDied. Whatever ends this early (Ctrl-C) ends the process,
        too: its answer would be taken for that of the next job."""
        try:
            answer = self._exchange(job, folder)
        except BaseException:
            self.close()
            raise
        result = answer["result"]
        if result is not None:
            result.pop("final_state")  # long, and in no table
            answer |= {"status": result["status"], "error": result["message"]}
        return answer

    def _exchange(self, job: dict[str, Any], folder: str) -> dict[str, Any]:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        try:
            request = json.dumps({"job": job, "folder": folder}).encode() + b"\n"
            self.process.stdin.write(request)
            self.process.stdin.flush()
            line = self.process.stdout.readline()
        except (OSError, ValueError):  # ValueError: closed by `Workers.stop`
            line = b""
        if not line.endswith(b"\n"):
            raise WorkerDied(f"worker process {self.process.pid} died")
        answer: dict[str, Any] = json.loads(line)
        if answer["run_id"] != job["run_id"]:
            raise WorkerDied(f"worker process {self.process.pid} answered for another run")
        return answer


def _failed(job: dict[str, Any], status: str, error: str) -> dict[str, Any]:
    return {"run_id": job["run_id"], "status": status, "error": error, "result": None, "wall_ns": 0}


class Workers:
    """A worker process for each thread that calls `run`, and one folder for the traces that they
    generate and share; it goes away with this object, or with Python."""

    def __init__(self) -> None:
        self._local = threading.local()
        self._lock = threading.Lock()
        self._all: weakref.WeakSet[Worker] = weakref.WeakSet()
        self._ready: list[Worker] = []
        self._folder = ""
        self._stopped = False

    def folder(self) -> str:
        """The folder for traces: this user's only, under a name that nobody can guess."""
        with self._lock:
            if not self._folder or not Path(self._folder).is_dir():
                self._folder = mkdtemp(prefix="smmulab-traces-")
                Finalize(self, shutil.rmtree, (self._folder, True), exitpriority=0)
            return self._folder

    def start(self, count: int) -> None:
        """Start so many worker processes, for the first that are needed."""
        with self._lock:
            self._ready += [self._new() for _ in range(count)]

    def _new(self) -> Worker:
        worker = Worker()
        self._all.add(worker)
        return worker

    def _mine(self) -> Worker:
        worker: Worker | None = getattr(self._local, "worker", None)
        if worker is None or not worker.close.alive:
            with self._lock:
                if self._stopped:
                    raise WorkerDied("the sweep was stopped")
                worker = self._local.worker = self._ready.pop() if self._ready else self._new()
        return worker

    def run(self, job: dict[str, Any]) -> dict[str, Any]:
        """As `run_isolated`."""
        if job["build"] != build_hash():
            return _failed(job, "error", "this worker has another build of smmulab than its client")
        answer = _failed(job, "crashed", "never ran")
        for _ in range(_ATTEMPTS):
            try:
                answer = self._mine().ask(job, self.folder())
            except WorkerDied as error:
                answer = _failed(job, "crashed", str(error))
            if answer["status"] != "crashed" or self._stopped:
                break
        return answer

    def stop(self) -> None:
        """Kill the workers with the runs in flight, which get status "crashed"; there are no others."""
        with self._lock:
            self._stopped = True
            workers = list(self._all)
        for worker in workers:
            worker.close()


_workers = Workers()


def _after_fork() -> None:
    # The pipes to the workers are the parent's: answers would go to the wrong one.
    global _workers  # noqa: PLW0603
    _workers = Workers()


os.register_at_fork(after_in_child=_after_fork)


def run_isolated(job: dict[str, Any]) -> dict[str, Any]:
    """The answer to `job` (Job.to_dict()): {"run_id", "status", "error", "result", "wall_ns"}.

    Never raises for what a run does. A run whose process dies is tried once more; if it dies again,
    its status is "crashed". A generated trace is made on the machine that runs this.
    """
    return _workers.run(job)
