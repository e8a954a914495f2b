# SPDX-License-Identifier: Apache-2.0
"""Pictures of tidy tables. Every function takes a table and an optional `ax` and returns the Axes;
none calls show(). Colours are those of Okabe and Ito, which colour-blind eyes tell apart."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import ScalarFormatter

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

COLOURS = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9", "#F0E442", "#000000")
_HATCHES = ("", "//", "..", "xx", "\\\\", "--", "oo", "++")
_PS_PER_US = 1e6
_PS_PER_MS = 1e9


def _axes(ax: Axes | None) -> Axes:
    return Figure(figsize=(8, 4.5), layout="constrained").add_subplot() if ax is None else ax


def latency(frame: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Bars of p50 with whiskers up to p99, in us on a log axis, for each kind of operation and
    protocol. `frame`: Comparison.frame(). Kinds seen fewer than ten times are left out, unless
    that leaves none."""
    ax = _axes(ax)
    often = frame[frame["count"] >= 10]
    frame = often if len(often) else frame
    kinds = list(frame["kind"].unique())
    protocols = list(frame["protocol"].unique())
    width = 0.8 / max(len(protocols), 1)
    for i, protocol in enumerate(protocols):
        part = frame[frame["protocol"] == protocol].set_index("kind").reindex(kinds)
        p50 = part["p50_ps"].to_numpy(dtype=float) / _PS_PER_US
        p99 = part["p99_ps"].to_numpy(dtype=float) / _PS_PER_US
        ax.bar(
            np.arange(len(kinds)) + (i - (len(protocols) - 1) / 2) * width,
            p50,
            width,
            yerr=np.vstack([np.zeros(len(kinds)), p99 - p50]),
            capsize=2,
            label=protocol,
            color=COLOURS[i % len(COLOURS)],
            hatch=_HATCHES[i % len(_HATCHES)],
            edgecolor="white",
        )
    ax.set_yscale("log")
    ax.yaxis.set_major_formatter(ScalarFormatter())
    ax.yaxis.set_minor_formatter(ScalarFormatter())
    ax.set_xticks(np.arange(len(kinds)), kinds)
    ax.set_ylabel("latency (us): bar p50, whisker p99")
    ax.legend(title="protocol", fontsize="small")
    return ax


def throughput(summary: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Operations per second of each protocol; the status in place of a bar. `summary`:
    Comparison.summary()."""
    ax = _axes(ax)
    places = np.arange(len(summary))
    ax.barh(places, summary["ops_per_s"].fillna(0.0) / 1e3, color=COLOURS[0])
    for place, status in zip(places, summary["status"], strict=True):
        if status != "ok":
            ax.text(0, float(place), f" {status}", va="center")
    ax.set_yticks(places, list(summary["protocol"]))
    ax.invert_yaxis()
    ax.set_xlabel("thousand operations per second")
    return ax


def lock_wait(locks: pd.DataFrame, ax: Axes | None = None, most: int = 5) -> Axes:
    """Stacked bars: total wait (ms) of each protocol by lock class; the `most` costly classes over
    all protocols, the others as one. `locks`: Comparison.locks()."""
    ax = _axes(ax)
    if locks.empty:
        return ax
    table = locks.pivot_table(
        index="protocol", columns="class", values="waittime_total_ps", aggfunc="sum", sort=False
    ).fillna(0.0)
    costly = list(table.sum().sort_values(ascending=False, kind="stable").index[:most])
    parts: Mapping[str, pd.Series[float]] = {name: table[name] for name in costly}
    rest = table.drop(columns=costly).sum(axis=1)
    if rest.sum() > 0:
        parts = {**parts, "others": rest}
    left = np.zeros(len(table))
    for i, (name, values) in enumerate(parts.items()):
        widths = values.to_numpy(dtype=float) / _PS_PER_MS
        ax.barh(
            np.arange(len(table)),
            widths,
            left=left,
            label=name,
            color=COLOURS[i % len(COLOURS)],
            hatch=_HATCHES[i % len(_HATCHES)],
            edgecolor="white",
        )
        left = left + widths
    ax.set_yticks(np.arange(len(table)), list(table.index))
    ax.invert_yaxis()
    ax.set_xlabel("total lock wait of all threads (ms)")
    ax.legend(title="lock class", fontsize="small")
    return ax


def comparison(
    frame: pd.DataFrame, summary: pd.DataFrame, locks: pd.DataFrame, title: str = ""
) -> Figure:
    """The one figure of `smmulab compare`: throughput, latency, lock wait."""
    figure = Figure(figsize=(11, 7.5), layout="constrained")
    grid = figure.add_gridspec(2, 2)
    throughput(summary, figure.add_subplot(grid[0, 0]))
    lock_wait(locks, figure.add_subplot(grid[0, 1]))
    latency(frame, figure.add_subplot(grid[1, :]))
    if title:
        figure.suptitle(title)
    return figure
