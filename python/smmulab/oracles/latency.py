# SPDX-License-Identifier: Apache-2.0
"""O12: median latency of each kind of operation in the virtual time of run A_ic_smp2 (8 ns for one
guest instruction, two vCPUs on one host thread). What preset qemu-tcg was calibrated on is said in
docs/validation.md."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from smmulab.comparison import compare
from smmulab.recordings import load_reference

TOLERANCE = 0.20
FEWEST = 20
SETTINGS = ("preset=qemu-tcg",)
CALIBRATED_ON = ("a_", "d3_")
# The trace does not tell the paths of one operation apart; the recording's kinds are pooled.
OPERATIONS = ("attach", "replace", "detach", "map", "unmap")


def _recorded_median(shape: str, operation: str) -> tuple[float, int]:
    """Median over all paths of the operation, weighted by count, from the kinds' medians (ns)."""
    parts = load_reference().latencies()
    kinds = parts["kind"].str.removeprefix("group_")
    chosen = parts[(parts["shape"] == shape) & kinds.str.startswith(operation)]
    parts_of = sorted(zip(chosen["median_ns"].astype(int), chosen["n"].astype(int), strict=True))
    total = sum(n for _, n in parts_of)
    seen = 0
    for median, n in parts_of:
        seen += n
        if seen * 2 >= total:
            return float(median), total
    return float("nan"), 0


def check(traces: Mapping[str, Path]) -> pd.DataFrame:
    """Columns: shape, operation, n, recorded_ns, model_ns, error_ratio, verdict."""
    rows = []
    for shape, trace in traces.items():
        frame = compare(trace, ["igroup"], set=SETTINGS).frame()
        medians = dict(zip(frame["kind"], frame["p50_ps"].astype(float), strict=True))
        for operation in OPERATIONS:
            recorded, n = _recorded_median(shape, operation)
            if n < FEWEST or operation not in medians:
                continue
            model = medians[operation] / 1e3
            error = model / recorded - 1
            verdict = "ok" if abs(error) <= TOLERANCE else "miss"
            if shape.startswith(CALIBRATED_ON):
                verdict = f"{verdict} (calibrated)" if verdict == "ok" else verdict
            rows.append((shape, operation, n, recorded, model, error, verdict))
    columns = ["shape", "operation", "n", "recorded_ns", "model_ns", "error_ratio", "verdict"]
    return pd.DataFrame(rows, columns=columns)
