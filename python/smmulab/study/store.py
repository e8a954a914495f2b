# SPDX-License-Identifier: Apache-2.0
"""`Store`: a folder with the runs of one or more studies.

    runs.parquet        a row for each run: param.*, status, error, totals
    operations.parquet  a row for each run and kind of operation
    locks.parquet       a row for each run, lock class and mode
    latencies.parquet   a row for each bucket of a latency histogram
    manifest.json       written last: what the tables hold
    journal-*.jsonl     runs that ended since, a line each

A run is appended to a journal, in one write, as soon as it ends; a kill at any moment loses none of
those (a power failure may lose the last ones). The tables are written from what the folder holds
when a study ends. Several studies may write to one store at a time: each has a journal of its own,
which it keeps locked, and a lock file orders the making of journals and the writing of tables. The
same runs give the same bytes, whoever made them and in whatever order.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import secrets
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from os import PathLike, fspath
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from smmulab._core import ConfigError
from smmulab.store import prepare_folder, publish
from smmulab.study import parquet

if TYPE_CHECKING:
    import pandas as pd

SCHEMA = 1
KIND = "smmulab study"
TABLES = ("runs", "operations", "locks", "latencies")
# These may have been an accident of the machine: another sweep tries them again.
RETRIED = frozenset({"crashed"})


class Journal:
    """Where one study appends its runs; locked while it is open."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / f"journal-{os.getpid()}-{secrets.token_hex(4)}.jsonl"
        self._file = self.path.open("ab", buffering=0)
        fcntl.flock(self._file, fcntl.LOCK_EX)

    def append(self, record: Mapping[str, Any]) -> None:
        """One run, in one write: once this returns, it outlives this process, though perhaps not a
        power failure. OSError if the disk is full."""
        line = json.dumps(record).encode() + b"\n"
        if self._file.write(line) != len(line):
            raise OSError(errno.ENOSPC, "no space left", str(self.path))

    def close(self) -> None:
        """Done; its rows may now move into the tables."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def _records(path: Path) -> Iterator[dict[str, Any]]:
    """The runs of a journal; a last line that was cut off is none."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:  # has just moved into the tables
        return
    for number, line in enumerate(data.split(b"\n")[:-1], 1):
        try:
            record = json.loads(line)
            _ = record["runs"][0]["run_id"]
        except (ValueError, LookupError, TypeError):
            raise ConfigError(f"{path}:{number}: damaged: not a run's line; remove it") from None
        yield record


def _manifest(path: Path) -> dict[str, Any]:
    try:
        made: dict[str, Any] = json.loads(path.read_text("utf-8"))
        if not {"tables", "runs"} <= made.keys():
            raise ValueError("it does not say what the tables hold")
    except (OSError, ValueError, AttributeError) as error:
        raise ConfigError(f"{path}: damaged: {error}; remove it, and it is made again") from None
    return made


class Store:
    """The runs in a folder. Raises ConfigError if it holds something else, another version's store,
    or a table that cannot be read."""

    def __init__(self, folder: str | PathLike[str], *, create: bool = False) -> None:
        self.folder = Path(fspath(folder))
        if create:
            prepare_folder(self.folder)
        elif not self.folder.is_dir():
            raise ConfigError(f"{self.folder}: no such folder")
        mark = self.folder / "store.json"
        # Before the mark is looked for: another study may make this store at the same moment, and it
        # writes the mark before any table.
        has_tables = create and any(self.folder.glob("*.parquet"))
        if mark.exists():
            self._check(mark)
        elif create:
            if has_tables:
                raise ConfigError(f"{self.folder}: holds results of something else")
            text = json.dumps({"kind": KIND, "schema": SCHEMA}) + "\n"
            publish(mark, lambda path: path.write_text(text, "utf-8"))
        else:
            raise ConfigError(f"{self.folder}: no store of a study (it has no store.json)")

    def __repr__(self) -> str:
        return f"Store({str(self.folder)!r})"

    def _check(self, mark: Path) -> None:
        try:
            found = json.loads(mark.read_text("utf-8"))
            kind, schema = found["kind"], found["schema"]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ConfigError(f"{mark}: cannot be read: {error}") from None
        if kind != KIND or schema != SCHEMA:
            raise ConfigError(
                f"{self.folder}: a store of version {schema} of '{kind}'; this smmulab reads "
                f"version {SCHEMA} of '{KIND}'"
            )

    def journal(self) -> Journal:
        """A new journal to append to."""
        # Between its making and its lock, compact() would take it for one that has ended.
        with self._locked():
            return Journal(self.folder)

    def _journals(self) -> list[Path]:
        return sorted(self.folder.glob("journal-*.jsonl"))

    def statuses(self) -> dict[str, str]:
        """Status of each run by run_id, those still in journals included."""
        # Journals first: a run moves from there into the tables, never back.
        moved = {
            record["runs"][0]["run_id"]: record["runs"][0]["status"]
            for path in self._journals()
            for record in _records(path)
        }
        table = self._path("runs")
        found = parquet.read(table, ["run_id", "status"]) if table.exists() else None
        known = {} if found is None else dict(zip(*found.to_pydict().values(), strict=True))
        return known | moved

    def done(self) -> set[str]:
        """Run ids that need not be run again."""
        return {key for key, status in self.statuses().items() if status not in RETRIED}

    def _path(self, table: str) -> Path:
        return self.folder / f"{table}.parquet"

    @contextmanager
    def _locked(self) -> Iterator[None]:
        with (self.folder / ".lock").open("a") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def compact(self) -> dict[str, Any]:
        """Move what is in journals into the tables, then write the manifest; returns it. A later row
        of a run replaces an earlier one."""
        with self._locked():
            ended, records = [], []
            for path in self._journals():
                with path.open("rb") as file:
                    try:
                        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                        ended.append(path)
                    except BlockingIOError:
                        pass  # its study goes on: read, but kept
                    records += list(_records(path))
            manifest = self.folder / "manifest.json"
            if records or (self._path("runs").exists() and not manifest.exists()):
                made = self._merge(records)
            elif manifest.exists():
                made = _manifest(manifest)
            else:
                made = {"kind": KIND, "schema": SCHEMA, "tables": {}, "runs": {}}  # empty yet
            for path in ended:
                path.unlink()
        return made

    def _merge(self, records: list[dict[str, Any]]) -> dict[str, Any]:
        (self.folder / "manifest.json").unlink(missing_ok=True)
        latest = {record["runs"][0]["run_id"]: record for record in records}
        made: dict[str, Any] = {"kind": KIND, "schema": SCHEMA, "tables": {}}
        order: list[str] = []
        for name in TABLES:
            rows = [row for record in latest.values() for row in record[name]]
            before = parquet.read(self._path(name)) if self._path(name).exists() else None
            table = parquet.merged(before, rows, latest.keys())
            if name == "runs":
                table, order = parquet.sort_runs(table)
                statuses = table["status"].to_pylist() if len(table) else []
                made["runs"] = {s: statuses.count(s) for s in sorted(set(statuses))}
            else:
                table = parquet.sort_like(table, order)
            digest = parquet.write(self._path(name), table)
            made["tables"][f"{name}.parquet"] = {"rows": len(table), "sha256": digest}
        text = json.dumps(made, indent=1) + "\n"
        publish(self.folder / "manifest.json", lambda path: path.write_text(text, "utf-8"))
        return made

    def table(self, name: str) -> pd.DataFrame:
        """All columns of one of TABLES, runs still in journals included."""
        # Journals first: a run moves from there into the tables, never back.
        records = [record for file in self._journals() for record in _records(file)]
        path = self._path(name)
        before = parquet.read(path) if path.exists() else None
        latest = {record["runs"][0]["run_id"]: record for record in records}
        rows = [row for record in latest.values() for row in record[name]]
        return parquet.to_frame(parquet.merged(before, rows, latest.keys()))

    def runs(self, *, all_parameters: bool = False) -> pd.DataFrame:
        """A row for each run. Of the parameters those that differ between runs, protocol and seed
        always; all of them with `all_parameters`."""
        path = self._path("runs")
        if path.exists() and not self._journals() and not all_parameters:
            return parquet.to_frame(parquet.read(path, parquet.varying(path)))
        frame = self.table("runs")
        if all_parameters:
            return frame
        return frame[[name for name in frame.columns if parquet.worth_showing(name, frame[name])]]

    def with_parameters(self, name: str) -> pd.DataFrame:
        """Table `name`, each row with the parameters and the status of its run."""
        # Its rows first: a study that ends between the two adds runs without rows here, not the
        # other way about.
        rows = self.table(name)
        runs = self.runs()
        shown = ["run_id", "status", *(key for key in runs.columns if key.startswith("param."))]
        return rows.merge(runs[shown], on="run_id", how="left", validate="many_to_one")


def merge(into: str | PathLike[str], stores: Iterable[str | PathLike[str]]) -> dict[str, Any]:
    """Put the runs of `stores` into the store `into`; returns its manifest."""
    target = Store(into, create=True)
    with target.journal() as journal:
        for folder in stores:
            source = Store(folder)
            source.compact()
            parts = {name: parquet.by_run(source._path(name)) for name in TABLES}
            for run_id in parts["runs"]:
                journal.append({name: parts[name].get(run_id, []) for name in TABLES})
    return target.compact()
