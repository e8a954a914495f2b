# SPDX-License-Identifier: Apache-2.0
"""Parquet files of a store: read, merge, order, write; the same rows give the same bytes."""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Iterable, Sequence
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from smmulab._core import ConfigError
from smmulab.store import publish

if TYPE_CHECKING:
    import pandas as pd

_ALWAYS = ("param.protocol", "param.seed")
_HASHES = ("param.trace_identity", "param.dma_trace_identity")


def read(path: Path, columns: Sequence[str] | None = None) -> pa.Table:
    """A table; ConfigError if it is damaged."""
    try:
        with pq.ParquetFile(path) as file:  # pq.read_table imports pandas
            if lost := set(columns or ()) - set(file.schema_arrow.names):
                raise pa.ArrowInvalid(f"no column {', '.join(sorted(lost))}")
            return file.read(columns)
    except (pa.ArrowException, OSError) as error:
        reason = str(error).splitlines()[0]
        raise ConfigError(
            f"{path}: damaged or no Parquet: {reason}; remove it, and its runs are made again"
        ) from None


def column(values: list[Any]) -> pa.Array:
    """As pa.array(values), which imports pandas (0.2 s) to see that these are none of its own.

    No digit is lost: integers beside floats that a double cannot hold (beyond 2^53) make a column of
    integers, if the floats are whole numbers; else ConfigError."""
    kinds = set(map(type, values)) - {type(None)}
    if not kinds:
        return pa.nulls(len(values))
    missing = None in values
    filled = [value or 0 for value in values] if missing else values
    if kinds == {int, float} and not all(map(_is_double, filled)):
        return column([_whole(value) for value in values])
    try:
        if kinds == {bool}:
            kind, buffers = pa.bool_(), [_bits(filled)]
        elif kinds == {int}:
            kind, buffers = pa.int64(), [pa.py_buffer(array("q", filled))]
        elif kinds <= {int, float}:
            kind, buffers = pa.float64(), [pa.py_buffer(array("d", filled))]
        elif kinds == {str}:
            texts = [(value or "").encode() for value in values]
            ends = array("i", accumulate(map(len, texts), initial=0))
            kind, buffers = pa.string(), [pa.py_buffer(ends), pa.py_buffer(b"".join(texts))]
        else:
            return pa.array(values)
    except OverflowError:  # an integer of more than 64 bits, texts of more than 2 GiB
        return pa.array(values)
    valid = _bits([value is not None for value in values]) if missing else None
    return pa.Array.from_buffers(kind, len(values), [valid, *buffers])


def _is_double(value: float) -> bool:
    try:
        return isinstance(value, float) or float(value) == value
    except OverflowError:
        return False


def _whole(value: float | None) -> int | None:
    if isinstance(value, float) and not value.is_integer():
        raise ConfigError(
            f"{value} is in one column with integers beyond 2^53, of which a double would lose digits"
        )
    return None if value is None else int(value)


def _bits(values: list[Any]) -> pa.Buffer:
    """A bit each, the first one lowest."""
    digits = "".join("1" if value else "0" for value in reversed(values))
    return pa.py_buffer(int(digits, 2).to_bytes((len(values) + 7) // 8, "little"))


def _table(rows: list[dict[str, Any]]) -> pa.Table:
    """A column for each key of any row."""
    if not rows:
        return pa.table({"run_id": pa.nulls(0, pa.string())})
    names = list(rows[0])
    if all(list(row) == names for row in rows):  # as a rule, and far quicker
        columns = zip(*(row.values() for row in rows), strict=True)
        return pa.table(dict(zip(names, map(column, map(list, columns)), strict=True)))
    names = list(dict.fromkeys(key for row in rows for key in row))
    return pa.table({name: column([row.get(name) for row in rows]) for name in names})


def merged(before: pa.Table | None, rows: list[dict[str, Any]], ids: Iterable[str]) -> pa.Table:
    """`before` without the runs `ids`, and `rows`; columns of both, missing values null."""
    new = _table(rows)
    if before is None:
        return new
    if len(before):
        known = column(list(ids)).cast(pa.string())
        before = before.filter(pc.invert(pc.is_in(before["run_id"], value_set=known)))
    if not len(new):
        return before
    return pa.concat_tables([before, new], promote_options="permissive")


def _sort_keys(table: pa.Table) -> list[str]:
    names = [name for name in table.column_names if name.startswith("param.")]
    used = [name for name in sorted(names) if not pa.types.is_null(table[name].type)]
    return [name for name in used if len(pc.unique(table[name])) > 1]


def sort_runs(table: pa.Table) -> tuple[pa.Table, list[str]]:
    """Runs by their parameters, seeds last; columns by name, parameters last; and the ids' order."""
    if not len(table):
        return table, []
    keys = [key for key in _sort_keys(table) if key not in {"param.seed", "param.trace_identity"}]
    table = table.sort_by([(key, "ascending") for key in [*keys, "param.seed", "run_id"]])
    first = ["run_id", "status", "error"]
    names = sorted(name for name in table.column_names if name not in first)
    names.sort(key=lambda name: name.startswith("param."))
    return table.select([*first, *names]), table["run_id"].to_pylist()


def sort_like(table: pa.Table, order: list[str]) -> pa.Table:
    """Rows in the order of their runs; within a run as they are."""
    if not len(table):
        return table
    place = {run_id: number for number, run_id in enumerate(order)}
    places = [place[run_id] for run_id in table["run_id"].to_pylist()]
    rows = sorted(range(len(places)), key=places.__getitem__)
    return table.take(column(rows))


def write(path: Path, table: pa.Table) -> str:
    """Write, and give the SHA-256 of the bytes."""
    table = table.combine_chunks().replace_schema_metadata(None)
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd")
    data = sink.getvalue().to_pybytes()
    publish(path, lambda partial: partial.write_bytes(data))
    return hashlib.sha256(data).hexdigest()


def worth_showing(name: str, column: pd.Series[Any]) -> bool:
    """Not a parameter, or one that is not the same everywhere."""
    if not name.startswith("param.") or name in _ALWAYS:
        return True
    return name not in _HASHES and len(column.drop_duplicates()) > 1


def varying(path: Path) -> list[str]:
    """Columns of `path` without those parameters that are the same in all rows; told by the file's
    statistics, so that it takes no reading."""
    try:
        file = pq.ParquetFile(path)
        metadata = file.metadata
        names = list(file.schema_arrow.names)
        empty = {field.name for field in file.schema_arrow if pa.types.is_null(field.type)}
    except (pa.ArrowException, OSError):
        read(path)  # says why
        raise
    return [
        name
        for place, name in enumerate(names)
        if not name.startswith("param.")
        or name in _ALWAYS
        or not (name in empty or name in _HASHES or _is_same(metadata, place))
    ]


def _is_same(metadata: pq.FileMetaData, place: int) -> bool:
    """Whether column `place` has one value, or none, in all rows."""
    groups = [metadata.row_group(i) for i in range(metadata.num_row_groups)]
    found = [(group.num_rows, group.column(place).statistics) for group in groups]
    if any(known is None for _, known in found):
        return False
    if all(known.null_count == count for count, known in found):
        return True
    return (
        all(known.has_min_max and not known.null_count for _, known in found)
        and len({end for _, known in found for end in (known.min, known.max)}) == 1
    )


def by_run(path: Path) -> dict[str, list[dict[str, Any]]]:
    """The rows of each run."""
    rows: dict[str, list[dict[str, Any]]] = {}
    if path.exists():
        for row in read(path).to_pylist():
            rows.setdefault(row["run_id"], []).append(row)
    return rows


def to_frame(table: pa.Table) -> pd.DataFrame:
    """As pandas; integers with missing values become floats with NaN."""
    # In this thread: were one of Arrow's the last to let go of Python's memory while Python ends,
    # the process would abort.
    frame: pd.DataFrame = table.to_pandas(use_threads=False)
    return frame


def of_csv(data: bytes) -> pd.DataFrame:
    """A table of CSV. Arrow reads numbers exactly, whatever the version of pandas."""
    from pyarrow import csv  # noqa: PLC0415

    # A copy in Arrow's memory, since its threads read it: see to_frame.
    sink = pa.BufferOutputStream()
    sink.write(data)
    return to_frame(csv.read_csv(pa.BufferReader(sink.getvalue())))
