# SPDX-License-Identifier: Apache-2.0
"""Does `check` find a number that moved, and only then; and are the committed results sound?"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import smmulab
from conftest import ROOT
from smmulab import cli
from smmulab.study import reference
from smmulab.study.file import read_study
from smmulab.study.reference import compare_frames, make, names, read_csv

STUDY = """\
[study]
title = "A small one"
protocols = ["igroup", "one-lock"]
x = "threads"

[generate]
devices = 4
ops = 40

[factors]
threads = "1,2,4"
"""


@pytest.fixture
def results(tmp_path: Path) -> Path:
    folder = tmp_path / "results"
    (folder / "small").mkdir(parents=True)
    (folder / "small" / "study.toml").write_text(STUDY)
    assert make(folder, out=tmp_path / "out") == ["small"]
    return folder


def test_the_same_numbers_pass(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = {path.name for path in (results / "small").iterdir()}
    assert made == {"study.toml", "runs.csv", "figure.png", "manifest.json"}
    out = results.parent / "check"
    assert cli.main(["check", str(results), "-o", str(out)]) == 0
    assert capsys.readouterr().out == "small: every number is the same\n"
    assert not (out / "small" / "delta.png").exists()
    text = (results / "README.md").read_text()
    frame = read_csv(results / "small" / "runs.csv")
    rate = frame.query("`param.protocol` == 'igroup'")["ops_per_s"]
    assert f"`igroup`: {rate.iloc[0]:,.0f} ops/s at threads 1, {rate.iloc[2]:,.0f} at 4" in text
    assert "![A small one](small/figure.png)" in text


def test_one_picosecond_is_found(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, out = results / "small" / "runs.csv", results.parent / "check"
    before = read_csv(path)
    wrong = before.copy()
    wrong.loc[1, "span_ps"] += 1
    wrong.to_csv(path, index=False, float_format="%.17g")
    assert cli.main(["check", str(results), "-o", str(out), "--json"]) == 1
    (told,) = json.loads(capsys.readouterr().out)
    (cell,) = told["moved"]
    assert (cell["column"], cell["row"]) == (
        "span_ps",
        "cpus=2, threads=2, protocol=igroup, seed=1",
    )
    assert cell["before"] - cell["after"] == 1
    assert {path.name for path in (out / "small").glob("*.png")} == {
        "before.png",
        "after.png",
        "delta.png",
    }
    # Not accepted without a reason, taken with one.
    assert cli.main(["check", str(results), "-o", str(out), "--update"]) == 2
    argv = ["check", str(results), "-o", str(out), "--update", "--reason", "a test"]
    assert cli.main(argv) == 0
    assert read_csv(path).equals(before)
    assert "small (1 cells): a test" in (results / "CHANGES.md").read_text()
    assert cli.main(["check", str(results), "-o", str(out)]) == 0


def test_a_check_runs_for_real(results: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Again and again, whatever an earlier check has left."""
    seen: list[tuple[int, int]] = []
    real = reference.sweep

    def counting(*args: object, **kwargs: object) -> smmulab.Sweep:
        done = real(*args, **kwargs)  # type: ignore[arg-type]
        seen.append((done.ran, done.skipped))
        return done

    monkeypatch.setattr(reference, "sweep", counting)
    out = results.parent / "check"
    for _ in range(2):
        assert cli.main(["check", str(results), "-o", str(out)]) == 0
    assert seen == [(6, 0), (6, 0)]
    # What is no store of ours is not taken away.
    (out / "small" / "store" / "store.json").unlink()
    assert cli.main(["check", str(results), "-o", str(out)]) == 2
    assert (out / "small" / "store" / "runs.parquet").exists()


def test_runs_that_come_and_go_are_told(results: Path) -> None:
    frame = read_csv(results / "small" / "runs.csv")
    found = compare_frames("small", frame.iloc[1:], frame.iloc[:-1])
    assert (len(found.moved), found.lost, found.new, found.same) == (0, 1, 1, False)


def test_unknown_names_and_damage(results: Path, tmp_path: Path) -> None:
    with pytest.raises(smmulab.ConfigError, match="no study 'smal'; did you mean 'small'"):
        names(results, ["smal"])
    with pytest.raises(smmulab.ConfigError, match="no study"):
        names(tmp_path / "nothing")
    (results / "small" / "runs.csv").write_text("a,b\n1,2\n")
    assert cli.main(["check", str(results), "-o", str(tmp_path / "check")]) == 2


def test_the_committed_results_are_of_their_studies() -> None:
    """Each has its files, and as many runs as its study asks for. `smmulab check results` runs them."""
    for name in names(ROOT / "results"):
        folder = ROOT / "results" / name
        study = read_study(folder / "study.toml")
        frame = read_csv(folder / "runs.csv")
        points = 1
        for values in study.factors.values():
            points *= len(values)  # type: ignore[arg-type]
        assert len(frame) == points * int(study.seeds)  # type: ignore[arg-type]
        assert (folder / "figure.png").stat().st_size < 200_000
        assert f"## {study.title}" in (ROOT / "results" / "README.md").read_text()


def test_laws_of_independent_groups() -> None:
    """Sixteen groups that share no lock are nearly sixteen times one; a lock around the ioas, or the
    driver's around all ASIDs, holds them to its own service rate."""
    frame = read_csv(ROOT / "results" / "laws" / "runs.csv")
    rate = frame.set_index(
        ["param.driver.global_asid_lock", "param.protocol", "param.generate.threads"]
    )["ops_per_s"]
    alone = rate[False, "igroup", 1]
    for k in (2, 4, 8, 16):
        assert rate[False, "igroup", k] == pytest.approx(k * alone, rel=0.02)
        for asid_lock in (False, True):
            shared = rate[asid_lock, "devices-users-3", k]
            assert shared < 1.2 * rate[asid_lock, "devices-users-3", 1]
        # The time for which a replace holds asid_lock, and what handing it over takes: no more a second.
        assert rate[True, "igroup", k] == pytest.approx(rate[True, "igroup", 16], rel=0.01)
    assert rate[True, "igroup", 16] < 1.5 * alone
