# SPDX-License-Identifier: Apache-2.0
"""Small checks of what a person wrote: names with the nearest one that exists, durations, numbers.

Every error is a ConfigError that says what was given and what was expected.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from pathlib import Path
from typing import cast

from smmulab import _core
from smmulab._core import ConfigError

_FEW = 6
_PS = {"ps": 1, "ns": 10**3, "us": 10**6, "ms": 10**9, "s": 10**12}


def nearest(name: object, known: Iterable[str]) -> str:
    """ "; did you mean 'X'?" with the nearest known name, or "" if none is near."""
    near = difflib.get_close_matches(str(name), list(known), n=1)
    return f"; did you mean '{near[0]}'?" if near else ""


def known_name(name: object, known: Iterable[str], what: str) -> str:
    """`name`, if it is one of `known`; ConfigError otherwise, with the nearest, or with all if there
    are few and none is near."""
    names = list(known)
    if not isinstance(name, str) or name not in names:
        near = nearest(name, names)
        if not near and len(names) <= _FEW:
            near = f"; known: {', '.join(names)}"
        raise ConfigError(f"unknown {what} '{name}'{near}")
    return name


@dataclass(frozen=True)
class FileToRead:
    """A trace as it is before it is read, so that its hash afterwards is of what was read."""

    path: str
    state: tuple[int, ...] | None

    @classmethod
    def of(cls, path: str) -> FileToRead:
        """As it is now; a file that is not there is the reader's to complain of."""
        return cls(path, _file_state(path))

    def hash(self) -> str:
        """XXH3-128 of its uncompressed bytes. ConfigError if it has changed since `of`."""
        found = _core.trace_hash(self.path)
        if _file_state(self.path) != self.state:
            raise ConfigError(
                f"{self.path}: changed while it was read: what was replayed is no longer there; try again"
            )
        return found


def _file_state(path: str) -> tuple[int, ...] | None:
    try:
        known = Path(path).stat()
    except OSError:
        return None
    return known.st_dev, known.st_ino, known.st_size, known.st_mtime_ns


@lru_cache(maxsize=4096)
def picoseconds(text: str, what: str) -> int:
    """A duration such as "1.5us" in ps; ConfigError if it is none, or no whole number of ps."""
    digits = text.strip().rstrip("pnumsPNUMS")
    unit = text.strip()[len(digits) :]
    try:
        value = Fraction(digits.strip())
    except (ValueError, ZeroDivisionError):
        raise ConfigError(f"{what}: '{text}' is no duration such as 20us") from None
    if unit not in _PS and value != 0:
        raise ConfigError(f"{what}: '{text}' needs one of the units ps, ns, us, ms, s")
    value *= _PS.get(unit, 1)
    if value < 0 or value.denominator != 1:
        raise ConfigError(f"{what}: '{text}' is not a whole number of picoseconds, 0 or more")
    return int(value)


def duration(ps: int) -> str:
    """`ps` as text, in the largest unit in which it is whole."""
    for unit in ("s", "ms", "us", "ns"):
        if ps and ps % _PS[unit] == 0:
            return f"{ps // _PS[unit]}{unit}"
    return f"{ps}ps"


def whole_number(value: object, low: int, high: int, what: str) -> int:
    """`value` (an integer, or its decimal text) if it is in low..high; ConfigError otherwise."""
    number: int | None = None
    is_number = isinstance(value, str | int | float) or hasattr(value, "__index__")  # numpy's, too
    if is_number and not isinstance(value, bool):
        with suppress(ValueError, TypeError, OverflowError):
            number = int(cast(int, value))
        if isinstance(value, float) and number != value:
            number = None
    if number is None or not low <= number <= high:
        raise ConfigError(f"{what}: expected a whole number from {low} to {high}, not '{value}'")
    return number
