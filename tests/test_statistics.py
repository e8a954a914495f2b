# SPDX-License-Identifier: Apache-2.0
"""Do intervals cover, fits find what was put in, and crossovers lie where they lie?"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import smmulab
from smmulab import Config, Workload, plot
from smmulab.study.sensitivity import decision, plausible, sensitivity
from smmulab.study.statistics import (
    column,
    crossovers,
    differences,
    fit_usl,
    interval,
    intervals,
    peak,
    usl,
)


def table(**of_protocol: list[list[float]]) -> pd.DataFrame:
    """A row for each protocol, size (1, 2, 4, ...) and seed."""
    rows = [
        {
            "param.protocol": name.replace("_", "-"),
            "param.generate.threads": 2**place,
            "param.seed": seed,
            "ops_per_s": value,
        }
        for name, sizes in of_protocol.items()
        for place, values in enumerate(sizes)
        for seed, value in enumerate(values, 1)
    ]
    return pd.DataFrame(rows)


def test_students_interval_by_hand() -> None:
    # Mean 3, standard deviation sqrt(2.5), t(0.975, 4) = 2.776445.
    mean, low, high = interval([1, 2, 3, 4, 5])
    half = 2.776445 * math.sqrt(2.5 / 5)
    assert (mean, low, high) == pytest.approx((3, 3 - half, 3 + half), rel=1e-6)
    assert interval([7, 7, 7]) == (7, 7, 7)
    assert math.isnan(interval([7])[1])
    assert math.isnan(interval([])[0])


@pytest.mark.parametrize("method", ["t", "bootstrap"])
def test_intervals_cover_the_mean_as_often_as_they_say(method: str) -> None:
    rng = np.random.default_rng(3)
    inside = 0
    for _ in range(100):
        _, low, high = interval(rng.normal(10, 2, 20), method=method)  # type: ignore[arg-type]
        inside += low <= 10 <= high
    assert 88 <= inside <= 100  # 95 expected; 3 standard deviations are 6.5


def test_intervals_by_protocol_and_size() -> None:
    frame = intervals(table(a=[[1, 3], [5, 5]]), "ops_per_s", ["param.protocol", "threads"])
    assert frame[["n", "mean"]].to_numpy().tolist() == [[2, 2.0], [2, 5.0]]
    assert list(frame)[:2] == ["param.protocol", "param.generate.threads"]


def test_pairing_takes_out_what_seeds_have_in_common() -> None:
    # Seeds differ by thousands, the protocols by 10 each time.
    frame = table(a=[[1000, 5000, 9000]], b=[[1010, 5010, 9010]])
    row = differences(frame, "ops_per_s", base="a").iloc[0]
    assert (row["param.protocol"], row["n"], row["wins"]) == ("b", 3, 1.0)
    assert (row["mean"], row["low"], row["high"]) == pytest.approx((10, 10, 10))
    assert row["gain"] == pytest.approx(10 / 5000)
    with pytest.raises(smmulab.ConfigError, match="no run of 'aa'; did you mean 'a'"):
        differences(frame, "ops_per_s", base="aa")


def test_usl_is_found_again() -> None:
    n = np.array([1, 2, 4, 8, 16, 32, 64], dtype=float)
    rng = np.random.default_rng(5)
    x = usl(n, 1000, 0.03, 0.0005)
    noisy = [[v * (1 + rng.normal(0, 0.01)) for _ in range(4)] for v in x]
    row = fit_usl(table(a=noisy), x="threads").iloc[0]
    assert row["alpha_low"] < 0.03 < row["alpha_high"]
    assert row["beta_low"] < 0.0005 < row["beta_high"]
    assert row["peak_n_low"] < peak(0.03, 0.0005) < row["peak_n_high"]
    assert row["gamma"] == pytest.approx(1000, rel=0.02)
    assert row["r2"] > 0.99
    assert peak(0.03, 0.0005) == pytest.approx(44.0454)


def test_another_factor_is_no_repetition() -> None:
    """Two values of a cost are no two seeds: an interval over them would be one of nothing."""
    slow = table(a=[[10, 11], [20, 21], [30, 31]], b=[[9, 9], [30, 30], [31, 32]])
    fast = slow.assign(ops_per_s=slow["ops_per_s"] * 10)
    both = pd.concat(
        [slow.assign(**{"param.hw.sync_ps": 2}), fast.assign(**{"param.hw.sync_ps": 1})]
    )
    for wrong in (
        lambda: intervals(both, "ops_per_s", ["protocol", "threads"]),
        lambda: differences(both, "ops_per_s", base="a", by=["threads"]),
        lambda: fit_usl(both, x="threads"),
        lambda: crossovers(both, "a", "b", "threads"),
        lambda: plot.scaling(both, "threads"),
    ):
        with pytest.raises(smmulab.ConfigError, match=r"differ in hw\.sync_ps"):
            wrong()
    with pytest.raises(smmulab.ConfigError, match=r"differ in generate\.threads"):
        differences(slow, "ops_per_s", base="a")
    named = intervals(both, "ops_per_s", ["protocol", "threads", "hw.sync_ps"])
    alone = intervals(slow, "ops_per_s", ["protocol", "threads"])
    ours = named[named["param.hw.sync_ps"] == 2]
    assert ours["high"].to_list() == alone["high"].to_list()
    # What follows from what is named is no factor of its own; the runs of two builds are.
    follows = slow.assign(**{"param.generate.cpus": slow["param.generate.threads"] * 2})
    assert intervals(follows, "ops_per_s", ["protocol", "threads"])["n"].to_list() == [2] * 6
    builds = pd.concat([slow.assign(build="x"), slow.assign(build="y")])
    with pytest.raises(smmulab.ConfigError, match="differ in build"):
        intervals(builds, "ops_per_s", ["protocol", "threads"])


def test_usl_of_a_line_and_of_too_little() -> None:
    line = fit_usl(table(a=[[10], [20], [40], [80]]), x="threads").iloc[0]
    assert line["alpha"] == pytest.approx(0, abs=1e-4)
    assert line["gamma"] == pytest.approx(10, rel=1e-3)
    assert math.isnan(fit_usl(table(a=[[10], [20], [40]]), x="threads").iloc[0]["alpha"])


def test_a_crossover_lies_between_the_sizes_where_the_sign_changes() -> None:
    frame = table(v=[[10, 11], [20, 21], [30, 31]], g=[[8, 9], [19, 20], [33, 34]])
    found = crossovers(frame, "v", "g", "threads")
    # Differences -2, -1, +3 at 1, 2, 4: zero at 2 + 2 * 1/4.
    assert found[["x_low", "x_high", "x"]].to_numpy().tolist() == [[2, 4, 2.5]]
    assert (found["winner"][0], bool(found["sure"][0])) == ("g", True)
    assert crossovers(table(v=[[2, 3], [2, 4]], g=[[1, 2], [1, 2]]), "v", "g", "threads").empty


def test_short_names_of_columns() -> None:
    frame = table(a=[[1]])
    assert column(frame, "threads") == "param.generate.threads"
    assert column(frame.assign(**{"param.hw.sync_ps": 1}), "hw.sync") == "param.hw.sync_ps"
    with pytest.raises(smmulab.ConfigError, match="did you mean 'ops_per_s'"):
        column(frame, "op_per_s")


COUNTED = {"smmuv3.hardware": "counted"}


def test_plausible_ranges_come_from_the_registry() -> None:
    ranges = plausible(Config.of(COUNTED), factor=4, only=["hw."])
    assert ranges["hw.sync"].bounds("hw.sync") == (62_500, 1_000_000)
    timed = plausible(factor=4, only=["smmuv3.link."])
    assert timed["smmuv3.link.doorbell"].bounds("smmuv3.link.doorbell") == (37_500, 600_000)
    provenance = {p.key: p.provenance for p in smmulab._core.parameters()}
    assert all(provenance[name].startswith("assumed") for name in plausible())
    assert "sched.tick" not in plausible()  # a named source
    with pytest.raises(smmulab.ConfigError, match="no assumed cost begins with nothing"):
        plausible(only=["nothing"])
    with pytest.raises(smmulab.ConfigError, match="above 1"):
        plausible(factor=1)


def test_plausible_ranges_are_of_costs_that_count() -> None:
    """What nothing charges would only dilute the samples: sensitivity 0, at the price of runs."""
    counted = {name.split(".")[0] for name in plausible(Config.of(COUNTED))}
    timed = {name.split(".")[0] for name in plausible()}
    assert counted == {"sched", "line", "lock", "driver", "iommufd", "hw"}
    assert timed == counted - {"hw"} | {"smmuv3"}
    with pytest.raises(smmulab.ConfigError, match=r"hardware=counted dma.*, smmuv3.*, stream.* do"):
        plausible(Config.of(COUNTED), only=["smmuv3.tcu"])
    with pytest.raises(smmulab.ConfigError, match=r"hardware=timed dma.*, hw.* do nothing"):
        plausible(only=["hw.sync"])


# What nobody waits for: one thread on one device, no contention.
ALONE = Config(workload=Workload(devices=1, ops=40))
DOORBELL = "smmuv3.link.doorbell"


def test_morris_finds_the_cost_that_matters(tmp_path: Path) -> None:
    only = [DOORBELL, "smmuv3.tcu.invalidate", "lock.rwsem_slow"]
    found = sensitivity(ALONE, out=tmp_path, samples=4, only=only)
    effect = found.table.set_index("cost")["mu_star"]
    # Each replace waits for SYNCs; nobody ever sleeps on a semaphore.
    assert found.table["cost"][0] == DOORBELL
    assert effect["lock.rwsem_slow"] == 0
    assert found.hangs_on()[0] == DOORBELL
    assert "lock.rwsem_slow" not in found.hangs_on()
    again = sensitivity(ALONE, out=tmp_path, samples=4, only=only)
    assert again.table.equals(found.table)


@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_sobol_shares_add_up(tmp_path: Path) -> None:
    found = sensitivity(
        ALONE, out=tmp_path, method="sobol", samples=16, only=[DOORBELL, "lock.rwsem_slow"]
    )
    total = found.table.set_index("cost")["total"]
    assert total[DOORBELL] == pytest.approx(1, abs=0.35)  # 16 base points: rough
    assert total["lock.rwsem_slow"] == 0


def test_decision_shares_a_tie_and_gives_the_win_to_the_faster(tmp_path: Path) -> None:
    only = ["smmuv3.link."]
    config = Config(workload=Workload(devices=4, ops=80))
    found = decision(config, ["igroup", "one-lock"], out=tmp_path, samples=6, only=only)
    wins = found.table.set_index("param.protocol")["wins"]
    assert wins.sum() == pytest.approx(1)
    assert wins["igroup"] == 1  # a lock around everything never helps four threads
    assert len(found.points) == 6
    assert set(found.points["winner"]) == {"igroup"}
