# SPDX-License-Identifier: Apache-2.0
"""Do studies that start or end in one store at the same moment leave each other alone?"""

from __future__ import annotations

import fcntl
from pathlib import Path
from threading import Event, Thread
from typing import IO

import pytest

from smmulab import Store
from smmulab.store import prepare_folder, publish


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
        row = {"run_id": "f" * 64, "status": "ok", "error": ""}
        row |= {"param.protocol": "igroup", "param.seed": 1}
        journal.append({"runs": [row], "operations": [], "locks": [], "latencies": []})
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
