# SPDX-License-Identifier: Apache-2.0
"""`Config`: everything that determines a run but its seed; immutable, checked, canonical as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from dataclasses import replace as _replace
from functools import cache, lru_cache
from os import PathLike, fspath
from typing import TYPE_CHECKING, Any

from smmulab import _core
from smmulab._core import ConfigError
from smmulab.checking import known_name, nearest
from smmulab.protocol_source import key_of

if TYPE_CHECKING:
    from smmulab.workload import Workload

# Tables of a study file that are not parameters of the machine.
OWN_TABLES = ("study", "generate", "factors")
ENGINES = ("native", "simgrid")
GENERATE = "generate."
_FIELDS = ("protocol", "engine", "workload")
_PATHS = ("trace", "dma_trace")


@cache
def default_parameters() -> Mapping[str, Any]:
    """Every parameter as it is when nobody changes it."""
    values: dict[str, Any] = json.loads(_core.resolve([]))
    return values


@cache
def parameter_units() -> Mapping[str, str]:
    """Unit of each parameter: "ps", "1" (a count), "bool" or "enum"."""
    return {p.key: p.unit for p in _core.parameters()}


def inert_costs(parameters: Mapping[str, Any]) -> tuple[str, ...]:
    """Beginnings of the names of durations that do nothing in a replay with these `parameters`:
    the DMA API's, which replayed operations do not use, those of the hardware that is not there, and
    those of the event queue without driver.events."""
    absent = {"counted": ("smmuv3.", "stream."), "timed": ("hw.",)}
    events = () if parameters["driver.events"] else ("driver.evtq_",)
    return ("dma.", *absent[parameters["smmuv3.hardware"]], *events)


def check_counted_costs(config: Config) -> None:
    """ConfigError for a cost hw.* that is set although hardware is timed: it would do nothing."""
    if any(key.startswith("hw.") for key, _ in config.changed):
        _core.check_counted_costs(config.assignments)


def _workload_fields() -> list[str]:
    from smmulab.workload import Workload  # noqa: PLC0415  imports numpy

    return Workload.names()


def canonical_key(key: str, *, generated: bool) -> str:
    """The full name of what a person may vary: a parameter, "protocol", "engine", "trace", "dma_trace"
    or "generate.FIELD"; "cores" and bare names of the generator are short for one. ConfigError, with
    the nearest name, if there is none."""
    if key in parameter_units() or key in {"protocol", "engine", *_PATHS, "preset"}:
        return key
    if key in {"cores", "cpus"}:
        return f"{GENERATE}cpus" if generated else "machine.cpus"
    names = _workload_fields()
    if key.removeprefix(GENERATE) in names:
        return GENERATE + key.removeprefix(GENERATE)
    known = [*parameter_units(), *(GENERATE + name for name in names), *names, "protocol", "cores"]
    raise ConfigError(f"unknown name '{key}'{nearest(key, known)}")


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


@dataclass(frozen=True)
class Config:
    """One machine, one protocol, one trace or generator. Immutable, hashable; equal configurations
    have equal JSON.

    `changed`: the parameters that differ from the default preset `server`, as sorted pairs of names and
    canonical values (any pairs are made so, or refused); all of them are in `parameters`. `trace`: path of a recorded trace; `workload`: what to generate instead
    of one; `dma_trace`: path of a DMA trace that the devices issue (docs/timed.md). Make one with `of`, `from_toml` or `from_json`, another one with `replace`.
    """

    changed: tuple[tuple[str, Any], ...] = ()
    protocol: str = "igroup"
    engine: str = "native"
    trace: str | None = None
    workload: Workload | None = None
    dma_trace: str | None = None

    def __post_init__(self) -> None:
        # A class is kept as its key.
        object.__setattr__(self, "protocol", key_of(self.protocol))
        known_name(self.engine, ENGINES, "engine")
        for name, kind in (("protocol", str), *((path, str | None) for path in _PATHS)):
            if not isinstance(value := getattr(self, name), kind):
                raise ConfigError(f"{name}: expected a text, not '{value}'")
        object.__setattr__(self, "changed", _checked(self.changed))
        if self.workload is not None:
            from smmulab.workload import Workload  # noqa: PLC0415  imports numpy

            if not isinstance(self.workload, Workload):
                raise ConfigError(f"workload: expected a Workload, not '{self.workload}'")
        if self.trace is not None and self.workload is not None:
            raise ConfigError("a trace and a generator: give one of them")

    @classmethod
    def of(cls, settings: Mapping[str, object] | Sequence[str] = (), **others: Any) -> Config:
        """From settings (a mapping, or "KEY=VALUE" texts, "preset=NAME" included) and fields."""
        return cls().replace(settings, **others)

    @property
    def parameters(self) -> dict[str, Any]:
        """Every parameter as resolved: durations as text such as "15ns", counts, switches, names."""
        return {**default_parameters(), **dict(self.changed)}

    @property
    def assignments(self) -> list[str]:
        """ "KEY=VALUE" of the parameters that are not the default preset's. With think times in the
        generator these include replay.think=recorded: they are meant to be kept."""
        changed = dict(self.changed)
        if self.workload is not None and self.workload.has_think:
            changed["replay.think"] = "recorded"
        return [f"{key}={_text(value)}" for key, value in sorted(changed.items())]

    def replace(
        self, settings: Mapping[str, object] | Sequence[str] | str = (), **others: Any
    ) -> Config:
        """Another configuration with these changes. `settings`: parameters, protocol, engine, trace,
        dma_trace and "generate.FIELD" by name, in their order ("preset=NAME" sets all parameters); `others`:
        fields of the class. ConfigError for unknown names (with the nearest) and values out of range.
        """
        fields: dict[str, Any] = {key: others[key] for key in _FIELDS if key in others}
        for key in _PATHS:
            if key in others:
                fields[key] = None if others[key] is None else _path(key, others[key])
        for key in others:
            known_name(key, (*_FIELDS, *_PATHS), "field of Config")
        assignments: list[str] = []
        generate: dict[str, object] = {}
        generated = (others.get("workload") or self.workload) is not None
        for key, value in _pairs(settings):
            name = canonical_key(key, generated=generated)
            if name == "protocol":
                fields[name] = value  # a class, perhaps
            elif name in {"engine", *_PATHS}:
                fields[name] = str(value)
            elif name.startswith(GENERATE):
                generate[name.removeprefix(GENERATE)] = value
            else:
                assignments.append(f"{name}={_text(value)}")
        config = _replace(self, **fields)
        if generate:
            config = _replace(config, workload=_generator(config.workload, generate))
        if any(text.startswith("preset=") for text in assignments):
            values = json.loads(_core.resolve([*config._kept(), *assignments]))
            config = _replace(config, changed=_differences(values))
        elif assignments:
            # Parameters do not depend on each other: what one value becomes is worked out once.
            values = dict(config.changed) | dict(map(_canonical, assignments))
            config = _replace(config, changed=_differences(values))
        return config

    def _kept(self) -> list[str]:
        return [f"{key}={_text(value)}" for key, value in self.changed]

    @classmethod
    def from_toml(cls, path: str | PathLike[str]) -> Config:
        """A machine file (docs/machine.md), which may also have [study] (protocol, engine, trace,
        dma_trace) and [generate] (docs/studies.md). ConfigError "FILE:LINE..." for anything unknown."""
        from smmulab.study.file import read_study  # noqa: PLC0415  it builds on this module

        return read_study(path).config

    @classmethod
    def from_machine(cls, path: str | PathLike[str], other_tables: Sequence[str] = ()) -> Config:
        """The parameters of a machine file."""
        values = json.loads(_core.resolve([], fspath(path), other_tables))
        return cls(changed=_differences(values))

    def to_dict(self) -> dict[str, Any]:
        """Everything, resolved, as plain values. `generate.derived` names the numbers of the generator
        that follow others (groups, threads, cpus)."""
        generate = None
        if self.workload is not None:
            generate = {**self.workload.to_dict(), "derived": sorted(self.workload.derived)}
        return {
            "dma_trace": self.dma_trace,
            "engine": self.engine,
            "generate": generate,
            "parameters": self.parameters,
            "protocol": self.protocol,
            "trace": self.trace,
        }

    def to_json(self) -> str:
        """Canonical JSON: keys sorted, no spaces; equal configurations give equal bytes."""
        from smmulab.store import canonical_json  # noqa: PLC0415

        return canonical_json(self.to_dict())

    @classmethod
    def from_json(cls, text: str) -> Config:
        """What `to_json` wrote. ConfigError for anything unknown."""
        try:
            values = json.loads(text)
        except (ValueError, TypeError) as error:
            raise ConfigError(f"configuration: no JSON: {error}") from None
        if not isinstance(values, dict):
            raise ConfigError("configuration: no JSON object")
        known = ("dma_trace", "engine", "generate", "parameters", "protocol", "trace")
        for key in values:
            known_name(key, known, "key of a configuration")
        for key in ("parameters", "generate"):
            if values.get(key) is not None and not isinstance(values[key], dict):
                raise ConfigError(f"configuration: '{key}' is no JSON object")
        generate = values.get("generate")
        return cls.of(
            values.get("parameters") or {},
            protocol=values.get("protocol", "igroup"),
            engine=values.get("engine", "native"),
            trace=values.get("trace"),
            dma_trace=values.get("dma_trace"),
            workload=None if generate is None else _generated_of(generate),
        )


@lru_cache(maxsize=65_536)
def _canonical(assignment: str) -> tuple[str, Any]:
    """(key, canonical value) of "KEY=VALUE". ConfigError."""
    key, _, value = assignment.partition("=")
    text = _core.canonical_value(key, value)
    return key, json.loads(text) if parameter_units()[key] in {"1", "bool"} else text


def _differences(values: Mapping[str, Any]) -> tuple[tuple[str, Any], ...]:
    defaults = default_parameters()
    return tuple((key, value) for key, value in sorted(values.items()) if value != defaults[key])


def _generator(before: Workload | None, changes: Mapping[str, object]) -> Workload:
    from smmulab.workload import Workload  # noqa: PLC0415  imports numpy

    # groups, threads and cpus that were 0 follow what they are taken from.
    return Workload.of({**({} if before is None else before.given), **changes})


def _generated_of(values: Mapping[str, Any]) -> Workload:
    """What `to_dict` wrote: derived numbers follow again."""
    derived = values.get("derived", [])
    if not isinstance(derived, list):
        raise ConfigError("configuration: 'generate.derived' is no list")
    for name in derived:
        known_name(name, ("groups", "threads", "cpus"), "derived number of the generator")
    given = {key: value for key, value in values.items() if key != "derived"}
    return _generator(None, {**given, **dict.fromkeys(derived, 0)})


def _path(name: str, value: object) -> str:
    try:
        return str(fspath(value))  # type: ignore[call-overload]
    except TypeError:
        raise ConfigError(f"{name}: expected a path, not '{value}'") from None


def _checked(changed: object) -> tuple[tuple[str, Any], ...]:
    """Pairs of parameters and values, canonical: sorted, without those that are the default's."""
    try:
        pairs = dict(changed)  # type: ignore[call-overload]
    except (TypeError, ValueError):
        raise ConfigError(f"changed: expected pairs of names and values, not '{changed}'") from None
    for key in pairs:
        known_name(key, parameter_units(), "parameter")
    return _differences(dict(_canonical(f"{key}={_text(value)}") for key, value in pairs.items()))


def _pairs(
    settings: Mapping[str, object] | Sequence[str] | str,
) -> list[tuple[str, object]]:
    if isinstance(settings, Mapping):
        return [(str(key), value) for key, value in settings.items()]
    if not isinstance(settings, Sequence):
        raise ConfigError(f"settings: expected a mapping or KEY=VALUE texts, not '{settings}'")
    texts = [settings] if isinstance(settings, str) else list(settings)
    pairs: list[tuple[str, object]] = []
    for text in texts:
        key, equals, value = str(text).partition("=")
        if not equals or not key:
            raise ConfigError(f"'{text}' is not KEY=VALUE")
        pairs.append((key.strip(), value.strip()))
    return pairs
