# SPDX-License-Identifier: Apache-2.0
"""Tidy tables from the JSON documents of replays. Times are integers in ps; `_ps` says so."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
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

_PMU = ("protocol", "smmu", "unit", "event", "id", "count")
_PERCENTILES = ("mean", "p50", "p99")


def _frame(rows: list[dict[str, Any]]) -> pd.DataFrame:
    import pandas as pd  # noqa: PLC0415  most of a start-up's time

    return pd.DataFrame(rows)


def operations(results: Iterable[Result]) -> pd.DataFrame:
    """A row for each protocol and kind of operation (Comparison.frame)."""
    return _frame(operation_rows(results))


def operation_rows(results: Iterable[Result]) -> list[dict[str, Any]]:
    """The same as plain rows."""
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
    return rows


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
    return _sorted(lockstat_rows(results), "waittime_total_ps")


def lockstat_rows(results: Iterable[Result]) -> list[dict[str, Any]]:
    """The same as plain rows, in the order of the results."""
    return [
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


def tracepoints(rows: list[dict[str, Any]]) -> pd.DataFrame:
    """Contention beside what the tracepoints show of it (Blame.tracepoints)."""
    return _frame(
        [{**row, "unseen_wait_ps": row["wait_total_ps"] - row["seen_wait_ps"]} for row in rows]
    )


def devices(results: Iterable[Result]) -> pd.DataFrame:
    """A row for each protocol and device (Comparison.devices)."""
    return _frame(
        [{"protocol": result["protocol"], **d} for result in results for d in result["devices"]]
    )


def pmu(results: Iterable[Result]) -> pd.DataFrame:
    """A row for each protocol, SMMU, unit and event (Comparison.pmu)."""
    import pandas as pd  # noqa: PLC0415  most of a start-up's time

    # A run that ended without a result has none.
    rows = [
        {"protocol": result["protocol"], **row}
        for result in results
        for row in result.get("pmu", ())
    ]
    return pd.DataFrame(rows, columns=list(_PMU))


def warnings(results: Sequence[Result]) -> list[str]:
    """What replays warn of, each once; and devices whose DMA never passed, in no run that ended well."""
    found = list(dict.fromkeys(text for result in results for text in result["warnings"]))
    passed: dict[str, bool] = {}
    for result in results:
        for device in result["devices"] if result["status"] == "ok" else ():
            if device.get("dma_transactions"):
                name = device["device"]
                passed[name] = passed.get(name, False) or device["dma_passed"] > 0
    if never := [name for name, some in passed.items() if not some]:
        found.append(
            f"no DMA of {', '.join(never)} passed: it aborted (detached) or faulted (not mapped) "
            "all the time; are its IOVAs those that the operations map?"
        )
    return found


def summary(results: Iterable[Result]) -> pd.DataFrame:
    """A row for each protocol (Comparison.summary)."""
    return _frame([summary_row(result) for result in results])


def summary_row(result: Result) -> dict[str, Any]:
    """The row of one protocol."""
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
        "spin_cpu_ps": sum(stat["wait_spin_ps"] for stat in waits),
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


def dma_totals(result: Result) -> dict[str, Any]:
    """The DMA of all devices that had a stream: sums, of *_max_* and percentiles the largest of a
    device's. Empty if none had."""
    rows = [device for device in result["devices"] if device.get("dma_transactions")]
    names = dict.fromkeys(name for row in rows for name in row if name.startswith("dma_"))
    return {
        name: (max if _of_the_worst(name) else sum)(row.get(name, 0) for row in rows)
        for name in names
    }


def _of_the_worst(name: str) -> bool:
    return name.endswith(("_max_ps", "_max_bytes")) or name.startswith("dma_translation_p")


def unfinished(protocol: str, status: str, message: str) -> dict[str, Any]:
    """The document of a run that ended without results."""
    nothing: list[Any] = []
    return {
        "protocol": protocol,
        "status": status,
        "message": message,
        "deadlock_cycle": nothing,
        "broken_invariants": nothing,
        "main_phase": "",
        "main_operations": 0,
        "main_span_ps": 0,
        "kinds": nothing,
        "locks": nothing,
        "devices": nothing,
        "threads": nothing,
    }


def _rate(result: Result) -> float:
    """Operations per second of the main phase; of a run in a wrong state, too."""
    span_s = result["main_span_ps"] / _PS_PER_S
    if result["status"] not in ("ok", "wrong state") or span_s <= 0:
        return math.nan
    return float(result["main_operations"] / span_s)


def _errors(result: Result) -> int:
    return sum(kind["errors"] for kind in result["kinds"])


def _change_row(base: Result, names: Mapping[str, str], result: Result) -> dict[str, Any]:
    rate = _rate(result)
    return {
        **names,
        "status": result["status"],
        "errors": _errors(result) - _errors(base),
        "ops_per_s": rate,
        "ops_gain": rate / _rate(base) - 1,
    }


def what_if(base: Result, pairs: Iterable[tuple[Mapping[str, str], Result]]) -> pd.DataFrame:
    """A row for each change and kind of operation (WhatIf.frame)."""
    before = {kind["kind"]: kind["latency"] for kind in base["kinds"]}
    rows = []
    for names, result in pairs:
        row = _change_row(base, names, result)
        finished = not math.isnan(row["ops_per_s"])
        after = {kind["kind"]: kind["latency"] for kind in result["kinds"]} if finished else {}
        for kind, latency in before.items():
            now = after.get(kind, {})
            was = latency["p99_ps"]
            rows.append(
                {
                    **row,
                    "kind": kind,
                    "count": latency["count"],
                    **{f"{name}_ps": now.get(f"{name}_ps", math.nan) for name in _PERCENTILES},
                    "p99_gain": 1 - now.get("p99_ps", math.nan) / was if was else 0.0,
                }
            )
    return _frame(rows)


def what_if_summary(
    base: Result, pairs: Iterable[tuple[Mapping[str, str], Result]]
) -> pd.DataFrame:
    """A row for each change, most throughput first (WhatIf.summary)."""
    rows = []
    for names, result in pairs:
        totals = summary_row(result)
        row = _change_row(base, names, result)
        for column in ("lock_wait_total_ps", "spin_cpu_ps"):
            row[column] = totals[column]
        rows.append(row)
    frame = _frame(rows)
    return frame.sort_values("ops_gain", ascending=False, kind="stable", ignore_index=True)


_BLAME = (
    "waiter",
    "waiter_op",
    "holder",
    "holder_op",
    "kind",
    "awaited",
    "lock_class",
    "total_ps",
    "longest_ps",
    "count",
)
_PATH = (
    "thread",
    "op",
    "state",
    "lock_class",
    "awaited",
    "total_ps",
    "longest_ps",
    "share",
    "count",
)


def blame(rows: Iterable[Result]) -> pd.DataFrame:
    """A row for each waiter, holder and lock instance (Blame.frame)."""
    import pandas as pd  # noqa: PLC0415  most of a start-up's time

    return pd.DataFrame([dict(row) for row in rows], columns=list(_BLAME))


def blame_matrix(rows: Iterable[Result], side: str) -> pd.DataFrame:
    """Time waited for locks, waiters by holders (Blame.matrix)."""
    frame = blame(rows)
    frame = frame[frame["kind"] == "lock"]
    waiter, holder = ("waiter", "holder") if side == "thread" else ("waiter_op", "holder_op")
    matrix = frame.pivot_table(
        index=waiter, columns=holder, values="total_ps", aggfunc="sum", fill_value=0
    )
    return matrix.astype("int64") if len(matrix) else matrix


def critical_path(path: Result) -> pd.DataFrame:
    """A row for each kind of stretch (Blame.critical_path)."""
    import pandas as pd  # noqa: PLC0415  most of a start-up's time

    length = path["length_ps"] or 1
    rows = [{**row, "share": row["total_ps"] / length} for row in path["rows"]]
    return pd.DataFrame(rows, columns=list(_PATH))
