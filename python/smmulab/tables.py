# SPDX-License-Identifier: Apache-2.0
"""Tidy tables from the JSON documents of replays. Times are integers in ps; `_ps` says so."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

Result = Mapping[str, Any]
_PS_PER_S = 1e12
# Columns of /proc/lock_stat, in its order [Linux 6.12 Documentation/locking/lockstat.rst].
_LOCKSTAT = (
    "con_bounces",
    "contentions",
    "waittime_min_ps",
    "waittime_max_ps",
    "waittime_total_ps",
    "waittime_avg_ps",
    "acq_bounces",
    "acquisitions",
    "holdtime_min_ps",
    "holdtime_max_ps",
    "holdtime_total_ps",
    "holdtime_avg_ps",
)


def _frame(rows: list[dict[str, Any]]) -> pd.DataFrame:
    import pandas as pd  # noqa: PLC0415  most of a start-up's time

    return pd.DataFrame(rows)


def operations(results: Iterable[Result]) -> pd.DataFrame:
    """A row for each protocol and kind of operation (Comparison.frame)."""
    rows = []
    for result in results:
        span_s = result["main_span_ps"] / _PS_PER_S
        finished = result["status"] == "ok" and span_s > 0
        for kind in result["kinds"]:
            latency = kind["latency"]
            rows.append(
                {
                    "protocol": result["protocol"],
                    "status": result["status"],
                    "kind": kind["kind"],
                    "count": latency["count"],
                    "errors": kind["errors"],
                    "different_result": kind["different_result"],
                    "ops_per_s": latency["count"] / span_s if finished else float("nan"),
                    "mean_ps": latency["mean_ps"],
                    "p50_ps": latency["p50_ps"],
                    "p99_ps": latency["p99_ps"],
                    "p999_ps": latency["p999_ps"],
                    "max_ps": latency["max_ps"],
                }
            )
    return _frame(rows)


def _modes(results: Iterable[Result]) -> Iterator[tuple[Result, Result, str, Result]]:
    """(result, lock, mode, statistics) of each used mode of each lock class."""
    for result in results:
        for lock in result["locks"]:
            for mode in ("write", "read"):
                if lock[mode]["acquisitions"] or lock[mode]["contentions"]:
                    yield result, lock, mode, lock[mode]


def _sorted(rows: list[dict[str, Any]], wait: str) -> pd.DataFrame:
    if not rows:
        return _frame([])
    frame = _frame(rows)
    order = {name: place for place, name in enumerate(frame["protocol"].unique())}
    frame["_place"] = frame["protocol"].map(order)
    frame = frame.sort_values(["_place", wait], ascending=[True, False], kind="stable")
    return frame.drop(columns="_place").reset_index(drop=True)


def lockstat(results: Iterable[Result]) -> pd.DataFrame:
    """The columns of /proc/lock_stat, plus protocol, class, type, mode, instances, wait_spin_ps."""
    rows = [
        {
            "protocol": result["protocol"],
            "class": lock["class"],
            "type": lock["type"],
            "mode": mode,
            "instances": lock["instances"],
            **{column: stat[column] for column in _LOCKSTAT},
            "wait_spin_ps": stat["wait_spin_ps"],
        }
        for result, lock, mode, stat in _modes(results)
    ]
    return _sorted(rows, "waittime_total_ps")


def _perf_type(kind: str, mode: str) -> str:
    """What `perf lock contention` calls this kind of lock."""
    return f"rwsem:{'R' if mode == 'read' else 'W'}" if kind == "rwsem" else kind


def perf_contention(results: Iterable[Result]) -> pd.DataFrame:
    """The columns of `perf lock contention -l`: contended, total/max/min/avg wait, type, class."""
    rows = [
        {
            "protocol": result["protocol"],
            "contended": stat["contentions"],
            "wait_total_ps": stat["waittime_total_ps"],
            "wait_max_ps": stat["waittime_max_ps"],
            "wait_min_ps": stat["waittime_min_ps"],
            "avg_wait_ps": stat["waittime_total_ps"] // stat["contentions"],
            "type": _perf_type(lock["type"], mode),
            "class": lock["class"],
        }
        for result, lock, mode, stat in _modes(results)
        if stat["contentions"]
    ]
    return _sorted(rows, "wait_total_ps")


def devices(results: Iterable[Result]) -> pd.DataFrame:
    """A row for each protocol and device (Comparison.devices)."""
    return _frame(
        [{"protocol": result["protocol"], **d} for result in results for d in result["devices"]]
    )


def summary(results: Iterable[Result]) -> pd.DataFrame:
    """A row for each protocol (Comparison.summary)."""
    return _frame([_summary_row(result) for result in results])


def _summary_row(result: Result) -> dict[str, Any]:
    span_s = result["main_span_ps"] / _PS_PER_S
    finished = result["status"] == "ok" and span_s > 0
    succeeded = result["main_operations"] - result["main_errors"]
    waits = [lock[mode] for lock in result["locks"] for mode in ("write", "read")]
    return {
        "protocol": result["protocol"],
        "status": result["status"],
        "phase": result["main_phase"],
        "operations": result["main_operations"],
        "ops_per_s": succeeded / span_s if finished else float("nan"),
        "errors": sum(kind["errors"] for kind in result["kinds"]),
        "different_result": sum(kind["different_result"] for kind in result["kinds"]),
        "lock_wait_total_ps": sum(stat["waittime_total_ps"] for stat in waits),
        "spin_cpu_ps": sum(thread["spin_ps"] for thread in result["threads"]),
        "replace_dark_total_ps": sum(d["replace_dark_total_ps"] for d in result["devices"]),
        "replace_dark_max_ps": max(
            (d["replace_dark_max_ps"] for d in result["devices"]), default=0
        ),
        "dark_total_ps": sum(d["dark_total_ps"] for d in result["devices"]),
        "deadlock_cycle": " -> ".join(result["deadlock_cycle"]),
        "broken_invariants": "; ".join(
            broken["invariant"] for broken in result["broken_invariants"]
        ),
    }
