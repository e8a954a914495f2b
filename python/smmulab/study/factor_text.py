# SPDX-License-Identifier: Apache-2.0
"""Factors and filters as a person writes them on the command line or in a study file."""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from smmulab._core import ConfigError
from smmulab.checking import nearest, picoseconds
from smmulab.config import GENERATE, canonical_key
from smmulab.study.design import Filter, Range

_MOST_VALUES = 100_000
_OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    ">": operator.gt,
}


def _series(before: list[str], last: str, key: str) -> list[str]:
    """The values between `before` and `last`: "1,2,4..64" goes on by ratio (three values of one
    ratio), "1,3..9" and "1..8" by difference."""
    try:
        known, end = [int(value) for value in before], int(last)
    except ValueError:
        raise ConfigError(f"factor '{key}': '..' stands between whole numbers only") from None
    if len(known) >= 3 and known[-3] > 0 and known[-2] ** 2 == known[-3] * known[-1]:
        ratio, rest = divmod(known[-1], known[-2])
        if ratio > 1 and not rest:
            values = [known[-1] * ratio]
            while values[-1] < end:
                values.append(values[-1] * ratio)
            return _ends_at(values, end, key)
    step = known[-1] - known[-2] if len(known) >= 2 else 1
    if step <= 0 or (end - known[-1]) // step > _MOST_VALUES:
        raise ConfigError(f"factor '{key}': '..' to {last} does not go up, or never gets there")
    return _ends_at(list(range(known[-1] + step, end + step, step)), end, key)


def _ends_at(values: list[int], end: int, key: str) -> list[str]:
    if not values or values[-1] != end:
        raise ConfigError(f"factor '{key}': '..{end}' is not met; the series is {values[:4]}...")
    return [str(value) for value in values]


def parse_values(text: str, key: str) -> list[Any] | Range:
    """ "1,2,4..64", "igroup,v6.2", "1:8,2:16" (a value for each name of a factor of two), or a range
    "100ns:10us" or "100ns:10us:log" of a factor of one."""
    items = [item.strip() for item in text.split(",")]
    if not all(items):
        raise ConfigError(f"factor '{key}': an empty value in '{text}'")
    several = "," in key
    if not several and len(items) == 1 and ":" in items[0]:
        low, _, rest = items[0].partition(":")
        high, _, scale = rest.partition(":")
        if scale not in {"", "log"}:
            raise ConfigError(f"factor '{key}': '{text}' is not LOW:HIGH or LOW:HIGH:log")
        return Range(low, high, log=scale == "log")
    values: list[Any] = []
    for item in items:
        first, dots, last = item.partition("..")
        if dots:
            values += [first, *_series([*values, first], last, key)]
        else:
            values.append(tuple(item.split(":")) if several and ":" in item else item)
    return values


def parse_factor(text: str) -> tuple[str, list[Any] | Range]:
    """ "KEY=VALUES" or "KEY,KEY=VALUES"."""
    key, equals, values = text.partition("=")
    if not equals or not key.strip() or not values.strip():
        raise ConfigError(f"'{text}' is not KEY=VALUE,VALUE,...")
    return key.strip(), parse_values(values, key.strip())


def _name(text: str, generated: bool) -> str:
    """The full name that `text` stands for, or "" if it is a value."""
    try:
        return canonical_key(text, generated=generated)
    except ConfigError:
        return ""


def _comparable(value: Any) -> Any:
    """A number if it is one: durations in ps."""
    if isinstance(value, bool):
        return str(value).lower()
    text = str(value)
    for convert in (float, lambda word: float(picoseconds(word, "filter"))):
        try:
            number = convert(text)
        except (ValueError, ConfigError):
            continue
        return number if math.isfinite(number) else text
    return text


def _side(point: Mapping[str, Any], name: str, word: str, text: str) -> Any:
    """The value of a name, or the word itself."""
    if name and name not in point:
        raise ConfigError(f"filter '{text}': '{name}' has no value, there is no generator")
    return _comparable(point[name] if name else word)


def short_names(point: Mapping[str, Any]) -> list[str]:
    """The names of a point, those of the generator in short."""
    return [key.removeprefix(GENERATE) for key in point]


def parse_filter(texts: Iterable[str], *, generated: bool) -> Filter | None:
    """A filter that keeps points for which all of "A OP B" hold; A and B are names (of parameters,
    of the generator) or values, OP one of <= >= == != < >. None without texts. ConfigError for
    anything else."""
    tests: list[tuple[str, str, str, str, str]] = []
    for text in texts:
        match = re.fullmatch(r"\s*(\S+?)\s*(<=|>=|==|!=|<|>)\s*(\S+)\s*", str(text))
        if match is None:
            raise ConfigError(f"filter '{text}' is not A OP B, OP one of {' '.join(_OPERATORS)}")
        left, sign, right = match.groups()
        names = _name(left, generated), _name(right, generated)
        if not any(names):
            canonical_key(left, generated=generated)  # says what is near
        tests.append((text, sign, left, right, "|".join(names)))
    if not tests:
        return None

    def keep(point: Mapping[str, Any]) -> bool:
        for text, sign, left, right, names in tests:
            first, _, second = names.partition("|")
            a, b = _side(point, first, left, text), _side(point, second, right, text)
            if isinstance(a, str) != isinstance(b, str):
                word, name = (left, first) if isinstance(a, str) else (right, second)
                near = "" if name else nearest(word, short_names(point))
                raise ConfigError(f"filter '{text}': '{a}' and '{b}' cannot be compared{near}")
            if not _OPERATORS[sign](a, b):
                return False
        return True

    return keep
