# SPDX-License-Identifier: Apache-2.0
"""Designs: which points of a space of factors a study visits.

A point is a mapping from names (parameters, "protocol", "generate.FIELD", ...) to values. `grid`
visits all combinations, `zip` the first values together, then the second ones; `lhs` (Latin
hypercube) and `sobol` spread `samples` points over the ranges among the factors and combine each with
the grid of the others. Sampled values are rounded to whole ps or counts.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import product
from typing import Any

from smmulab import _core
from smmulab._core import ConfigError
from smmulab.checking import known_name, picoseconds, whole_number
from smmulab.config import GENERATE, canonical_key, parameter_units
from smmulab.protocol_source import key_of

DESIGNS = ("grid", "zip", "lhs", "sobol")
Point = dict[str, Any]
_LARGEST = 2**53
# Whether to keep a point; given every parameter, "generate.FIELD", "protocol", "trace", "dma_trace" by
# name.
Filter = Callable[[Mapping[str, Any]], bool]


@dataclass(frozen=True)
class Range:
    """A factor with all values from `low` to `high` (numbers, or durations such as "100ns"), for a
    sampled design; `log`: evenly by ratio. ConfigError unless low < high, and 0 < low with log."""

    low: str | float
    high: str | float
    log: bool = False

    def bounds(self, name: str) -> tuple[float, float]:
        """Low and high as numbers: ps for a duration."""
        is_time = parameter_units().get(name) == "ps"
        low, high = (
            float(picoseconds(str(end), name)) if is_time else _number(end, name)
            for end in (self.low, self.high)
        )
        if low >= high or (self.log and low <= 0):
            raise ConfigError(f"factor '{name}': no range from {self.low} to {self.high}")
        return low, high

    def at(self, name: str, fraction: float) -> str | int:
        """The value at `fraction` (0 to 1) of the range."""
        low, high = self.bounds(name)
        value = low * math.pow(high / low, fraction) if self.log else low + (high - low) * fraction
        return f"{round(value)}ps" if parameter_units().get(name) == "ps" else round(value)


def _number(value: str | float, name: str) -> float:
    number = math.nan
    with suppress(ValueError, TypeError, OverflowError):
        number = float(value)
    if not abs(number) <= _LARGEST:  # nan, too
        raise ConfigError(f"factor '{name}': '{value}' is no number from {-_LARGEST} to {_LARGEST}")
    return number


FactorValues = Sequence[Any] | Range
Factors = Mapping[str | tuple[str, ...], FactorValues]


def _is_sampled(name: str) -> bool:
    return parameter_units().get(name) in {"ps", "1"} or name.startswith(GENERATE)


@dataclass(frozen=True)
class _Axis:
    names: tuple[str, ...]
    values: tuple[Point, ...]


def factor_names(key: str | tuple[str, ...], *, generated: bool) -> tuple[str, ...]:
    """The full names of a factor: "cores", "devices,threads" or a tuple. ConfigError."""
    parts = key if isinstance(key, tuple) else str(key).split(",")
    return tuple(canonical_key(str(name).strip(), generated=generated) for name in parts)


def _axis(key: str | tuple[str, ...], values: FactorValues, generated: bool) -> _Axis:
    names = factor_names(key, generated=generated)
    if isinstance(values, str) or not isinstance(values, Sequence):
        raise ConfigError(f"factor '{','.join(names)}': expected a list of values, not '{values}'")
    if not values:
        raise ConfigError(f"factor '{','.join(names)}' has no value")
    points = []
    for value in values:
        several = isinstance(value, tuple | list)
        parts = list(value) if several else [value] * len(names)
        if len(parts) != len(names):
            raise ConfigError(f"factor '{','.join(names)}': '{value}' is not {len(names)} values")
        points.append(dict(zip(names, parts, strict=True)))
    return _Axis(names, tuple(points))


def _joined(parts: Iterable[Point]) -> Point:
    point: Point = {}
    for part in parts:
        point |= part
    return point


def _sampled(ranges: Mapping[str, Range], design: str, samples: int, seed: int) -> Iterator[Point]:
    from scipy.stats import qmc  # noqa: PLC0415  slow to import

    maker = qmc.LatinHypercube if design == "lhs" else qmc.Sobol
    if design == "sobol" and samples & (samples - 1):
        raise ConfigError(f"samples: {samples} is no power of two, which a Sobol design needs")
    for row in maker(d=len(ranges), rng=seed).random(samples).tolist():
        yield {
            name: values.at(name, fraction)
            for (name, values), fraction in zip(ranges.items(), row, strict=True)
        }


def points(
    factors: Factors,
    *,
    generated: bool = False,
    design: str = "grid",
    samples: int | None = None,
    seed: int = 1,
) -> list[Point]:
    """The points of a design, in order. `generated`: the study has a generator; `seed`: of a sampled
    design. ConfigError for unknown names, a factor without values, lists of different lengths in
    `zip`, ranges in a design that is not sampled."""
    known_name(design, DESIGNS, "design")
    seed = whole_number(seed, 0, 2**63 - 1, "design_seed")
    if samples is not None:
        samples = whole_number(samples, 1, 1 << 20, "samples")
    ranges = {
        canonical_key(str(key), generated=generated): values
        for key, values in factors.items()
        if isinstance(values, Range)
    }
    axes = [
        _axis(key, values, generated)
        for key, values in factors.items()
        if not isinstance(values, Range)
    ]
    _check_names([*ranges, *(name for axis in axes for name in axis.names)])
    if design == "zip":
        lengths = {len(axis.values) for axis in axes}
        if len(lengths) > 1:
            raise ConfigError(f"zip: factors have {', '.join(map(str, sorted(lengths)))} values")
        found = [_joined(row) for row in zip(*(axis.values for axis in axes), strict=True)]
        found = found or [{}]
    else:
        found = [_joined(row) for row in product(*(axis.values for axis in axes))]
    if design in {"lhs", "sobol"}:
        found = _with_samples(found, ranges, design, samples, seed)
    elif ranges:
        raise ConfigError(
            f"factor '{next(iter(ranges))}' is a range: that needs design lhs or sobol"
        )
    return found


def _with_samples(
    grid: list[Point], ranges: Mapping[str, Range], design: str, samples: int | None, seed: int
) -> list[Point]:
    if not ranges:
        raise ConfigError(f"design {design}: no factor is a range such as line.cross_node=50ns:1us")
    if samples is None:
        raise ConfigError(f"design {design} needs a number of samples")
    for name in ranges:
        if not _is_sampled(name):
            raise ConfigError(f"factor '{name}' is no duration or count: it has no range")
    drawn = list(_sampled(ranges, design, samples, seed))
    return [{**sample, **point} for sample in drawn for point in grid]


def _check_names(names: list[str]) -> None:
    for place, name in enumerate(names):
        if name in names[:place]:
            raise ConfigError(f"factor '{name}' is named twice")


def with_protocol_keys(found: Sequence[Point]) -> list[Point]:
    """The points with the key of each protocol (a name, "FILE.py:CLASS", a class). ConfigError, with
    the nearest name, for one that there is not, and for two of one name: tables have only that."""
    given = dict.fromkeys(point["protocol"] for point in found if "protocol" in point)
    keys = {protocol: key_of(protocol) for protocol in given}
    names: dict[str, str] = {}
    for key in keys.values():
        name = _core.protocol_name(key)
        if names.setdefault(name, key) != key:
            raise ConfigError(f"factor 'protocol': two protocols have the name '{name}'")
    return [
        {**point, "protocol": keys[point["protocol"]]} if "protocol" in point else point
        for point in found
    ]
