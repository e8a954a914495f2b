# SPDX-License-Identifier: Apache-2.0
"""One self-contained HTML page of a store: figures, tables, configuration, provenance. Nothing is
loaded from anywhere; the same store gives the same bytes."""

from __future__ import annotations

import html
import io
import json
from collections.abc import Callable, Iterator
from functools import partial
from os import PathLike, fspath
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import matplotlib as mpl
from matplotlib.figure import Figure

from smmulab import plot
from smmulab._version import __version__
from smmulab.store import publish
from smmulab.study.statistics import (
    PROTOCOL,
    SEED,
    crossovers,
    differences,
    fit_usl,
    intervals,
    other_factors,
)
from smmulab.study.store import Store

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

_Parts: TypeAlias = Iterator[str]
_STYLE = """
body{font:15px/1.5 system-ui,sans-serif;max-width:70em;margin:2em auto;padding:0 1em;color:#222}
h1{font-size:1.5em}h2{font-size:1.2em;margin-top:2em;border-bottom:1px solid #ccc}
table{border-collapse:collapse;font-size:13px;margin:.5em 0}
th,td{padding:.15em .7em;text-align:right;border-bottom:1px solid #ddd}
th:first-child,td:first-child{text-align:left}figure{margin:1em 0}svg{max-width:100%;height:auto}
figcaption{color:#555}pre{overflow-x:auto}
"""
_WAITS_SHOWN = 4
_PARTS_SHOWN = 12
_LEADERS = ("devices", "threads", "cpus", "groups")
_MEASURED = ("ops_per_s", "lock_wait_total_ps", "replace_dark_max_ps")


def _svg(draw: Callable[[Axes], object]) -> str:
    figure = Figure(figsize=(9, 4.5), layout="constrained")
    draw(figure.add_subplot())
    text = io.StringIO()
    with mpl.rc_context({"svg.hashsalt": "smmulab", "svg.fonttype": "path"}):
        figure.savefig(text, format="svg", metadata={"Date": None, "Creator": None})
    drawn = text.getvalue()
    return drawn[drawn.index("<svg") :]


def _figure(caption: str, draw: Callable[[Axes], object]) -> str:
    words = html.escape(caption)
    return f"<figure>{_svg(draw)}<figcaption>{words}</figcaption></figure>"


def _table(frame: pd.DataFrame) -> str:
    return frame.rename(columns={name: _short(str(name)) for name in frame.columns}).to_html(
        index=False, border=0, na_rep="-", float_format=lambda value: f"{value:,.6g}"
    )


def axis_of(runs: pd.DataFrame) -> str | None:
    """The varied number with most values: what goes along the x axis; None if there is none. Of
    several, the first of _LEADERS: groups, threads and CPUs of a generator follow its devices, and
    its CPUs the threads, unless they are given."""
    best: str | None = None
    most = (1, 0)
    for name in runs.columns:
        if not name.startswith("param.") or name == SEED or runs[name].dtype.kind not in "if":
            continue
        last = name.rpartition(".")[2]
        rank = len(_LEADERS) - _LEADERS.index(last) if last in _LEADERS else 0
        count = int(runs[name].nunique())
        if count > 1 and (count, rank) > most:
            best, most = str(name), (count, rank)
    return best


def _short(name: str) -> str:
    return name.removeprefix("param.").removeprefix("generate.")


def _scaling(runs: pd.DataFrame, x: str, y: str, ax: Axes) -> Axes:
    return plot.scaling(runs, x, y, ax=ax)


def _answers(runs: pd.DataFrame, x: str) -> Iterator[str]:
    protocols = list(dict.fromkeys(runs[PROTOCOL]))
    base = "igroup" if "igroup" in protocols else protocols[0]
    if len(protocols) > 1:
        yield f"<h2>Against {html.escape(base)}, seed by seed (ops/s; 95 % intervals)</h2>"
        yield _table(differences(runs, "ops_per_s", base=base, by=[x]))
        rows = []
        for other in protocols:
            if other != base:
                found = crossovers(runs, base, other, x)
                found.insert(0, "protocol", other)
                rows.append(found)
        yield f"<h2>Crossovers with {html.escape(base)}</h2>"
        shown = [found for found in rows if len(found)]
        yield "".join(map(_table, shown)) or "<p>None: who is ahead is ahead everywhere.</p>"
    fitted = fit_usl(runs, x=x)
    if fitted["alpha"].notna().any():
        yield "<h2>Universal scalability law</h2>"
        yield _table(fitted)


def _pictures(locks: pd.DataFrame, latencies: pd.DataFrame, runs: pd.DataFrame, x: str) -> _Parts:
    for value in _MEASURED:
        if runs[value].notna().any():
            caption = f"{value} over {_short(x)}: mean over seeds, 95 % interval"
            yield _figure(caption, partial(_scaling, runs, x, value))
    for protocol in list(dict.fromkeys(runs[PROTOCOL]))[:_WAITS_SHOWN]:
        if (locks[PROTOCOL] == protocol).any():
            yield _figure(
                f"where {protocol} waits",
                partial(plot.wait_by_class, locks, x, protocol),
            )
    last = latencies[latencies[x] == latencies[x].max()]
    if len(last):
        kind = str(last.groupby("kind")["count"].sum().idxmax())
        where = f"{kind} at {_short(x)} = {last[x].max():g}, all seeds"
        yield _figure(f"latency of {where}", lambda ax: plot.latency_percentiles(last, kind, ax=ax))


def _parts(runs: pd.DataFrame, others: list[str]) -> Iterator[tuple[str, pd.DataFrame]]:
    """(what they have in common, runs) for each combination of the factors `others`."""
    if not others:
        yield "", runs
        return
    for values, part in runs.groupby(others, sort=True, dropna=False):
        pairs = zip(others, values, strict=True)
        yield ", ".join(f"{name.removeprefix('param.')} = {value}" for name, value in pairs), part


def _curves(store: Store, runs: pd.DataFrame, x: str, others: list[str]) -> _Parts:
    """Figures and answers, apart for each combination of the factors that are on no axis: curves
    through all of them would take their values for repetitions."""
    locks, latencies = store.with_parameters("locks"), store.with_parameters("latencies")
    parts = list(_parts(runs, others))
    for words, part in parts[:_PARTS_SHOWN]:
        yield f"<h2>Figures{': ' * bool(words)}{html.escape(words)}</h2>"
        waits, times = (table[table["run_id"].isin(part["run_id"])] for table in (locks, latencies))
        yield from _pictures(waits, times, part, x)
        yield from _answers(part, x)
    if len(parts) > _PARTS_SHOWN:
        yield f"<p>{len(parts) - _PARTS_SHOWN} more combinations of {html.escape(', '.join(others))} "
        yield "have no figures here; the table below has them all.</p>"


def _sections(store: Store) -> _Parts:
    manifest = store.compact()
    runs = store.runs()
    counts = ", ".join(f"{count:,} {status}" for status, count in manifest["runs"].items())
    yield f"<h1>Study {html.escape(store.folder.name)}</h1><p>{len(runs):,} runs: {counts}.</p>"
    x = axis_of(runs) if len(runs) else None
    finished = runs[runs["status"] == "ok"] if len(runs) else runs
    if len(finished):
        axis = [] if x is None else [x]
        others = other_factors(finished.drop(columns=PROTOCOL), axis)
        if x is not None:
            yield from _curves(store, finished, x, others)
        yield "<h2>Throughput (ops/s; 95 % intervals)</h2>"
        yield _table(intervals(finished, "ops_per_s", [*others, PROTOCOL, *axis]))
    others_ended = runs[runs["status"] != "ok"] if len(runs) else runs
    if len(others_ended):
        why = ["run_id", "status", PROTOCOL, SEED, "error"]
        yield "<h2>Runs without numbers</h2>" + _table(others_ended[why].head(100))
    yield from _provenance(store, manifest)


def _provenance(store: Store, manifest: dict[str, object]) -> Iterator[str]:
    every = store.runs(all_parameters=True)
    if len(every):
        names = [name for name in every.columns if str(name).startswith("param.")]
        constant = {
            str(name).removeprefix("param."): every[name].iloc[0]
            for name in names
            if len(every[name].drop_duplicates()) == 1 and name != "param.trace_identity"
        }
        rows = "".join(
            f"<tr><td>{html.escape(name)}</td><td>{html.escape(str(value))}</td></tr>"
            for name, value in constant.items()
        )
        words = "Configuration: what all runs have in common"
        yield f"<h2>{words}</h2><details><summary>{len(constant)} parameters</summary>"
        yield f"<table>{rows}</table></details>"
        builds = ", ".join(sorted(set(map(str, every["build"]))))
        made = ", ".join(sorted(set(map(str, every["smmulab"]))))
        yield f"<h2>Provenance</h2><p>smmulab {html.escape(made)}, build {html.escape(builds)}; "
        yield f"page by smmulab {html.escape(__version__)}. Most costs of the presets are assumed: "
        yield "compare protocols, do not quote absolute times.</p>"
    yield f"<pre>{html.escape(json.dumps(manifest, indent=1))}</pre>"


def write_page(store: Store | str | PathLike[str], path: str | PathLike[str] | None = None) -> Path:
    """Write the page of `store` to `path` (default: report.html in it); returns the path. Raises
    ConfigError if the folder is no store."""
    source = store if isinstance(store, Store) else Store(store)
    to = source.folder / "report.html" if path is None else Path(fspath(path))
    body = "\n".join(_sections(source))
    title = html.escape(source.folder.name)
    text = (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f"<title>smmulab: {title}</title><style>{_STYLE}</style></head>\n<body>{body}</body></html>\n"
    )
    publish(to, lambda partial: partial.write_text(text, "utf-8"))
    return to
