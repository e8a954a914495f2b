# SPDX-License-Identifier: Apache-2.0
"""What a study found, as sentences with numbers: lines of Markdown, made from its table."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

from smmulab.study.statistics import PROTOCOL, column, crossovers, differences, fit_usl, intervals

if TYPE_CHECKING:
    import pandas as pd

# Of a scaling law that explains less than this there is nothing to say.
_FITS = 0.95


def _rate(value: float) -> str:
    return f"{value:,.0f}"


def findings(frame: pd.DataFrame, x: str, hue: str = "") -> list[str]:
    """Lines of Markdown on the throughput of each protocol over `x`, apart for each value of `hue`."""
    lines = []
    if not hue:
        lines += list(_part(frame, column(frame, x)))
    else:
        name = column(frame, hue)
        for value, part in frame.groupby(name, sort=True):
            lines += [f"With {hue} = {str(value).lower()}:", "", *_part(part, column(frame, x)), ""]
    failed = frame[frame["status"] != "ok"]
    for protocol, rows in failed.groupby(PROTOCOL, sort=False):
        words = ", ".join(f"{n} {status}" for status, n in rows["status"].value_counts().items())
        lines.append(f"- `{protocol}` has no numbers in {len(rows)} runs: {words}.")
    while lines and not lines[-1]:
        lines.pop()
    return lines


def _part(frame: pd.DataFrame, x: str) -> Iterator[str]:
    frame = frame[frame["status"] == "ok"]
    if frame.empty:
        return
    short = x.rpartition(".")[2]
    table = intervals(frame, "ops_per_s", [PROTOCOL, x])
    protocols = list(dict.fromkeys(frame[PROTOCOL]))
    fits = fit_usl(frame, x=x)
    for protocol in protocols:
        rows = table[table[PROTOCOL] == protocol].sort_values(x)
        first, last = rows.iloc[0], rows.iloc[-1]
        best = rows.loc[rows["mean"].idxmax()]
        text = (
            f"- `{protocol}`: {_rate(first['mean'])} ops/s at {short} {first[x]:g}, "
            f"{_rate(last['mean'])} at {last[x]:g} ({last['mean'] / first['mean']:.2f}-fold"
        )
        if not math.isnan(last["low"]) and last["low"] != last["high"]:
            text += f"; 95 % interval {_rate(last['low'])} to {_rate(last['high'])}"
        text += f"), most {_rate(best['mean'])} at {best[x]:g}."
        law = fits[fits[PROTOCOL] == protocol].iloc[0]
        if law["r2"] >= _FITS:
            text += f" USL: contention {law['alpha']:.3f}, coherency {law['beta']:.2g}"
            text += f" (R² {law['r2']:.3f})."
        yield text
    yield from _order(frame, protocols, x, short)


def _order(frame: pd.DataFrame, protocols: list[str], x: str, short: str) -> Iterator[str]:
    base = protocols[0]
    for other in protocols[1:]:
        pairs = differences(frame, "ops_per_s", base=base, by=[x])
        pairs = pairs[pairs[PROTOCOL] == other].sort_values(x)
        found = crossovers(frame, base, other, x)
        for row in found.itertuples(index=False):
            sure = "" if row.sure else " (within the noise of the seeds)"
            yield (
                f"- `{row.winner}` overtakes the other of `{base}`, `{other}` between {short} "
                f"{row.x_low:g} and {row.x_high:g}{sure}."
            )
        if found.empty and len(pairs):
            most = pairs.iloc[int(pairs["gain"].abs().to_numpy().argmax())]
            word = "more" if most["gain"] > 0 else "less"
            yield (
                f"- `{other}` against `{base}`: at most {abs(most['gain']) * 100:.1f} % {word}, at "
                f"{short} {most[x]:g}; they do not cross."
            )
