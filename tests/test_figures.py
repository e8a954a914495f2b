# SPDX-License-Identifier: Apache-2.0
"""Do pictures of studies show what the tables hold, and does the page open offline?"""

from __future__ import annotations

import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg

import smmulab
from smmulab import Config, Workload, cli, plot, running, sweep
from smmulab.study.statistics import intervals
from what_if_traces import replaces

SIZES = [1, 2, 4, 8]


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory) -> smmulab.Sweep:
    config = Config(workload=Workload(devices=8, ops=100, mix="replace=4,map=1,unmap=1"))
    factors = {"protocol": ["igroup", "one-lock"], "threads": SIZES}
    return sweep(config, factors, seeds=2, out=tmp_path_factory.mktemp("figures") / "study")


def draw(ax: Axes) -> None:
    figure = ax.get_figure(root=True)
    assert figure is not None
    FigureCanvasAgg(figure).draw()


def texts(ax: Axes) -> list[str]:
    legend = ax.get_legend()
    assert legend is not None
    return [text.get_text() for text in legend.get_texts()]


def test_cores_are_the_cpus_of_generator_or_machine(tmp_path: Path) -> None:
    config = Config(workload=Workload(devices=2, threads=2, ops=60))
    frame = sweep(config, {"cores": [1, 2]}, seeds=2, out=tmp_path).frame()
    ax = plot.scaling(frame)
    assert list(ax.get_lines()[0].get_xdata()) == [1, 2]
    machine = frame.rename(columns={"param.generate.cpus": "param.machine.cpus"})
    assert list(plot.scaling(machine, "cores").get_lines()[0].get_xdata()) == [1, 2]
    with pytest.raises(smmulab.ConfigError, match="no column 'cores'"):
        plot.scaling(machine.drop(columns="param.machine.cpus"))


def test_scaling_draws_means_bands_and_log2_ticks(swept: smmulab.Sweep) -> None:
    frame = swept.frame()
    ax = plot.scaling(frame, x="threads", ideal=True)
    draw(ax)
    assert texts(ax) == ["igroup", "one-lock", "ideal"]
    line = ax.get_lines()[0]
    expected = (
        frame[frame["param.protocol"] == "igroup"]
        .groupby("param.generate.threads")["ops_per_s"]
        .mean()
    )
    assert list(line.get_xdata()) == SIZES
    assert np.allclose(np.asarray(line.get_ydata()) * 1e3, expected.to_numpy())
    assert len(ax.collections) == 2  # a band each
    assert [tick.get_text() for tick in ax.get_xticklabels()] == ["1", "2", "4", "8"]
    assert ax.get_ylabel() == "successful operations (thousands a second)"
    assert ax.get_xscale() == "log"
    assert plot.scaling(frame, x="threads", y="lock_wait_total_ps", ax=ax) is ax
    assert ax.get_ylabel() == "lock wait, all threads (us)"


def test_a_cdf_ends_at_one_and_has_the_median(swept: smmulab.Sweep) -> None:
    latencies = swept.latencies()
    one = latencies[latencies["param.generate.threads"] == 1]
    ax = plot.latency_cdf(one, "replace")
    draw(ax)
    line = ax.get_lines()[0]
    x, y = np.asarray(line.get_xdata(), float), np.asarray(line.get_ydata(), float)
    assert y[-1] == pytest.approx(1)
    assert (np.diff(y) >= 0).all()
    ops = swept.operations()
    ops = ops[(ops["kind"] == "replace") & (ops["param.protocol"] == "igroup")]
    median = ops[ops["param.generate.threads"] == 1]["p50_ps"].mean() / 1e6
    assert x[np.searchsorted(y, 0.5)] == pytest.approx(median, rel=0.01)  # bucket width
    with pytest.raises(smmulab.ConfigError, match=r"these are: .*replace"):
        plot.latency_cdf(one, "detach")


def test_percentiles_end_at_the_maximum(swept: smmulab.Sweep) -> None:
    ax = plot.latency_percentiles(swept.latencies(), "replace")
    draw(ax)
    line = ax.get_lines()[1]
    ops = swept.operations().query("kind == 'replace' and `param.protocol` == 'one-lock'")
    most = float(np.asarray(line.get_ydata(), float).max())
    assert most == pytest.approx(ops["max_ps"].max() / 1e6, rel=0.01)
    assert "100" not in [tick.get_text() for tick in ax.get_xticklabels()]
    assert "90" in [tick.get_text() for tick in ax.get_xticklabels()]


def test_stacked_waits_add_up(swept: smmulab.Sweep) -> None:
    ax = plot.wait_by_class(swept.locks(), "threads", "one-lock", most=1)
    draw(ax)
    heights = [0.0] * len(SIZES)
    for bars in ax.containers:
        for place, bar in enumerate(bars):
            heights[place] += bar.get_height()
    frame = swept.frame().query("`param.protocol` == 'one-lock'")
    total = frame.groupby("param.generate.threads")["lock_wait_total_ps"].mean() / 1e9
    assert heights == pytest.approx(total.to_list())


def test_a_heat_map_has_each_pair() -> None:
    matrix = pd.DataFrame({"b": [2 * 10**9], "": [0]}, index=["a"])
    ax = plot.who_blocks_whom(matrix)
    draw(ax)
    assert [tick.get_text() for tick in ax.get_xticklabels()] == ["b", "(on its way)"]
    assert [text.get_text() for text in ax.texts] == ["2"]


def test_a_gantt_has_a_bar_for_each_operation_of_the_window() -> None:
    config = Config(workload=Workload(devices=2, ops=40))
    found = running.operations(config)
    assert len(found) == 40 + 2 * 2 + 1 + 4
    assert (found["result"] == 0).all()
    document = smmulab.run(config).document
    assert found["end_ps"].max() == document["end_ps"]
    run = found[found["kind"] == "replace"]
    ax = plot.gantt(found, start_us=run["start_ps"].min() / 1e6, end_us=float("1e9"))
    draw(ax)
    assert texts(ax) == ["replace"]
    assert len(ax.patches) == 40
    assert [tick.get_text() for tick in ax.get_yticklabels()] == ["thread 0", "thread 1"]
    with pytest.raises(smmulab.ConfigError, match="nothing to run"):
        running.operations(Config())


@pytest.fixture(scope="module")
def contended(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("contended") / "t.iotrace"
    path.write_text(replaces(11, 4))
    return path


def test_lock_times_are_all_that_was_waited_and_one_holder_at_a_time(contended: Path) -> None:
    times = smmulab.lock_times(contended, "v6.2")
    assert times["start_ps"].is_monotonic_increasing
    assert (times["end_ps"] > times["start_ps"]).all()
    waits, holds = (times[times["state"] == state] for state in ("waits", "holds"))
    found = (waits["end_ps"] - waits["start_ps"]).groupby(waits["lock_class"]).sum()
    blamed = smmulab.blame(contended, "v6.2").frame().query("kind == 'lock'")
    assert dict(found) == dict(blamed.groupby("lock_class")["total_ps"].sum())
    assert len(found) >= 2
    for _, held in holds.groupby("lock"):
        assert (held["start_ps"].to_numpy()[1:] >= held["end_ps"].to_numpy()[:-1]).all()
    # Meanwhile others hold the lock, nearly all of the time.
    longest = waits.loc[(waits["end_ps"] - waits["start_ps"]).idxmax()]
    begin, end = longest["start_ps"], longest["end_ps"]
    others = holds[(holds["lock"] == longest["lock"]) & (holds["thread"] != longest["thread"])]
    held = others["end_ps"].clip(begin, end) - others["start_ps"].clip(begin, end)
    assert 0.8 < held.sum() / (end - begin) <= 1


def test_a_lock_gantt_has_a_row_for_each_thread_and_a_bar_for_each_time(contended: Path) -> None:
    times = smmulab.lock_times(contended, "v6.2")
    ax = plot.lock_gantt(times, most=1)
    draw(ax)
    rows = [tick.get_text() for tick in ax.get_yticklabels()]
    assert rows == [f"t{number}" for number in range(11)]
    assert len(ax.patches) == len(times)
    assert ax.get_xlabel() == "simulated time (us)"
    first = texts(ax)[0].partition(",")[0]
    waits = times[times["state"] == "waits"]
    assert (waits["end_ps"] - waits["start_ps"]).groupby(
        waits["lock_class"]
    ).sum().idxmax() == first
    assert set(texts(ax)) <= {
        f"{name}, {state}" for name in (first, "others") for state in ("held", "waited for")
    }
    middle = float(times["start_ps"].median() / 1e6)
    part = plot.lock_gantt(times, start_us=middle, end_us=middle + 1)
    assert 0 < len(part.patches) < len(times)
    assert part.get_xlim() == (middle, middle + 1)
    draw(plot.lock_gantt(times.iloc[:0]))


def test_a_gantt_runs_in_another_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """A crash there takes no notebook down: nothing is simulated in this process."""

    def never(*_: object) -> str:
        raise AssertionError("simulated here")

    monkeypatch.setattr(smmulab._core, "replay_json", never)
    assert len(running.operations(Config(workload=Workload(devices=2, ops=40)))) == 49
    with pytest.raises(smmulab.ConfigError, match="cannot read"):
        running.operations(Config(), "none.iotrace")


def test_tornado_and_decision_map() -> None:
    table = pd.DataFrame(
        {"cost": ["hw.sync", "a", "b"], "mu_star": [5.0, 2.0, 0.0], "mu_star_conf": [1.0, 0.5, 0.0]}
    )
    ax = plot.sensitivity_tornado(table, "ops_per_s")
    draw(ax)
    assert [tick.get_text() for tick in ax.get_yticklabels()] == ["hw.sync", "a"]
    points = pd.DataFrame(
        {"hw.sync_ps": [10**6, 10**7], "hw.tlbi_ps": [10**5, 10**6], "winner": ["x", "y"]}
    )
    ax = plot.decision_map(points, "hw.sync", "hw.tlbi")
    draw(ax)
    assert texts(ax) == ["x", "y"]
    with pytest.raises(smmulab.ConfigError, match=r"'hw[.]cfgi' was not varied"):
        plot.decision_map(points, "hw.sync", "hw.cfgi")


class References(HTMLParser):
    """Everything that a browser would load."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.tags: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        loads = {"src", "href", "xlink:href", "data", "srcset", "action"}
        self.found += [value or "" for name, value in attrs if name in loads]
        self.found += re.findall(r"url\(([^)]*)\)", " ".join(value or "" for _, value in attrs))


@pytest.fixture(scope="module")
def page(swept: smmulab.Sweep) -> Path:
    assert cli.main(["report", str(swept.store.folder)]) == 0
    return swept.store.folder / "report.html"


def test_the_page_is_whole_in_itself(swept: smmulab.Sweep, page: Path, tmp_path: Path) -> None:
    text = page.read_text("utf-8")
    seen = References()
    seen.feed(text)
    assert seen.tags.count("svg") >= 5
    assert not {"script", "link", "img", "iframe"} & set(seen.tags)
    assert all(reference.startswith("#") for reference in seen.found)
    assert "@import" not in text
    for words in ("igroup", "one-lock", "Universal scalability law", "hw.sync_ps", "build"):
        assert words in text
    again = tmp_path / "again.html"
    assert cli.main(["report", str(swept.store.folder), "-o", str(again)]) == 0
    assert again.read_bytes() == page.read_bytes()
    assert cli.main(["report", str(tmp_path)]) == 2


def test_a_page_keeps_other_factors_apart(tmp_path: Path) -> None:
    """Curves, differences and intervals for each value of a third factor, over seeds only."""
    config = Config(workload=Workload(devices=4, ops=60))
    factors = {
        "protocol": ["igroup", "one-lock"],
        "threads": [1, 2],
        "smmuv3.link.completion": ["60ns", "9us"],
    }
    done = sweep(config, factors, seeds=2, out=tmp_path)
    assert cli.main(["report", str(tmp_path)]) == 0
    text = (tmp_path / "report.html").read_text("utf-8")
    for value in (60_000, 9_000_000):
        assert f"<h2>Figures: smmuv3.link.completion_ps = {value}</h2>" in text
        part = done.frame().query("`param.smmuv3.link.completion_ps` == @value")
        table = intervals(part, "ops_per_s", ["protocol", "threads"])
        for mean in table["mean"]:
            assert f"{mean:,.6g}" in text
    throughput = text[text.index("<h2>Throughput") :]
    assert throughput[: throughput.index("</table>")].count("<tr>") == 8


@pytest.mark.parametrize(
    ("factors", "axis"),
    [
        ({"devices": [1, 2, 4]}, "devices"),
        ({"threads": [1, 2]}, "threads"),
        ({"cores": [1, 2]}, "cpus"),
        ({"groups": [1, 2]}, "groups"),
        ({"hwpts": [2, 3, 4], "threads": [1, 2]}, "hwpts"),
        ({"smmuv3.link.doorbell": ["1us", "2us"]}, "smmuv3.link.doorbell_ps"),
    ],
)
def test_the_axis_of_a_page_is_what_was_varied(
    factors: dict[str, list[object]], axis: str, tmp_path: Path
) -> None:
    """Not what follows it: a generator has as many groups, threads and CPUs as devices."""
    sweep(Config(workload=Workload(devices=4, ops=40, drive="device")), factors, out=tmp_path)
    assert cli.main(["report", str(tmp_path)]) == 0
    text = (tmp_path / "report.html").read_text("utf-8")
    assert f"<figcaption>ops_per_s over {axis}: mean" in text


BROWSER = shutil.which("chromium-headless-shell") or shutil.which("chromium")


@pytest.mark.skipif(BROWSER is None, reason="no Chromium here")
def test_the_page_opens_in_a_browser_without_network(page: Path, tmp_path: Path) -> None:
    argv = [str(BROWSER), "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom"]
    # Nothing can be reached: whatever the page loaded would fail and be told.
    argv += ["--host-resolver-rules=MAP * ~NOTFOUND", f"--user-data-dir={tmp_path / 'profile'}"]
    done = subprocess.run(
        [*argv, page.as_uri()], capture_output=True, text=True, timeout=120, check=True
    )
    assert done.stdout.count("<svg") >= 5
    assert "ERR_" not in done.stderr
