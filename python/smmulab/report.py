# SPDX-License-Identifier: Apache-2.0
"""Results as plain text, for the terminal."""

from __future__ import annotations

import math
from collections.abc import Mapping
from html import escape
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

    from smmulab.comparison import Comparison
    from smmulab.running import Result

_PS_PER_NS = 1e3
_PS_PER_US = 1e6
_PS_PER_MS = 1e9
LOCKS_SHOWN = 5

_DMA_LEGEND = (
    "aborted: the device was detached; faulted: not mapped; translation: from issue to the way to "
    "memory;\nTLB reach: what the TLB entries that it filled cover, mean over time;\n"
    "dark window: from the first aborted or faulted one after one that passed to the next that passes;\n"
    "old use: the longest time after an unmap that its translation was still used; "
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
        "TLB reach KiB": frame["dma_tlb_reach_mean_bytes"] / 1024,
        "dark windows": frame["dma_dark_windows"].map("{:,.0f}".format),
        "dark ms": frame["dma_dark_total_ps"] / _PS_PER_MS,
        "longest dark us": frame["dma_dark_max_ps"] / _PS_PER_US,
        "old use us": frame["dma_old_use_max_ps"] / _PS_PER_US,
    }
    legend = _DMA_LEGEND
    if "dma_atc_hits" in frame:
        legend += "\nATC hit: transactions that found their translation in the device, of those that looked"
        asked = frame["dma_atc_hits"] + frame["dma_translation_requests"]
        values["ATC hit %"] = 100 * frame["dma_atc_hits"] / asked
    # Of a device none of whose transactions passed there is nothing to tell.
    passed = frame["dma_passed"] > 0
    shown = shown.assign(**{name: column.where(passed) for name, column in values.items()})
    if "dma_events" in frame:
        shown["events"] = frame["dma_events"].map("{:,.0f}".format)
        shown["lost"] = frame["dma_events_lost"].map("{:,.0f}".format)
        legend += (
            "\nevents: faults with a record in the event queue; lost: those that found it full"
        )
    return _table(shown) + "\n" + legend


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
