# SPDX-License-Identifier: Apache-2.0
"""A process that carries out runs, each in a child of its own: `python -m smmulab.study.worker`.

Jobs come on standard input, results go to standard output, a line of JSON each. A run that crashes
takes its child along and nothing else; SimGrid gets the process of its own that it needs. The child
is forked after everything is imported and the trace is there, so that a run costs a fork, not a
start of Python. The process ends with its standard input.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any, BinaryIO

from smmulab import _core

# A run in which no operation ends for so many looks at it (65536 events each) goes round in circles.
_STALLED = 256
# Not in the tables of a study, and long.
_LEFT_OUT = ("final_state",)


def trace_of(job: dict[str, Any], folder: Path) -> str:
    """The job's trace; a generated one is written to `folder` unless it is there."""
    if job["workload"] is None:
        return str(job["trace"])
    path = folder / f"{job['trace_identity']}.iotrace"
    if not path.exists():
        from smmulab.workload import Workload, generate  # noqa: PLC0415  imports numpy

        folder.mkdir(parents=True, exist_ok=True)
        own = folder / f"{os.getpid()}-{path.name}"
        generate(Workload.of(job["workload"]), own, job["seed"])
        own.replace(path)
    return str(path)


def simulate(job: dict[str, Any], trace: str) -> dict[str, Any]:
    """One run in this process: {"status": ..., "error": ..., "result": document or None}."""
    seen, looks = -1, 0

    def watch(ended: int) -> bool:
        nonlocal seen, looks
        looks = looks + 1 if ended == seen else 0
        seen = ended
        return looks < _STALLED

    try:
        text = _core.replay_json(
            trace, job["protocol"], job["assignments"], None, job["engine"], None, watch
        )
    except _core.Interrupted:
        return {"status": "no progress", "error": "no operation ends any more", "result": None}
    except (_core.Error, OSError) as error:
        message = f"{type(error).__name__}: {error}"
        return {"status": "error", "error": message, "result": None}
    result = json.loads(text)
    for key in _LEFT_OUT:
        result.pop(key, None)
    return {"status": result["status"], "error": result["message"], "result": result}


def _in_child(job: dict[str, Any], trace: str) -> dict[str, Any]:
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            os.close(reading)
            with os.fdopen(writing, "wb") as file:
                file.write(json.dumps(simulate(job, trace)).encode())
            code = 0
        finally:
            os._exit(code)
    os.close(writing)
    with os.fdopen(reading, "rb") as file:
        data = file.read()
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        name = signal.Signals(os.WTERMSIG(status)).name
        return {"status": "crashed", "error": f"the run's process died of {name}", "result": None}
    if os.WEXITSTATUS(status) != 0:
        return {"status": "crashed", "error": "the run's process failed", "result": None}
    answer: dict[str, Any] = json.loads(data)
    return answer


def carry_out(job: dict[str, Any], folder: Path) -> dict[str, Any]:
    """One run in a child. `wall_ns`: real time it took, the making of its trace left out."""
    try:
        trace = trace_of(job, folder)
    except (_core.Error, OSError) as error:
        answer = {"status": "error", "error": f"{type(error).__name__}: {error}", "result": None}
        return {**answer, "run_id": job["run_id"], "wall_ns": 0}
    start = time.monotonic_ns()
    answer = _in_child(job, trace)
    wall = time.monotonic_ns() - start
    return {**answer, "run_id": job["run_id"], "wall_ns": wall}


def serve(jobs: BinaryIO, answers: BinaryIO) -> None:
    """Until `jobs` ends."""
    for line in jobs:
        request = json.loads(line)
        answer = carry_out(request["job"], Path(request["folder"]))
        answers.write(json.dumps(answer).encode() + b"\n")
        answers.flush()


if __name__ == "__main__":
    serve(sys.stdin.buffer, sys.stdout.buffer)
