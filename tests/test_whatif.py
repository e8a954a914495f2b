# SPDX-License-Identifier: Apache-2.0
"""Does `whatif` change one thing at a time, exactly, and rank what was built to be ranked?"""

from __future__ import annotations

import json
import pickle
import re
import subprocess
import sys
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pandas as pd
import pytest
from matplotlib.axes import Axes

import smmulab
from smmulab import _core, cli, plot, report_waits, store, what_if
from smmulab.report_waits import CHANGES_SHOWN
from what_if_traces import replaces

# 4 threads spend nearly all of their time in write_step, under asid_lock.
SLOW_STEP = ["driver.write_step=50us"]


@pytest.fixture(scope="module")
def contended(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("traces") / "contended.iotrace"
    path.write_text(replaces(threads=4, rounds=20))
    return path


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("traces") / "alone.iotrace"
    path.write_text(replaces(threads=1, rounds=20))
    return path


@pytest.fixture(scope="module")
def found(contended: Path) -> smmulab.WhatIf:
    return smmulab.whatif(contended, set=SLOW_STEP)


def gain(summary: pd.DataFrame, what: str, to: str) -> float:
    row = summary[(summary["what"] == what) & (summary["to"] == to)]
    return float(row["ops_gain"].iloc[0])


@pytest.mark.parametrize("trace", ["contended", "alone", "recorded_trace"])
def test_factor_1_changes_nothing_byte_for_byte(trace: str, request: pytest.FixtureRequest) -> None:
    path = str(request.getfixturevalue(trace))
    config = json.loads(_core.resolve([]))
    keys = what_if.costs(config)
    assert len(keys) > 60
    same = what_if.scale(config, keys, "everything", Fraction(1))
    for protocol in ("igroup", "v6.2"):
        plain = _core.replay_json(path, protocol, [])
        assert _core.replay_json(path, protocol, list(same.assignments)) == plain


def test_the_ranking_is_the_one_the_trace_was_built_for(found: smmulab.WhatIf) -> None:
    summary = found.summary()
    # All time is write_step's, one thread after another: the half of it is twice the throughput,
    # asid_lock free lets four threads go at a time (less what else they share and cost).
    assert 0.9 < gain(summary, "driver.write_step", "x0.5") < 1.0
    assert 2.5 < gain(summary, "asid_lock", "free") < 3.0
    assert gain(summary, "driver.write_step", "x0") > 10
    assert list(summary["what"].iloc[:2]) == ["driver.*", "driver.write_step"]
    locks = summary[summary["change"] == "lock"]
    assert locks["what"].iloc[0] == "asid_lock"
    assert (locks["ops_gain"].iloc[1:] < 0.01).all()
    assert gain(summary, "asid_lock", "free") == gain(summary, "driver.global_asid_lock", "false")
    # p99 of replace: one in four waits for three others, and half the step is half the time.
    frame = found.frame()
    replace = frame[(frame["kind"] == "replace") & (frame["what"] == "driver.write_step")]
    assert replace.set_index("to")["p99_gain"]["x0.5"] == pytest.approx(0.5, abs=0.05)


def test_a_base_that_ends_badly_has_nothing_to_compare_with(crossing_trace: Path) -> None:
    with pytest.raises(smmulab.ModelError, match=r"posted-v1.*deadlock"):
        smmulab.whatif(crossing_trace, "posted-v1")


def test_alone_a_free_lock_gains_its_costs_and_nothing_else(alone: Path) -> None:
    """With locks that cost nothing, nothing; else what taking and releasing costs, to the ps."""
    nothing = ["line.same_cpu=0"] + [
        f"lock.{name}=0"
        for name in (
            "mutex_lock", "mutex_unlock", "rwsem_read", "rwsem_write", "spin_lock", "spin_unlock"
        )
    ]  # fmt: skip
    config = json.loads(_core.resolve([]))
    for costs, settings in ((False, nothing), (True, ["line.same_cpu=0"])):
        base = json.loads(_core.replay_json(str(alone), "igroup", settings))
        changes = what_if.lock_changes(config, base)
        assert {"asid_lock", "igroup->lock", "group->mutex"} <= {c.what for c in changes}
        stats = {lock["class"]: lock for lock in base["locks"]}
        for change in changes:
            text = _core.replay_json(str(alone), "igroup", [*settings, *change.assignments])
            stat = stats[change.what]
            if stat["type"] == "mutex":
                a_pair = 22_000
            else:
                a_pair = 28_000 if stat["type"] == "rwsem" else 13_000
            pairs = stat["write"]["acquisitions"] + stat["read"]["acquisitions"]
            gained = base["end_ps"] - json.loads(text)["end_ps"]
            assert gained == (pairs * a_pair if costs else 0), change


def test_a_free_lock_never_slows_an_uncontended_run(alone: Path) -> None:
    for protocol in ("igroup", "v6.2", "seed-lock-both"):
        summary = smmulab.whatif(alone, protocol).summary()
        locks = summary[summary["change"] == "lock"]
        assert len(locks) >= 6
        assert (locks["ops_gain"] >= 0).all()
        assert set(locks["status"]) == {"ok"}


def ends(trace: Path, *settings: str) -> int:
    result = json.loads(_core.replay_json(str(trace), "igroup", list(settings)))
    assert result["status"] == "ok", result["message"]
    return int(result["main_span_ps"])


def test_a_lock_that_serializes_4_groups_split_by_group_gives_4_fold(contended: Path) -> None:
    # 4 threads, each with a device and a group of its own, one SMMU and ioas, two hwpts: nearly all
    # time is a step under asid_lock.
    step = "driver.write_step=1ms"
    base = ends(contended, step)
    split = {by: ends(contended, step, f"split.asid_lock={by}") for by in what_if.SPLITS}
    assert base / split["group"] == pytest.approx(4, rel=0.01)
    assert split["device"] == split["group"]
    assert 1 < base / split["hwpt"] <= 2.01
    # One ioas, one SMMU: one part, and nothing changes, to the picosecond.
    assert split["ioas"] == split["smmu"] == base


def test_a_lock_that_is_not_split_is_as_it_was(contended: Path) -> None:
    for protocol in ("igroup", "v6.2"):
        plain = _core.replay_json(str(contended), protocol, [])
        base = json.loads(plain)
        keys = ["split." + lock["class"].replace("->", "_") for lock in base["locks"]]
        nothing = [f"{key}=nothing" for key in keys if key != "split.destroy_rwsem"]
        assert len(nothing) > 5
        assert _core.replay_json(str(contended), protocol, nothing) == plain


@pytest.mark.parametrize("protocol", ["igroup", "v6.2"])
def test_each_class_can_be_split_by_each_thing(recorded_trace: Path, protocol: str) -> None:
    config = json.loads(_core.resolve([]))
    base = json.loads(_core.replay_json(str(recorded_trace), protocol, []))
    changes = what_if.split_changes(config, base)
    assert len(changes) >= 10
    for change in changes:
        result = json.loads(_core.replay_json(str(recorded_trace), protocol, [*change.assignments]))
        assert result["status"] in ("ok", "wrong state"), (change, result["message"])
        assert result["operations"] == base["operations"], change


def test_splits_are_ranked_with_the_others(found: smmulab.WhatIf) -> None:
    summary = found.summary()
    splits = summary[summary["change"] == "split"].set_index(["what", "to"])["ops_gain"]
    assert splits["asid_lock", "per group"] == pytest.approx(
        gain(summary, "asid_lock", "free"), abs=0.1
    )
    assert ("asid_lock", "per smmu") not in splits.index  # there is one SMMU
    assert list(summary["ops_gain"]) == sorted(summary["ops_gain"], reverse=True)


def test_half_a_cost_is_between_none_and_all(found: smmulab.WhatIf, alone: Path) -> None:
    """On one thread without contention each cost adds up."""
    summary = smmulab.whatif(alone).summary()
    whole = summary[summary["to"] == "x0"].set_index("what")["ops_gain"]
    half = summary[summary["to"] == "x0.5"].set_index("what")["ops_gain"]
    assert set(half.index) == set(whole.index)
    assert (half[whole.index] <= whole + 1e-12).all()
    assert (half >= 0).all()
    # What the run does not use is not in it: there is no ATS device.
    assert "smmuv3.link.atc_response" in found.unused
    assert "smmuv3.link.completion" not in found.unused


def test_of_the_hardware_what_counts_is_changed(alone: Path, found: smmulab.WhatIf) -> None:
    """hw.* when it is counted, smmuv3.* when it is timed; a queue for each CPU with either."""
    timed = smmulab.whatif(alone)
    counted = smmulab.whatif(alone, set={"smmuv3.hardware": "counted"})
    for what_if_, here, not_here in (
        (counted, "hw.", "smmuv3."),
        (timed, "smmuv3.", "hw."),
        (found, "smmuv3.", "hw."),
    ):
        tried = [*(change.what for change in what_if_.changes), *what_if_.unused]
        assert f"{here}*" in tried
        assert not [what for what in tried if what.startswith(not_here)]
        assert "driver.cmdq_kind" in {change.what for change in what_if_.changes}
    summary = timed.summary()
    assert set(summary["status"]) == {"ok"}
    doorbell = gain(summary, "smmuv3.link.doorbell", "x0")
    assert 0 < gain(summary, "smmuv3.link.doorbell", "x0.5") < doorbell
    assert doorbell < gain(summary, "smmuv3.*", "x0")


def test_times_that_may_not_be_0_stay_and_are_told() -> None:
    timed = json.loads(_core.resolve([]))
    assert not {"smmuv3.tbu.cycle", "sched.tick"} & {*what_if.costs(timed)}
    told = "\n".join(what_if.absent(timed))
    assert "smmuv3.tbu.cycle" in told
    assert "sched.tick" in told
    counted = "\n".join(what_if.absent(json.loads(_core.resolve(["smmuv3.hardware=counted"]))))
    assert "sched.tick" in counted
    assert "smmuv3." not in counted


def test_jobs_make_no_difference(alone: Path) -> None:
    assert smmulab.whatif(alone, jobs=1) == smmulab.whatif(alone, jobs=3)
    with pytest.raises(smmulab.ConfigError, match="jobs"):
        smmulab.whatif(alone, jobs=0)


def test_the_frame_is_tidy_and_pickles(found: smmulab.WhatIf) -> None:
    frame = found.frame()
    kinds = {kind["kind"] for kind in found.base["kinds"]}
    assert len(frame) == len(found.changes) * len(kinds)
    assert not frame.isna().any().any()
    assert pickle.loads(pickle.dumps(found)) == found


def test_progress_may_stop_it(alone: Path) -> None:
    seen: list[tuple[int, int, str]] = []

    def stop(ended: int, known: int, what: str) -> bool:
        seen.append((ended, known, what))
        return ended < 5

    with pytest.raises(smmulab.Interrupted):
        smmulab.whatif(alone, progress=stop)
    assert [ended for ended, _, _ in seen] == [1, 2, 3, 4, 5]
    assert seen[-1][1] > 100


def test_a_tornado_names_the_largest_effects(found: smmulab.WhatIf) -> None:
    ax = found.plot()
    assert isinstance(ax, Axes)
    assert next(text.get_text() for text in ax.get_yticklabels()) == "driver.*"
    assert plot.tornado_p99(found.frame(), "replace", ax=ax) is ax


def test_same_inputs_same_bytes(alone: Path, tmp_path: Path) -> None:
    folders = [tmp_path / "a", tmp_path / "b"]
    for folder in folders:
        made = store.save_whatif(smmulab.whatif(alone), folder)
        assert json.loads((folder / "manifest.json").read_text()) == made
    names = {path.name for path in folders[0].iterdir()}
    assert names == {
        "config.json", "manifest.json", "summary.parquet", "whatif.parquet", "whatif.png"
    }  # fmt: skip
    for name in names:
        assert (folders[0] / name).read_bytes() == (folders[1] / name).read_bytes(), name


def test_the_command_prints_the_ranking(
    contended: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    argv = ["whatif", str(contended), "-s", SLOW_STEP[0], "-o", str(tmp_path)]
    assert cli.main(argv) == 0
    text = capsys.readouterr().out
    first = text.split("What buys most throughput")[1].splitlines()
    assert first[3].split()[:2] == ["driver.*", "x0"]
    assert "destroy_rwsem free or split" in text
    # How many of how many are shown; with --all they are.
    counts = re.match(r": (\d+) changes, each simulated by itself; (\d+) move it", first[0])
    assert counts is not None
    assert f"(showing {CHANGES_SHOWN} of {counts[2]}; --all for the rest)" in text
    assert cli.main([*argv, "--all"]) == 0
    text = capsys.readouterr().out
    assert "--all for the rest" not in text
    table = text.split("What buys most throughput")[1].split("\n\n")[1].splitlines()
    assert len([line for line in table if "What costs most" not in line]) == 1 + int(counts[2])
    assert cli.main([*argv, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["base"]["status"] == "ok"


def test_the_column_of_what_went_wrong_is_there_if_something_did(found: smmulab.WhatIf) -> None:
    assert all(result["status"] == "ok" for result in found.results)
    assert " but\n" not in report_waits.whatif_text(found, [])
    broken = [{**result, "status": "wrong state"} for result in found.results]
    assert " but\n" in report_waits.whatif_text(replace(found, results=broken), [])


def test_ctrl_c_ends_it_quietly(tmp_path: Path) -> None:
    path = tmp_path / "long.iotrace"
    path.write_text(replaces(threads=1, rounds=100_000))
    script = (
        "import os, signal, sys, threading\n"
        "import smmulab.commands.whatif\n"
        "from smmulab.cli import main\n"
        "threading.Timer(2, os.kill, (os.getpid(), signal.SIGINT)).start()\n"
        "sys.exit(main(sys.argv[1:]))\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", script, "whatif", str(path), "-o", str(tmp_path / "out")],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert ended.returncode == 130, ended.stderr
    assert "interrupted" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert not (tmp_path / "out" / "manifest.json").exists()
