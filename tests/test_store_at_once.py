# SPDX-License-Identifier: Apache-2.0
"""Do studies that start or end in one store at the same moment leave each other alone?"""

from __future__ import annotations

import fcntl
import json
from collections.abc import Callable
from pathlib import Path
from threading import Event, Thread
from typing import IO, Any

import pytest

import smmulab
from smmulab import Store
from smmulab.store import prepare_folder, publish
from smmulab.study import parquet


def record(run_id: str) -> dict[str, list[dict[str, Any]]]:
    row = {"run_id": run_id, "status": "ok", "error": ""}
    row |= {"param.protocol": "igroup", "param.seed": 1}
    lock = {"run_id": run_id, "lock_class": "ioas"}
    return {"runs": [row], "operations": [], "locks": [lock], "latencies": []}


def filled(folder: Path, run_id: str) -> Store:
    """A store with one run, still in a journal."""
    store = Store(folder, create=True)
    with store.journal() as journal:
        journal.append(record(run_id))
    return store


def before_first(
    monkeypatch: pytest.MonkeyPatch, where: object, name: str, act: Callable[[], object]
) -> None:
    """Let `act` happen right before the first call of `where.name`."""
    real = getattr(where, name)
    left = [act]

    def hooked(*arguments: Any, **named: Any) -> Any:
        if left:
            left.pop()()
        return real(*arguments, **named)

    monkeypatch.setattr(where, name, hooked)


def test_a_journal_is_not_taken_between_its_making_and_its_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another study ends just then, and moves journals that nobody holds into the tables."""
    store = Store(tmp_path, create=True)
    ended_or_waits = Event()
    flock = fcntl.flock

    def other_study_ends() -> None:
        Store(tmp_path).compact()
        ended_or_waits.set()

    other = Thread(target=other_study_ends)

    def hooked(file: IO[bytes], how: int) -> None:
        if Path(file.name).name.startswith("journal-") and how == fcntl.LOCK_EX:
            other.start()
            assert ended_or_waits.wait(60)
        elif Path(file.name).name == ".lock":
            try:
                flock(file, how | fcntl.LOCK_NB)
                return
            except BlockingIOError:
                ended_or_waits.set()
        flock(file, how)

    monkeypatch.setattr(fcntl, "flock", hooked)
    with store.journal() as journal:
        other.join(60)
        journal.append(record("f" * 64))
        assert journal.path.exists()
    assert Store(tmp_path).compact()["runs"] == {"ok": 1}


def test_a_file_may_be_published_while_another_publishes_it(tmp_path: Path) -> None:
    path = tmp_path / "store.json"

    def slow(partial: Path) -> None:
        partial.write_text("slow")
        publish(path, lambda other: other.write_text("fast"))
        assert path.read_text() == "fast"

    publish(path, slow)
    assert path.read_text() == "slow"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_may_be_prepared_while_another_prepares_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    touch = Path.touch
    touched: list[Path] = []

    def hooked(path: Path) -> None:
        touch(path)
        touched.append(path)
        if len(touched) == 1:
            prepare_folder(tmp_path)

    monkeypatch.setattr(Path, "touch", hooked)
    prepare_folder(tmp_path)
    assert len(touched) == 2
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("at", ["_journals", "_path"])
def test_a_reader_sees_each_run_once_while_a_study_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: str
) -> None:
    """At whatever step the rows move from a journal into the tables, they are seen once."""
    filled(tmp_path, "a" * 64).compact()
    filled(tmp_path, "b" * 64)
    reader = Store(tmp_path)
    before_first(monkeypatch, reader, at, lambda: Store(tmp_path).compact())
    assert sorted(reader.table("runs")["run_id"]) == ["a" * 64, "b" * 64]


def test_every_row_has_its_parameters_while_a_study_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It ends after the first of the two tables was read."""
    filled(tmp_path, "a" * 64).compact()
    reader = Store(tmp_path)
    to_frame = parquet.to_frame
    ended: list[Path] = []

    def hooked(table: Any) -> Any:
        frame = to_frame(table)
        if not ended:
            ended.append(tmp_path)
            filled(tmp_path, "b" * 64).compact()
        return frame

    monkeypatch.setattr(parquet, "to_frame", hooked)
    found = reader.with_parameters("locks")
    assert ended
    assert len(found) == 1
    assert found["status"].notna().all()


def test_two_studies_may_make_one_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The other one makes it, and fills it, while this one looks whether it is there."""
    exists = Path.exists
    made: list[Path] = []

    def hooked(path: Path) -> bool:
        found = exists(path)
        if path.name == "store.json" and not made:
            made.append(path)
            filled(tmp_path, "a" * 64).compact()
        return found

    monkeypatch.setattr(Path, "exists", hooked)
    assert set(Store(tmp_path, create=True).statuses()) == {"a" * 64}
    assert json.loads((tmp_path / "store.json").read_text())["kind"] == "smmulab study"


def test_tables_of_something_else_are_no_store(tmp_path: Path) -> None:
    (tmp_path / "mine.parquet").write_bytes(b"")
    with pytest.raises(smmulab.ConfigError, match="something else"):
        Store(tmp_path, create=True)
