# SPDX-License-Identifier: Apache-2.0
"""O12: median latency of each path of each operation, in the virtual time of a run with QEMU's
-icount (vCPUs on one host thread; preset qemu-tcg). What that preset was calibrated on is said in
docs/validation.md."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd

from smmulab import _core
from smmulab.oracles.recorded_run import RecordedRun, replay_settings
from smmulab.recordings import RecordingError
from smmulab.recordings.op_kinds import add_kinds
from smmulab.recordings.op_stats import duration_stats
from smmulab.recordings.ops_log import OpsLog

TOLERANCE = 0.20
FEWEST = 20  # of a path, recorded and in the model
SHIFT = 3  # the preset's costs are of 8 ns an instruction
CALIBRATED_ON = ("a_", "d3_")  # shapes of run A_ic_smp2
TRACES = ("events.txt", "contention_stacks.txt", "lockdep.txt", "lockaddr.txt", "fgraph.txt")
COLUMNS = ("shape", "path", "n", "recorded_ns", "model_ns", "error_ratio", "rank", "verdict")
_OPERATIONS = ("attach", "replace", "detach", "map", "unmap", "group_")
# Whether a process's memory is contiguous is not in the log: between a page and a whole map.
_RUN_PAGES = (1, 1 << 18)


def why_not(run: RecordedRun) -> str | None:
    """Why the run's times say nothing about the model's, or None."""
    if run.machine is None:
        return "the recording has no qemu_command.txt: whether its time is virtual is unknown"
    if not run.machine.virtual_time:
        return "recorded without -icount: its times are the host's"
    if run.machine.icount_shift != SHIFT:
        return f"recorded with -icount shift={run.machine.icount_shift}; the costs are of {SHIFT}"
    traced = [s for s in TRACES if run.has(s)]
    return f"its times include what tracing cost (SHAPE.{traced[0]})" if traced else None


def _number(row: list[str]) -> int:
    return int(row[0])


def simulated(
    log: OpsLog,
    trace: Path,
    settings: list[str],
    progress: Callable[[int], bool] | None = None,
) -> OpsLog:
    """The log with the model's start and end (whole ns) of each operation in place of the
    recorded ones, so that the paths are told apart by what happened in the model. `progress` is told
    of operations that ended; False ends it (Interrupted)."""
    with TemporaryDirectory() as folder:
        times = Path(folder) / "ops"
        _core.replay_json(str(trace), "igroup", settings, ops=str(times), progress=progress)
        rows = sorted((line.split() for line in times.read_text("utf-8").splitlines()), key=_number)
    frame = log.frame.copy()
    ops = zip((row[2] for row in rows), frame["op"], strict=True)
    if len(rows) != len(frame) or not all(name.endswith(op) for name, op in ops):
        raise RecordingError("the trace does not have this log's operations in its order", log.name)
    frame["start_ns"] = [int(row[3]) // 1000 for row in rows]
    frame["end_ns"] = [int(row[4]) // 1000 for row in rows]
    frame["duration_ns"] = [(int(row[4]) - int(row[3])) // 1000 for row in rows]
    frame["ret"] = [int(row[5]) for row in rows]
    return replace(log, frame=frame.sort_values(["start_ns", "end_ns"], ignore_index=True))


def _durations(log: OpsLog) -> dict[str, pd.Series[int]]:
    """Path -> durations in ns, of the paths that are common enough."""
    groups = add_kinds(log).groupby("kind")["duration_ns"]
    return {
        str(kind): durations
        for kind, durations in groups
        if len(durations) >= FEWEST and str(kind).startswith(_OPERATIONS)
    }


def _median(durations: pd.Series[int]) -> int:
    return duration_stats(durations).median_ns


def _rows(run: RecordedRun, shape: str) -> Iterator[tuple[object, ...]]:
    log, trace = run.log(shape), run.traces[shape]
    settings = replay_settings(run, log)
    tell = run.telling(f"latency {shape}")
    recorded, model = _durations(log), _durations(simulated(log, trace, settings, tell))
    bounds = None
    for path, durations in recorded.items():
        n, of_run = len(durations), _median(durations)
        if path not in model:
            nothing = (float("nan"),) * 3
            yield shape, path, n, of_run, *nothing, "not judged: rare in the model"
            continue
        of_model = _median(model[path])
        rank = float((model[path] <= of_run).mean())
        error = of_model / of_run - 1
        verdict = "ok" if abs(error) <= TOLERANCE else "miss"
        if verdict == "miss" and path in ("map", "unmap"):
            bounds = bounds or [
                _durations(simulated(log, trace, [*settings, f"iommufd.run_pages={pages}"], tell))
                for pages in _RUN_PAGES
            ]
            ends = sorted(_median(of_bound[path]) for of_bound in bounds if path in of_bound)
            if ends and ends[0] * (1 - TOLERANCE) <= of_run <= ends[-1] * (1 + TOLERANCE):
                verdict = f"not judged: {ends[0]} to {ends[-1]} by memory's contiguity"
        if run.made_reference and shape.startswith(CALIBRATED_ON) and verdict == "ok":
            verdict = "ok (calibrated)"
        yield shape, path, n, of_run, of_model, error, rank, verdict


def check(run: RecordedRun) -> pd.DataFrame:
    """Columns: shape, path, n, recorded_ns, model_ns (medians), error_ratio, rank (the share of the
    model's operations that take at most the recorded median: near 0.5 the distributions agree,
    however far apart two ways of waiting put the medians), verdict."""
    rows = [row for shape in run.traces for row in _rows(run, shape)]
    return pd.DataFrame(rows, columns=list(COLUMNS))
