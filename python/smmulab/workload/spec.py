# SPDX-License-Identifier: Apache-2.0
"""`Workload`: what a generated trace holds, checked before anything is generated."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from smmulab._core import ConfigError
from smmulab.checking import known_name, whole_number
from smmulab.workload.think import parse_think

# Kinds of the mix; "attach" stands for the pair detach, attach of one device.
KINDS = ("attach", "replace", "map", "unmap")
# Bytes of IOVA that each thread maps into, its own; the first window is left to reserved regions.
WINDOW_BYTES = 1 << 32
PAGE_BYTES = 4096
_WORDS = {"group": "one thread drives all devices of a group", "device": "devices are dealt out"}


def _count(default: int, doc: str, low: int = 1, high: int = 65_536) -> Any:
    return field(default=default, metadata={"doc": doc, "low": low, "high": high})


def parse_mix(
    value: str | Mapping[str, object] | tuple[tuple[str, object], ...],
) -> tuple[tuple[str, int], ...]:
    """ "attach=1,replace=8" or a mapping as (kind, weight) pairs in the order of KINDS."""
    if isinstance(value, str):
        pairs = [part.partition("=") for part in value.split(",") if part.strip()]
        if any(not equals for _, equals, _ in pairs):
            raise ConfigError(f"mix: '{value}' is not KIND=WEIGHT,... such as attach=1,replace=8")
        weights: dict[str, object] = {kind.strip(): weight for kind, _, weight in pairs}
        if len(weights) < len(pairs):
            raise ConfigError(f"mix: '{value}' names a kind twice")
    else:
        try:
            weights = dict(value)
        except (TypeError, ValueError):
            raise ConfigError(
                f"mix: '{value}' is not KIND=WEIGHT,... such as attach=1,replace=8"
            ) from None
    for kind in weights:
        known_name(kind, KINDS, "kind of operation in mix")
    mix = tuple(
        (kind, whole_number(weights.get(kind, 0), 0, 10**6, f"mix: weight of {kind}"))
        for kind in KINDS
    )
    if not any(weight for _, weight in mix):
        raise ConfigError("mix: no operation has a weight above 0")
    return tuple(pair for pair in mix if pair[1])


def _bytes(value: object, what: str) -> int:
    text = str(value)
    for unit, size in (("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30)):
        if text.endswith(unit):
            return whole_number(text.removesuffix(unit).strip(), 0, 1 << 20, what) * size
    return whole_number(value, 0, WINDOW_BYTES, what)


@dataclass(frozen=True, kw_only=True)
class Workload:
    """What a generated trace holds. Immutable; equal workloads with equal seeds give equal bytes.

    Devices are dealt out over groups in turn (device d is in group d mod groups), groups over SMMUs.
    A domain belongs to one SMMU, so each SMMU has `hwpts` of its own, made in turn in the `ioases`.
    Every thread has devices of its own and a window of 4 GiB of IOVA of its own in one ioas, so that
    no operation fails for what another thread does. Raises ConfigError for values that are out of
    range or do not fit each other.
    """

    devices: int = _count(8, "devices")
    groups: int = _count(0, "iommu groups; 0: one for each device", low=0)
    smmus: int = _count(1, "SMMUs; groups are dealt out over them", high=256)
    hwpts: int = _count(4, "hwpts of each SMMU")
    ioases: int = _count(1, "ioases")
    threads: int = _count(0, "threads; 0: one for each device", low=0, high=4096)
    cpus: int = _count(0, "CPUs, to which threads are pinned in turn; 0: one each", 0, 4096)
    ops: int = _count(10_000, "operations after the set-up", high=10**9)
    mix: tuple[tuple[str, int], ...] | str = field(
        default="replace=1",
        metadata={"doc": f"weights of {', '.join(KINDS)}; attach is a detach and an attach"},
    )
    think: str = field(
        default="0",
        metadata={
            "doc": "user time between operations: 0, const:20us, exp:20us or uniform:10us..30us; "
            "a replay keeps it with replay.think=recorded"
        },
    )
    map_bytes: int = field(
        default=2 << 20, metadata={"doc": "bytes of each map, whole 4 KiB pages; KiB, MiB, GiB"}
    )
    areas: int = _count(16, "areas that a thread has mapped at most", high=1024)
    drive: str = field(
        default="group", metadata={"doc": "; ".join(f"{k}: {v}" for k, v in _WORDS.items())}
    )

    # Which of groups, threads and cpus were given as 0: they follow when another field is replaced.
    derived: frozenset[str] = field(default=frozenset(), init=False, repr=False)

    def __post_init__(self) -> None:
        for item in fields(self):
            if "low" in item.metadata:
                low, high = item.metadata["low"], item.metadata["high"]
                value = whole_number(getattr(self, item.name), low, high, item.name)
                object.__setattr__(self, item.name, value)
        object.__setattr__(self, "mix", parse_mix(self.mix))
        object.__setattr__(self, "map_bytes", _bytes(self.map_bytes, "map_bytes"))
        derived = frozenset(
            name for name in ("groups", "threads", "cpus") if not getattr(self, name)
        )
        object.__setattr__(self, "derived", derived)
        object.__setattr__(self, "groups", self.groups or self.devices)
        object.__setattr__(self, "threads", self.threads or self.devices)
        object.__setattr__(self, "cpus", self.cpus or self.threads)
        object.__setattr__(self, "think", parse_think(str(self.think)).text)
        known_name(self.drive, _WORDS, "value of drive")
        self._check_fit()

    def _check_fit(self) -> None:
        weights = self.weights
        if self.ops <= self.set_up_operations:
            raise ConfigError(
                f"ops: {self.ops} is not more than the {self.set_up_operations} operations of the "
                "set-up; a replay takes its rate from the longest phase"
            )
        if self.groups > self.devices:
            raise ConfigError(f"{self.groups} groups of {self.devices} devices: some are empty")
        if self.smmus > self.groups:
            raise ConfigError(f"{self.smmus} smmus for {self.groups} groups: some have none")
        if self.map_bytes % PAGE_BYTES or not self.map_bytes:
            raise ConfigError(f"map_bytes: {self.map_bytes} is not whole pages of {PAGE_BYTES}")
        if self.map_bytes * self.areas > WINDOW_BYTES:
            raise ConfigError(f"{self.areas} areas of {self.map_bytes} bytes: more than 4 GiB")
        if "replace" in weights and self.hwpts < 2:
            raise ConfigError("replace needs two hwpts or more; hwpts is 1")
        if not weights.keys() - {"attach", "replace"}:
            units = self.groups if self.drive == "group" else self.devices
            if self.threads > units:
                raise ConfigError(
                    f"{self.threads} threads for {units} {self.drive}s, and the mix maps nothing: "
                    "some threads would have nothing to do"
                )
        if self.drive == "device" and self.groups < self.devices and "attach" in weights:
            raise ConfigError(
                "attach with drive=device and groups of several devices: a group's devices share a "
                "domain, so an attach would fail by chance; take drive=group or a mix without attach"
            )

    @property
    def weights(self) -> dict[str, int]:
        """Weight of each kind that occurs."""
        return dict(self.mix)  # type: ignore[arg-type]  # __post_init__ made it pairs

    @property
    def set_up_operations(self) -> int:
        """Operations before `ops`: bind and attach, ioases, hwpts."""
        return 2 * self.devices + self.ioases + self.smmus * self.hwpts

    @property
    def has_think(self) -> bool:
        """Whether threads spend user time between operations."""
        return self.think != "0"

    @classmethod
    def of(cls, values: Mapping[str, object]) -> Workload:
        """From a mapping; ConfigError for unknown keys, with the nearest one."""
        names = cls.names()
        for key in values:
            known_name(key, names, "key of the generator")
        return cls(**dict(values))  # type: ignore[arg-type]  # __post_init__ checks each

    @classmethod
    def names(cls) -> list[str]:
        """The fields that may be given."""
        return [item.name for item in fields(cls) if item.init]

    def to_dict(self) -> dict[str, Any]:
        """Plain values, resolved, for JSON and TOML: `mix` as a mapping."""
        values = {name: getattr(self, name) for name in self.names()}
        return {**values, "mix": self.weights}

    def options(self) -> list[str]:
        """ "generate.NAME=VALUE" of what is not the default."""
        default = type(self)()
        words = self.to_dict() | {"mix": ",".join(f"{k}={n}" for k, n in self.weights.items())}
        return [
            f"generate.{name}={words[name]}"
            for name in self.names()
            if getattr(self, name) != getattr(default, name) and name not in self.derived
        ]

    @property
    def given(self) -> dict[str, Any]:
        """As `to_dict`, but 0 where groups, threads and cpus were derived: `of` makes it again."""
        return {**self.to_dict(), **dict.fromkeys(self.derived, 0)}
