# SPDX-License-Identifier: Apache-2.0
"""Writes results to a folder: configuration, tidy Parquet, one figure, and the manifest last,
so that a folder with a manifest is whole. Every file appears under its name only when complete."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from smmulab._core import ConfigError, build_info
from smmulab.percentiles import hgrm

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from smmulab.comparison import Comparison
    from smmulab.running import Result
    from smmulab.waits import Blame
    from smmulab.what_if import WhatIf

    _Result: TypeAlias = Comparison | WhatIf | Blame

SCHEMA = 1


def publish(path: Path, write: Callable[[Path], object]) -> None:
    """Let `write` fill a file beside `path`, put it on the disk (fsync), then give it that name: after
    a power failure, too, there is the old file or the new one, whole.

    A link stays, and what it leads to is replaced. Several may publish one name at a time: the last
    wins. Raises ConfigError, before `write` is called, if
    something other than a file is there: a folder, a device, a pipe.
    """
    if path.exists() and not path.is_file():
        what = "a folder" if path.is_dir() else "no regular file"
        raise ConfigError(f"cannot write {path}: it is {what}")
    target = path.resolve() if path.is_symlink() else path
    partial = target.with_name(f".{target.name}.{_own()}.partial")
    try:
        write(partial)
        _sync(partial)
        partial.replace(target)
        _sync(target.parent)
    finally:
        partial.unlink(missing_ok=True)


def _own() -> str:
    """A part of a file's name that no one else uses at the same time."""
    return f"{os.getpid()}-{secrets.token_hex(4)}"


def _sync(path: Path) -> None:
    opened = os.open(path, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


def prepare_folder(folder: Path) -> None:
    """Make `folder`; raises ConfigError if it cannot be made or written to."""
    if folder.exists() and not folder.is_dir():
        raise ConfigError(f"{folder}: is a file, not a folder")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / f".writable.{_own()}"
        probe.touch()
        probe.unlink(missing_ok=True)
    except OSError as error:
        reason = error.strerror or str(error)
        raise ConfigError(f"{folder}: cannot write to this folder: {reason}") from None


@contextmanager
def output_folder(folder: Path) -> Iterator[None]:
    """Prepares `folder`; if the body fails, folders that were made for it go away again, unless
    something is in them."""
    chain = [folder, *folder.parents]
    made = [path for path in chain if not path.exists()]
    prepare_folder(folder)
    try:
        yield
    except BaseException:
        with suppress(OSError):  # not empty
            for path in made:
                path.rmdir()
        raise


def canonical_json(value: Any) -> str:
    """Keys sorted, no spaces: equal values give equal bytes."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def run_id(comparison: _Result) -> str:
    """SHA-256 over resolved configuration, trace, protocols and build: what makes the numbers. Not
    the engine: both give the same ones, which the tests hold them to; the manifest names it."""
    from smmulab.study.job import build_hash  # noqa: PLC0415  it builds on this module

    identity: list[Any] = [
        comparison.config,
        comparison.trace_hash,
        comparison.protocols,
        build_hash(),
    ]
    if comparison.sources:
        identity.append(comparison.sources)
    dma_trace_hash = getattr(comparison, "dma_trace_hash", None)
    if dma_trace_hash is not None:
        identity.append(["dma_trace", dma_trace_hash])
    changes = getattr(comparison, "changes", None)
    if changes is not None:
        identity.append([change.assignments for change in changes])
    return hashlib.sha256(canonical_json(identity).encode()).hexdigest()


def _build(run_id: str, engine: str) -> dict[str, Any]:
    """The head of a manifest."""
    info = build_info()
    return {
        "schema": SCHEMA,
        "run_id": run_id,
        "smmulab": info.version,
        "compiler": info.compiler,
        "build_type": info.build_type,
        "engine": engine,
        "simgrid": info.simgrid,
    }


def _files(
    trace: str | None, trace_hash: str | None, dma: str | None, dma_hash: str | None
) -> dict[str, Any]:
    """A manifest's entries of what was read."""
    read = {"trace": None if trace is None else Path(trace).name, "trace_xxh3_128": trace_hash}
    if dma is None:
        return read
    return {**read, "dma_trace": Path(dma).name, "dma_trace_xxh3_128": dma_hash}


def manifest(comparison: _Result) -> dict[str, Any]:
    """What made the results; the same inputs give the same bytes. What a replay draws
    (`replay.sleep_up_to`, `line.model` coherent) has one seed always, so that here it is null."""
    sources = comparison.sources
    dma = getattr(comparison, "dma_trace", None)
    dma_hash = getattr(comparison, "dma_trace_hash", None)
    return {
        **_build(run_id(comparison), comparison.engine),
        **_files(comparison.trace, comparison.trace_hash, dma, dma_hash),
        "seed": None,
        "protocols": comparison.protocols,
        **({"protocol_sources_sha256": sources} if sources else {}),
        "config_sha256": hashlib.sha256(canonical_json(comparison.config).encode()).hexdigest(),
    }


def _write_table(folder: Path, name: str, frame: pd.DataFrame, made: dict[str, Any]) -> None:
    import pyarrow as pa  # noqa: PLC0415  slow to import
    import pyarrow.parquet as pq  # noqa: PLC0415

    table = pa.Table.from_pandas(frame, preserve_index=False)
    metadata = {**(table.schema.metadata or {}), b"smmulab": canonical_json(made).encode()}
    table = table.replace_schema_metadata(metadata)
    publish(folder / name, lambda path: pq.write_table(table, path, compression="zstd"))


def _write_tables(to: Path, made: dict[str, Any], *frames: pd.DataFrame) -> None:
    names = ("operations", "locks", "devices", "summary")
    for name, frame in zip(names, frames, strict=True):
        _write_table(to, f"{name}.parquet", frame, made)


def _begin(of: _Result, to: Path) -> dict[str, Any]:
    """Make the folder, take away an old manifest, write the configuration; the new manifest."""
    prepare_folder(to)
    made = manifest(of)
    (to / "manifest.json").unlink(missing_ok=True)
    config = canonical_json(of.config) + "\n"
    publish(to / "config.json", lambda path: path.write_text(config, "utf-8"))
    return made


def _title(made: dict[str, Any]) -> str:
    return f"{made['trace']}  (run {made['run_id'][:12]}, smmulab {made['smmulab']})"


def _end(to: Path, name: str, figure: Figure, made: dict[str, Any]) -> None:
    """The figure, then the manifest."""
    metadata = {"Software": f"smmulab {made['smmulab']}"}
    publish(to / name, lambda path: figure.savefig(path, format="png", dpi=120, metadata=metadata))
    _finish(to, made)


def _finish(to: Path, made: dict[str, Any]) -> None:
    text = json.dumps(made, indent=1) + "\n"
    publish(to / "manifest.json", lambda path: path.write_text(text, "utf-8"))


def save(comparison: Comparison, folder: str | os.PathLike[str]) -> dict[str, Any]:
    """Write everything into `folder`; returns the manifest. Raises ConfigError if it cannot."""
    from smmulab import plot  # noqa: PLC0415  imports matplotlib

    to = Path(folder)
    made = _begin(comparison, to)
    frame, locks = comparison.frame(), comparison.locks()
    _write_tables(to, made, frame, locks, comparison.devices(), comparison.summary())
    figure = plot.comparison(frame, comparison.summary(), locks, comparison.devices(), _title(made))
    if "dma_transactions" in comparison.devices():
        from matplotlib.figure import Figure  # noqa: PLC0415  as above

        from smmulab import plot_dma  # noqa: PLC0415  as above

        dark = Figure(figsize=(7, 2.6), layout="constrained")
        plot_dma.dark(comparison.devices(), dark.add_subplot())
        publish(to / "dma_dark.png", lambda path: dark.savefig(path, format="png", dpi=120))
    _end(to, "comparison.png", figure, made)
    return made


def save_run(result: Result, folder: str | os.PathLike[str]) -> dict[str, Any]:
    """Write configuration (for Config.from_json), tables and manifest of one run into `folder`;
    returns the manifest. Raises ConfigError if it cannot."""
    from smmulab import tables  # noqa: PLC0415  as above

    to, config = Path(folder), result.config
    prepare_folder(to)
    text = config.to_json() + "\n"
    made = {
        **_build(result.run_id, config.engine),
        **_files(config.trace, result.trace_hash, config.dma_trace, result.dma_trace_hash),
        "seed": None if config.workload is None else result.seed,
        "protocols": [result.document["protocol"]],
        "config_sha256": hashlib.sha256(text.strip().encode()).hexdigest(),
    }
    (to / "manifest.json").unlink(missing_ok=True)
    publish(to / "config.json", lambda path: path.write_text(text, "utf-8"))
    summary = tables.summary([result.document])
    _write_tables(to, made, result.frame(), result.locks(), result.devices(), summary)
    _finish(to, made)
    return made


def save_hgrm(comparison: Comparison, folder: str | os.PathLike[str]) -> list[Path]:
    """Latency percentiles as hgrm/PROTOCOL.OPERATION.hgrm; the files written."""
    to = Path(folder) / "hgrm"
    prepare_folder(to)
    files = []
    for result in comparison.results:
        for kind in result["kinds"]:
            write = partial(Path.write_text, data=hgrm(kind["latency"]), encoding="utf-8")
            files.append(to / f"{result['protocol']}.{kind['kind']}.hgrm")
            publish(files[-1], write)
    return files


def save_whatif(what_if: WhatIf, folder: str | os.PathLike[str]) -> dict[str, Any]:
    """The same for a what-if: whatif.parquet, summary.parquet, whatif.png."""
    from smmulab import plot  # noqa: PLC0415  imports matplotlib

    to = Path(folder)
    made = _begin(what_if, to)
    _write_table(to, "whatif.parquet", what_if.frame(), made)
    _write_table(to, "summary.parquet", what_if.summary(), made)
    _end(to, "whatif.png", plot.what_if(what_if.summary(), what_if.frame(), _title(made)), made)
    return made


def save_blame(found: Blame, folder: str | os.PathLike[str]) -> dict[str, Any]:
    """The same for blame: blame.parquet, critical_path.parquet, tracepoints.parquet,
    blame.folded."""
    to = Path(folder)
    made = _begin(found, to)
    _write_table(to, "blame.parquet", found.frame(), made)
    _write_table(to, "critical_path.parquet", found.critical_path(), made)
    _write_table(to, "tracepoints.parquet", found.tracepoints(), made)
    publish(to / "blame.folded", lambda path: path.write_text(found.folded(), "utf-8"))
    _finish(to, made)
    return made
