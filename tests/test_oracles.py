# SPDX-License-Identifier: Apache-2.0
"""Are the models held to what a real kernel did? (O4, O11, O12; docs/validation.md has the figures)"""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

import command_line
from conftest import RECORDED_RUNS, ROOT
from recorded_logs import long_log
from smmulab.cli import main
from smmulab.commands import validate
from smmulab.commands.options import Progress
from smmulab.commands.validate import check
from smmulab.oracles import ORACLES, latency, lock_sequences
from smmulab.oracles.recorded_run import recorded_run, replay_settings
from smmulab.recordings import load_reference
from smmulab.recordings.op_kinds import add_kinds

HARDWARE = pytest.mark.parametrize("hardware", ["counted", "timed"])


def table_of(name: str, hardware: str) -> pd.DataFrame:
    oracle = ORACLES[name]
    path = RECORDED_RUNS / f"{oracle.run}.tar.xz"
    if not path.exists():
        pytest.skip(f"no recorded run {path}")
    return check(oracle, path, [f"smmuv3.hardware={hardware}"])


@HARDWARE
def test_lock_sequences_are_those_of_the_kernel(hardware: str) -> None:
    table = table_of("lock-sequences", hardware)
    assert table[table["verdict"] == "miss"].empty
    judged = table[table["verdict"] == "ok"]
    assert set(judged["operation"]) == set(lock_sequences.KINDS)
    assert (table["verdict"] == "not judged").sum() == 2  # and nothing slips in there
    # The paths of the recording that matter most are all taken.
    taken = set(judged["recorded"])
    assert {
        "attach",
        "replace_in_ioas",
        "replace_across_ioas",
        "group_replace_in_ioas",
        "detach_leave",
        "attach_join",
        "map",
        "unmap",
        "hwpt_alloc",
    } <= taken
    assert len(table) - len(judged) <= 2


def test_a_lock_sequence_that_misses_is_shown_against_the_nearest() -> None:
    sequence = load_reference().sequences("detach_leave")[0]
    words = lock_sequences.covered(sequence.words)
    model = "; ".join(
        [word for word in words if word != "+M igroup->lock"] + ["-W iova_rwsem"],
    )
    known = lock_sequences.recorded(load_reference(), "detach")
    lines = lock_sequences.details("miss", model, known).splitlines()
    assert lines[0].startswith("against a recorded detach")
    assert [line for line in lines[1:] if not line.startswith("  ")] == [
        "- +M igroup->lock",
        "+ -W iova_rwsem",
    ]
    assert max(map(len, lock_sequences.details("ok", model, known).splitlines())) <= 100


def test_all_prints_the_rows_that_agree(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [("a_one", "map", "ok"), ("b_two", "unmap", "miss")]
    table = pd.DataFrame(rows, columns=["shape", "operation", "verdict"])
    assert validate.show("latency", "O12", table, everything=False) == 1
    few = capsys.readouterr().out
    assert ("a_one" in few, "b_two" in few) == (False, True)
    assert "1 agree (--all prints them), 1 miss, 0 not judged" in few
    validate.show("latency", "O12", table, everything=True)
    assert "a_one" in capsys.readouterr().out


def test_without_the_recorded_runs_a_file_is_asked_for(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["validate", "--oracle", "latency"]) == 2
    assert "A_ic_smp2.tar.xz: no such recorded run" in (err := capsys.readouterr().err)
    assert "smmulab validate --oracle latency FILE" in err
    # All oracles: those are left out, the published figures are there.
    monkeypatch.setattr(
        validate.published, "check", lambda _progress: pd.DataFrame({"verdict": ["ok"]})
    )
    assert main(["validate"]) == 0
    out = capsys.readouterr().out
    assert "latency: left out: " in out
    assert "qemu: left out: " in out
    assert "1 agree (--all prints them), 0 miss" in out
    assert "smmulab validate workloads/recordings/FILE" in out
    assert main(["validate", "-s", "hw.sync=1us"]) == 2
    assert "no recorded run is here" in capsys.readouterr().err


def test_the_replays_of_an_oracle_take_settings(capsys: pytest.CaptureFixture[str]) -> None:
    run = ROOT / "workloads" / "recordings" / "V_ic_smp1.tar.xz"
    command = ["validate", str(run), "--oracle", "latency"]
    assert main([*command, "-s", "smmuv3.hardware=timed"]) == 0
    assert main([*command, "-s", "driver.write_entry=1ms"]) == 1
    assert main([*command, "-s", "driver.write_entri=1ms"]) == 2
    assert "driver.write_entry" in capsys.readouterr().err
    assert main(["validate", "--oracle", "published", "-s", "smmuv3.hardware=timed"]) == 2
    assert "oracle published replays no recording" in capsys.readouterr().err


def test_every_recorded_class_is_covered_or_named_as_not() -> None:
    reference = load_reference()
    classes = {
        word.split()[1]
        for kind in reference.kinds()
        for sequence in reference.sequences(kind)
        for word in sequence.locks()
    }
    assert classes == lock_sequences.COVERED | lock_sequences.UNCOVERED


@HARDWARE
def test_contention_falls_on_the_recorded_classes(hardware: str) -> None:
    table = table_of("contention", hardware)
    assert table[table["verdict"] == "miss"].empty
    assert len(table) >= 10


@HARDWARE
def test_a_destroy_of_an_hwpt_takes_what_it_took_with_its_flush(hardware: str) -> None:
    """One in each of the shapes that driver.domain_free of qemu-tcg is from, not contended."""
    path = RECORDED_RUNS / "A_ic_smp2.tar.xz"
    if not path.exists():
        pytest.skip(f"no recorded run {path}")
    with recorded_run(path, [f"smmuv3.hardware={hardware}"]) as run:
        for shape in (name for name in run.traces if name.startswith(latency.CALIBRATED_ON)):
            log = run.log(shape)
            model = latency.simulated(log, run.traces[shape], replay_settings(run, log))
            (recorded,), (simulated,) = (
                frame.loc[frame["kind"] == "destroy_hwpt", "duration_ns"]
                for frame in (add_kinds(log), add_kinds(model))
            )
            assert simulated == pytest.approx(recorded, rel=0.01), shape


@HARDWARE
def test_latencies_in_virtual_time(hardware: str) -> None:
    table = table_of("latency", hardware)
    assert table[table["verdict"] == "miss"].empty
    assert len(table) >= 40


@pytest.fixture
def long_run(tmp_path: Path) -> Path:
    """A recorded run of one shape with more operations than any real one."""
    folder = tmp_path / "long_smp1"
    folder.mkdir()
    (folder / "many.ops.txt").write_text(long_log(100_000))
    return folder


def test_ctrl_c_ends_validate(long_run: Path) -> None:
    ended = command_line.interrupted("validate", "--oracle", "lock-sequences", str(long_run))
    assert ended.returncode == 130, ended.stderr
    assert "smmulab: interrupted" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert "agree" not in ended.stdout


@pytest.mark.parametrize("within", ["import many", "lock-sequences many"])
def test_each_step_of_validate_can_be_interrupted(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, long_run: Path, within: str
) -> None:
    """Each tells how far it is, which is where Ctrl-C is looked at."""

    def stop(_: Progress, what: str, _ended: int) -> bool:
        if what == within:
            raise KeyboardInterrupt
        return True

    monkeypatch.setattr(Progress, "__call__", stop)
    code, out, err = command_line.run(
        capsys, "validate", "--oracle", "lock-sequences", str(long_run)
    )
    assert code == 130
    assert err == "smmulab: interrupted\n"
    assert "agree" not in out
