# SPDX-License-Identifier: Apache-2.0
"""Logs of QEMU's `-trace smmu*`, plain, zstd or xz. What reads them is C++, which takes the first two;
an xz file is unpacked to a temporary one, so that memory stays small."""

from __future__ import annotations

import lzma
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from smmulab import _core
from smmulab.recordings.archive import RecordingError

_XZ_MAGIC = b"\xfd7zXZ\x00"


@contextmanager
def unpacked(path: Path | str) -> Iterator[str]:
    """The name of a file that C++ can read."""
    try:
        with Path(path).open("rb") as file:
            packed = file.read(len(_XZ_MAGIC)) == _XZ_MAGIC
    except OSError as error:
        raise RecordingError(f"cannot be read: {error.strerror or error}", str(path)) from error
    if not packed:
        yield str(path)
        return
    with tempfile.NamedTemporaryFile(suffix=".log") as plain:
        try:
            with lzma.open(path) as source:
                shutil.copyfileobj(source, plain)
        except (lzma.LZMAError, EOFError) as error:
            raise RecordingError(f"damaged xz data: {error}", str(path)) from error
        plain.flush()
        yield plain.name


def is_qemu_log(path: Path | str) -> bool:
    """Is there an event of such a log in this file? A file that is not there does not."""
    if not Path(path).is_file():
        return False
    with unpacked(path) as plain:
        return _core.looks_like_qemu_log(plain)
