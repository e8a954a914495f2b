# SPDX-License-Identifier: Apache-2.0
"""`Job`: one run of a study, and the hash that identifies it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache, cached_property, lru_cache
from pathlib import Path
from typing import Any

from smmulab import _core
from smmulab.config import Config
from smmulab.protocol_source import identity
from smmulab.store import canonical_json


@cache
def build_hash() -> str:
    """SHA-256 of the simulator that is loaded, its compiled half and the Python sources of this
    package (generator, tables, ...): another build may give other numbers."""
    package = Path(__file__).parents[1]
    digest = hashlib.sha256(Path(str(_core.__file__)).read_bytes())
    for path in sorted(package.rglob("*.py")):
        name = path.relative_to(package).as_posix()
        digest.update(f"{name} {path.stat().st_size}\n".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


def trace_hash(path: str) -> str:
    """XXH3-128 of a recorded trace's uncompressed bytes; the file is read again only if it changed."""
    try:
        known = Path(path).stat()
    except OSError:
        return _core.trace_hash(path)  # says what is wrong
    return _trace_hash(path, known.st_dev, known.st_ino, known.st_size, known.st_mtime_ns)


@lru_cache(maxsize=4096)
def _trace_hash(path: str, *_state: int) -> str:
    return _core.trace_hash(path)


@dataclass(frozen=True)
class Job:
    """A resolved configuration with a seed. `run_id`: SHA-256 over configuration, trace (hash of the
    recorded one; workload, seed and generator of a generated one), DMA trace if any, and build. The engine is no part of
    it: both give the same numbers."""

    config: Config
    seed: int

    @cached_property
    def trace_identity(self) -> str:
        """What determines the trace."""
        if self.config.workload is not None:
            from smmulab.workload import writer  # noqa: PLC0415  imports numpy

            return writer.identity(self.config.workload, self.seed)
        return trace_hash(str(self.config.trace))

    @cached_property
    def dma_trace_identity(self) -> str | None:
        """What determines the DMA trace, if there is one."""
        path = self.config.dma_trace
        return None if path is None else trace_hash(path)

    @property
    def protocol_name(self) -> str:
        """The name that results show."""
        return _core.protocol_name(self.config.protocol)

    @cached_property
    def protocol_identity(self) -> str | list[str]:
        """What determines the protocol."""
        return identity(self.config.protocol)

    @cached_property
    def run_id(self) -> str:
        """64 hexadecimal digits."""
        parts: list[Any] = [
            self.protocol_identity,
            self.config.assignments,
            self.trace_identity,
            build_hash(),
        ]
        if self.dma_trace_identity is not None:
            parts.append(self.dma_trace_identity)
        return hashlib.sha256(canonical_json(parts).encode()).hexdigest()

    def to_dict(self) -> dict[str, Any]:
        """What a worker needs, as JSON."""
        config = self.config
        return {
            "run_id": self.run_id,
            "protocol": config.protocol,
            "protocol_identity": self.protocol_identity,
            "assignments": config.assignments,
            "engine": config.engine,
            "trace": config.trace,
            "trace_identity": self.trace_identity,
            "dma_trace": config.dma_trace,
            "workload": None if config.workload is None else config.workload.to_dict(),
            "seed": self.seed,
            "build": build_hash(),
        }
