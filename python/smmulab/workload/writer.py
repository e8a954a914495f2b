# SPDX-License-Identifier: Apache-2.0
"""`generate`: writes a `Workload` as a trace file (docs/trace-format.md)."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from os import PathLike, fspath
from pathlib import Path
from typing import BinaryIO, cast

from smmulab._core import ConfigError, Interrupted
from smmulab.checking import whole_number
from smmulab.workload.operations import Machine, run_phase, set_up
from smmulab.workload.spec import Workload

# Changes whenever the same workload and seed give another trace.
GENERATOR_VERSION = 1
_LINES = 8192


@dataclass(frozen=True)
class Generated:
    """What was written: the file, its operations (those of the set-up included) and bytes of text."""

    path: Path
    operations: int
    bytes: int


def identity(workload: Workload, seed: int) -> str:
    """SHA-256 of what determines the trace: workload, seed and generator."""
    parts = {"workload": workload.to_dict(), "seed": seed, "generator": GENERATOR_VERSION}
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _header(workload: Workload, seed: int, machine: Machine) -> Iterator[str]:
    w = workload
    mix = ",".join(f"{kind}={weight}" for kind, weight in w.weights.items())
    yield "smmulab-trace 1"
    yield "meta kind generated"
    yield (
        f"meta source smmulab generate --devices {w.devices} --groups {w.groups} "
        f"--smmus {w.smmus} --hwpts {w.hwpts} --ioases {w.ioases} --threads {w.threads} "
        f"--cpus {w.cpus} --ops {w.ops} --mix {mix} --think {w.think} --map-bytes {w.map_bytes} "
        f"--areas {w.areas} --drive {w.drive} --seed {seed}"
    )
    yield f"meta generator {GENERATOR_VERSION}"
    for cpu in range(w.cpus):
        yield f"cpu {cpu} socket=0 node=0"
    for smmu in range(w.smmus):
        yield f"smmu {smmu}"
    for group in range(w.groups):
        yield f"group {group}"
    for device in range(w.devices):
        yield f"devset {device}"
    for device, group in enumerate(machine.group_of):
        yield (
            f"device {device} name=dev{device} smmu={machine.smmu_of_group[group]} "
            f"sid={device + 1:#x} group={group} devset={device}"
        )
    for thread in range(w.threads):
        yield f"thread {thread} name=t{thread} cpu={thread % w.cpus}"
    yield "begin"
    yield "phase setup"


def _open(path: Path) -> BinaryIO:
    if path.name.endswith(".zst"):
        import zstandard  # noqa: PLC0415  a plain trace needs none

        compressor = zstandard.ZstdCompressor(level=3, write_checksum=True)
        return cast(BinaryIO, zstandard.open(path, "wb", cctx=compressor))
    return path.open("wb")


def _lines(workload: Workload, seed: int) -> Iterator[str]:
    machine = Machine(workload)
    yield from _header(workload, seed, machine)
    yield from set_up(machine)
    yield "phase run"
    yield from run_phase(machine, seed)
    yield f"end {workload.set_up_operations + workload.ops}"


def generate(
    workload: Workload,
    path: str | PathLike[str],
    seed: int = 1,
    *,
    progress: Callable[[int], bool] | None = None,
) -> Generated:
    """Write `workload` as a trace to `path` (.iotrace, or .iotrace.zst for zstd).

    The same workload and seed (0 or more) give the same text. Lines are written as they are made:
    memory does not grow with `ops`. The file appears under its name only when it is whole.
    `progress(lines)` is called now and then; False ends it (Interrupted).

    Raises ConfigError for a seed below 0, and for a path that is no trace's or cannot be written.
    """
    seed = whole_number(seed, 0, 2**63 - 1, "seed")
    to = Path(fspath(path))
    if not to.name.endswith((".iotrace", ".iotrace.zst")):
        raise ConfigError(f"{to}: a trace's name ends in .iotrace or .iotrace.zst")
    # A name of its own: several may write one trace at a time, and the last wins.
    partial = to.with_name(f".partial-{os.getpid()}-{secrets.token_hex(4)}.{to.name}")
    lines = size = 0
    try:
        with _open(partial) as file:
            for part in _batches(_lines(workload, seed)):
                text = ("\n".join(part) + "\n").encode()
                file.write(text)
                lines, size = lines + len(part), size + len(text)
                if progress is not None and not progress(lines):
                    raise Interrupted("interrupted")
        partial.replace(to)
    except OSError as error:
        raise ConfigError(f"{to}: cannot be written: {error.strerror or error}") from None
    finally:
        partial.unlink(missing_ok=True)
    return Generated(to, workload.set_up_operations + workload.ops, size)


def _batches(lines: Iterable[str]) -> Iterator[list[str]]:
    batch: list[str] = []
    for line in lines:
        batch.append(line)
        if len(batch) == _LINES:
            yield batch
            batch = []
    if batch:
        yield batch
