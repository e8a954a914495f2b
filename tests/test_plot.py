# SPDX-License-Identifier: Apache-2.0
"""Can the pictures be read: labels apart, bars whole, zero where bars begin, nothing covered?"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.backends.backend_agg import FigureCanvasAgg

import smmulab
from conftest import TRACES
from smmulab import plot, plot_dma

US = 1_000_000
MS = 1_000_000_000


def latencies(p50_us: float, p99_us: float, max_us: float, errors: int = 0) -> pd.DataFrame:
    row = {"protocol": "igroup", "status": "ok", "kind": "map", "count": 50, "errors": errors}
    times = {"p50_ps": p50_us * US, "p99_ps": p99_us * US, "max_ps": max_us * US}
    return pd.DataFrame([row | times])


def waits(**of_class: int) -> pd.DataFrame:
    rows = [
        {"protocol": "igroup", "class": name, "waittime_total_ps": ms * MS}
        for name, ms in of_class.items()
    ]
    return pd.DataFrame(rows)


def darkness(replaces: int, total_us: float, longest_us: float) -> pd.DataFrame:
    row = {"protocol": "igroup", "device": "d0", "replaces": replaces}
    times = {"replace_dark_total_ps": total_us * US, "replace_dark_max_ps": longest_us * US}
    return pd.DataFrame([row | times])


def draw(ax: Axes) -> FigureCanvasAgg:
    figure = ax.get_figure(root=True)
    assert figure is not None
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return canvas


def labels(axis: Axis) -> list[str]:
    """Tick labels as drawn, from low to high; they must not touch."""
    low, high = sorted(axis.get_view_interval())
    ticks = [*axis.get_major_ticks(), *axis.get_minor_ticks()]
    shown = [t for t in ticks if low <= t.get_loc() <= high and t.label1.get_text()]
    shown = [t for t in shown if t.label1.get_visible()]
    shown.sort(key=lambda tick: tick.get_loc())
    boxes = [tick.label1.get_window_extent() for tick in shown]
    assert not any(a.overlaps(b) for a, b in pairwise(boxes))
    return [tick.label1.get_text() for tick in shown]


def legend(ax: Axes) -> list[str]:
    """The legend's entries; it must not lie on the axes."""
    drawn = ax.get_legend()
    assert drawn is not None
    inside = ax.get_window_extent().padded(-2)
    assert not drawn.get_window_extent().overlaps(inside)
    return [text.get_text() for text in drawn.get_texts()]


@pytest.mark.parametrize(
    ("p50", "most", "expected"),
    [
        (2.1, 2.2, ["2", "3", "4"]),
        (1.5, 6, ["2", "3", "4", "5", "6", "7"]),
        (4, 70, ["5", "10", "20", "50"]),
        (4, 200, ["5", "10", "20", "50", "100", "200"]),
        (4, 7900, ["10", "100", "1,000", "10,000"]),
        (0.02, 0.3, ["0.02", "0.05", "0.1", "0.2"]),
    ],
)
def test_ticks_of_the_log_axis(p50: float, most: float, expected: list[str]) -> None:
    ax = plot.latency(latencies(p50, p50, most))
    draw(ax)
    assert labels(ax.yaxis) == expected
    assert legend(ax) == ["igroup"]


def test_lock_wait_begins_at_zero_and_is_whole() -> None:
    ax = plot.lock_wait(waits(asid_lock=30, init_mutex=0, iova_rwsem=5), most=2)
    draw(ax)
    assert ax.get_xlim()[0] == 0
    assert ax.get_xlim()[1] > 35
    assert labels(ax.xaxis)[0] == "0"
    assert legend(ax) == ["asid_lock", "iova_rwsem"]


def test_lock_wait_names_the_others_only_if_there_are_some() -> None:
    ax = plot.lock_wait(waits(asid_lock=30, ioas=20, iova_rwsem=5), most=2)
    draw(ax)
    assert legend(ax) == ["asid_lock", "ioas", "others"]


def test_nobody_waited() -> None:
    ax = plot.lock_wait(waits(asid_lock=0))
    draw(ax)
    assert ax.get_legend() is None
    assert "nobody waited" in [text.get_text() for text in ax.texts]


@pytest.mark.parametrize(
    ("devices", "words"),
    [
        (darkness(4, 12, 6), []),
        (darkness(4, 0, 0), ["never dark"]),
        (darkness(0, 0, 0), ["no replace"]),
    ],
)
def test_dark_time(devices: pd.DataFrame, words: list[str]) -> None:
    ax = plot.dark(devices)
    draw(ax)
    assert [text.get_text() for text in ax.texts] == words
    assert bool(labels(ax.xaxis)) != bool(words)


@pytest.mark.parametrize("replaces", [0, 3])
def test_a_run_without_an_end_has_its_status_for_a_dark_time(replaces: int) -> None:
    """Not "no replace": it may have made some before it deadlocked."""
    both = [darkness(4, 12, 6), darkness(replaces, replaces, 1).assign(protocol="posted-v2")]
    summary = pd.DataFrame({"protocol": ["igroup", "posted-v2"], "status": ["ok", "deadlock"]})
    ax = plot.dark(pd.concat(both), summary=summary)
    draw(ax)
    assert [text.get_text() for text in ax.texts] == ["deadlock"]
    longest, unknown = np.asarray(ax.get_lines()[0].get_xdata(), float)
    assert longest == 6
    assert np.isnan(unknown)


def refusals(protocol: str, windows: int, total_us: float, longest_us: float) -> pd.DataFrame:
    row = {"protocol": protocol, "dma_dark_windows": windows}
    times = {"dma_dark_total_ps": total_us * US, "dma_dark_max_ps": longest_us * US}
    return pd.DataFrame([row | times])


def test_dark_times_of_dma_span_decades() -> None:
    """A protocol that was never dark has a row all the same."""
    rows = [refusals("igroup", 60, 48, 1.3), refusals("v6.2", 3, 27_000, 9_500)]
    ax = plot_dma.dark(pd.concat([*rows, refusals("no-locks", 0, 0, 0)]))
    draw(ax)
    assert ax.get_xscale() == "log"
    assert [tick.get_text() for tick in ax.get_yticklabels()] == ["igroup", "v6.2", "no-locks"]
    assert [text.get_text() for text in ax.texts] == [
        "0.8 us, 60 times",
        "9,000.0 us, 3 times",
        "never dark",
    ]
    assert labels(ax.xaxis) == ["1", "10", "100", "1,000", "10,000"]
    right = ax.get_window_extent().x1
    assert all(text.get_window_extent().x1 <= right for text in ax.texts)


def changes(*gains: float) -> pd.DataFrame:
    """As WhatIf.summary() and WhatIf.frame() have them: two costs and a lock."""
    rows = [
        {"what": name, "change": "cost", "to": to, "ops_gain": gain if to == "x0" else gain / 2}
        for name, gain in zip(("hw.sync", "hw.tlbi"), gains, strict=True)
        for to in ("x0", "x0.5")
    ]
    rows.append({"what": "asid_lock", "change": "lock", "to": "free", "ops_gain": 1})
    frame = pd.DataFrame(rows).assign(status="ok", kind="replace", count=9)
    return frame.assign(p99_gain=frame["ops_gain"])


@pytest.mark.parametrize("gains", [(1.5, -0.4), (-0.2, -0.3)])
def test_the_legend_of_a_tornado_covers_no_bar(gains: tuple[float, float]) -> None:
    figure = plot.what_if(changes(*gains), changes(*gains))
    FigureCanvasAgg(figure).draw()
    for ax in figure.axes:
        assert legend(ax) == ["cost 0", "cost halved", "lock free or split, or setting changed"]
        box = ax.get_legend().get_window_extent()  # type: ignore[union-attr]
        assert figure.bbox.x0 <= box.x0
        assert box.x1 <= figure.bbox.x1
        assert figure.bbox.y0 <= box.y0


def test_the_legend_of_tlb_sizes_covers_no_line() -> None:
    row = {"key": "smmuv3.mtlb_entries", "hit_ratio": 0.5, "reads_per_access": 2.0}
    row |= {"mean_ns": 80.0, "p50_ns": 4.0, "p99_ns": 150.0}
    frame = pd.DataFrame([row | {"value": "64"}, row | {"value": "128"}])
    ax = plot.tlb(frame)
    draw(ax)
    assert legend(ax) == ["hit ratio", "reads per access"]
    figure = plot.tlb_sizes(frame)
    FigureCanvasAgg(figure).draw()
    upper, lower, _ = figure.axes
    assert legend(upper) == ["hit ratio", "reads per access"]
    assert legend(lower) == ["mean", "median", "p99"]
    boxes = [ax.get_legend().get_window_extent() for ax in (upper, lower)]  # type: ignore[union-attr]
    assert lower.get_window_extent().y1 < boxes[0].y0
    assert boxes[1].y1 < lower.xaxis.label.get_window_extent().y0
    frame[["mean_ns", "p50_ns", "p99_ns"]] = float("nan")
    assert len(plot.tlb_sizes(frame).axes) == 2  # one panel, with its second scale


def test_errors_are_marked() -> None:
    ax = plot.latency(latencies(1, 2, 3, errors=1))
    draw(ax)
    assert legend(ax) == ["igroup (1 error)"]
    row = {"protocol": "igroup", "status": "ok", "ops_per_s": 2000.0, "errors": 1200}
    ax = plot.throughput(pd.DataFrame([row]))
    draw(ax)
    (mark,) = [text for text in ax.texts if text.get_text()]
    assert mark.get_text() == "1,200 errors"
    assert mark.get_window_extent().x1 <= ax.get_window_extent().x1


@pytest.mark.parametrize(
    "name", ["d3_maponly_4dev_1hwpt_4map", "e_group4_replace_4hwpt", "c2_auto_8dev_2ioas"]
)
@pytest.mark.parametrize("protocols", [["igroup"], None])
def test_the_figure_of_recorded_traces(name: str, protocols: list[str] | None) -> None:
    path: Path = TRACES / f"A_qplain_smp2-{name}.iotrace.zst"
    result = smmulab.compare(path, protocols)
    figure = plot.comparison(
        result.frame(), result.summary(), result.locks(), result.devices(), "title"
    )
    draw(figure.axes[0])
    throughput, lock_wait, _, latency = figure.axes
    assert labels(throughput.yaxis) == result.protocols
    assert legend(lock_wait)
    assert len(legend(latency)) == sum(r["status"] == "ok" for r in result.results)
    for ax in figure.axes:
        labels(ax.xaxis)
        labels(ax.yaxis)
