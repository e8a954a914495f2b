# SPDX-License-Identifier: Apache-2.0
"""The map+unmap loop of the DMA API over CPU counts and variants of the command queue, as a table."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import pandas as pd

from smmulab import ConfigError, _core

MACHINE = "preset=d06"
COUNTS = (2, 4, 8, 16, 32, 64, 96)
ROUNDS = 20_000

# name -> what is set for it.
VARIANTS = {
    "cmpxchg": ("driver.cmdq_kind=single", "driver.cmdq_insertion=cmpxchg"),
    "spinlock": ("driver.cmdq_kind=single", "driver.cmdq_insertion=spinlock"),
    "series": ("driver.cmdq_kind=single", "driver.cmdq_insertion=fetch-add"),
    "ecmdq": ("driver.cmdq_kind=ecmdq", "driver.cmdq_count=0"),
    "cmdqv": ("driver.cmdq_kind=cmdqv", "driver.cmdq_count=2"),
    "lazy": ("dma.mode=lazy",),
}
# Where the CPU time of a round goes, in the order in which it does; us in the table.
STEPS = ("map", "reserve", "write", "publish", "sync", "release", "other")


@dataclass(frozen=True)
class Load:
    """What each CPU does: rounds in all, bytes of a buffer, buffers mapped at a time, the seed."""

    rounds: int = ROUNDS
    size: int = 4096
    in_flight: int = 1
    seed: int = 1


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
    }


def map_bench(
    counts: Iterable[int] = COUNTS,
    variants: Sequence[str] = ("cmpxchg", "spinlock", "series"),
    machine: str | None = None,
    set: Sequence[str] = (),
    load: Load | None = None,
    progress: Callable[[int, int, str], bool] | None = None,
) -> pd.DataFrame:
    """A row for each variant and number of CPUs, on preset d06 unless `machine` names a file.

    Columns: variant, cpus, kops_per_cpu (thousand map+unmap per second and CPU), mops (million per
    second in all), tries (cmpxchg per success), doorbells_per_sync, round_us and its steps, and
    slowest_share (rounds of the slowest CPU over the mean).
    """
    load = load or Load()
    jobs = [(variant, cpus) for variant in variants for cpus in counts]
    rows = []
    for done, (variant, cpus) in enumerate(jobs):
        if variant not in VARIANTS:
            raise ConfigError(f"unknown variant '{variant}'; known: {', '.join(VARIANTS)}")
        if progress is not None:
            progress(done, len(jobs), f"{variant} {cpus}")
        assignments = [*([] if machine else [MACHINE]), *VARIANTS[variant], *set]
        result = _core.map_bench(
            cpus, assignments, machine, load.rounds, load.size, load.in_flight, load.seed
        )
        rows.append(_row(variant, cpus, result))
    return pd.DataFrame(rows)
