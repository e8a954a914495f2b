# SPDX-License-Identifier: Apache-2.0
"""`TraceMaker`: a process beside a worker that generates the traces of its runs.

The generator needs numpy. A worker is forked for each run, which takes a third longer with numpy in it,
so another process has it: a child of the worker's, forked when the first trace is asked for. It
ends with the worker.
"""

from __future__ import annotations

import fcntl
import json
import os
import sys
from pathlib import Path
from typing import Any, BinaryIO

from smmulab import _core


class NotMade(Exception):
    """A trace could not be generated; the text is that of the run's row."""


class TraceMaker:
    """Gives the path of a job's trace. The process is started when it is first needed."""

    def __init__(self) -> None:
        self._pipes: tuple[BinaryIO, BinaryIO] | None = None

    def path_of(self, job: dict[str, Any], folder: Path) -> str:
        """The job's trace; a generated one is written to `folder` unless it is there. Raises NotMade;
        SystemExit if the process died, as it would be if this one did."""
        if job["workload"] is None:
            return str(job["trace"])
        path = folder / f"{job['trace_identity']}.iotrace"
        if not path.exists():
            error = self._ask([str(path), job["workload"], job["seed"]])
            if error is not None:
                raise NotMade(error)
        return str(path)

    def _ask(self, request: list[Any]) -> str | None:
        self._pipes = self._pipes or _started()
        requests, answers = self._pipes
        try:
            requests.write(json.dumps(request).encode() + b"\n")
            requests.flush()
            line = answers.readline()
        except BrokenPipeError:
            line = b""
        if not line:
            sys.exit(1)
        error: str | None = json.loads(line)
        return error


def _started() -> tuple[BinaryIO, BinaryIO]:
    """Where requests go to, where answers come from."""
    asked, requests = os.pipe()
    answers, answered = os.pipe()
    if os.fork() == 0:
        try:
            os.close(requests)
            os.close(answers)
            # The worker's own: whoever waits for its answers shall see that it ended.
            nothing = os.open(os.devnull, os.O_RDWR)
            os.dup2(nothing, 0)
            os.dup2(nothing, 1)
            with os.fdopen(asked, "rb") as jobs, os.fdopen(answered, "wb") as results:
                for line in jobs:
                    results.write(json.dumps(_make(*json.loads(line))).encode() + b"\n")
                    results.flush()
        except BaseException:  # noqa: BLE001  as the end of a process of its own
            sys.excepthook(*sys.exc_info())
        finally:
            os._exit(1)
    os.close(asked)
    os.close(answered)
    return os.fdopen(requests, "wb"), os.fdopen(answers, "rb")


def _make(path: str, workload: dict[str, Any], seed: int) -> str | None:
    """Generate a trace, unless another worker does: then wait for that. What went wrong, or None."""
    try:
        with Path(f"{path}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not Path(path).exists():
                from smmulab.workload import Workload, generate  # noqa: PLC0415  imports numpy

                generate(Workload.of(workload), path, seed)
    except (_core.Error, OSError) as error:
        return f"{type(error).__name__}: {error}"
    return None
