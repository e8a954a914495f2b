# SPDX-License-Identifier: Apache-2.0
"""The map+unmap loop of the DMA API over CPU counts and variants of the command queue, as a table."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from smmulab import ConfigError, _core

MACHINE = "preset=d06"
COUNTS = (2, 4, 8, 16, 32, 64, 96)
ROUNDS = 20_000

# name -> what is set for it.
STRICT = "dma.mode=strict"
SINGLE = "driver.cmdq_kind=single"
VARIANTS = {
    "cmpxchg": (STRICT, SINGLE, "driver.cmdq_insertion=cmpxchg"),
    "spinlock": (STRICT, SINGLE, "driver.cmdq_insertion=spinlock"),
    "series": (STRICT, SINGLE, "driver.cmdq_insertion=fetch-add"),
    "ecmdq": (STRICT, "driver.cmdq_kind=ecmdq", "driver.cmdq_count=0"),
    "cmdqv": (STRICT, "driver.cmdq_kind=cmdqv", "driver.cmdq_count=2"),
    "lazy": ("dma.mode=lazy", SINGLE, "driver.cmdq_insertion=cmpxchg"),
}
# Where the CPU time of a round goes, in the order in which it does; us in the table.
STEPS = ("map", "reserve", "write", "publish", "sync", "release", "other")


# What is more is a slip of the hand: the host keeps something for each page that is mapped.
LIMITS = {"rounds": 10**12, "size": 2**30, "in_flight": 2**16, "seed": 2**64 - 1}


def check_integer(name: str, value: object, most: int) -> None:
    """Raises ConfigError unless `value` is an integer from 1 to `most`."""
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= most:
        raise ConfigError(f"{name} {value}: expected an integer from 1 to {most}")


@dataclass(frozen=True)
class Load:
    """What each CPU does: rounds in all, bytes of a buffer, buffers mapped at a time, the seed.

    Raises ConfigError for what is not an integer within LIMITS.
    """

    rounds: int = ROUNDS
    size: int = 4096
    in_flight: int = 1
    seed: int = 1

    def __post_init__(self) -> None:
        for name, most in LIMITS.items():
            check_integer(name, getattr(self, name), most)


def _row(variant: str, cpus: int, result: str) -> dict[str, float | int | str]:
    found = json.loads(result)
    rounds, queue = found["rounds"], found["queue"]
    per_round = {
        "map": found["mapping_ps"],
        "reserve": queue["reserving_ps"],
        "write": queue["writing_ps"],
        "publish": queue["publishing_ps"],
        "sync": queue["sync_wait_ps"],
        "release": queue["releasing_ps"],
    }
    total = cpus * found["elapsed_ps"] / rounds
    other = total - sum(per_round.values()) / rounds
    submissions = max(queue["submissions"], 1)
    return {
        "variant": variant,
        "cpus": cpus,
        "kops_per_cpu": 1e9 * rounds / found["elapsed_ps"] / cpus,
        "mops": 1e6 * rounds / found["elapsed_ps"],
        "tries": 1 + queue["cmpxchg_failures"] / submissions,
        "doorbells_per_sync": queue["doorbells"] / max(queue["syncs"], 1),
        "round_us": total / 1e6,
        **{f"{name}_us": value / rounds / 1e6 for name, value in per_round.items()},
        "other_us": other / 1e6,
        "slowest_share": found["slowest_rounds"] * cpus / rounds,
        "stale_mean_us": found["stale_total_ps"] / max(found["stale_windows"], 1) / 1e6,
        "stale_max_us": found["stale_max_ps"] / 1e6,
        **_dma_columns(found),
    }


def _dma_columns(found: dict[str, Any]) -> dict[str, float | int]:
    """Of the device's DMA; nothing if it has none."""
    dma = found.get("dma")
    if dma is None:
        return {}
    return {
        "dma_gbps": 1e3 * dma["bytes"] / found["elapsed_ps"],
        "dma_refused_share": dma["refused"] / max(dma["passed"] + dma["refused"], 1),
        "dma_translation_p50_ns": dma["translation_p50_ps"] / 1e3,
        "dma_translation_p99_ns": dma["translation_p99_ps"] / 1e3,
        "uses_after_unmap": dma["uses_after_unmap"],
        "unmaps_used_after": dma["unmaps_used_after"],
        "use_after_unmap_mean_us": dma["use_after_unmap_total_ps"]
        / max(dma["unmaps_used_after"], 1)
        / 1e6,
        "use_after_unmap_max_us": dma["use_after_unmap_max_ps"] / 1e6,
    }


def map_bench(
    counts: Iterable[int] = COUNTS,
    variants: Sequence[str] = ("cmpxchg", "spinlock", "series"),
    machine: str | None = None,
    set: Sequence[str] = (),
    load: Load | None = None,
    progress: Callable[[int, int, str], bool] | None = None,
) -> pd.DataFrame:
    """A row for each variant and number of CPUs, on preset d06.

    `machine`: a file, or `set=["preset=NAME"]`, instead.

    Columns: variant, cpus, kops_per_cpu (thousand map+unmap per second and CPU), mops (million per
    second in all), tries (cmpxchg per success), doorbells_per_sync, round_us and its steps,
    slowest_share (rounds of the slowest CPU over the mean), stale_mean_us and stale_max_us (from
    the store that unmaps a buffer to the end of the invalidation that covers it; of buffers for
    which that came in the measured time). With DMA (stream.pattern, on timed hardware) also
    dma_gbps (GB/s that reached memory), dma_refused_share (of transactions: their page was not
    mapped), dma_translation_p50_ns, dma_translation_p99_ns, uses_after_unmap (transactions by an
    old translation), unmaps_used_after (unmaps that had some), use_after_unmap_mean_us and
    use_after_unmap_max_us (of these, from the store to the last such transaction); as stale_*, of
    unmaps whose invalidation came in the measured time.

    Raises ConfigError for an unknown variant, a number of CPUs that the machine does not have, or
    settings that exclude each other.
    """
    load = load or Load()
    # A preset replaces all that was set before it, so it comes before the variant.
    presets = [assignment for assignment in set if assignment.partition("=")[0] == "preset"]
    others = [assignment for assignment in set if assignment not in presets]
    counts = list(counts)
    for count in counts:
        check_integer("cpus", count, 2**32 - 1)
    jobs = [(variant, cpus) for variant in variants for cpus in counts]
    rows = []
    for done, (variant, cpus) in enumerate(jobs):
        if variant not in VARIANTS:
            raise ConfigError(f"unknown variant '{variant}'; known: {', '.join(VARIANTS)}")
        if progress is not None:
            progress(done, len(jobs), f"{variant} {cpus}")
        assignments = [*([] if machine else [MACHINE]), *presets, *VARIANTS[variant], *others]
        result = _core.map_bench(
            cpus, assignments, machine, load.rounds, load.size, load.in_flight, load.seed
        )
        rows.append(_row(variant, cpus, result))
    return pd.DataFrame(rows)
