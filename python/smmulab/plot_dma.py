# SPDX-License-Identifier: Apache-2.0
"""Pictures of the map+unmap loop. As in plot.py: a tidy table and an optional `ax` in, the Axes out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter, ScalarFormatter

from smmulab.plot import COLOURS

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

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
