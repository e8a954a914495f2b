# SPDX-License-Identifier: Apache-2.0
"""`run_isolated`: carries out one job in another process, whoever calls it.

This is the function that every executor is given: threads, processes, Dask. Each thread that calls
it keeps a worker process (study/worker.py) for its next jobs.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import weakref
from contextlib import suppress
from pathlib import Path
from tempfile import gettempdir
from typing import Any

from smmulab.study.job import build_hash

_ATTEMPTS = 2
_local = threading.local()


def trace_folder() -> Path:
    """Where generated traces are kept for the runs that share them, on this machine."""
    return Path(gettempdir()) / f"smmulab-traces-{os.getuid()}-{os.getpid()}"


class WorkerDied(Exception):
    """The worker process ended without an answer."""


def _end(process: subprocess.Popen[bytes]) -> None:
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
        self.close = weakref.finalize(self, _end, self.process)

    def ask(self, job: dict[str, Any], folder: str) -> dict[str, Any]:
        """Carry out one job. Raises WorkerDied."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        try:
            request = json.dumps({"job": job, "folder": folder}).encode() + b"\n"
            self.process.stdin.write(request)
            self.process.stdin.flush()
            line = self.process.stdout.readline()
        except OSError:
            line = b""
        if not line.endswith(b"\n"):
            raise WorkerDied(f"worker process {self.process.pid} died")
        answer: dict[str, Any] = json.loads(line)
        result = answer["result"]
        if result is not None:
            result.pop("final_state")  # long, and in no table
            answer |= {"status": result["status"], "error": result["message"]}
        return answer


def _failed(job: dict[str, Any], status: str, error: str) -> dict[str, Any]:
    return {"run_id": job["run_id"], "status": status, "error": error, "result": None, "wall_ns": 0}


def run_isolated(job: dict[str, Any], folder: str) -> dict[str, Any]:
    """The answer to `job` (Job.to_dict()): {"run_id", "status", "error", "result", "wall_ns"}.

    Never raises for what a run does. A run whose process dies is tried once more; if it dies again,
    its status is "crashed". `folder`: for generated traces; the machine that runs this makes them.
    """
    if job["build"] != build_hash():
        return _failed(job, "error", "this worker has another build of smmulab than its client")
    answer = _failed(job, "crashed", "never ran")
    for _ in range(_ATTEMPTS):
        worker: Worker | None = getattr(_local, "worker", None)
        if worker is None:
            worker = _local.worker = Worker()
        try:
            answer = worker.ask(job, folder)
        except WorkerDied as error:
            _local.worker = None
            worker.close()
            answer = _failed(job, "crashed", str(error))
        if answer["status"] != "crashed":
            break
    return answer
