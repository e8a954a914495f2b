# SPDX-License-Identifier: Apache-2.0
"""On which assumed costs does a conclusion hang? Morris and Sobol over the cost space (SALib), and
`decision`: the share of that space in which each protocol wins.

The plausible range of a cost is no parameter's legal range, which only keeps nonsense out. It comes
from its provenance: an assumed cost may be FACTOR times less or more (4 by default, which is an
assumption itself), one with a named source keeps its value. It is clipped to the legal range; a
cost that is 0 stays 0. Costs that do nothing in the run keep their value, too: `hw.*`, or with
smmuv3.hardware=counted `smmuv3.*` and `stream.*`, and `dma.*` always.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from os import PathLike
from typing import TYPE_CHECKING, Any

import numpy as np

from smmulab import _core
from smmulab._core import ConfigError
from smmulab.checking import known_name, picoseconds, whole_number
from smmulab.config import Config, inert_costs
from smmulab.study.design import Range
from smmulab.study.statistics import PROTOCOL, SEED
from smmulab.study.sweeping import Sweep, sweep

if TYPE_CHECKING:
    import pandas as pd

    from smmulab.protocol_source import ProtocolLike

FACTOR = 4.0


def plausible(
    config: Config | None = None, factor: float = FACTOR, only: Sequence[str] = ()
) -> dict[str, Range]:
    """The plausible range of each assumed cost of `config`, logarithmic. `only`: of these parameters
    (beginnings of their names). Without those that do nothing (`inert_costs`). ConfigError if
    `factor` is not above 1 or `only` names none."""
    if not factor > 1:
        raise ConfigError(f"factor must be above 1, not {factor}")
    values = (config or Config()).parameters
    inert = inert_costs(values)
    ranges = {}
    for p in _core.parameters():
        if p.unit != "ps" or not p.provenance.startswith("assumed") or p.key.startswith(inert):
            continue
        if only and not any(p.key.startswith(name) for name in only):
            continue
        now = picoseconds(values[p.key], p.key)
        legal_low, legal_high = (picoseconds(end, p.key) for end in (p.minimum, p.maximum))
        low = max(legal_low, math.ceil(now / factor))
        high = min(legal_high, math.floor(now * factor))
        if 0 < low < high:
            ranges[p.key] = Range(f"{low}ps", f"{high}ps", log=True)
    if not ranges:
        why = ""
        if any(name.startswith(inert) for name in only):
            kind = values["smmuv3.hardware"]
            groups = ", ".join(f"{name}*" for name in inert)
            why = f" and counts: with smmuv3.hardware={kind} {groups} do nothing"
        raise ConfigError(f"no assumed cost begins with {', '.join(only)}{why}")
    return ranges


def _points(ranges: Mapping[str, Range], samples: Any) -> dict[tuple[str, ...], list[Any]]:
    names = tuple(ranges)
    return {
        names: [
            tuple(ranges[name].at(name, float(x)) for name, x in zip(names, row, strict=True))
            for row in samples
        ]
    }


def _outputs(done: Sweep, points: int, y: str) -> pd.DataFrame:
    """`y` by point (in the order of the design) and protocol's name, the mean over seeds."""
    runs = done.store.runs(all_parameters=True).set_index("run_id")
    frame = runs.loc[list(done.run_ids), [PROTOCOL, SEED, y]].reset_index(drop=True)
    # Protocols first, then points, then seeds: as the factors were given.
    names = list(dict.fromkeys(frame[PROTOCOL]))
    seeds = len(frame) // (points * len(names))
    frame["point"] = np.tile(np.repeat(np.arange(points), seeds), len(names))
    return frame.pivot_table(index="point", columns=PROTOCOL, values=y, dropna=False)[names]


def _run(
    config: Config,
    ranges: Mapping[str, Range],
    samples: Any,
    protocols: Sequence[ProtocolLike],
    y: str,
    options: Mapping[str, Any],
) -> pd.DataFrame:
    cells = _points(ranges, samples)
    (rows,) = cells.values()
    unique = list(dict.fromkeys(rows))  # Morris and Sobol visit some points twice
    (names,) = cells
    done = sweep(config, {"protocol": list(protocols), names: unique}, **options)
    found = _outputs(done, len(unique), y)
    place = {row: number for number, row in enumerate(unique)}
    return found.iloc[[place[row] for row in rows]].reset_index(drop=True)


@dataclass(frozen=True)
class Sensitivity:
    """`table`: a row for each cost, what matters most first; `method` "morris" or "sobol"; `y`: what
    was measured (of one protocol, or the ratio of the first of two over the second)."""

    method: str
    y: str
    table: pd.DataFrame = field(repr=False)

    def hangs_on(self, share: float = 0.05) -> list[str]:
        """The assumed costs on which the result hangs: those with at least `share` of the effect."""
        weight = "total" if self.method == "sobol" else "mu_star"
        most = self.table[weight].clip(lower=0)
        return list(self.table.loc[most >= share * most.sum(), "cost"])


def sensitivity(
    config: Config,
    *,
    out: str | PathLike[str],
    method: str = "morris",
    protocols: Sequence[ProtocolLike] = ("igroup",),
    y: str = "ops_per_s",
    samples: int = 8,
    factor: float = FACTOR,
    only: Sequence[str] = (),
    seed: int = 1,
    **options: Any,
) -> Sensitivity:
    """Which assumed costs move `y` (a column of Sweep.frame())? With two protocols: its logarithmic
    ratio, so that the table tells on which costs their order hangs.

    "morris": `samples` trajectories of one step in each cost; columns cost, mu_star (mean magnitude of
    the effect of going through the range, in the unit of y), mu_star_conf (95 %), sigma (interaction
    or curvature). "sobol": `samples` (a power of two) base points; cost, first, first_conf, total,
    total_conf (shares of the variance). Runs: protocols x samples x (costs + 1), or (costs + 2).
    `options` go to `sweep`. Raises ConfigError, also without SALib, and if a run has no result.
    """
    known_name(method, ("morris", "sobol"), "method")
    whole_number(len(protocols), 1, 2, "number of protocols")
    whole_number(samples, 1, 1 << 16, "samples")
    ranges = plausible(config, factor, only)
    problem = {"num_vars": len(ranges), "names": list(ranges), "bounds": [[0.0, 1.0]] * len(ranges)}
    library = _salib(method)
    sample = library.sample.sample
    if method == "morris":
        rows = sample(problem, samples, num_levels=4, seed=seed)
    else:
        rows = sample(problem, samples, calc_second_order=False, seed=seed)
    found = _run(config, ranges, rows, protocols, y, {**options, "out": out})
    name = y
    first, *second = found.columns
    values = found[first].to_numpy(dtype=float)
    for other in second:
        values = np.log(values / found[other].to_numpy(dtype=float))
        name = f"ln({y} of {first} / {other})"
    if not np.isfinite(values).all():
        raise ConfigError(f"{int((~np.isfinite(values)).sum())} runs gave no {y}; see the store")
    return Sensitivity(method, name, _analysis(library, method, problem, rows, values, seed))


@dataclass(frozen=True)
class _Library:
    sample: Any
    analyze: Any


def _salib(method: str) -> _Library:
    try:
        from SALib.analyze import morris as morris_a  # noqa: PLC0415  an extra
        from SALib.analyze import sobol as sobol_a  # noqa: PLC0415
        from SALib.sample import morris as morris_s  # noqa: PLC0415
        from SALib.sample import sobol as sobol_s  # noqa: PLC0415
    except ImportError:
        raise ConfigError(
            "sensitivity needs SALib: python -m pip install 'smmulab[sensitivity]'"
        ) from None
    return _Library(morris_s, morris_a) if method == "morris" else _Library(sobol_s, sobol_a)


def _analysis(
    library: _Library, method: str, problem: dict[str, Any], rows: Any, values: Any, seed: int
) -> pd.DataFrame:
    import pandas as pd  # noqa: PLC0415  most of a start-up's time

    names = problem["names"]
    if np.ptp(values) == 0:  # nothing moves it; SALib would divide by a variance of 0
        columns = (
            ("mu_star", "mu_star_conf", "sigma")
            if method == "morris"
            else ("first", "first_conf", "total", "total_conf")
        )
        return pd.DataFrame({"cost": names, **dict.fromkeys(columns, 0.0)})
    if method == "morris":
        found = library.analyze.analyze(problem, rows, values, num_levels=4, seed=seed)
        keys = {"mu_star": "mu_star", "mu_star_conf": "mu_star_conf", "sigma": "sigma"}
        first = "mu_star"
    else:
        found = library.analyze.analyze(problem, values, calc_second_order=False, seed=seed)
        keys = {"first": "S1", "first_conf": "S1_conf", "total": "ST", "total_conf": "ST_conf"}
        first = "total"
    table = {"cost": names, **{name: np.asarray(found[key], float) for name, key in keys.items()}}
    return pd.DataFrame(table).sort_values(first, ascending=False, kind="stable", ignore_index=True)


@dataclass(frozen=True)
class Decision:
    """`table`: param.protocol, wins (share of the plausible cost space in which it has the best `y`),
    low, high (95 %, Wilson), n (points). `points`: a row for each point: costs in ps, `y` of each
    protocol, winner."""

    y: str
    table: pd.DataFrame = field(repr=False)
    points: pd.DataFrame = field(repr=False)


def decision(
    config: Config,
    protocols: Sequence[ProtocolLike],
    *,
    out: str | PathLike[str],
    y: str = "ops_per_s",
    best: str = "max",
    samples: int = 64,
    factor: float = FACTOR,
    only: Sequence[str] = (),
    seed: int = 1,
    **options: Any,
) -> Decision:
    """In which share of the plausible cost space does each protocol win? `samples` points of a Latin
    hypercube over all assumed costs, the same operations for each protocol; a tie is shared; a run
    without `y` (a deadlock) loses. `best`: "max" or "min" of `y`. ConfigError as in `sweep`."""
    import pandas as pd  # noqa: PLC0415  most of a start-up's time
    from scipy.stats import binomtest, qmc  # noqa: PLC0415

    known_name(best, ("max", "min"), "value of best")
    ranges = plausible(config, factor, only)
    rows = qmc.LatinHypercube(d=len(ranges), rng=seed).random(samples)
    found = _run(config, ranges, rows, protocols, y, {**options, "out": out})
    signed = found if best == "max" else -found
    top = signed.eq(signed.max(axis=1), axis=0)
    share = top.div(top.sum(axis=1).clip(lower=1), axis=0)
    table = []
    for protocol in found.columns:
        wins = float(share[protocol].sum())
        ends = binomtest(round(wins), samples).proportion_ci(method="wilson")
        table.append([protocol, wins / samples, float(ends.low), float(ends.high), samples])
    points = pd.DataFrame(
        {f"{name}_ps": [picoseconds(str(r.at(name, x)), name) for x in rows[:, i]]
         for i, (name, r) in enumerate(ranges.items())}
    )  # fmt: skip
    points = pd.concat([points, found.reset_index(drop=True)], axis=1)
    points["winner"] = [
        str(row.idxmax()) if row.notna().any() else "" for _, row in signed.iterrows()
    ]
    names = [PROTOCOL, "wins", "low", "high", "n"]
    return Decision(y, pd.DataFrame(table, columns=names), points)
