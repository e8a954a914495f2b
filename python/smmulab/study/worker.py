# SPDX-License-Identifier: Apache-2.0
"""A process that carries out runs, each in a child of its own: `python -m smmulab.study.worker`.

Jobs come on standard input, results go to standard output, a line of JSON each. A run that crashes
takes its child along and nothing else; SimGrid gets the process of its own that it needs. The child
is forked after everything is imported and the trace is there (study/trace_maker.py), so that a run costs
a fork, not a start of Python. The process ends with its standard input.
"""

from __future__ import annotations

import gc
import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any, BinaryIO

from smmulab import _core
from smmulab.protocol_source import expect
from smmulab.study.trace_maker import NotMade, TraceMaker

# A run in which no operation ends for so many looks at it (65536 events each) goes round in circles.
_STALLED = 256


def simulate(job: dict[str, Any], trace: str) -> str:
    """One run in this process, its operations written to the file job["operations"], if there is one.
    "result": its document, or "status" and "error", as members of a JSON
    object. The document goes on as the text that it is, so that only its reader takes it apart."""
    seen, looks = -1, 0

    def watch(ended: int) -> bool:
        nonlocal seen, looks
        looks = looks + 1 if ended == seen else 0
        seen = ended
        return looks < _STALLED

    try:
        expect(job["protocol"], job["protocol_identity"])
        text = _core.replay_json(
            trace,
            job["protocol"],
            job["assignments"],
            None,
            job["engine"],
            job.get("operations"),
            watch,
            job["dma_trace"],
        )
    except _core.Interrupted:
        return failed("no progress", "no operation ends any more")
    except (_core.Error, OSError) as error:
        return failed("error", f"{type(error).__name__}: {error}")
    return f'"result": {text.strip()}'


def failed(status: str, error: str) -> str:
    """Members of a run without a result."""
    return f'"status": "{status}", "error": {json.dumps(error)}, "result": null'


def _in_child(job: dict[str, Any], trace: str) -> bytes:
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            os.close(reading)
            with os.fdopen(writing, "wb") as file:
                file.write(simulate(job, trace).encode())
            code = 0
        finally:
            os._exit(code)
    os.close(writing)
    with os.fdopen(reading, "rb") as file:
        data = file.read()
    _, status, used = os.wait4(child, 0)
    cpu = f', "cpu_ns": {round((used.ru_utime + used.ru_stime) * 1e9)}'
    if os.WIFSIGNALED(status):
        name = signal.Signals(os.WTERMSIG(status)).name
        data = failed("crashed", f"the run's process died of {name}").encode()
    elif os.WEXITSTATUS(status) != 0:
        data = failed("crashed", "the run's process failed").encode()
    return data + cpu.encode()


def carry_out(job: dict[str, Any], folder: Path, maker: TraceMaker) -> bytes:
    """One run in a child, as a line of JSON. `wall_ns`, `cpu_ns`: real time and CPU time of its
    process, the making of its trace left out."""
    wall = 0
    try:
        trace = maker.path_of(job, folder)
    except NotMade as error:
        answer = failed("error", str(error)).encode()
    else:
        start = time.monotonic_ns()
        answer = _in_child(job, trace)
        wall = time.monotonic_ns() - start
    return f'{{"run_id": "{job["run_id"]}", "wall_ns": {wall}, '.encode() + answer + b"}\n"


def serve(jobs: BinaryIO, answers: BinaryIO) -> None:
    """Until `jobs` ends."""
    maker = TraceMaker()
    gc.freeze()  # a collection in a child would write to, and so copy, what is here already
    for line in jobs:
        request = json.loads(line)
        answers.write(carry_out(request["job"], Path(request["folder"]), maker))
        answers.flush()


if __name__ == "__main__":
    serve(sys.stdin.buffer, sys.stdout.buffer)
