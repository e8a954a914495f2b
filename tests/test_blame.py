# SPDX-License-Identifier: Apache-2.0
"""Does `blame` tell who waits for whom, and what the run's critical path is made of?"""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import pytest

import smmulab
from smmulab import cli, store
from what_if_traces import replaces

# 4 threads spend nearly all of their time in write_step, under asid_lock.
SLOW_STEP = ["driver.write_step=50us"]


@pytest.fixture(scope="module")
def contended(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("traces") / "contended.iotrace"
    path.write_text(replaces(threads=4, rounds=20))
    return path


@pytest.fixture(scope="module")
def found(contended: Path) -> smmulab.Blame:
    return smmulab.blame(contended, set=SLOW_STEP)


def test_threads_wait_for_each_other_through_the_lock_they_share(found: smmulab.Blame) -> None:
    frame = found.frame()
    assert (frame["longest_ps"] <= frame["total_ps"]).all()
    assert (frame["longest_ps"] * frame["count"] >= frame["total_ps"]).all()
    locks = frame[frame["kind"] == "lock"]
    asid = locks[locks["awaited"] == "asid_lock#0"]
    assert asid["total_ps"].sum() > 0.99 * locks["total_ps"].sum()
    assert (locks["holder"] != locks["waiter"]).all()
    matrix = found.matrix()
    assert set(matrix.index) == {"t0", "t1", "t2", "t3"}
    assert int(matrix.to_numpy().sum()) == int(locks["total_ps"].sum())
    # Four threads take turns: each waits for the three others, alike.
    held = matrix.drop(columns="", errors="ignore").to_numpy()
    others = held[held > held.max() / 10]
    assert len(others) == 12
    assert others.min() > 0.8 * others.max()


def test_the_critical_path_is_the_serial_work(found: smmulab.Blame) -> None:
    path = found.critical_path()
    assert path["total_ps"].sum() == found.path["length_ps"] == found.result["end_ps"]
    assert path["share"].sum() == pytest.approx(1)
    first = path.groupby(["state", "lock_class"])["share"].sum()
    assert first["runs", "asid_lock"] > 0.9
    assert set(path["thread"]) == {"t0", "t1", "t2", "t3"}


def test_stacks_weigh_what_the_table_does(found: smmulab.Blame) -> None:
    locks = 0
    for line in found.folded().splitlines():
        stack, weight = line.rsplit(" ", 1)
        frames = stack.split(";")
        assert frames[1] in {"replace", "attach", "bind", "hwpt_alloc", "(no operation)"}
        if "#" in frames[2] and not frames[2].startswith("CMD_SYNC"):
            locks += int(weight)
    frame = found.frame()
    total_ns = frame.loc[frame["kind"] == "lock", "total_ps"].sum() / 1000
    assert total_ns - len(found.stacks) <= locks <= total_ns


def test_alone_nobody_waits_for_anybody(tmp_path: Path) -> None:
    path = tmp_path / "alone.iotrace"
    path.write_text(replaces(threads=1, rounds=5))
    found = smmulab.blame(path)
    assert set(found.frame()["kind"]) == {"object"}
    assert found.matrix().empty
    assert found.path["switches"] == 0
    assert found.path["length_ps"] == found.result["end_ps"]


def test_of_a_deadlock_it_tells_what_is_never_granted(crossing_trace: Path) -> None:
    found = smmulab.blame(crossing_trace, "posted-v1")
    assert found.result["status"] == "deadlock"
    assert found.unfinished == 2


def test_it_pickles_and_stops(found: smmulab.Blame, recorded_trace: Path) -> None:
    assert pickle.loads(pickle.dumps(found)) == found
    with pytest.raises(smmulab.Interrupted):
        smmulab.blame(recorded_trace, progress=lambda _protocol, _ended: False)


def test_same_inputs_same_bytes(contended: Path, tmp_path: Path) -> None:
    folders = [tmp_path / "a", tmp_path / "b"]
    for folder in folders:
        store.save_blame(smmulab.blame(contended), folder)
    names = {path.name for path in folders[0].iterdir()}
    assert names == {
        "config.json",
        "manifest.json",
        "blame.parquet",
        "critical_path.parquet",
        "tracepoints.parquet",
        "blame.folded",
    }
    for name in names:
        assert (folders[0] / name).read_bytes() == (folders[1] / name).read_bytes(), name


def test_the_command_prints_and_writes(
    contended: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    argv = ["blame", str(contended), "-s", SLOW_STEP[0], "-o", str(tmp_path)]
    assert cli.main(argv) == 0
    text = capsys.readouterr().out
    assert "asid_lock#0" in text
    assert "Critical path" in text
    assert cli.main([*argv, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["critical_path"]["switches"] > 10


def test_the_exit_code_says_that_it_went_wrong(crossing_trace: Path, tmp_path: Path) -> None:
    argv = ["blame", str(crossing_trace), "-p", "posted-v1", "-o", str(tmp_path)]
    assert cli.main(argv) == 1


def test_tracepoints_see_no_more_than_there_was(contended: Path) -> None:
    found = smmulab.blame(contended)
    frame = found.tracepoints()
    waits = {(row["class"], row["mode"]): row for row in found.seen}
    assert not frame.empty
    assert (frame["seen"] <= frame["contended"]).all()
    assert (frame["unseen_wait_ps"] >= 0).all()
    for lock in found.result["locks"]:
        for mode in ("write", "read"):
            stat = lock[mode]
            row = waits.get((lock["class"], mode))
            assert stat["contentions"] == (row["contended"] if row else 0)
            # Counted from the request on: the failed fast path is in it, not in lock_stat's.
            assert stat["waittime_total_ps"] <= (row["wait_total_ps"] if row else 0)
            if row and lock["type"] == "mutex":
                assert row["seen_wait_ps"] == row["wait_total_ps"]
            if row and lock["type"] == "rwsem":
                assert row["seen_wait_ps"] <= row["wait_total_ps"] - stat["wait_spin_ps"]
