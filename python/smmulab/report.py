# SPDX-License-Identifier: Apache-2.0
"""Results as plain text, for the terminal."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from html import escape
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

    from smmulab.comparison import Comparison
    from smmulab.running import Result
    from smmulab.waits import Blame
    from smmulab.what_if import WhatIf

_PS_PER_NS = 1e3
_PS_PER_US = 1e6
_PS_PER_MS = 1e9
LOCKS_SHOWN = 5
CHANGES_SHOWN = 12
P99_SHOWN = 5
BLAME_SHOWN = 15

_DMA_LEGEND = (
    "aborted: the device was detached; faulted: not mapped; translation: from issue to the way to "
    "memory;\ndark window: from the first aborted or faulted one after one that passed to the next "
    "that passes;\nold use: the longest time after an unmap that its translation was still used; "
    "-: none passed"
)


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


def _dma(comparison: Comparison) -> str:
    """What devices' DMA went through, a row for each protocol and device; "" without streams."""
    frame = comparison.devices()
    if "dma_transactions" not in frame:
        return ""
    frame = frame[frame["dma_transactions"].notna()]
    shown = frame[["protocol", "device"]].copy()
    for name in ("passed", "aborted", "faulted"):
        shown[name] = [f"{count:,.0f}" for count in frame[f"dma_{name}"]]
    values = {
        "GB/s": frame["dma_bytes_per_s"] / 1e9,
        "translation p50 ns": frame["dma_translation_p50_ps"] / _PS_PER_NS,
        "p99 ns": frame["dma_translation_p99_ps"] / _PS_PER_NS,
        "dark windows": frame["dma_dark_windows"].map("{:,.0f}".format),
        "dark ms": frame["dma_dark_total_ps"] / _PS_PER_MS,
        "longest dark us": frame["dma_dark_max_ps"] / _PS_PER_US,
        "old use us": frame["dma_old_use_max_ps"] / _PS_PER_US,
    }
    # Of a device none of whose transactions passed there is nothing to tell.
    passed = frame["dma_passed"] > 0
    shown = shown.assign(**{name: column.where(passed) for name, column in values.items()})
    return _table(shown) + "\n" + _DMA_LEGEND


def _pace(config: Mapping[str, Any]) -> str:
    """When operations are issued."""
    if config["replay.mode"] == "timed":
        return "each at its recorded time (replay.mode=timed)"
    return {
        "zero": "closed loop without think times (replay.think=zero)",
        "recorded": "closed loop with recorded think times",
        "slept": "closed loop with recorded think times, asleep",
    }[str(config["replay.think"])]


def _heading(comparison: Comparison) -> str:
    first = comparison.results[0]
    phase = first["main_phase"] or "the whole trace"
    dma = ""
    if comparison.dma_trace is not None:
        dma = f"DMA of {comparison.dma_trace} (XXH3-128 {comparison.dma_trace_hash}), "
    return (
        f"trace {comparison.trace} (XXH3-128 {comparison.trace_hash}), {dma}"
        f"{first['operations']} operations, {_pace(comparison.config)}; rates are of phase {phase}, on the SMMU driver of "
        f"Linux {comparison.config['driver.version']}"
    )


def _verdicts(comparison: Comparison) -> str:
    """How runs ended that did not end well."""
    return "".join(
        f"\n\n{result['protocol']}: {result['message']}"
        for result in comparison.results
        if result["status"] != "ok"
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
    if dma := _dma(comparison):
        parts += [
            "DMA of each device, by transactions",
            dma,
        ]
    return "\n\n".join(parts) + _verdicts(comparison)


def summary_text(comparison: Comparison) -> str:
    """What was compared, and the first table of it: what a prompt shows."""
    if not comparison.results:
        return f"trace {comparison.trace}: nothing was run"
    return f"{_heading(comparison)}\n\n{_protocols(comparison)}{_verdicts(comparison)}"


def html(text: str) -> str:
    """Text as a notebook shows it: as it is, in columns."""
    return f"<pre>{escape(text)}</pre>"


def run_text(result: Result) -> str:
    """The tables of one run."""
    return text(_alone(result)).replace("(XXH3-128 ", "(run ", 1)


def run_summary_text(result: Result) -> str:
    """What was run, and the first table of it: what a prompt shows."""
    return summary_text(_alone(result)).replace("(XXH3-128 ", "(run ", 1)


def _alone(result: Result) -> Comparison:
    from smmulab.comparison import Comparison  # noqa: PLC0415  it draws on this module's users

    config = result.config
    name = config.trace or "generated, " + ", ".join(
        f"{key}={value}" for key, value in (config.workload or config).to_dict().items()
    )
    parameters = config.parameters
    if config.workload is not None and config.workload.has_think:
        parameters["replay.think"] = "recorded"  # as Config.assignments has it
    return Comparison(name, result.run_id[:12], config.engine, parameters, [result.document])


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
