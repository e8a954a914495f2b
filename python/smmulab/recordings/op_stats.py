# SPDX-License-Identifier: Apache-2.0
"""Oracle O12: how long each kind of operation took, per shape; all times in ns.

Quantiles are recorded values (the smallest value with at least that part of the sample at or
below it), never interpolated, so every figure is an integer and repeats exactly.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class DurationStats:
    """A sample of durations. `mode_ns`: the most frequent value (the least, among equals)."""

    n: int
    min_ns: int
    p10_ns: int
    median_ns: int
    mode_ns: int
    mode_n: int
    p90_ns: int

    def as_dict(self) -> dict[str, int]:
        """The figures by name."""
        return asdict(self)


def duration_stats(durations_ns: pd.Series[int]) -> DurationStats:
    """Summarize a non-empty sample."""
    sample = np.sort(durations_ns.to_numpy(dtype=np.int64))
    if sample.size == 0:
        raise ValueError("no durations to summarize")
    low, middle, high = np.quantile(sample, [0.1, 0.5, 0.9], method="inverted_cdf")
    values, counts = np.unique(sample, return_counts=True)
    top = int(np.argmax(counts))
    return DurationStats(
        n=int(sample.size),
        min_ns=int(sample[0]),
        p10_ns=int(low),
        median_ns=int(middle),
        mode_ns=int(values[top]),
        mode_n=int(counts[top]),
        p90_ns=int(high),
    )


def stats_by_kind(frame: pd.DataFrame) -> dict[str, DurationStats]:
    """Statistics per kind of operation; `frame` as `add_kinds` returns it."""
    groups = frame.groupby("kind")["duration_ns"]
    return {str(kind): duration_stats(durations) for kind, durations in groups}


def uncontended(frame: pd.DataFrame) -> pd.DataFrame:
    """The operations during which no other thread had one under way."""
    by_start = frame.sort_values("start_ns")
    latest_end = by_start["end_ns"].cummax().shift(1, fill_value=-1)
    next_start = by_start["start_ns"].shift(-1, fill_value=np.iinfo(np.int64).max)
    alone = (by_start["start_ns"] >= latest_end) & (by_start["end_ns"] <= next_start)
    return by_start[alone]


def think_times(frame: pd.DataFrame) -> dict[str, DurationStats]:
    """User time from the end of an operation to the start of the same thread's next one, by
    "op -> next op". The main thread's are left out."""
    own = frame[frame["thread"] >= 0].sort_values(["thread", "start_ns"])
    after = own.groupby("thread")[["start_ns", "op"]].shift(-1)
    known = after["start_ns"].notna()
    gaps = (after.loc[known, "start_ns"] - own.loc[known, "end_ns"]).astype("int64")
    names = own.loc[known, "op"] + " -> " + after.loc[known, "op"]
    return {str(name): duration_stats(sample) for name, sample in gaps.groupby(names)}
