# SPDX-License-Identifier: Apache-2.0
"""`lockdep` and `explore`: what the commands of these names do, from Python."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from os import PathLike, fspath
from typing import Any

from smmulab import _core
from smmulab.comparison import assignments_of
from smmulab.protocol_source import ProtocolLike, key_of

_MAX_SCHEDULES = 1_000_000


@dataclass(frozen=True)
class Checked:
    """What a check found: `text` as the command prints it, `document` as with --json, `dot` the lock
    graph (lockdep). `clean`: nothing was found."""

    clean: bool
    text: str = field(repr=False)
    document: dict[str, Any] = field(repr=False)
    dot: str = field(default="", repr=False)

    def __str__(self) -> str:
        return self.text


def lockdep(
    protocol: ProtocolLike,
    trace: str | PathLike[str] | None = None,
    machine: str | PathLike[str] | None = None,
    *,
    set: str | Sequence[str] | Mapping[str, object] = (),
) -> Checked:
    """Lock-order hazards of a protocol, before anything deadlocks (docs/lockdep.md): of `trace`, or
    of the covering set. Arguments and errors as in `compare`."""
    found = _core.lockdep(
        key_of(protocol),
        assignments_of(set),
        None if machine is None else fspath(machine),
        None if trace is None else fspath(trace),
    )
    return Checked(not found.hazards, found.text, json.loads(found.json), found.dot)


def explore(
    protocol: ProtocolLike,
    trace: str | PathLike[str] | None = None,
    machine: str | PathLike[str] | None = None,
    *,
    cases: Sequence[str] = (),
    set: str | Sequence[str] | Mapping[str, object] = (),
    max_schedules: int = _MAX_SCHEDULES,
) -> Checked:
    """Small cases, or a small `trace`, in every order of their steps that matters (docs/explore.md).
    `cases`: names of built-in ones; default: all. Arguments and errors as in `compare`."""
    found = _core.explore(
        key_of(protocol),
        assignments_of(set),
        None if machine is None else fspath(machine),
        None if trace is None else fspath(trace),
        list(cases),
        max_schedules,
    )
    return Checked(not found.failed, found.text, json.loads(found.json))
