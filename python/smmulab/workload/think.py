# SPDX-License-Identifier: Apache-2.0
"""Distributions of the time that a thread spends in user mode between two operations.

Times are whole nanoseconds, so that the last bit of a logarithm, which differs between machines,
makes no difference to the trace.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from smmulab._core import ConfigError
from smmulab.checking import duration, known_name, picoseconds

_NS = 1000
_LONGEST_PS = 10**12


@dataclass(frozen=True)
class Think:
    """One distribution: canonical text, and uniform numbers in [0, 1) to whole ns."""

    text: str
    sample: Callable[[NDArray[np.float64]], NDArray[np.int64]]


def _nanoseconds(text: str) -> int:
    ps = picoseconds(text, "think")
    if ps % _NS or ps > _LONGEST_PS:
        raise ConfigError(f"think: '{text}' is not whole nanoseconds, at most 1s")
    return ps // _NS


def parse_think(text: str) -> Think:
    """ "0", "const:T", "exp:MEAN" or "uniform:LOW..HIGH"; ConfigError for anything else."""
    kind, colon, rest = text.strip().partition(":")
    if not colon:
        if kind not in {"0", "none"}:
            raise ConfigError(f"think: '{text}' is none of 0, const:T, exp:MEAN, uniform:LOW..HIGH")
        return Think("0", lambda u: np.zeros(len(u), dtype=np.int64))
    known_name(kind, ("const", "exp", "uniform"), "distribution of think")
    if kind == "uniform":
        low_text, dots, high_text = rest.partition("..")
        if not dots:
            raise ConfigError(f"think: '{text}' is not uniform:LOW..HIGH")
        low, high = _nanoseconds(low_text), _nanoseconds(high_text)
        if high < low:
            raise ConfigError(f"think: '{text}' ends before it begins")
        name = f"uniform:{duration(low * _NS)}..{duration(high * _NS)}"
        return Think(name, lambda u: low + (u * (high - low + 1)).astype(np.int64))
    mean = _nanoseconds(rest)
    if mean == 0:
        return parse_think("0")
    name = f"{kind}:{duration(mean * _NS)}"
    if kind == "const":
        return Think(name, lambda u: np.full(len(u), mean, dtype=np.int64))
    return Think(name, lambda u: np.rint(-mean * np.log1p(-u)).astype(np.int64))
