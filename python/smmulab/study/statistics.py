# SPDX-License-Identifier: Apache-2.0
"""How sure is a difference: intervals over seeds, paired differences, scaling laws, crossovers.

All take tidy tables as `Sweep.frame()` gives them, one row for each run.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, stats

from smmulab._core import ConfigError
from smmulab.checking import nearest

if TYPE_CHECKING:
    import pandas as pd

Method = Literal["t", "bootstrap"]
Floats = NDArray[np.float64]
PROTOCOL, SEED = "param.protocol", "param.seed"
IDENTITY, BUILD = "param.trace_identity", "build"
# As `Config` takes it: of a generator, otherwise of the machine.
_CORES = ("param.generate.cpus", "param.machine.cpus")
_RESAMPLES = 2000


def column(frame: pd.DataFrame, name: str) -> str:
    """`name`, or the one parameter whose name ends in it ("threads" for "param.generate.threads",
    "hw.sync" for "param.hw.sync_ps"); "cores" as a factor has it. ConfigError, with
    the nearest name, for none or several."""
    names = [str(known) for known in frame.columns]
    if name in names:
        return name
    if name == "cores":
        found = [known for known in _CORES if known in names][:1]
    else:
        # A time's column ends in its unit.
        found = [
            known
            for known in names
            if known.startswith("param.") and known.endswith((f".{name}", f".{name}_ps"))
        ]
    if len(found) == 1:
        return found[0]
    if found:
        raise ConfigError(f"'{name}' may be {' or '.join(found)}")
    raise ConfigError(f"the table has no column '{name}'{nearest(name, names)}")


def other_factors(frame: pd.DataFrame, keys: Sequence[str]) -> list[str]:
    """Columns beside `keys` (names of columns) in which runs that agree in all of `keys` differ:
    parameters but the seed, and the build. Who takes such runs for repetitions, which differ in their
    seeds only, gets intervals of nothing."""
    if len(frame) < 2:
        return []
    names = [
        str(name)
        for name in frame.columns
        if (str(name).startswith("param.") and name not in {SEED, IDENTITY}) or name == BUILD
    ]
    names = [name for name in names if name not in keys]
    points = len(frame[list(keys)].drop_duplicates()) if keys else 1
    return [name for name in names if len(frame[[*keys, name]].drop_duplicates()) > points]


def check_repeated(frame: pd.DataFrame, keys: Sequence[str], remedy: str) -> None:
    """ConfigError unless runs that agree in `keys` differ in their seeds only."""
    if found := other_factors(frame, keys):
        words = ", ".join(name.removeprefix("param.") for name in found)
        raise ConfigError(f"runs that would be taken for repetitions differ in {words}: {remedy}")


_CHOOSE = "choose the rows of one value of each"


def interval(
    values: Sequence[float] | Floats, *, level: float = 0.95, method: Method = "t"
) -> tuple[float, float, float]:
    """(mean, low, high) of independent values. "t": Student's; "bootstrap": bias-corrected and
    accelerated, with resamples drawn from a fixed seed. NaN for low and high of a single value; values that are
    all equal give an interval of no width."""
    data = np.asarray(values, dtype=float)
    data = data[~np.isnan(data)]
    if not len(data):
        return math.nan, math.nan, math.nan
    mean = float(data.mean())
    if len(data) == 1:
        return mean, math.nan, math.nan
    if np.ptp(data) == 0:
        return mean, mean, mean
    if method == "t":
        half = float(stats.t.ppf((1 + level) / 2, len(data) - 1) * stats.sem(data))
        return mean, mean - half, mean + half
    if method != "bootstrap":
        raise ConfigError(f"method: '{method}' is neither 't' nor 'bootstrap'")
    found = stats.bootstrap(
        (data,), np.mean, confidence_level=level, n_resamples=_RESAMPLES, rng=1
    ).confidence_interval
    return mean, float(found.low), float(found.high)


def intervals(
    frame: pd.DataFrame,
    value: str,
    by: Sequence[str],
    *,
    level: float = 0.95,
    method: Method = "t",
) -> pd.DataFrame:
    """Mean of `value` over seeds with its interval: a row for each combination of `by`, columns
    `by`, n (runs with a value), mean, low, high; the latter three in the unit of `value`.

    ConfigError if runs that agree in `by` differ in more than their seeds."""
    import pandas as pd  # noqa: PLC0415  most of a start-up's time

    keys = [column(frame, name) for name in by]
    measured = column(frame, value)
    check_repeated(frame, keys, f"give it in `by`, or {_CHOOSE}")
    rows = []
    for key, part in frame.groupby(keys, sort=False, dropna=False):
        values = part[measured].dropna().to_numpy(dtype=float)
        mean, low, high = interval(values, level=level, method=method)
        rows.append([*key, len(values), mean, low, high])
    return pd.DataFrame(rows, columns=[*keys, "n", "mean", "low", "high"])


def differences(
    frame: pd.DataFrame,
    value: str,
    *,
    base: str,
    by: Sequence[str] = (),
    level: float = 0.95,
    method: Method = "t",
) -> pd.DataFrame:
    """Each protocol less protocol `base`, run by run of the same seed and operations, so that what
    the seeds have in common cancels. Columns: param.protocol, `by`, n (pairs), mean, low, high (unit
    of `value`), gain (mean over the base's mean; 0.1: 10 % more), wins (share of pairs above 0).

    ConfigError if `base` is not in the table, or if runs that agree in `by` differ in more than
    protocol and seed."""
    import pandas as pd  # noqa: PLC0415  most of a start-up's time

    keys, measured = [column(frame, name) for name in by], column(frame, value)
    # Not within a protocol: if each had a cost of its own, the difference were not the protocols'.
    check_repeated(frame.drop(columns=PROTOCOL), keys, f"give it in `by`, or {_CHOOSE}")
    if base not in set(frame[PROTOCOL]):
        raise ConfigError(f"no run of '{base}'{nearest(base, frame[PROTOCOL].unique())}")
    pairing = [*keys, SEED]
    wide = frame.pivot_table(index=pairing, columns=PROTOCOL, values=measured, sort=False)
    rows = []
    groups: list[tuple[Any, pd.DataFrame]] = (
        list(wide.groupby(level=keys, sort=False)) if keys else [((), wide)]
    )
    for key, part in groups:
        for protocol in (name for name in wide.columns if name != base):
            both = part[[protocol, base]].dropna()
            deltas = (both[protocol] - both[base]).to_numpy(dtype=float)
            mean, low, high = interval(deltas, level=level, method=method)
            middle = float(both[base].mean()) if len(both) else math.nan
            wins = float((deltas > 0).mean()) if len(deltas) else math.nan
            words = key if isinstance(key, tuple) else (key,)
            rows.append([protocol, *words, len(both), mean, low, high, mean / middle, wins])
    names = [PROTOCOL, *keys, "n", "mean", "low", "high", "gain", "wins"]
    return pd.DataFrame(rows, columns=names)


def usl(n: Floats, gamma: float, alpha: float, beta: float) -> Floats:
    """Gunther's universal scalability law: gamma n / (1 + alpha (n - 1) + beta n (n - 1))."""
    return gamma * n / (1 + alpha * (n - 1) + beta * n * (n - 1))


def peak(alpha: float, beta: float) -> float:
    """N*, where the law is greatest: sqrt((1 - alpha) / beta); infinite without beta, 1 at least."""
    if beta <= 0:
        return math.inf
    return max(1.0, math.sqrt(max(0.0, 1 - alpha) / beta))


def _fit(n: Floats, x: Floats) -> Floats:
    """gamma, alpha, beta with the least relative errors, so that small n counts as much as large.
    gamma n / x = 1 + alpha (n - 1) + beta n (n - 1) is linear in 1/gamma, alpha/gamma, beta/gamma."""
    terms = np.column_stack([np.ones_like(n), n - 1, n * (n - 1)]) * (x / n)[:, None]
    found = optimize.nnls(terms, np.ones_like(n))[0]
    if found[0] <= 0:
        return np.array([np.inf, 1.0, 1.0])
    alpha, beta = min(1.0, found[1] / found[0]), min(1.0, found[2] / found[0])
    return np.array([1 / found[0], alpha, beta])


def fit_usl(
    frame: pd.DataFrame,
    x: str = "cores",
    y: str = "ops_per_s",
    by: str = PROTOCOL,
    *,
    level: float = 0.95,
) -> pd.DataFrame:
    """Fit the universal scalability law to `y` over `x`, for each value of `by`.

    Columns: `by`, n (points), gamma (y of one), alpha (contention, 0 to 1), beta (coherency, 0 to 1),
    peak_n (N*; infinite if beta is 0), each also with _low and _high: a bootstrap over runs within
    each x (residuals if there is one run for each), r2. NaN if there are fewer than four different x.
    A law of three numbers: look at the curve before you believe it.

    ConfigError if runs that agree in `by` and `x` differ in more than their seeds.
    """
    import pandas as pd  # noqa: PLC0415  most of a start-up's time

    key, over, value = column(frame, by), column(frame, x), column(frame, y)
    check_repeated(frame, [key, over], _CHOOSE)
    rows = []
    for name, part in frame.dropna(subset=[value]).groupby(key, sort=False):
        n, measured = part[over].to_numpy(dtype=float), part[value].to_numpy(dtype=float)
        keep = measured > 0
        rows.append([name, int(keep.sum()), *_usl_row(n[keep], measured[keep], level)])
    names = [
        f"{name}{end}"
        for name in ("gamma", "alpha", "beta", "peak_n")
        for end in ("", "_low", "_high")
    ]
    return pd.DataFrame(rows, columns=[key, "n", *names, "r2"])


def _usl_row(n: Floats, measured: Floats, level: float) -> list[float]:
    if len(np.unique(n)) < 4:
        return [math.nan] * 13
    best = _fit(n, measured)
    fitted = usl(n, *best)
    rng = np.random.default_rng(1)
    draws = []
    groups = [np.flatnonzero(n == value) for value in np.unique(n)]
    several = all(len(group) > 1 for group in groups)
    for _ in range(200):
        if several:
            picked = np.concatenate([rng.choice(group, len(group)) for group in groups])
            draws.append(_fit(n[picked], measured[picked]))
        else:
            ratio = rng.choice(measured / fitted, len(n))
            draws.append(_fit(n, fitted * ratio))
    values = [[*draw, peak(draw[1], draw[2])] for draw in draws]
    row: list[float] = []
    for place, middle in enumerate([*best, peak(best[1], best[2])]):
        low, high = np.quantile(
            [draw[place] for draw in values], [(1 - level) / 2, (1 + level) / 2], method="nearest"
        )
        row += [float(middle), float(low), float(high)]
    spread = float(((measured - measured.mean()) ** 2).sum())
    r2 = 1 - float(((measured - fitted) ** 2).sum()) / spread if spread else math.nan
    return [*row, r2]


def crossovers(
    frame: pd.DataFrame, first: str, second: str, x: str, y: str = "ops_per_s"
) -> pd.DataFrame:
    """Where protocol `second` overtakes `first` (or falls behind) as `x` grows: a row for each change
    of sign of the mean paired difference. Columns: x_low, x_high (the measured values between which
    it lies), x (by linear interpolation), winner (above it), sure (both ends' 95 % intervals
    exclude 0). No row: one is ahead everywhere; see `differences`, also for errors.
    """
    import pandas as pd  # noqa: PLC0415  most of a start-up's time

    over = column(frame, x)
    pair = frame[frame[PROTOCOL].isin([first, second])]
    table = differences(pair, y, base=first, by=[over])
    if second not in set(table[PROTOCOL]):
        raise ConfigError(f"no run of '{second}'{nearest(second, frame[PROTOCOL].unique())}")
    table = table.dropna(subset=["mean"]).sort_values(over)
    rows = []
    sides = list(table[[over, "mean", "low", "high"]].itertuples(index=False, name=None))
    nonzero = [side for side in sides if side[1] != 0]
    for (xa, a, low_a, high_a), (xb, b, low_b, high_b) in pairwise(nonzero):
        if a * b < 0:
            at = xa + (xb - xa) * a / (a - b)
            sure = all(low > 0 or high < 0 for low, high in ((low_a, high_a), (low_b, high_b)))
            rows.append([xa, xb, at, second if b > 0 else first, sure])
    return pd.DataFrame(rows, columns=["x_low", "x_high", "x", "winner", "sure"])
