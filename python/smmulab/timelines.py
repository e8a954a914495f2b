# SPDX-License-Identifier: Apache-2.0
"""`timeline`: one replay as a trace for Perfetto; `lock_times`: its locks as a table."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from os import PathLike, fspath
from pathlib import Path
from typing import TYPE_CHECKING, Any

from smmulab import _core
from smmulab.comparison import assignments_of
from smmulab.protocol_source import ProtocolLike, key_and_name
from smmulab.store import publish

if TYPE_CHECKING:
    import pandas as pd

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


def lock_times(
    trace: str | PathLike[str],
    protocol: ProtocolLike = "igroup",
    machine: str | PathLike[str] | None = None,
    *,
    set: str | Sequence[str] | Mapping[str, object] = (),
    progress: ProgressFunction | None = None,
) -> pd.DataFrame:
    """Replay `trace` under `protocol`: when each thread waited for a lock, and who held it meanwhile.

    Arguments and errors as in `compare`. Columns: thread, lock (CLASS#INSTANCE), lock_class, state ("waits",
    "holds"), start_ps, end_ps; by start. A wait is there if the lock was found taken, and lasts from the request
    to the acquisition. Of several readers the one that has held the lock longest is shown. Holds are
    whole wherever somebody waited; elsewhere some are left out, and so is what has no end.
    """
    import pandas as pd  # noqa: PLC0415  most of a start-up's time

    key, name = key_and_name(protocol)
    machine_path = None if machine is None else fspath(machine)
    tell = None if progress is None else (lambda ended: progress(name, ended))
    rows = _core.lock_times(fspath(trace), key, assignments_of(set), machine_path, tell)
    names = ["thread", "lock", "lock_class", "state", "start_ps", "end_ps"]
    frame = pd.DataFrame(rows, columns=names)
    frame["lock"] = frame["lock_class"] + "#" + frame["lock"]
    frame["state"] = frame["state"].map({True: "holds", False: "waits"}).astype(str)
    order = ["start_ps", "end_ps", "thread", "lock", "state"]
    return frame.sort_values(order, kind="stable", ignore_index=True)
