# SPDX-License-Identifier: Apache-2.0
"""What a sweep costs beside its runs: `python bench/sweep_overhead.py [RUNS] [OPS]`.

Prints real time of a sweep of RUNS short runs on two workers against half the sum of the times of
the runs themselves, the same of CPU time (all of the sweep, workers' starts included, against that of
the runs), the time of the same sweep when all is done already (in a new process, from its start to its
end), and the time to load a store of
100 000 rows. Real times are worth something on an idle machine only.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from smmulab import Config, Store, Workload, sweep
from smmulab.study import rows
from smmulab.study.job import Job
from smmulab.study.store import TABLES

ROWS = 100_000


def _cpu_s() -> float:
    """CPU time of this process and of those that it has waited for."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def study(runs: int, ops: int) -> tuple[Config, dict[str, list[str]]]:
    """Runs of one trace, so that its making is not measured."""
    config = Config.of({"smmuv3.hardware": "counted"}, workload=Workload(devices=8, ops=ops))
    return config, {"hw.sync": [f"{200 + number}ns" for number in range(runs)]}


def measure_sweep(folder: Path, runs: int, ops: int) -> dict[str, float]:
    """Seconds."""
    config, factors = study(runs, ops)
    spent: list[int] = []
    cpu: list[int] = []
    record = rows.record

    def listening(job: Job, answer: dict[str, Any]) -> Any:
        spent.append(answer["wall_ns"])
        cpu.append(answer["cpu_ns"])
        return record(job, answer)

    rows.record = listening  # type: ignore[assignment]
    start, cpu_start = time.monotonic(), _cpu_s()
    sweep(config, factors, out=folder, jobs=2)
    took, cpu_took = time.monotonic() - start, _cpu_s() - cpu_start
    half = sum(spent) / 2e9
    return {
        "runs": runs,
        "run_ms": sum(spent) / len(spent) / 1e6,
        "run_cpu_ms": sum(cpu) / len(cpu) / 1e6,
        "sweep_s": took,
        "half_of_runs_s": half,
        "overhead_ratio": took / half - 1,
        "cpu_overhead_ratio": cpu_took / (sum(cpu) / 1e9) - 1,
    }


def measure_resume(folder: Path, runs: int, ops: int) -> dict[str, float]:
    """Seconds for the same sweep, all of it done, in a new process; by real and by CPU time."""
    code = (
        "import sys; sys.path[:0] = sys.argv[4:]; import sweep_overhead as s;"
        "from smmulab import sweep; config, factors = s.study(int(sys.argv[2]), int(sys.argv[3]));"
        "again = sweep(config, factors, out=sys.argv[1], jobs=2);"
        "assert (again.ran, again.skipped) == (0, int(sys.argv[2]))"
    )
    here = str(Path(__file__).parent)
    argv = [sys.executable, "-c", code, str(folder), str(runs), str(ops), here]
    start, cpu_start = time.monotonic(), _cpu_s()
    subprocess.run(argv, check=True)
    return {"resume_s": time.monotonic() - start, "resume_cpu_s": _cpu_s() - cpu_start}


def measure_load(source: Path, folder: Path) -> dict[str, float]:
    """Seconds to load a store of ROWS rows, made by repeating those of `source`."""
    import pyarrow as pa  # noqa: PLC0415
    import pyarrow.parquet as pq  # noqa: PLC0415

    folder.mkdir()
    (folder / "store.json").write_bytes((source / "store.json").read_bytes())
    table = pq.read_table(source / "runs.parquet")
    many = pa.concat_tables([table] * (ROWS // len(table) + 1)).slice(0, ROWS)
    ids = pa.array([f"{number:064x}" for number in range(ROWS)])
    many = many.set_column(many.column_names.index("run_id"), "run_id", ids)
    pq.write_table(many, folder / "runs.parquet", compression="zstd")
    for name in TABLES[1:]:
        (folder / f"{name}.parquet").write_bytes((source / f"{name}.parquet").read_bytes())
    start = time.monotonic()
    frame = Store(folder).runs()
    took = time.monotonic() - start
    assert len(frame) == ROWS
    return {"load_rows": ROWS, "load_s": took}


def main() -> None:
    """Print one line of JSON."""
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    ops = int(sys.argv[2]) if len(sys.argv) > 2 else 20_000
    with TemporaryDirectory() as folder:
        found = measure_sweep(Path(folder) / "a", runs, ops)
        found |= measure_resume(Path(folder) / "a", runs, ops)
        found |= measure_load(Path(folder) / "a", Path(folder) / "b")
    print(json.dumps({key: round(value, 4) for key, value in found.items()}))  # noqa: T201


if __name__ == "__main__":
    main()
