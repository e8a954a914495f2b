# SPDX-License-Identifier: Apache-2.0
"""Is a store that is damaged, or of another version, refused in words that help?"""

from __future__ import annotations

import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import smmulab
from smmulab import Config, Workload, cli, sweep
from smmulab.study.store import TABLES

SMALL = Config(workload=Workload(devices=2, ops=40))
ARGV = ["sweep", "-s", "generate.devices=2", "-s", "generate.ops=40", "-f", "threads=1,2"]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("damage") / "store"
    sweep(SMALL, {"threads": [1]}, out=folder)
    return folder


@pytest.fixture
def store(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "store"))


def refused(argv: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """The one line on standard error of a command that ends with 2."""
    assert cli.main(argv) == 2
    told = capsys.readouterr()
    assert (told.out, told.err.count("\n")) == ("", 1)
    assert told.err.startswith("smmulab: error: ")
    return told.err


@pytest.mark.parametrize("table", TABLES)
def test_a_damaged_table_says_what_to_do(
    store: Path, table: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = store / f"{table}.parquet"
    whole = path.read_bytes()
    for damaged in (whole[: len(whole) // 2], b"", b"no Parquet"):
        path.write_bytes(damaged)
        told = refused([*ARGV, "-o", str(store)], capsys)
        assert f"{path}: damaged or no Parquet: " in told
        assert "; remove it, and its runs are made again" in told
        path.write_bytes(damaged)
        (store / "manifest.json").unlink(missing_ok=True)
        assert f"{path}: damaged" in refused(["report", str(store)], capsys)


def test_another_table_in_its_place(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pq.write_table(pa.table({"a": [1]}), store / "runs.parquet")
    told = refused([*ARGV, "-o", str(store)], capsys)
    assert "runs.parquet: damaged or no Parquet" in told


@pytest.mark.parametrize("text", ["", "{", "[]", "{}"])
def test_a_damaged_manifest_says_what_to_do(
    store: Path, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = store / "manifest.json"
    good = path.read_bytes()
    path.write_text(text)
    told = refused(["report", str(store)], capsys)
    assert f"{path}: damaged: " in told
    assert "remove it, and it is made again" in told
    path.unlink()
    smmulab.Store(store).compact()
    assert path.read_bytes() == good


@pytest.mark.parametrize("line", ["no JSON", "{}", "[]", '{"runs": []}'])
def test_a_damaged_journal_says_what_to_do(
    store: Path, line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (store / "journal-1-a.jsonl").write_text(f"{line}\n")
    told = refused([*ARGV, "-o", str(store)], capsys)
    assert "journal-1-a.jsonl:1: damaged: not a run's line; remove it" in told


@pytest.mark.parametrize(
    ("mark", "message"),
    [
        ('{"kind": "smmulab study", "schema": 2}', "a store of version 2 of 'smmulab study'; this"),
        ('{"kind": "other", "schema": 1}', "a store of version 1 of 'other'; this smmulab reads"),
        ("{", "store.json: cannot be read"),
        ("[]", "store.json: cannot be read"),
    ],
)
def test_a_store_of_another_version(
    store: Path, mark: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (store / "store.json").write_text(mark)
    before = {path.name: path.read_bytes() for path in store.glob("*.parquet")}
    for argv in ([*ARGV, "-o", str(store)], ["report", str(store)]):
        assert message in refused(argv, capsys)
    assert {path.name: path.read_bytes() for path in store.glob("*.parquet")} == before
