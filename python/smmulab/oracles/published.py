# SPDX-License-Identifier: Apache-2.0
"""O7: published throughput of a DMA-API map+unmap loop, strict mode, on a HiSilicon D06 (J. Garry,
linux-iommu list, 23 Sep 2020): thousand operations per second and CPU. Preset d06 was calibrated on
the 2- and 4-CPU points of the first row; every other point is a prediction."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd

from smmulab.map_bench import COUNTS, map_bench

NAME = "published"
HOLDS = "O7: thousand map+unmap per second and CPU, within 15 % up to 16 CPUs, 35 % beyond"

MEASURED = {
    "cmpxchg": (453, 409, 295, 157, 33.6, 9.5, 5.2),
    "spinlock": (459, 414, 281, 131, 44, 15.5, 8.6),
    "series": (481, 406, 305, 190, 81, 30, 18.7),
}
CALIBRATED = {("cmpxchg", 2), ("cmpxchg", 4)}
FEW_CPUS = 16
TOLERANCE_FEW = 0.15
TOLERANCE_MANY = 0.35
SHAPE_TOLERANCE = 1 / 3
PEAK = (8, 16)
# Of the aggregate, from its peak to 96 CPUs; cmpxchg per success at 64 CPUs.
COLLAPSE = {"cmpxchg": 5.0, "series": 1.7}
TRIES_AT_64 = 12.0


def measured() -> pd.DataFrame:
    """Columns: variant, cpus, kops_per_cpu, mops."""
    rows = [
        (variant, cpus, rate, rate * cpus / 1e3)
        for variant, rates in MEASURED.items()
        for cpus, rate in zip(COUNTS, rates, strict=True)
    ]
    return pd.DataFrame(rows, columns=["variant", "cpus", "kops_per_cpu", "mops"])


def _peak(aggregate: dict[int, float]) -> int:
    return max(aggregate, key=lambda cpus: aggregate[cpus])


def check(progress: Callable[[int, int, str], bool] | None = None) -> pd.DataFrame:
    """Columns: variant, figure, measured, model, error_ratio, aim, verdict. `progress`: as in
    `map_bench`."""
    model = map_bench(COUNTS, tuple(MEASURED), progress=progress)
    points = list(zip(model["variant"], model["cpus"], strict=True))
    rates = dict(zip(points, model["kops_per_cpu"].astype(float), strict=True))
    tries = dict(zip(points, model["tries"].astype(float), strict=True))
    rows: list[tuple[str, str, float, float, float, str, str]] = []

    def add(variant: str, figure: str, was: float, found: float, tolerance: float) -> None:
        error = found / was - 1
        verdict = "ok" if abs(error) <= tolerance else "miss"
        rows.append((variant, figure, was, found, error, f"{tolerance:.0%}", verdict))

    for variant, values in MEASURED.items():
        for cpus, rate in zip(COUNTS, values, strict=True):
            tolerance = TOLERANCE_FEW if cpus <= FEW_CPUS else TOLERANCE_MANY
            add(variant, f"{cpus} CPUs", rate, rates[variant, cpus], tolerance)
            if (variant, cpus) in CALIBRATED and rows[-1][-1] == "ok":
                rows[-1] = (*rows[-1][:-1], "ok (calibrated)")
    for variant, values in MEASURED.items():
        aggregate = {cpus: rates[variant, cpus] * cpus for cpus in COUNTS}
        peak = _peak(aggregate)
        was = _peak({cpus: rate * cpus for cpus, rate in zip(COUNTS, values, strict=True)})
        verdict = "ok" if PEAK[0] <= peak <= PEAK[1] else "miss"
        rows.append((variant, "CPUs at the peak", was, peak, peak / was - 1, "8 to 16", verdict))
        if variant in COLLAPSE:
            collapse = aggregate[peak] / aggregate[COUNTS[-1]]
            add(variant, "peak / 96 CPUs", COLLAPSE[variant], collapse, SHAPE_TOLERANCE)
    add(
        "cmpxchg",
        "cmpxchg per success, 64 CPUs",
        TRIES_AT_64,
        tries["cmpxchg", 64],
        SHAPE_TOLERANCE,
    )
    columns = ["variant", "figure", "measured", "model", "error_ratio", "aim", "verdict"]
    return pd.DataFrame(rows, columns=columns)
