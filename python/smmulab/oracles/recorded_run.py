# SPDX-License-Identifier: Apache-2.0
"""A recorded run as the oracles see it: its logs, its machine, and a trace of each shape."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path

from smmulab import ConfigError, _core
from smmulab.recordings import Recording, load_reference, open_recording
from smmulab.recordings.ops_log import OpsLog, read_ops_log
from smmulab.recordings.run_machine import RunMachine, run_machine


@dataclass(frozen=True)
class RecordedRun:
    """`traces`: shape -> trace made from its operation log. `settings`: "KEY=VALUE" of the replays,
    beyond what the recording says. `progress(what, operations)` is told of each import and replay;
    False ends it (Interrupted)."""

    recording: Recording
    traces: Mapping[str, Path] = field(repr=False)
    settings: Sequence[str] = ()
    progress: Callable[[str, int], bool] | None = field(default=None, repr=False)

    @cached_property
    def machine(self) -> RunMachine | None:
        """The virtual machine, if the recording says what it was."""
        return run_machine(self.recording)

    @property
    def preset(self) -> str:
        """The preset with the run's CPUs: taking turns (-icount), or each with a host thread."""
        turns = self.machine is not None and self.machine.virtual_time
        return "preset=qemu-tcg" if turns else "preset=qemu-mttcg"

    @property
    def made_reference(self) -> bool:
        """Is this one of the archives that the package's reference figures were taken from?"""
        return self.recording.sha256 in load_reference().archives_sha256.values()

    def log(self, shape: str) -> OpsLog:
        """The operation log of a shape."""
        return read_ops_log(self.recording.log(f"{shape}.ops.txt"))

    def telling(self, what: str) -> Callable[[int], bool] | None:
        """The progress of one replay, of an oracle and a shape that are named by `what`."""
        return None if self.progress is None else partial(self.progress, what)

    def has(self, suffix: str) -> bool:
        """Does any shape have a log SHAPE.suffix?"""
        return bool(self.recording.shapes(suffix))


@contextmanager
def recorded_run(
    path: Path,
    settings: Sequence[str] = (),
    progress: Callable[[str, int], bool] | None = None,
) -> Iterator[RecordedRun]:
    """Open a run and import every shape of it, into a folder that goes away afterwards.

    `settings`: "KEY=VALUE", of the replays that it is held against. `progress`: as in `RecordedRun`.

    Raises RecordingError (absent, damaged), ConfigError (no operation log), TraceError, Interrupted.
    """
    recording = open_recording(path)
    shapes = recording.shapes("ops.txt")
    if not shapes:
        raise ConfigError(f"{path}: this recording has no operation log (SHAPE.ops.txt)")
    with tempfile.TemporaryDirectory() as folder:
        logs = Path(folder) / recording.name
        logs.mkdir()
        traces = {}
        for shape in shapes:
            log = logs / f"{shape}.ops.txt"
            log.write_bytes(recording.members[log.name])
            traces[shape] = logs / f"{shape}.iotrace"
            tell = None if progress is None else partial(progress, f"import {shape}")
            _core.import_ops_log(str(log), str(traces[shape]), progress=tell)
        yield RecordedRun(recording, traces, tuple(settings), progress)


def replay_settings(run: RecordedRun, log: OpsLog) -> list[str]:
    """Settings under which a shape is replayed: the run's CPUs, what the program slept, and what was
    asked for."""
    most_us = log.header.settings.get("think", 0)
    slept = ["replay.think=slept", f"replay.sleep_up_to={most_us}us"] if most_us else []
    return [run.preset, *slept, *run.settings]
