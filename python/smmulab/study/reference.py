# SPDX-License-Identifier: Apache-2.0
"""Reference studies: `results/NAME/study.toml`, and beside it what it gave: runs.csv, figure.png,
manifest.json. `make` runs them anew and writes these; `check` runs them anew and compares.

Simulated numbers do not depend on the machine that computes them, so they are compared exactly.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from os import PathLike, fspath
from pathlib import Path
from typing import TYPE_CHECKING, Any

from smmulab import plot
from smmulab._core import ConfigError, ModelError, build_info
from smmulab.checking import nearest
from smmulab.store import publish
from smmulab.study import parquet
from smmulab.study.file import Study, read_study
from smmulab.study.findings import findings
from smmulab.study.runner import ProgressFunction
from smmulab.study.statistics import PROTOCOL, column
from smmulab.study.store import Store
from smmulab.study.sweeping import Sweep, sweep

if TYPE_CHECKING:
    import pandas as pd

# What a run measured. Not the build, and nothing of the machine that ran it.
MEASURED = (
    "status",
    "operations",
    "errors",
    "ops_per_s",
    "span_ps",
    "lock_wait_total_ps",
    "spin_cpu_ps",
    "replace_dark_total_ps",
    "replace_dark_max_ps",
    "commands",
    "sync_wait_total_ps",
)
_LARGEST_KB = 200
_FOREWORD = (
    "Written by `smmulab study all`, from the files beside it. `smmulab check results` runs the "
    "studies anew and compares every number exactly. Most costs of the preset are assumed: what is "
    "said here compares protocols, absolute rates are not to be quoted."
)


def names(results: str | PathLike[str], wanted: Sequence[str] = ()) -> list[str]:
    """The studies in a folder; those of `wanted` only. ConfigError, with the nearest, for unknown."""
    root = Path(fspath(results))
    found = sorted(path.parent.name for path in root.glob("*/study.toml"))
    if not found:
        raise ConfigError(f"{root}: no study (a folder with a study.toml)")
    for name in wanted:
        if name not in found:
            raise ConfigError(f"{root}: no study '{name}'{nearest(name, found)}")
    return list(wanted) or found


def run_study(
    path: Path, out: Path, jobs: int | None = None, progress: ProgressFunction | None = None
) -> tuple[Study, Sweep]:
    """Sweep what a study file says; results into the store `out`. ModelError if a run has none."""
    study = read_study(path)
    done = sweep(
        study.config,
        study.factors,
        out=out,
        jobs=jobs,
        progress=progress or False,
        **study.options(),
    )
    if len(lost := done.failed):
        row = lost.iloc[0]
        raise ModelError(
            f"{path}: {len(lost)} runs have no result: {row['status']}: {row['error']}"
        )
    return study, done


def tidy(done: Sweep) -> pd.DataFrame:
    """A row for each run, as runs.csv has it: parameters that vary, then MEASURED."""
    frame = done.frame()
    keys = [name for name in frame.columns if str(name).startswith("param.")]
    return frame[[*keys, *MEASURED]]


def _csv(frame: pd.DataFrame) -> str:
    text: str = frame.to_csv(index=False, lineterminator="\n", float_format="%.17g")
    return text


def read_csv(path: Path) -> pd.DataFrame:
    """A runs.csv; ConfigError if it is none."""
    try:
        frame = parquet.of_csv(path.read_bytes())
        missing = {"status", PROTOCOL} - set(frame.columns)
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from None
    if missing:
        raise ConfigError(f"{path}: has no column {', '.join(sorted(missing))}")
    return frame


def _figure(study: Study, frame: pd.DataFrame, path: Path) -> None:
    from matplotlib.figure import Figure  # noqa: PLC0415

    x = column(frame, study.x or "threads")
    hues = [None] if not study.hue else sorted(frame[column(frame, study.hue)].unique())
    figure = Figure(figsize=(5.5 * len(hues) + 1.5, 4), layout="constrained")
    top = float(frame["ops_per_s"].max()) / 1e3 * 1.05
    for place, value in enumerate(hues, 1):
        part = frame if value is None else frame[frame[column(frame, str(study.hue))] == value]
        ax = plot.scaling(part, x, ax=figure.add_subplot(1, len(hues), place))
        ax.set_ylim(0, top)
        if value is not None:
            ax.set_title(f"{study.hue} = {str(value).lower()}", fontsize="medium")
    metadata = {"Software": f"smmulab {build_info().version}"}
    publish(path, lambda to: figure.savefig(to, format="png", dpi=110, metadata=metadata))


def _write(folder: Path, study: Study, frame: pd.DataFrame) -> None:
    text = _csv(frame)
    if len(text) > _LARGEST_KB * 1000:
        raise ConfigError(f"{folder}: runs.csv would have more than {_LARGEST_KB} kB: fewer runs")
    publish(folder / "runs.csv", lambda to: to.write_text(text, "utf-8"))
    _figure(study, frame, folder / "figure.png")
    made: dict[str, Any] = {
        "schema": 1,
        "title": study.title,
        "smmulab": build_info().version,
        "runs": len(frame),
        "status": {str(k): int(v) for k, v in frame["status"].value_counts().items()},
        "config": study.config.to_dict(),
    }
    publish(
        folder / "manifest.json",
        lambda to: to.write_text(json.dumps(made, indent=1, sort_keys=True) + "\n", "utf-8"),
    )


def make(
    results: str | PathLike[str],
    wanted: Sequence[str] = (),
    *,
    out: str | PathLike[str],
    jobs: int | None = None,
    progress: ProgressFunction | None = None,
) -> list[str]:
    """Run the studies of `results` (stores go to `out`/NAME, so that an interrupted one goes on) and
    write runs.csv, figure, manifest and README.md; returns their names."""
    root = Path(fspath(results))
    chosen = names(root, wanted)
    for name in chosen:
        study, done = run_study(
            root / name / "study.toml", Path(fspath(out)) / name, jobs, progress
        )
        _write(root / name, study, tidy(done))
    write_readme(root)
    return chosen


def write_readme(root: Path) -> None:
    """README.md: what each study found, in words and numbers, from its runs.csv."""
    parts = [
        "<!-- SPDX-License-Identifier: Apache-2.0 -->",
        "# Results",
        "",
        _FOREWORD,
    ]
    for name in names(root):
        if not (root / name / "runs.csv").exists():
            continue
        study = read_study(root / name / "study.toml")
        parts += ["", f"## {study.title or name}", "", f"![{study.title}]({name}/figure.png)", ""]
        parts += [study.note.strip(), ""] if study.note else []
        parts += findings(read_csv(root / name / "runs.csv"), study.x or "threads", study.hue)
        parts += ["", f"[{name}/study.toml]({name}/study.toml), [{name}/runs.csv]({name}/runs.csv)"]
    text = "\n".join(parts) + "\n"
    publish(root / "README.md", lambda to: to.write_text(text, "utf-8"))


@dataclass(frozen=True)
class Difference:
    """What moved in one study. `moved`: row (the run's parameters), column, before, after; `lost` and
    `new`: runs that only one side has."""

    name: str
    moved: pd.DataFrame = field(repr=False)
    lost: int
    new: int

    @property
    def same(self) -> bool:
        """Nothing moved."""
        return not (len(self.moved) or self.lost or self.new)


def compare_frames(name: str, before: pd.DataFrame, after: pd.DataFrame) -> Difference:
    """Exactly, cell by cell; rows are paired by their parameters."""
    import pandas as pd  # noqa: PLC0415  most of a start-up's time

    keys = [key for key in after.columns if str(key).startswith("param.")]
    if missing := [key for key in keys if key not in before.columns]:
        raise ConfigError(f"{name}: runs.csv has no column {missing[0]}: another study made it")
    rows = [
        {tuple(str(row[key]) for key in keys): row for row in frame.to_dict("records")}
        for frame in (before, after)
    ]
    old, new = rows
    moved = []
    for key in (key for key in new if key in old):
        for cell in MEASURED:
            was, now = old[key].get(cell), new[key].get(cell)
            if not _equal(was, now):
                words = ", ".join(
                    f"{str(name_).rpartition('.')[2]}={value}"
                    for name_, value in zip(keys, key, strict=True)
                )
                moved.append({"row": words, "column": cell, "before": was, "after": now})
    table = pd.DataFrame(moved, columns=["row", "column", "before", "after"])
    return Difference(name, table, len(old.keys() - new.keys()), len(new.keys() - old.keys()))


def _equal(a: Any, b: Any) -> bool:
    return bool(a == b or (a != a and b != b))  # noqa: PLR0124  NaN is like NaN


def check(
    results: str | PathLike[str],
    wanted: Sequence[str] = (),
    *,
    out: str | PathLike[str],
    jobs: int | None = None,
    update: bool = False,
    reason: str = "",
    progress: ProgressFunction | None = None,
) -> list[Difference]:
    """Run the studies anew, all of their runs, and compare with runs.csv. What moved is drawn into `out`/NAME
    (before.png, after.png, delta.png, moved.csv). `update` takes the new numbers and puts `reason`,
    which it then needs, into CHANGES.md."""
    if update and not reason.strip():
        raise ConfigError("--update needs --reason: what moved the numbers, and why that is right")
    root, found = Path(fspath(results)), []
    for name in names(root, wanted):
        before = read_csv(root / name / "runs.csv")
        folder = Path(fspath(out)) / name
        _discard(folder / "store")
        study, done = run_study(root / name / "study.toml", folder / "store", jobs, progress)
        after = parquet.of_csv(_csv(tidy(done)).encode())  # both sides go the same way
        difference = compare_frames(name, before, after)
        found.append(difference)
        if not difference.same:
            _draw(study, before, after, difference, folder)
            if update:
                _write(root / name, study, tidy(done))
    if update and any(not difference.same for difference in found):
        _note(root, found, reason.strip())
        write_readme(root)
    return found


def _discard(store: Path) -> None:
    """Take away the store of an earlier check: what is told is what runs now."""
    if store.exists():
        Store(store)  # ConfigError if it is something else
        shutil.rmtree(store)


def _draw(
    study: Study, before: pd.DataFrame, after: pd.DataFrame, found: Difference, folder: Path
) -> None:
    from matplotlib.figure import Figure  # noqa: PLC0415

    publish(folder / "moved.csv", lambda to: to.write_text(_csv(found.moved), "utf-8"))
    _figure(study, before, folder / "before.png")
    _figure(study, after, folder / "after.png")
    numbers = found.moved[found.moved["column"] != "status"]
    if len(numbers):
        figure = Figure(figsize=(9, 1.5 + 0.25 * min(len(numbers), 30)), layout="constrained")
        plot.before_after(numbers.astype({"before": float, "after": float}), figure.add_subplot())
        publish(folder / "delta.png", lambda to: figure.savefig(to, format="png", dpi=100))


def _note(root: Path, found: Sequence[Difference], reason: str) -> None:
    path = root / "CHANGES.md"
    head = "<!-- SPDX-License-Identifier: Apache-2.0 -->\n# Why numbers moved\n"
    text = path.read_text("utf-8") if path.exists() else head
    moved = ", ".join(f"{d.name} ({len(d.moved)} cells)" for d in found if not d.same)
    text += f"\n- smmulab {build_info().version}: {moved}: {reason}\n"
    publish(path, lambda to: to.write_text(text, "utf-8"))
