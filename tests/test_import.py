# SPDX-License-Identifier: Apache-2.0
"""Does `smmulab import` make traces of logs, and say what is wrong with those it cannot take?"""

from __future__ import annotations

import tarfile
from pathlib import Path

import pytest

from command_line import interrupted, run
from conftest import RECORDED_RUNS
from recorded_logs import long_log
from smmulab import Interrupted, _core
from smmulab.commands.options import Progress


def test_import_names_the_bad_line(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    log = tmp_path / "x.ops.txt"
    log.write_text("no log at all\n")
    code, _, err = run(capsys, "import", str(log), "-o", str(tmp_path / "x.iotrace"))
    assert code == 2
    assert "x.ops.txt:1" in err
    assert "iofd-ops" in err
    assert not (tmp_path / "x.iotrace").exists()


def archive_of(folder: Path, *members: str) -> Path:
    path = folder / "run.tar.xz"
    with tarfile.open(path, "w:xz") as archive:
        for name in members:
            archive.addfile(tarfile.TarInfo(name))
    return path


def test_import_of_an_archive_lists_its_shapes(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    out = str(tmp_path / "x.iotrace")
    archive = archive_of(tmp_path, "run/b_two.ops.txt", "run/a_one.ops.txt", "run/a_one.lockstat")
    for log in (f"{archive}", f"{archive}:"):
        code, _, err = run(capsys, "import", log, "-o", out)
        assert code == 2
        assert f"name a shape, {archive}:SHAPE; it has: a_one, b_two" in err
    archive = archive_of(tmp_path, "run/a_one.lockstat")
    for log in (f"{archive}", f"{archive}:a_one"):
        code, _, err = run(capsys, "import", log, "-o", out)
        assert code == 2
        assert "has no operation log" in err


def test_import_writes_traces_only(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    log = tmp_path / "x.ops.txt"
    log.write_text("# iofd_bench shape=a\n")
    code, _, err = run(capsys, "import", str(log), "-o", str(tmp_path / "c.txt"))
    assert code == 2
    assert "c.txt: a trace is named FILE.iotrace or FILE.iotrace.zst" in err


def test_import_of_a_recorded_run(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    run_file = RECORDED_RUNS / "A_ic_smp2.tar.xz"
    if not run_file.exists():
        pytest.skip(f"no recorded runs in {RECORDED_RUNS}")
    trace = tmp_path / "b.iotrace.zst"
    code, text, _ = run(capsys, "import", f"{run_file}:b_spread_8dev_4hwpt", "-o", str(trace))
    assert code == 0
    assert "2901 operations" in text
    assert "2 CPUs" in text
    code, _, err = run(capsys, "import", f"{run_file}:nothing", "-o", str(trace))
    assert code == 2
    assert "b_spread_8dev_4hwpt" in err


def test_ctrl_c_ends_an_import_and_leaves_no_file(tmp_path: Path) -> None:
    log = tmp_path / "long.ops.txt"
    log.write_text(long_log(400_000))
    out = tmp_path / "out"
    out.mkdir()
    # At zstd's level of imports this takes many seconds.
    ended = interrupted("import", str(log), "-o", str(out / "long.iotrace.zst"))
    assert ended.returncode == 130, ended.stderr
    assert "smmulab: interrupted" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert list(out.iterdir()) == []


def test_an_import_tells_how_far_it_is(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    log = tmp_path / "long.ops.txt"
    log.write_text(long_log(20_000))
    told: list[tuple[str, int]] = []

    def note(_: Progress, what: str, ended: int) -> bool:
        told.append((what, ended))
        return True

    monkeypatch.setattr(Progress, "__call__", note)
    assert run(capsys, "import", str(log), "-o", str(tmp_path / "long.iotrace"))[0] == 0
    assert {what for what, _ in told} == {"long.ops.txt"}
    counts = [ended for _, ended in told]
    assert counts == sorted(counts)
    assert counts[0] == 0
    assert 10_000 < counts[-1] <= 20_004

    trace = tmp_path / "stopped.iotrace"
    with pytest.raises(Interrupted):
        _core.import_ops_log(str(log), str(trace), progress=lambda ended: ended == 0)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["long.iotrace", "long.ops.txt"]
