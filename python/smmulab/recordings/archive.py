# SPDX-License-Identifier: Apache-2.0
"""Open a recorded run: a NAME.tar.xz archive, a folder of the same files, or one log.

Recordings are small (at most 20 MB unpacked), so an archive is decompressed once, whole;
members are then handed out as numbered text lines. Every complaint names file and line.
"""

from __future__ import annotations

import hashlib
import lzma
import tarfile
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from smmulab._core import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

ARCHIVE_SUFFIXES = (".tar.xz", ".txz", ".tar")


class RecordingError(ConfigError, ValueError):
    """A recording that is absent, damaged or not what its name says."""

    def __init__(self, message: str, file: str, line: int | None = None) -> None:
        where = file if line is None else f"{file}:{line}"
        super().__init__(f"{where}: {message}")
        self.file = file
        self.line = line


@dataclass(frozen=True)
class TextLog:
    """One text member: its display name (for messages) and its text."""

    name: str
    text: str = field(repr=False)

    def lines(self) -> Iterator[tuple[int, str]]:
        """Number (from 1) and text of each line, without its line end."""
        return enumerate(self.text.split("\n") if self.text else (), start=1)

    def fault(self, message: str, line: int | None = None) -> RecordingError:
        """An error that names this log."""
        return RecordingError(message, self.name, line)


@dataclass(frozen=True)
class Recording:
    """A run: named text members, and the checksum of the archive they came from."""

    name: str
    sha256: str | None
    members: Mapping[str, bytes] = field(repr=False)

    def log(self, member: str) -> TextLog:
        """The named member as text; bytes that are not UTF-8 become U+FFFD."""
        try:
            data = self.members[member]
        except KeyError:
            raise RecordingError(f"no member '{member}' in this recording", self.name) from None
        return TextLog(f"{self.name}/{member}", data.decode("utf-8", errors="replace"))

    def shapes(self, suffix: str) -> list[str]:
        """Names SHAPE for which a member SHAPE.suffix exists, sorted ("ops.txt" -> a_..., ...)."""
        end = "." + suffix
        return sorted(name.removesuffix(end) for name in self.members if name.endswith(end))


def run_name(path: Path) -> str:
    """The run's name: the file name without its archive suffixes."""
    for suffix in ARCHIVE_SUFFIXES:
        if path.name.endswith(suffix):
            return path.name.removesuffix(suffix)
    return path.name


def open_recording(path: Path | str) -> Recording:
    """Open an archive, a folder of logs, or a single log file (a run with one member)."""
    path = Path(path)
    try:
        if path.is_dir():
            return _open_folder(path)
        if path.name.endswith(ARCHIVE_SUFFIXES):
            return _open_archive(path)
        return Recording(path.parent.name, None, {path.name: path.read_bytes()})
    except FileNotFoundError:
        raise RecordingError("no such recording", str(path)) from None
    except OSError as error:
        raise RecordingError(f"cannot be read: {error.strerror or error}", str(path)) from error


def _open_folder(path: Path) -> Recording:
    members = {p.name: p.read_bytes() for p in sorted(path.iterdir()) if p.is_file()}
    if not members:
        raise RecordingError("folder holds no files", str(path))
    return Recording(path.name, None, members)


def _open_archive(path: Path) -> Recording:
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    members: dict[str, bytes] = {}
    try:
        with tarfile.open(path, "r:*") as archive:
            for info in archive:
                stream = archive.extractfile(info) if info.isfile() else None
                if stream is not None:
                    members[PurePosixPath(info.name).name] = stream.read()
    except (tarfile.TarError, lzma.LZMAError, EOFError) as error:
        raise RecordingError(f"damaged archive: {error}", str(path)) from error
    if not members:
        raise RecordingError("archive holds no files", str(path))
    return Recording(run_name(path), digest, dict(sorted(members.items())))
