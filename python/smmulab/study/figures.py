# SPDX-License-Identifier: Apache-2.0
"""Pictures of studies; users find them in `smmulab.plot`. Each takes a tidy table and an optional
`ax` and returns the Axes. Lines differ by colour (Okabe and Ito) and by marker; every axis has its
unit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.ticker import FixedLocator, FuncFormatter, NullFormatter, NullLocator

from smmulab._core import ConfigError
from smmulab.plot import _HATCHES, _MARKERS, COLOURS, _axes, _log_us, _rows
from smmulab.study.statistics import PROTOCOL, check_repeated, column, intervals

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

_UNITS = {"_ps": (1e6, "us"), "_per_s": (1e3, "thousands a second")}
_WORDS = {
    "ops_per_s": "successful operations",
    "lock_wait_total_ps": "lock wait, all threads",
    "spin_cpu_ps": "CPU time spent spinning for locks",
    "replace_dark_total_ps": "DMA dark during replaces, all devices",
    "replace_dark_max_ps": "longest DMA darkness of a replace",
    "dma_bytes_per_s": "DMA of all devices",
    "dma_dark_total_ps": "DMA refused, all devices",
}


def _style(place: int) -> dict[str, Any]:
    return {
        "color": COLOURS[place % len(COLOURS)],
        "marker": _MARKERS[(place + place // len(COLOURS)) % len(_MARKERS)],
    }


def _scale(name: str) -> tuple[float, str]:
    """(what to divide by, axis label) of a column."""
    for end, (divisor, unit) in _UNITS.items():
        if name.endswith(end):
            words = _WORDS.get(name, name.removesuffix(end).replace("_", " "))
            return divisor, f"{words} ({unit})"
    return 1.0, name.replace("_", " ")


def _short(name: str) -> str:
    return name.removeprefix("param.").removeprefix("generate.")


def _log2(ax: Axes, values: Any) -> None:
    """A log2 axis with a tick at each measured value."""
    ticks = np.unique(np.asarray(values, dtype=float))
    if not len(ticks) or ticks[0] <= 0:
        return
    ax.set_xscale("log", base=2)
    ax.set_xlim(ticks[0] / 1.15, ticks[-1] * 1.15)
    ax.xaxis.set_major_locator(FixedLocator(list(ticks)))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.10g}"))


def scaling(
    frame: pd.DataFrame,
    x: str = "cores",
    y: str = "ops_per_s",
    hue: str = PROTOCOL,
    ax: Axes | None = None,
    *,
    level: float = 0.95,
    ideal: bool = False,
) -> Axes:
    """Mean of `y` over `x` (a log2 axis), a line for each `hue`, with a band: the interval over seeds.
    `frame`: Sweep.frame(); points without a value (a deadlock) are left out. `ideal`: also a line
    through the best first point with slope one. ConfigError if runs of one point differ in more than
    their seeds."""
    ax = _axes(ax)
    over, value, key = column(frame, x), column(frame, y), column(frame, hue)
    divisor, label = _scale(value)
    table = intervals(frame, value, [key, over], level=level)
    for place, (name, part) in enumerate(table.groupby(key, sort=False)):
        line = part.dropna(subset=["mean"]).sort_values(over)
        at, middle = line[over].to_numpy(dtype=float), line["mean"].to_numpy(dtype=float) / divisor
        style = _style(place)
        ax.plot(at, middle, label=_short(str(name)), linewidth=1.6, markersize=5, **style)
        low, high = (
            line[end].fillna(line["mean"]).to_numpy(dtype=float) for end in ("low", "high")
        )
        ax.fill_between(at, low / divisor, high / divisor, color=style["color"], alpha=0.2, lw=0)
    if ideal and len(table):
        first = (
            table.dropna(subset=["mean"]).sort_values([over, "mean"]).groupby(over).last().iloc[0]
        )
        sizes = np.unique(table[over].to_numpy(dtype=float))
        ax.plot(sizes, sizes / sizes[0] * first["mean"] / divisor, ":", color="0.5", label="ideal")
    _log2(ax, table[over])
    ax.set_ylim(bottom=0)
    ax.set_xlabel(_short(over))
    ax.set_ylabel(label)
    ax.grid(color="0.9")
    ax.set_axisbelow(True)
    ax.legend(title=_short(key), fontsize="small", loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return ax


def _distribution(part: pd.DataFrame) -> tuple[Any, Any]:
    """(upper ends of buckets in us, share of operations up to there)."""
    sums = part.groupby("high_ps")["count"].sum().sort_index()
    return sums.index.to_numpy(dtype=float) / 1e6, sums.cumsum().to_numpy() / sums.sum()


def _of_kind(latencies: pd.DataFrame, kind: str) -> pd.DataFrame:
    part = latencies[latencies["kind"] == kind]
    if part.empty:
        known = ", ".join(map(str, latencies["kind"].unique()))
        raise ConfigError(f"no operation '{kind}' in the table; these are: {known}")
    return part


def latency_cdf(
    latencies: pd.DataFrame, kind: str, hue: str = PROTOCOL, ax: Axes | None = None
) -> Axes:
    """Share of the operations of one kind that took no longer, over latency (us, a log axis); all
    runs of each `hue` together. `latencies`: Sweep.latencies()."""
    ax = _axes(ax)
    part = _of_kind(latencies, kind)
    ends: list[float] = []
    for place, (name, rows) in enumerate(part.groupby(column(part, hue), sort=False)):
        at, share = _distribution(rows)
        style = _style(place)
        marks = max(1, len(at) // 8)
        ax.step(at, share, where="post", label=_short(str(name)), markevery=marks, **style)
        ends += [float(at[0]), float(at[-1])]
    _log_us(ax, "x", ends)
    ax.set_ylim(0, 1.02)
    ax.set_xlabel(f"latency of {kind} (us)")
    ax.set_ylabel("share of operations")
    ax.legend(title=_short(hue), fontsize="small", loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return ax


def latency_percentiles(
    latencies: pd.DataFrame, kind: str, hue: str = PROTOCOL, ax: Axes | None = None
) -> Axes:
    """Latency (us, a log axis) over percentile, stretched towards 100 % as HdrHistogram draws it. A
    line ends where fewer than one operation is left. `latencies`: Sweep.latencies()."""
    ax = _axes(ax)
    part = _of_kind(latencies, kind)
    values: list[float] = []
    longest = 10.0
    for place, (name, rows) in enumerate(part.groupby(column(part, hue), sort=False)):
        at, share = _distribution(rows)
        count = float(rows["count"].sum())
        stretched = 1 / np.maximum(1 - share, 1 / count)
        style = _style(place)
        ax.step(stretched, at, where="pre", label=_short(str(name)), markevery=0.2, **style)
        values += [float(at[0]), float(at[-1])]
        longest = max(longest, count)
    _log_us(ax, "y", values)
    ticks = [1, 2, *(10**power for power in range(1, int(np.log10(longest)) + 1))]
    ax.set_xscale("log")
    ax.set_xlim(1, longest * 1.1)
    ax.xaxis.set_major_locator(FixedLocator(ticks))
    ax.xaxis.set_minor_formatter(NullFormatter())
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * (1 - 1 / value):.6g}"))
    ax.set_xlabel("percentile (%)")
    ax.set_ylabel(f"latency of {kind} (us)")
    ax.legend(title=_short(hue), fontsize="small", loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return ax


def wait_by_class(
    locks: pd.DataFrame, x: str, protocol: str, ax: Axes | None = None, most: int = 6
) -> Axes:
    """Stacked bars: total lock wait (ms, mean over seeds) of one protocol by lock class, a bar for
    each `x`; the `most` costly classes, the others as one. `locks`: Sweep.locks(). ConfigError if bars
    would be means over more than seeds."""
    ax = _axes(ax)
    over = column(locks, x)
    part = locks[locks[PROTOCOL] == protocol]
    if part.empty:
        raise ConfigError(f"no run of '{protocol}' in the table")
    check_repeated(part, [over], "choose the rows of one value of each")
    runs = part.groupby(over)["run_id"].nunique()
    table = part.pivot_table(
        index=over, columns="class", values="waittime_total_ps", aggfunc="sum", fill_value=0
    ).div(runs, axis=0) / 1e9  # fmt: skip
    order = table.sum().sort_values(ascending=False, kind="stable").index
    shown = table[[name for name in order if table[name].sum() > 0][:most]].copy()
    others = table.drop(columns=shown.columns).sum(axis=1)
    if (others > 0).any():
        shown["others"] = others
    bottom = np.zeros(len(shown))
    for place, name in enumerate(shown):
        values = shown[name].to_numpy(dtype=float)
        ax.bar(
            np.arange(len(shown)),
            values,
            bottom=bottom,
            label=str(name),
            color=COLOURS[place % len(COLOURS)],
            hatch=_HATCHES[place % len(_HATCHES)],
            edgecolor="white",
        )
        bottom = bottom + values
    ax.set_xticks(np.arange(len(shown)), [f"{value:g}" for value in shown.index])
    ax.set_ylim(0, 1.05 * (bottom.max(initial=0.0) or 1.0))
    ax.set_xlabel(_short(over))
    ax.set_ylabel(f"lock wait under {protocol},\nall threads (ms)")
    if len(shown.columns):
        ax.legend(title="lock class", fontsize="small", loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return ax


def who_blocks_whom(matrix: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """A heat map of the time (ms) that rows wait for columns. `matrix`: Blame.matrix(). Darker is
    longer; a cell has its number if there are few."""
    ax = _axes(ax)
    values = matrix.to_numpy(dtype=float) / 1e9
    drawn = ax.imshow(values, cmap="cividis_r", vmin=0, aspect="auto")
    names = [str(name) or "(on its way)" for name in matrix.columns]
    waiting = [str(name) or "(no operation)" for name in matrix.index]
    few = len(names) <= 12
    ax.set_xticks(np.arange(len(names)), names, rotation=0 if few and len(names) < 6 else 90)
    ax.set_yticks(np.arange(len(waiting)), waiting)
    if few and len(waiting) <= 12:
        dark = values.max(initial=0.0) / 2
        for (row, place), value in np.ndenumerate(values):
            if value > 0:
                colour = "white" if value > dark else "black"
                ax.text(place, row, f"{value:.3g}", ha="center", va="center", color=colour)
    ax.set_xlabel("holds the lock")
    ax.set_ylabel("waits")
    figure = ax.get_figure()
    if figure is not None:
        figure.colorbar(drawn, ax=ax, label="time waited (ms)")
    return ax


def gantt(
    operations: pd.DataFrame,
    ax: Axes | None = None,
    *,
    start_us: float = 0.0,
    end_us: float = np.inf,
) -> Axes:
    """Operations as bars, a row for each thread, a colour and hatch for each kind, from `start_us` to
    `end_us` of simulated time. `operations`: smmulab.operations()."""
    ax = _axes(ax)
    begin, end = (operations[f"{name}_ps"] / 1e6 for name in ("start", "end"))
    seen = operations[(end > start_us) & (begin < end_us)]
    threads = sorted(seen["thread"].unique())
    for place, (kind, part) in enumerate(seen.groupby("kind", sort=False)):
        starts = part["start_ps"].to_numpy(dtype=float) / 1e6
        ax.barh(
            [threads.index(thread) for thread in part["thread"]],
            part["end_ps"].to_numpy(dtype=float) / 1e6 - starts,
            left=starts,
            label=str(kind),
            color=COLOURS[place % len(COLOURS)],
            hatch=_HATCHES[place % len(_HATCHES)],
            edgecolor="white",
            linewidth=0.3,
        )
    _rows(ax, [f"thread {thread}" for thread in threads])
    if np.isfinite(end_us):
        ax.set_xlim(start_us, end_us)
    ax.set_xlabel("simulated time (us)")
    if threads:
        ax.legend(title="in", fontsize="small", loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return ax


def lock_gantt(
    times: pd.DataFrame,
    ax: Axes | None = None,
    *,
    start_us: float = 0.0,
    end_us: float = np.inf,
    most: int = 6,
) -> Axes:
    """Locks over simulated time, a row for each thread, from `start_us` to `end_us`: a full bar where it
    holds one, a thin and pale one where it waits. A colour and hatch for each of the `most` classes waited for
    longest, grey for the others. `times`: smmulab.lock_times()."""
    ax = _axes(ax)
    seen = times[(times["end_ps"] > start_us * 1e6) & (times["start_ps"] < end_us * 1e6)]
    threads = list(dict.fromkeys(sorted(seen["thread"], key=_natural)))
    waits = seen[seen["state"] == "waits"]
    waited = (waits["end_ps"] - waits["start_ps"]).groupby(waits["lock_class"]).sum()
    named = list(waited.sort_values(ascending=False, kind="stable").index[:most])
    groups = seen["lock_class"].where(seen["lock_class"].isin(named), "others")
    for name in [name for name in [*named, "others"] if (groups == name).any()]:
        place = named.index(name) if name in named else None
        style: dict[str, Any] = {
            "color": "0.6" if place is None else COLOURS[place % len(COLOURS)],
            "hatch": "" if place is None else _HATCHES[place % len(_HATCHES)],
            "edgecolor": "white",
            "linewidth": 0.0,
        }
        # Held bars last: what is held inside a wait is on top.
        for state, height, alpha in (("waits", 0.3, 0.55), ("holds", 0.8, 1.0)):
            part = seen[(groups == name) & (seen["state"] == state)]
            starts = part["start_ps"].to_numpy(dtype=float) / 1e6
            rows = [threads.index(thread) for thread in part["thread"]]
            widths = part["end_ps"].to_numpy(dtype=float) / 1e6 - starts
            label = f"{name}, {'held' if state == 'holds' else 'waited for'}"
            if len(part):
                ax.barh(rows, widths, height, starts, alpha=alpha, label=label, **style)
    _rows(ax, threads)
    if np.isfinite(end_us):
        ax.set_xlim(start_us, end_us)
    ax.set_xlabel("simulated time (us)")
    if threads:
        ax.legend(title="lock", fontsize="small", loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return ax


def _natural(name: object) -> tuple[str, int]:
    """t2 before t10."""
    digits = str(name)[len(str(name).rstrip("0123456789")) :]
    return str(name).removesuffix(digits), int(digits or 0)


def sensitivity_tornado(
    table: pd.DataFrame, y: str, ax: Axes | None = None, most: int = 15
) -> Axes:
    """Bars of what each assumed cost does to `y`, the largest on top, with 95 % whiskers. `table`, `y`:
    those of a Sensitivity."""
    ax = _axes(ax)
    weight = "total" if "total" in table else "mu_star"
    shown = table[table[weight] > 0].head(most)
    at = np.arange(len(shown))
    wide = shown[f"{weight}_conf"].fillna(0).to_numpy(dtype=float)
    ax.barh(at, shown[weight].to_numpy(dtype=float), xerr=wide, color=COLOURS[0], ecolor="0.3")
    _rows(ax, shown["cost"])
    ax.set_xlim(left=0)
    words = "share of the variance of" if weight == "total" else "mean magnitude of the effect on"
    ax.set_xlabel(f"{words} {y}")
    if shown.empty:
        ax.text(0.5, 0.5, "no assumed cost moves it", ha="center", transform=ax.transAxes)
    return ax


def decision_map(points: pd.DataFrame, x: str, y: str, ax: Axes | None = None) -> Axes:
    """The points of a Decision over two costs (log axes, us), each marked by the protocol that won
    there. `points`: Decision.points; `x`, `y`: names of costs, such as "smmuv3.link.doorbell"."""
    ax = _axes(ax)
    for name in (x, y):
        if f"{name}_ps" not in points:
            raise ConfigError(f"'{name}' was not varied")
    across, up = (points[f"{name}_ps"].to_numpy(dtype=float) / 1e6 for name in (x, y))
    for place, winner in enumerate(sorted(points["winner"].unique())):
        won = (points["winner"] == winner).to_numpy()
        style = _style(place)
        ax.plot(across[won], up[won], linestyle="", label=winner or "none", **style)
    _log_us(ax, "x", across)
    _log_us(ax, "y", up)
    ax.set_xlabel(f"{x} (us)")
    ax.set_ylabel(f"{y} (us)")
    ax.legend(title="best", fontsize="small", loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return ax


def before_after(moved: pd.DataFrame, ax: Axes | None = None, most: int = 30) -> Axes:
    """Change (%) of each moved cell, the largest first. `moved`: columns row, column, before, after."""
    ax = _axes(ax)
    delta = (moved["after"] / moved["before"] - 1) * 100
    delta = delta.replace([np.inf, -np.inf], np.nan).dropna()
    order: Sequence[Any] = list(
        delta.abs().sort_values(ascending=False, kind="stable").index[:most]
    )
    values = delta.loc[order].to_numpy(dtype=float)
    colours = [COLOURS[3] if value < 0 else COLOURS[2] for value in values]
    ax.barh(np.arange(len(values)), values, color=colours)
    _rows(ax, [f"{moved['row'][i]}: {moved['column'][i]}" for i in order])
    ax.axvline(0, color="black", linewidth=0.8)
    ax.set_xlabel("change (%)")
    return ax
