# SPDX-License-Identifier: Apache-2.0
"""Pictures of tidy tables. Every function takes a table and an optional `ax` and returns the Axes;
none calls show(). Colours are those of Okabe and Ito, which colour-blind eyes tell apart."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING, Literal

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from smmulab.study.figures import (
        before_after,
        decision_map,
        gantt,
        latency_cdf,
        latency_percentiles,
        lock_gantt,
        scaling,
        sensitivity_tornado,
        wait_by_class,
        who_blocks_whom,
    )

__all__ = [
    "before_after",
    "comparison",
    "dark",
    "decision_map",
    "gantt",
    "latency",
    "latency_cdf",
    "latency_percentiles",
    "lock_gantt",
    "lock_wait",
    "scaling",
    "sensitivity_tornado",
    "throughput",
    "tlb",
    "tlb_latency",
    "tlb_sizes",
    "tornado",
    "tornado_p99",
    "wait_by_class",
    "what_if",
    "who_blocks_whom",
]

COLOURS = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9", "#F0E442", "#000000")
_MARKERS = ("o", "s", "D", "^", "v", "P", "X", "*")
_HATCHES = ("", "//", "..", "xx", "\\\\", "--", "oo", "++")
_ALARM = "#B00020"
_PS_PER_US = 1e6
_PS_PER_MS = 1e9
# A class of locks with less than this part of the longest bar would not be seen.
_THINNEST = 0.01


def _axes(ax: Axes | None) -> Axes:
    return Figure(figsize=(8, 4.5), layout="constrained").add_subplot() if ax is None else ax


def _log_us(ax: Axes, axis: Literal["x", "y"], values: Iterable[float]) -> None:
    """A log axis around `values` (us; what is not above 0 has no place on it), without ticks if none
    is positive. Of the ticks between powers of ten all get a number within a decade, 2 and 5 within
    two, none beyond, so that labels never overlap."""
    shown = [value for value in values if value > 0]
    which = ax.xaxis if axis == "x" else ax.yaxis
    if not shown:
        which.set_ticks([])
        return
    low, high = min(shown) / 1.3, max(shown) * 1.3
    widen = max(1.0, math.sqrt(4 / (high / low)))
    low, high = low / widen, high * widen
    # The limits first: a log scale looks for some in the data if it has none.
    (ax.set_xlim if axis == "x" else ax.set_ylim)(low, high)
    (ax.set_xscale if axis == "x" else ax.set_yscale)("log")
    number = FuncFormatter(lambda value, _: f"{value:,.10g}")
    which.set_major_locator(LogLocator(numticks=12))
    which.set_minor_locator(LogLocator(subs=range(2, 10), numticks=12))
    which.set_major_formatter(number)
    digits = "23456789" if high / low < 10 else "25" if high / low < 100 else ""
    which.set_minor_formatter(
        FuncFormatter(lambda value, _: f"{value:,.10g}" if f"{value:e}"[0] in digits else "")
    )
    ax.grid(axis=axis, which="major", color="0.88")
    ax.set_axisbelow(True)


def _rows(ax: Axes, protocols: Iterable[str]) -> None:
    """One row for each protocol, the first on top; as if there were three, if there are fewer."""
    names = list(protocols)
    ax.set_yticks(np.arange(len(names)), names)
    middle, half = (len(names) - 1) / 2, max(len(names), 3) / 2 + 0.1
    ax.set_ylim(middle + half, middle - half)


def _count_errors(count: int) -> str:
    return f"{count:,} error" + ("" if count == 1 else "s")


def latency(frame: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """A dot at p50, a whisker from it to p99 and a tick at the maximum, in us on a log axis, for
    each kind of operation and protocol. `frame`: Comparison.frame(). Kinds seen fewer than ten
    times are left out, unless that leaves none; so are protocols that deadlocked or ended in a wrong
    state. The legend counts operations that failed."""
    ax = _axes(ax)
    finished = frame[frame["status"] == "ok"]
    frame = finished if len(finished) else frame
    often = frame[frame["count"] >= 10]
    protocols = list(frame["protocol"].unique())
    errors = frame.groupby("protocol")["errors"].sum()
    frame = often if len(often) else frame
    kinds = list(frame["kind"].unique())
    step = 0.8 / max(len(protocols), 1)
    for i, protocol in enumerate(protocols):
        part = frame[frame["protocol"] == protocol].set_index("kind").reindex(kinds)
        p50, p99, most = (
            part[f"{name}_ps"].to_numpy(dtype=float) / _PS_PER_US for name in ("p50", "p99", "max")
        )
        at = np.arange(len(kinds)) + (i - (len(protocols) - 1) / 2) * step
        failed = int(errors[protocol])
        colour = COLOURS[i % len(COLOURS)]
        ax.vlines(at, p50, p99, color=colour, linewidth=2)
        ax.plot(at, most, linestyle="", marker="_", markersize=9, color=colour)
        ax.plot(
            at,
            p50,
            linestyle="",
            marker=_MARKERS[(i + i // len(COLOURS)) % len(_MARKERS)],  # no pair comes twice
            color=colour,
            label=f"{protocol} ({_count_errors(failed)})" if failed else protocol,
        )
    _log_us(ax, "y", [*(frame["p50_ps"] / _PS_PER_US), *(frame["max_ps"] / _PS_PER_US)])
    ax.set_xticks(np.arange(len(kinds)), kinds)
    ax.set_xlim(-0.6, len(kinds) - 0.4)
    ax.set_ylabel("latency (us): dot p50, whisker p99, tick max")
    ax.legend(title="protocol", fontsize="small", loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return ax


def throughput(summary: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Successful operations per second of each protocol; the status in place of a bar. Where some
    failed, their number stands at the bar. `summary`: Comparison.summary()."""
    ax = _axes(ax)
    rates = summary["ops_per_s"].fillna(0.0).to_numpy(dtype=float) / 1e3
    ax.barh(np.arange(len(summary)), rates, color=COLOURS[0])
    most = rates.max(initial=0.0) or 1.0
    marks = zip(rates, summary["status"], summary["errors"], strict=True)
    for place, (rate, status, errors) in enumerate(marks):
        words = [status] if status != "ok" else []
        words += [_count_errors(errors)] if errors else []
        ax.text(rate + 0.02 * most, place, ", ".join(words), va="center", color=_ALARM)
    marked = (summary["errors"] > 0).any() or (summary["status"] != "ok").any()
    ax.set_xlim(0, most * (1.5 if marked else 1.05))
    _rows(ax, summary["protocol"])
    ax.set_xlabel("thousand operations per second,\nthe successful ones")
    return ax


def _lock_parts(table: pd.DataFrame, most: int) -> pd.DataFrame:
    """The columns worth a name: the `most` costly classes that can be seen, and the others."""
    thinnest = _THINNEST * table.sum(axis=1).max()
    order = table.sum().sort_values(ascending=False, kind="stable").index
    seen = [name for name in order if table[name].max() > thinnest][:most]
    parts = table[seen].copy()
    others = table.drop(columns=seen).sum(axis=1)
    # matplotlib leaves a name with an underscore out of the legend.
    parts["others" if others.max() > thinnest else "_others"] = others
    return parts


def lock_wait(locks: pd.DataFrame, ax: Axes | None = None, most: int = 5) -> Axes:
    """Stacked bars: total wait (ms) of each protocol by lock class; the `most` costly classes over
    all protocols, the others as one. The legend leaves out what is too thin to be seen. `locks`:
    Comparison.locks()."""
    ax = _axes(ax)
    ax.set_xlabel("total lock wait of all threads (ms)")
    if locks.empty:
        return ax
    table = locks.pivot_table(
        index="protocol", columns="class", values="waittime_total_ps", aggfunc="sum", sort=False
    ).fillna(0.0)
    left = np.zeros(len(table))
    for i, (name, values) in enumerate(_lock_parts(table / _PS_PER_MS, most).items()):
        widths = values.to_numpy(dtype=float)
        ax.barh(
            np.arange(len(table)),
            widths,
            left=left,
            label=str(name),
            color=COLOURS[i % len(COLOURS)],
            hatch=_HATCHES[i % len(_HATCHES)],
            edgecolor="white",
        )
        left = left + widths
    _rows(ax, table.index)
    ax.set_xlim(0, 1.05 * (left.max() or 1.0))
    if left.max() > 0:
        ax.legend(
            title="lock class",
            fontsize="small",
            ncols=2,
            loc="upper center",
            bbox_to_anchor=(0.5, -0.18),
        )
    else:
        ax.text(0.5, 0.5, "nobody waited", ha="center", transform=ax.transAxes)
    return ax


def dark(
    devices: pd.DataFrame, ax: Axes | None = None, summary: pd.DataFrame | None = None
) -> Axes:
    """How long a replace leaves its device's DMA dark, in us on a log axis: a dot at the mean over
    all replaces, a line to the longest. `devices`: Comparison.devices(); with `summary`,
    Comparison.summary(), a protocol that deadlocked or ended in a wrong state has its status there
    instead, as in `throughput`."""
    ax = _axes(ax)
    ax.set_xlabel("DMA dark in a replace (us):\ndot mean, tick longest")
    if devices.empty:
        return ax
    rows = devices.groupby("protocol", sort=False).agg(
        replaces=("replaces", "sum"),
        total=("replace_dark_total_ps", "sum"),
        longest=("replace_dark_max_ps", "max"),
    )
    status = ["ok"] * len(rows)
    if summary is not None:
        status = list(summary.set_index("protocol")["status"].reindex(rows.index, fill_value="ok"))
    rows.loc[[ended != "ok" for ended in status]] = 0
    mean = (rows["total"] / rows["replaces"].where(rows["replaces"] > 0)).to_numpy() / _PS_PER_US
    longest = rows["longest"].where(rows["longest"] > 0).to_numpy(dtype=float) / _PS_PER_US
    places = np.arange(len(rows))
    ax.hlines(places, mean, longest, color=COLOURS[0], linewidth=2)
    ax.plot(longest, places, linestyle="", marker="|", markersize=9, color=COLOURS[0])
    ax.plot(mean, places, linestyle="", marker="o", color=COLOURS[0])
    _log_us(ax, "x", [*mean, *longest])
    for place, (value, ended) in enumerate(zip(mean, status, strict=True)):
        if not value > 0:
            words = "no replace" if np.isnan(value) else "never dark"
            ax.text(
                0.02,
                place,
                words if ended == "ok" else ended,
                va="center",
                color="black" if ended == "ok" else _ALARM,
                transform=ax.get_yaxis_transform(),
            )
    _rows(ax, rows.index)
    return ax


def comparison(
    frame: pd.DataFrame,
    summary: pd.DataFrame,
    locks: pd.DataFrame,
    devices: pd.DataFrame,
    title: str = "",
) -> Figure:
    """The one figure of `smmulab compare`: throughput, lock wait, dark time, latency."""
    figure = Figure(figsize=(12, 8), layout="constrained")
    grid = figure.add_gridspec(2, 3)
    panels = [figure.add_subplot(grid[0, column]) for column in range(3)]
    throughput(summary, panels[0])
    lock_wait(locks, panels[1])
    dark(devices, panels[2], summary)
    # The rows are the same ones: named once.
    for panel in panels[1:]:
        if [text.get_text() for text in panel.get_yticklabels()] == list(summary["protocol"]):
            panel.tick_params(labelleft=False)
    latency(frame, figure.add_subplot(grid[1, :]))
    if title:
        figure.suptitle(title)
    return figure


def _bars(ax: Axes, rows: pd.DataFrame, gain: str, most: int) -> None:
    """Bars of `gain` (%), the largest by magnitude on top; a half of a cost lies on the whole."""
    ax.axvline(0, color="black", linewidth=0.8)
    rows = rows.dropna(subset=[gain])
    cost = rows["change"].isin(["cost", "block"])
    # Of a lock there may be several changes: each is a row.
    rows = rows.assign(what=rows["what"].where(cost, rows["what"] + " " + rows["to"]))
    size = rows.groupby("what", sort=False)[gain].agg(lambda values: values.abs().max())
    names = list(size[size >= 0.0005].sort_values(ascending=False, kind="stable").index[:most])
    for to, colour in (("x0", COLOURS[0]), ("x0.5", COLOURS[5]), ("", COLOURS[1])):
        part = rows[rows["to"] == to] if to else rows[~rows["to"].isin(["x0", "x0.5"])]
        values = (part.set_index("what")[gain].reindex(names) * 100).to_numpy(dtype=float)
        if not np.isnan(values).all():
            label = {
                "x0": "cost 0",
                "x0.5": "cost halved",
                "": "lock free or split, or setting changed",
            }[to]
            ax.barh(np.arange(len(names)), np.nan_to_num(values), color=colour, label=label)
    wrong = set(rows.loc[rows["status"] != "ok", "what"])
    _rows(ax, [name + (" (state broke)" if name in wrong else "") for name in names])
    if names and ax.get_xlim()[0] < -100:
        ax.set_xlim(left=-100)
        for place, name in enumerate(names):
            least = float(rows.loc[rows["what"] == name, gain].min()) * 100
            if least < -100:
                ax.text(-98, place, f"{least:,.0f} %", va="center", color="white")
    if names:
        # Below: bars reach every corner.
        ax.legend(fontsize="small", ncols=2, loc="upper center", bbox_to_anchor=(0.5, -0.1))
    else:
        ax.text(0.5, 0.5, "nothing changes it", ha="center", transform=ax.transAxes)


def tornado(summary: pd.DataFrame, ax: Axes | None = None, most: int = 15) -> Axes:
    """What each change does to throughput, in %, the largest effect on top. `summary`:
    WhatIf.summary()."""
    ax = _axes(ax)
    _bars(ax, summary, "ops_gain", most)
    ax.set_xlabel("change of throughput (%)")
    return ax


def tornado_p99(frame: pd.DataFrame, kind: str, ax: Axes | None = None, most: int = 15) -> Axes:
    """What each change takes from the p99 of one kind of operation, in %. `frame`:
    WhatIf.frame()."""
    ax = _axes(ax)
    _bars(ax, frame[frame["kind"] == kind], "p99_gain", most)
    ax.set_xlabel(f"p99 of {kind}: less by (%)")
    return ax


def what_if(summary: pd.DataFrame, frame: pd.DataFrame, title: str = "") -> Figure:
    """The one figure of `smmulab whatif`: throughput, and p99 of the most frequent operation."""
    figure = Figure(figsize=(12, 6.5), layout="constrained")
    left, right = (figure.add_subplot(1, 2, column) for column in (1, 2))
    tornado(summary, left)
    kind = str(frame["kind"].iloc[int(frame["count"].argmax())]) if len(frame) else ""
    tornado_p99(frame, kind, right)
    if title:
        figure.suptitle(title)
    return figure


def tlb(frame: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Hit ratio (left) and table reads per access (right) against the values of the swept size.
    `frame`: that of `smmulab.tlb`; a missing ratio is a gap."""
    ax = _axes(ax)
    at = np.arange(len(frame))
    ratio = frame["hit_ratio"].to_numpy(dtype=float)
    reads = frame["reads_per_access"].to_numpy(dtype=float)
    (hits,) = ax.plot(at, ratio, marker=_MARKERS[0], color=COLOURS[0], label="hit ratio")
    ax.set_ylim(-0.03, 1.03)
    ax.set_ylabel("hit ratio of micro and main TLB")
    ax.set_xticks(at, [str(value) for value in frame["value"]])
    ax.set_xlabel(str(frame["key"].iloc[0]) if len(frame) else "")
    ax.grid(axis="y", color="0.88")
    other = ax.twinx()
    (walks,) = other.plot(
        at, reads, marker=_MARKERS[1], linestyle="--", color=COLOURS[1], label="reads per access"
    )
    highest = reads.max(initial=0.0, where=np.isfinite(reads))
    other.set_ylim(bottom=0, top=max(highest * 1.05, 0.01))
    other.set_ylabel("table and configuration reads per access")
    ax.legend(
        handles=[hits, walks],
        fontsize="small",
        ncols=2,
        loc="upper center",
        bbox_to_anchor=(0.5, -0.12),
    )
    return ax


def tlb_latency(frame: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """What a translation takes (mean, median, 99th percentile) against the values of the swept size.
    `frame`: that of `smmulab.tlb`; a missing time is a gap."""
    ax = _axes(ax)
    at = np.arange(len(frame))
    shown: list[float] = []
    for n, (name, label) in enumerate((("mean", "mean"), ("p50", "median"), ("p99", "p99"))):
        times = frame[f"{name}_ns"].to_numpy(dtype=float)
        shown += times[np.isfinite(times)].tolist()
        style = "-" if name == "mean" else "--"
        ax.plot(at, times, marker=_MARKERS[n], linestyle=style, color=COLOURS[n], label=label)
    ax.set_ylim(bottom=0, top=max([*shown, 0.01]) * 1.05)
    ax.set_ylabel("translation latency [ns]")
    ax.set_xticks(at, [str(value) for value in frame["value"]])
    ax.set_xlabel(str(frame["key"].iloc[0]) if len(frame) else "")
    ax.grid(axis="y", color="0.88")
    ax.legend(fontsize="small", ncols=3, loc="upper center", bbox_to_anchor=(0.5, -0.12))
    return ax


def tlb_sizes(frame: pd.DataFrame) -> Figure:
    """`tlb` and, where anything was timed, `tlb_latency` below it."""
    timed = bool(frame["mean_ns"].notna().any())
    figure = Figure(figsize=(8, 8.5 if timed else 4.5), layout="constrained")
    axes = figure.subplots(2 if timed else 1, squeeze=False)[:, 0]
    tlb(frame, axes[0])
    if timed:
        tlb_latency(frame, axes[1])
    return figure


def __getattr__(name: str) -> object:
    """Those of studies: they build on this module."""
    if name not in __all__:
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    from smmulab.study import figures  # noqa: PLC0415

    return getattr(figures, name)
