# SPDX-License-Identifier: Apache-2.0
"""O11: on which lock class does the waiting fall?

The share of contended mutex acquisitions of each class, for each shape of run A_ev_smp2 (contended:
the fast path failed, as the tracepoint contention_begin has it), against the model's contentions
in a closed-loop replay of the same shape on two CPUs that run in parallel, as the run's did, with
the costs of A_ic_smp2.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from smmulab.comparison import compare
from smmulab.recordings import load_reference

TOLERANCE_POINTS = 10.0
JUDGED_ABOVE = 0.05  # share in the recording or the model
FEWEST = 20  # recorded contended acquisitions below which shares are noise
SETTINGS = ("preset=qemu-mttcg",)  # recorded with a host thread for each vCPU


def shares(trace: Path) -> dict[str, float]:
    """Lock class -> share of contended mutex acquisitions in the model; empty: none contended."""
    locks = compare(trace, ["igroup"], set=SETTINGS).locks()
    mutexes = locks[locks["type"] == "mutex"]
    total = mutexes["contentions"].sum()
    if total == 0:
        return {}
    return {
        str(name): float(count) / float(total)
        for name, count in zip(mutexes["class"], mutexes["contentions"], strict=True)
    }


def check(traces: Mapping[str, Path]) -> pd.DataFrame:
    """Columns: shape, lock_class, recorded_share, model_share, error_points, verdict."""
    recorded = load_reference().contention()
    recorded = recorded[recorded["kind"] == "mutex"]
    rows = []
    for shape, trace in traces.items():
        of_shape = recorded[recorded["shape"] == shape].set_index("lock_class")
        enough = of_shape["acquisitions"].sum() >= FEWEST
        model = shares(trace)
        for name in sorted(set(of_shape.index) | set(model)):
            seen = float(of_shape["share"].get(name, 0.0))
            had = model.get(name, 0.0)
            if max(seen, had) <= JUDGED_ABOVE:
                continue
            points = 100 * (had - seen)
            verdict = "ok" if abs(points) <= TOLERANCE_POINTS else "miss"
            rows.append((shape, name, seen, had, points, verdict if enough else "not judged"))
    columns = ["shape", "lock_class", "recorded_share", "model_share", "error_points", "verdict"]
    return pd.DataFrame(rows, columns=columns)
