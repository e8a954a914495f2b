# SPDX-License-Identifier: Apache-2.0
"""A comparison as plain text, for the terminal."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

    from smmulab.comparison import Comparison

_PS_PER_US = 1e6
_PS_PER_MS = 1e9
LOCKS_SHOWN = 5


def _table(frame: pd.DataFrame) -> str:
    return frame.to_string(index=False, float_format=lambda value: f"{value:,.2f}", na_rep="-")


def _protocols(comparison: Comparison) -> str:
    rows = comparison.summary()
    shown = rows[["protocol"]].copy()
    failed = rows["errors"] > 0
    shown["ok ops/s"] = [
        (status if math.isnan(rate) else f"{rate:,.0f}") + ("*" if some else "")
        for status, rate, some in zip(rows["status"], rows["ops_per_s"], failed, strict=True)
    ]
    shown["errors"] = rows["errors"]
    shown["lock wait ms"] = rows["lock_wait_total_ps"] / _PS_PER_MS
    shown["spin CPU ms"] = rows["spin_cpu_ps"] / _PS_PER_MS
    shown["replace dark ms"] = rows["replace_dark_total_ps"] / _PS_PER_MS
    shown["longest dark us"] = rows["replace_dark_max_ps"] / _PS_PER_US
    shown["not as recorded"] = rows["different_result"]
    mark = "\n* some operations failed: the rate is of the successful ones" if failed.any() else ""
    return _table(shown) + mark


def _operations(comparison: Comparison) -> str:
    frame = comparison.frame()
    shown = frame[["kind", "protocol", "count"]].copy()
    for name in ("p50", "p99", "p999", "max"):
        shown[f"{name} us"] = frame[f"{name}_ps"] / _PS_PER_US
    shown["errors"] = frame["errors"]
    order = {kind: place for place, kind in enumerate(frame["kind"].unique())}
    shown["_place"] = shown["kind"].map(order)
    return _table(shown.sort_values("_place", kind="stable").drop(columns="_place"))


def _locks(comparison: Comparison) -> str:
    frame = comparison.locks(by="perf")
    if frame.empty:
        return "no lock was contended"
    frame = frame[frame["wait_total_ps"] > 0].groupby("protocol", sort=False).head(LOCKS_SHOWN)
    shown = frame[["protocol", "contended"]].copy()
    shown["total wait ms"] = frame["wait_total_ps"] / _PS_PER_MS
    shown["max wait us"] = frame["wait_max_ps"] / _PS_PER_US
    shown["avg wait us"] = frame["avg_wait_ps"] / _PS_PER_US
    shown["type"] = frame["type"]
    shown["class"] = frame["class"]
    return _table(shown)


def _dark(comparison: Comparison) -> str:
    frame = comparison.devices()
    if frame.empty:
        return "the trace has no device"
    shown = frame.pivot_table(
        index="device", columns="protocol", values="replace_dark_total_ps", sort=False
    )
    return _table((shown / _PS_PER_MS).reset_index())


def _heading(comparison: Comparison) -> str:
    first = comparison.results[0]
    phase = first["main_phase"] or "the whole trace"
    return (
        f"trace {comparison.trace} (XXH3-128 {comparison.trace_hash}), "
        f"{first['operations']} operations; rates are of phase {phase}, on the SMMU driver of "
        f"Linux {comparison.config['driver.version']}"
    )


def text(comparison: Comparison) -> str:
    """All tables of a comparison, each with a heading that gives units."""
    parts = [
        _heading(comparison),
        _protocols(comparison),
        "Latency of each operation",
        _operations(comparison),
        f"Locks: the {LOCKS_SHOWN} classes that cost most wait (columns of perf lock contention)",
        _locks(comparison),
        "DMA dark during replaces, each device (ms): STE or CD invalid or blocking",
        _dark(comparison),
    ]
    parts += [
        f"{result['protocol']}: {result['message']}"
        for result in comparison.results
        if result["status"] != "ok"
    ]
    return "\n\n".join(parts)
