# SPDX-License-Identifier: Apache-2.0
"""What-ifs and blame as plain text, for the terminal."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from smmulab.report import _PS_PER_MS, _PS_PER_US, _table

if TYPE_CHECKING:
    import pandas as pd

    from smmulab.waits import Blame
    from smmulab.what_if import WhatIf

CHANGES_SHOWN = 12
P99_SHOWN = 5
BLAME_SHOWN = 15


def _outcome(rows: pd.DataFrame) -> list[str]:
    words = []
    for status, errors in zip(rows["status"], rows["errors"], strict=True):
        parts = [] if status == "ok" else [status]
        parts += [f"{errors:+d} errors"] if errors else []
        words.append(", ".join(parts))
    return words


def _rest(total: int, shown: int) -> str:
    """That rows were left out, or ""."""
    return f"\n(showing {shown} of {total}; --all for the rest)" if shown < total else ""


def _but(words: list[str]) -> dict[str, list[str]]:
    """The column of what went wrong, if anything did."""
    return {"but": words} if any(words) else {}


def _moving(what_if: WhatIf) -> pd.DataFrame:
    """The changes that move throughput by 0.05 % or more, or end the run early."""
    rows = what_if.summary()
    return rows[rows["ops_gain"].isna() | (rows["ops_gain"].abs() >= 0.0005)]


def _gains(what_if: WhatIf, most: int | None) -> str:
    rows = _moving(what_if)
    shown = rows[["what", "to"]].copy()
    shown["ops/s"] = [f"{rate:,.0f}" for rate in rows["ops_per_s"]]
    shown["gain %"] = rows["ops_gain"] * 100
    shown["lock wait ms"] = rows["lock_wait_total_ps"] / _PS_PER_MS
    shown["spin CPU ms"] = rows["spin_cpu_ps"] / _PS_PER_MS
    if shown.empty:
        return "nothing changes it"
    few = shown.head(most or len(shown))
    text = _table(few.assign(**_but(_outcome(rows.head(len(few))))))
    text += _rest(len(shown), len(few))
    losses = rows[rows["ops_gain"] <= -0.0005]
    if len(losses):
        words = [
            f"{row['what']} {row['to']} ({row['ops_gain'] * 100:.1f} %)"
            for _, row in losses.iloc[::-1].head(3).iterrows()
        ]
        text += "\nWhat costs most: " + ", ".join(words)
    return text


def _p99_gains(what_if: WhatIf, most: int | None) -> str:
    frame = what_if.frame()
    often = frame[frame["count"] >= 10]
    frame = often if len(often) else frame
    order = {kind: place for place, kind in enumerate(frame["kind"].unique())}
    frame = frame.assign(_place=frame["kind"].map(order))
    frame = frame.sort_values(["_place", "p99_gain"], ascending=[True, False], kind="stable")
    every = frame[frame["p99_gain"] >= 0.0005]
    frame = every.groupby("kind", sort=False).head(most or len(every))
    if frame.empty:
        return "nothing shortens it"
    shown = frame[["kind", "what", "to"]].copy()
    shown["p99 us"] = frame["p99_ps"] / _PS_PER_US
    shown["less by %"] = frame["p99_gain"] * 100
    return _table(shown.assign(**_but(_outcome(frame)))) + _rest(len(every), len(frame))


def whatif_summary_text(what_if: WhatIf) -> str:
    """What was tried, and what moves throughput most: what a prompt shows."""
    heading = f"trace {what_if.trace}, protocol {what_if.protocol}: {len(what_if.changes)} changes"
    return f"{heading}\n\n{_gains(what_if, CHANGES_SHOWN)}".replace("--all for", "summary() has")


def blame_summary_text(found: Blame) -> str:
    """Whose waits, and the longest of them: what a prompt shows."""
    heading = f"trace {found.trace}, protocol {found.protocol}: {found.result['status']}"
    return f"{heading}\n\n{_blame_rows(found.frame())}".replace("blame.parquet", "frame()")


def whatif_text(what_if: WhatIf, absent: Iterable[str], *, every: bool = False) -> str:
    """What buys most, for throughput and for the p99 of each operation; with `every`, all that makes a
    difference."""
    base = what_if.base
    rate = base["main_operations"] / max(base["main_span_ps"], 1) * 1e12
    p99 = ", ".join(
        f"{kind['kind']} {kind['latency']['p99_ps'] / _PS_PER_US:,.2f}" for kind in base["kinds"]
    )
    phase = base["main_phase"] or "the whole trace"
    heading = (
        f"trace {what_if.trace} (XXH3-128 {what_if.trace_hash}), protocol {what_if.protocol}: "
        f"{base['main_operations']:,} operations of {phase} at {rate:,.0f} a second; "
        f"p99 (us): {p99}"
    )
    buys = (
        f"What buys most throughput: {len(what_if.changes)} changes, each simulated by itself; "
        f"{len(_moving(what_if))} move it"
    )
    parts = [
        heading,
        buys,
        _gains(what_if, None if every else CHANGES_SHOWN),
        "What shortens the p99 of each operation" + ("" if every else f": the {P99_SHOWN} best"),
        _p99_gains(what_if, None if every else P99_SHOWN),
        "Not tried, the models have it not:\n" + "\n".join(f"- {line}" for line in absent),
    ]
    return "\n\n".join(parts)


def _blame_rows(frame: pd.DataFrame) -> str:
    frame = frame[frame["kind"] == "lock"]
    if frame.empty:
        return "nobody waited for a lock"
    shown = frame.head(BLAME_SHOWN)
    shown = shown.assign(
        holder=shown["holder"].where(shown["holder"] != "", "(on its way)"),
        total=shown["total_ps"] / _PS_PER_US,
        longest=shown["longest_ps"] / _PS_PER_US,
    )
    names = {"waiter_op": "in", "holder_op": "in its", "awaited": "through"}
    names |= {"total": "total us", "longest": "longest us", "count": "times"}
    columns = ["waiter", "waiter_op", "holder", "holder_op", "awaited", "total", "longest", "count"]
    text = _table(shown[columns].rename(columns=names))
    left = len(frame) - len(shown)
    return text + (f"\n({left} more in blame.parquet)" if left else "")


def _other_waits(frame: pd.DataFrame) -> str:
    frame = frame[frame["kind"] != "lock"]
    if frame.empty:
        return "none"
    sums = frame.groupby(["awaited", "waiter_op"], sort=False).agg(
        total=("total_ps", "sum"), longest=("longest_ps", "max"), times=("count", "sum")
    )
    rows = sums.sort_values("total", ascending=False, kind="stable").head(BLAME_SHOWN).reset_index()
    shown = rows[["awaited"]].rename(columns={"awaited": "for"})
    shown["in"] = rows["waiter_op"].where(rows["waiter_op"] != "", "-")
    shown["total us"] = rows["total"] / _PS_PER_US
    shown["longest us"] = rows["longest"] / _PS_PER_US
    shown["times"] = rows["times"]
    return _table(shown)


def _matrix(found: Blame) -> str:
    matrix = found.matrix("op") / _PS_PER_MS
    if matrix.empty:
        return "nobody waited for a lock"
    matrix = matrix.rename(columns={"": "(on its way)"}, index={"": "(no operation)"}).rename_axis(
        columns=None, index="waits \\ holds"
    )
    return _table(matrix.reset_index())


def _path(found: Blame) -> str:
    rows = found.critical_path()
    keys = ["state", "lock_class", "awaited", "op"]
    rows = rows.groupby(keys, sort=False)[["total_ps", "share", "count"]].sum().reset_index()
    rows = rows.sort_values("total_ps", ascending=False, kind="stable").head(BLAME_SHOWN)
    shown = rows[["state"]].copy()
    shown["lock"] = rows["lock_class"].where(rows["lock_class"] != "", "-")
    shown["for"] = rows["awaited"].where(rows["awaited"] != "", "-")
    shown["op"] = rows["op"].where(rows["op"] != "", "-")
    shown["us"] = rows["total_ps"] / _PS_PER_US
    shown["% of run"] = rows["share"] * 100
    shown["stretches"] = rows["count"]
    return _table(shown)


def blame_text(found: Blame) -> str:
    """Who waits for whom, the matrix of operations, the critical path."""
    path = found.path
    heading = (
        f"trace {found.trace} (XXH3-128 {found.trace_hash}), protocol {found.protocol}: "
        f"{found.result['status']}, {path['end_ps'] / _PS_PER_US:,.2f} us"
    )
    critical = (
        f"Critical path: {path['length_ps'] / _PS_PER_US:,.2f} us long, "
        f"{path['switches']:,} times from one thread to another"
    )
    parts = [
        heading,
        "Who waits for whom: each moment of a wait is charged to who holds the lock then",
        _blame_rows(found.frame()),
        "Waits that are nobody's, all threads",
        _other_waits(found.frame()),
        "Waits for locks by operation (ms), all threads",
        _matrix(found),
        critical,
        _path(found),
    ]
    if found.unfinished:
        parts.append(f"{found.unfinished} requests for a lock were never granted")
    if found.result["status"] != "ok":
        parts.append(str(found.result["message"]))
    return "\n\n".join(parts)
