# SPDX-License-Identifier: Apache-2.0
"""The reference figures taken from recordings of a real kernel, as the package carries them.

Made by `python -m smmulab.recordings.extract`; data/reference.json names the runs and their
checksums. Nothing here was produced by the simulator.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

    from smmulab.recordings.op_stats import DurationStats


@dataclass(frozen=True)
class LockSequence:
    """A lock sequence one kind of operation was seen to take (words: see lockdep_log.py)."""

    kind: str
    words: tuple[str, ...]
    n: int
    shapes: dict[str, int]

    def locks(self) -> tuple[str, ...]:
        """The words without the tracepoint marks."""
        return tuple(word for word in self.words if not word.startswith("{"))


@dataclass(frozen=True)
class Reference:
    """Recorded figures; `raw` is the whole file."""

    raw: dict[str, Any] = field(repr=False)

    @property
    def archives_sha256(self) -> dict[str, str]:
        """Run name -> checksum of the archive it was read from."""
        return dict(self.raw["archives_sha256"])

    def kinds(self) -> list[str]:
        """Kinds of operation whose lock sequences are known."""
        return sorted(self.raw["lock_sequences"]["sequences"])

    def sequences(self, kind: str) -> list[LockSequence]:
        """O4: lock sequences of that kind, most frequent first."""
        known = self.raw["lock_sequences"]["sequences"]
        if kind not in known:
            raise KeyError(f"no lock sequence recorded for '{kind}'; known: {', '.join(known)}")
        return [LockSequence(kind, tuple(s["locks"]), s["n"], s["shapes"]) for s in known[kind]]

    def shapes(self) -> list[str]:
        """Names of the recorded workload shapes."""
        return sorted(self.raw["latencies"]["shapes"])

    def contention(self) -> pd.DataFrame:
        """O11, tidy: shape, kind (mutex, rwsem_read, ...), lock_class, acquisitions, begins, share.

        `share` is the part (0..1) of that shape's contended acquisitions of that kind of lock.
        """
        import pandas as pd  # noqa: PLC0415  slow to import

        rows = [
            {"shape": shape, "kind": kind, "lock_class": name, **figures}
            for shape, kinds in self.raw["contention"]["shapes"].items()
            for kind, classes in kinds.items()
            for name, figures in classes.items()
        ]
        return pd.DataFrame(rows)

    def latency(self, shape: str, kind: str, part: str = "all") -> DurationStats:
        """O12: one figure; `part` is all, uncontended or think_time ("op -> next op")."""
        from smmulab.recordings.op_stats import DurationStats  # noqa: PLC0415  imports numpy

        return DurationStats(**self.raw["latencies"]["shapes"][shape][part][kind])

    def map_cost(self, op: str) -> dict[str, int]:
        """Fitted cost terms of `map` or `unmap`, in ns (formula: map_costs.py)."""
        return dict(self.raw["map_costs"][op])

    def latencies(self, part: str = "all") -> pd.DataFrame:
        """O12, tidy: shape, kind and the fields of DurationStats."""
        import pandas as pd  # noqa: PLC0415

        rows = [
            {"shape": shape, "kind": kind, **figures}
            for shape, parts in self.raw["latencies"]["shapes"].items()
            for kind, figures in parts[part].items()
        ]
        return pd.DataFrame(rows)


@cache
def load_reference() -> Reference:
    """The figures that ship with the package."""
    text = files("smmulab.recordings").joinpath("data", "reference.json").read_text("utf-8")
    return Reference(json.loads(text))
