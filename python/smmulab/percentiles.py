# SPDX-License-Identifier: Apache-2.0
"""Latency percentiles as HdrHistogram prints them (`.hgrm`), for the tools that read that format.

The format is that of HdrHistogram's outputPercentileDistribution (Java, 2.1): for each percentile
the highest value of its bucket, five percentiles for each halving of the distance to 100 %. Written
here, since the Python package (hdrhistogram 0.10.8) neither halves that distance nor scales the
deviation. Values are in ns; the deviation is that of the buckets' middles.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

_TICKS_PER_HALVING = 5
_PS_PER_NS = 1000.0
# Of sim/histogram.hpp: 64-bit values, a power of two cut into 1024.
_SUB_BUCKETS = 2048
_BUCKETS = 54


def _levels(counts: Sequence[int], total: int) -> Iterator[tuple[int, float, int]]:
    """(bucket, percentile, values up to it), upwards, without the last line."""
    level, cumulative = 0.0, 0
    for bucket, count in enumerate(counts):
        cumulative += count
        while 100.0 * cumulative / total >= level:
            yield bucket, level / 100.0, cumulative
            halvings = math.floor(math.log2(100.0 / (100.0 - level))) + 1
            level += 100.0 / (_TICKS_PER_HALVING * 2**halvings)
            if cumulative == total:
                return


def hgrm(latency: Mapping[str, Any]) -> str:
    """The text for `latency`, a histogram of a result's `kinds`.

    Raises ValueError if it is empty.
    """
    buckets, total = latency["buckets"], latency["count"]
    if not total:
        raise ValueError("no value was recorded")
    counts = [count for _, _, count in buckets]
    upper = [min(high, latency["max_ps"]) / _PS_PER_NS for _, high, _ in buckets]
    lines = [f"{'Value':>12} {'Percentile':>14} {'TotalCount':>10} {'1/(1-Percentile)':>14}", ""]
    for bucket, level, below in _levels(counts, total):
        lines.append(f"{upper[bucket]:12.3f} {level:2.12f} {below:10d} {1 / (1 - level):14.2f}")
    lines.append(f"{upper[-1]:12.3f} {1:2.12f} {total:10d}")
    mean = latency["mean_ps"]
    square = sum(count * ((low + high) / 2 - mean) ** 2 for low, high, count in buckets) / total
    deviation = math.sqrt(square)
    mean_ns, deviation_ns = mean / _PS_PER_NS, deviation / _PS_PER_NS
    lines += [
        f"#[Mean    = {mean_ns:12.3f}, StdDeviation   = {deviation_ns:12.3f}]",
        f"#[Max     = {upper[-1]:12.3f}, Total count    = {total:12d}]",
        f"#[Buckets = {_BUCKETS:12d}, SubBuckets     = {_SUB_BUCKETS:12d}]",
    ]
    return "\n".join(lines) + "\n"
