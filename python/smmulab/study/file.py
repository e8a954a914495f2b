# SPDX-License-Identifier: Apache-2.0
"""STUDY.toml: a machine file (docs/machine.md) with [study], [generate] and [factors]."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from os import PathLike, fspath
from pathlib import Path
from typing import Any, TypeVar

from smmulab._core import ConfigError
from smmulab.checking import known_name, whole_number
from smmulab.config import OWN_TABLES, Config
from smmulab.study.design import DESIGNS, FactorValues, Range
from smmulab.study.factor_text import parse_filter, parse_values

_T = TypeVar("_T")
_KEYS = (
    "trace",
    "dma_trace",
    "protocol",
    "protocols",
    "engine",
    "seeds",
    "design",
    "design_seed",
    "samples",
    "where",
    "title",
    "note",
    "x",
    "hue",
)


@dataclass(frozen=True)
class Study:
    """What a study file says; the arguments of `sweep`."""

    config: Config = field(default_factory=Config)
    factors: dict[str | tuple[str, ...], FactorValues] = field(default_factory=dict)
    seeds: int | list[int] = 1
    design: str = "grid"
    design_seed: int = 1
    samples: int | None = None
    where: tuple[str, ...] = ()
    title: str = ""
    note: str = ""
    # Of figures: what is along the axis, and what each has a panel of its own for.
    x: str = ""
    hue: str = ""

    def options(self) -> dict[str, Any]:
        """Keyword arguments of `sweep` beside configuration and factors."""
        return {
            "seeds": self.seeds,
            "design": self.design,
            "design_seed": self.design_seed,
            "samples": self.samples,
            "where": parse_filter(self.where, generated=self.config.workload is not None),
        }


class _File:
    """The text, to say where a key stands: tomllib does not."""

    def __init__(self, path: str) -> None:
        self.path = path
        try:
            self.text = Path(path).read_text("utf-8")
            self.values = tomllib.loads(self.text)
        except OSError as error:
            raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise ConfigError(f"{path}: no TOML: {error}") from None

    def line(self, table: str, key: str = "") -> int:
        """The line of `key` in [table], of the table without a key; 1 if it is written in a way
        that this does not find."""
        inside, at = False, 1
        for number, line in enumerate(self.text.splitlines(), 1):
            header = re.match(r"\s*\[\s*([\w.\"-]+)\s*\]", line)
            if header:
                inside = header.group(1) == table
                at = number if inside else at
            elif inside and re.match(rf"\s*[\"']?{re.escape(key)}[\"']?\s*=", line) and key:
                return number
        return at

    def table(self, name: str) -> Mapping[str, Any]:
        """A table; {} if there is none."""
        table = self.values.get(name, {})
        if not isinstance(table, dict):
            raise ConfigError(f"{self.path}: '{name}' is no table")
        return table

    def checked(self, table: str, key: str, work: Callable[..., _T], *arguments: Any) -> _T:
        """work(*arguments), its ConfigError with the place in front."""
        try:
            return work(*arguments)
        except ConfigError as error:
            raise ConfigError(f"{self.path}:{self.line(table, key)}: {error}") from None


def _factor(key: str, value: Any) -> FactorValues:
    if isinstance(value, str):
        return parse_values(value, key)
    if isinstance(value, dict):
        for name in value:
            known_name(name, ("low", "high", "log"), f"key of the range '{key}'")
        if not {"low", "high"} <= value.keys():
            raise ConfigError(f"factor '{key}': a range needs low and high")
        return Range(value["low"], value["high"], log=bool(value.get("log", False)))
    if isinstance(value, list):
        return [tuple(item) if isinstance(item, list) else item for item in value]
    raise ConfigError(f"factor '{key}': expected a list, a text such as 1,2,4..64, or a range")


def _study_table(file: _File) -> dict[str, Any]:
    table = dict(file.table("study"))
    for key in table:
        file.checked("study", key, known_name, key, _KEYS, "key of [study]")
    if isinstance(table.get("where"), str):
        table["where"] = [table["where"]]
    texts = ("trace", "dma_trace", "protocol", "engine", "design", "title", "note", "x", "hue")
    for key, kind in (*((key, str) for key in texts), ("protocols", list), ("where", list)):
        if key in table and not isinstance(table[key], kind):
            words = "a list" if kind is list else "a text"
            raise ConfigError(f"{file.path}:{file.line('study', key)}: '{key}' is not {words}")
    return table


def _config(file: _File, table: Mapping[str, Any]) -> Config:
    config = Config.from_machine(file.path, OWN_TABLES)
    fields = {key: table[key] for key in ("protocol", "engine") if key in table}
    config = file.checked("study", next(iter(fields), ""), partial(config.replace, **fields))
    for key in ("trace", "dma_trace"):
        if key in table:
            # Beside the file, wherever one stands.
            config = config.replace({key: Path(file.path).parent / table[key]})
    generate = file.table("generate")
    if generate:
        from smmulab.workload import Workload  # noqa: PLC0415  imports numpy

        for key in generate:
            file.checked("generate", key, known_name, key, Workload.names(), "key of the generator")
        workload = file.checked("generate", "", Workload.of, generate)
        config = file.checked("generate", "", partial(config.replace, workload=workload))
    return config


def read_study(path: str | PathLike[str]) -> Study:
    """The study in a file. ConfigError "FILE:LINE: ..." for what is unknown or out of range."""
    file = _File(fspath(path))
    table = _study_table(file)
    factors: dict[str | tuple[str, ...], FactorValues] = {}
    for key, value in file.table("factors").items():
        factors[key] = file.checked("factors", key, _factor, key, value)
    if "protocols" in table:
        factors = {"protocol": list(table["protocols"]), **factors}
    seeds = table.get("seeds", 1)
    if not isinstance(seeds, list):
        seeds = file.checked("study", "seeds", whole_number, seeds, 1, 10**6, "seeds")
    samples = table.get("samples")
    if samples is not None:
        samples = file.checked("study", "samples", whole_number, samples, 1, 1 << 20, "samples")
    design_seed = table.get("design_seed", 1)
    words = "design_seed"
    design_seed = file.checked("study", words, whole_number, design_seed, 0, 2**63 - 1, words)
    where = tuple(str(text) for text in table.get("where", ()))
    file.checked("study", "where", partial(parse_filter, where, generated=True))
    design = str(table.get("design", "grid"))
    file.checked("study", "design", known_name, design, DESIGNS, "design")
    return Study(
        config=_config(file, table),
        factors=factors,
        seeds=seeds,
        design=design,
        design_seed=design_seed,
        samples=samples,
        where=where,
        title=str(table.get("title", "")),
        note=str(table.get("note", "")),
        x=str(table.get("x", "")),
        hue=str(table.get("hue", "")),
    )
