# SPDX-License-Identifier: Apache-2.0
"""Pictures of the map+unmap loop and of devices' DMA. As in plot.py: a tidy table and an optional `ax` in, the Axes out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter, ScalarFormatter

from smmulab.plot import COLOURS, _log_us

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

_PS_PER_US = 1e6
_MARKERS = ("o", "s", "D", "^", "v", "P")


def throughput(
    table: pd.DataFrame, measured: pd.DataFrame | None = None, ax: Axes | None = None
) -> Axes:
    """Million map+unmap per second of all CPUs over their number: a line for each variant, and
    crosses where it was measured. `table`: map_bench(); `measured`: columns variant, cpus, mops."""
    ax = Figure(figsize=(7, 4.2), layout="constrained").add_subplot() if ax is None else ax
    for i, (variant, part) in enumerate(table.groupby("variant", sort=False)):
        colour = COLOURS[i % len(COLOURS)]
        ax.plot(
            part["cpus"],
            part["mops"],
            color=colour,
            marker=_MARKERS[i % len(_MARKERS)],
            markersize=5,
            label=str(variant),
        )
        if measured is not None:
            points = measured[measured["variant"] == variant]
            ax.plot(
                points["cpus"],
                points["mops"],
                linestyle="",
                marker="x",
                markersize=8,
                markeredgewidth=2,
                color=colour,
                label=f"{variant}, measured",
            )
    ax.set_xscale("log", base=2)
    counts = sorted({int(count) for count in table["cpus"]})
    ax.set_xticks(counts)
    ax.xaxis.set_major_formatter(ScalarFormatter())
    ax.xaxis.set_minor_formatter(NullFormatter())
    ax.set_ylim(0, None)
    ax.grid(color="0.88")
    ax.set_axisbelow(True)
    ax.set_xlabel("CPUs in the loop")
    ax.set_ylabel("million map+unmap per second, all CPUs")
    ax.legend(fontsize="small", loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return ax


def dark(devices: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """How long devices' DMA was refused at a time, in us on a log axis, a row for each protocol: a dot
    at the mean of all windows, a tick at the longest, "never dark" if there was none. `devices`:
    Comparison.devices() of a run with streams."""
    ax = Figure(figsize=(7, 2.6), layout="constrained").add_subplot() if ax is None else ax
    rows = devices.groupby("protocol", sort=False).agg(
        windows=("dma_dark_windows", "sum"),
        total=("dma_dark_total_ps", "sum"),
        longest=("dma_dark_max_ps", "max"),
    )
    mean = rows["total"] / rows["windows"].where(rows["windows"] > 0) / _PS_PER_US
    longest = rows["longest"].where(rows["longest"] > 0) / _PS_PER_US
    places = range(len(rows))
    ax.hlines(places, mean, longest, color=COLOURS[0], linewidth=2)
    ax.plot(longest, places, linestyle="", marker="|", markersize=9, color=COLOURS[0])
    ax.plot(mean, places, linestyle="", marker="o", color=COLOURS[0])
    ax.set_ylim(len(rows) - 0.4, -0.7)
    _log_us(ax, "x", [*mean, *longest])
    for place, protocol in enumerate(rows.index):
        count = int(rows["windows"][protocol])
        if count:
            value = mean[protocol]
            text = f"{f'{value:,.1f}' if value >= 1 else f'{value:.3g}'} us, {count:,} times"
            at = ax.transAxes.inverted().transform(ax.transData.transform((value, place)))[0]
            side = "left" if at < 0.5 else "right"  # so that it ends within the axes
            ax.annotate(text, (value, place), (0, 7), textcoords="offset points", ha=side)
        else:
            ax.text(0.02, place, "never dark", va="center", transform=ax.get_yaxis_transform())
    ax.set_yticks(list(places), [str(name) for name in rows.index])
    ax.set_xlabel(
        "DMA refused, from the first transaction to the next that passed (us):\n"
        "dot mean, tick longest"
    )
    return ax
