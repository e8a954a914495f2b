# SPDX-License-Identifier: Apache-2.0
"""`timeline`: one replay as a trace for Perfetto."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from os import PathLike, fspath
from pathlib import Path
from typing import Any

from smmulab import _core
from smmulab.comparison import assignments_of
from smmulab.protocol_source import ProtocolLike, key_and_name
from smmulab.store import publish

# Progress of the replay: (protocol, operations ended) -> go on?
ProgressFunction = Callable[[str, int], bool]


def timeline(
    trace: str | PathLike[str],
    out: str | PathLike[str],
    protocol: ProtocolLike = "igroup",
    machine: str | PathLike[str] | None = None,
    *,
    set: str | Sequence[str] | Mapping[str, object] = (),
    progress: ProgressFunction | None = None,
) -> dict[str, Any]:
    """Replay `trace` under `protocol` with a record, and write it to `out` for ui.perfetto.dev.

    Arguments and errors as in `compare`; returns the replay's raw document. The record takes 32 bytes
    an event while this runs. A run that deadlocks is written up to there.
    """
    key, name = key_and_name(protocol)
    machine_path = None if machine is None else fspath(machine)
    tell = None if progress is None else (lambda ended: progress(name, ended))
    documents: list[str] = []

    def write(path: Path) -> None:
        documents.append(
            _core.timeline(
                fspath(trace), key, assignments_of(set), fspath(path), machine_path, tell
            )
        )

    publish(Path(out), write)
    result: dict[str, Any] = json.loads(documents[0])
    return result
