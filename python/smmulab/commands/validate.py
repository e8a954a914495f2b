# SPDX-License-Identifier: Apache-2.0
"""`smmulab validate`: holds the models to their oracles; exits 1 on a miss."""

from __future__ import annotations

import argparse
import difflib
import textwrap
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from smmulab import ConfigError
from smmulab.commands.options import Lines, Progress, Runs, names_of
from smmulab.oracles import ORACLES, Oracle, published, qemu
from smmulab.oracles.recorded_run import recorded_run
from smmulab.recordings.qemu_log import is_qemu_log

RUNS = Path("../shared/traces/runs")
NAMES = (*ORACLES, published.NAME, qemu.NAME)


def configure(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    parser.add_argument(
        "file",
        nargs="?",
        type=Path,
        metavar="FILE",
        help=f"recorded run, NAME.tar.xz or a folder (default: the oracle's run in {RUNS}); for "
        f"oracle {qemu.NAME} a log of QEMU's SMMU (default: those in {qemu.DEFAULT_LOGS}); some runs "
        "are in workloads/recordings/",
    )
    parser.add_argument(
        "--oracle",
        action="append",
        default=[],
        metavar="NAME",
        help=f"one of: {', '.join(NAMES)}; several with commas between, or repeated (default: all, or those that FILE has "
        "something to say about)",
    )
    parser.add_argument("--all", action="store_true", help="print the rows that agree, too")
    parser.add_argument(
        "-s",
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="a parameter of the replays, beyond the recording's preset; may be repeated (oracles: "
        f"{', '.join(ORACLES)})",
    )


def run(args: argparse.Namespace) -> int:
    """0 if nothing missed, else 1."""
    names = tuple(names_of(args.oracle))
    for name in names:
        if name not in NAMES:
            near = difflib.get_close_matches(name, list(NAMES), n=1)
            hint = f", did you mean '{near[0]}'?" if near else ""
            raise ConfigError(f"unknown oracle '{name}'{hint}; known: {', '.join(NAMES)}")
    if args.set and (others := [name for name in names if name not in ORACLES]):
        raise ConfigError(f"oracle {others[0]} replays no recording: --set says nothing to it")
    if args.file is None:
        all_of_them = tuple(ORACLES) if args.set else NAMES
        if names:
            return 1 if sum(_on_default(name, args) for name in names) else 0
        return 1 if _on_all_defaults(all_of_them, args) else 0
    if published.NAME in names:
        raise ConfigError(
            f"{args.file}: oracle {published.NAME} has published figures, not a recording"
        )
    if not names and is_qemu_log(args.file):
        names = (qemu.NAME,)
    missed = _print_qemu(args.file) if qemu.NAME in names else 0
    of_runs = [name for name in names or ORACLES if name in ORACLES]
    if of_runs:
        missed += _on_run(args, of_runs, asked=bool(names))
    return 1 if missed else 0


def _on_all_defaults(names: Sequence[str], args: argparse.Namespace) -> int:
    """Misses of all oracles; one whose recording is not here is left out with the reason. ConfigError
    if none is left."""
    missed, left_out = 0, 0
    for name in names:
        if (reason := _not_here(name)) is None:
            missed += _on_default(name, args)
        else:
            print(f"{name}: left out: {reason}\n")
            left_out += 1
    if left_out == len(names):
        raise ConfigError("no recorded run is here; name one: smmulab validate FILE")
    if left_out:
        print("recordings that come with the sources: smmulab validate workloads/recordings/FILE")
    return missed


def _not_here(name: str) -> str | None:
    """Why an oracle cannot be held against what it is of by default, or None."""
    try:
        if name == qemu.NAME:
            _qemu_logs()
        elif name in ORACLES:
            _recorded_run(ORACLES[name])
    except ConfigError as error:
        return str(error).partition(" (")[0]
    return None


def _on_default(name: str, args: argparse.Namespace) -> int:
    """Misses of an oracle on what it is of."""
    if name == qemu.NAME:
        return sum(_print_qemu(log) for log in _qemu_logs())
    if name == published.NAME:
        with Runs() as runs:
            table = published.check(runs)
        return show(name, published.HOLDS, table, everything=args.all)
    oracle = ORACLES[name]
    path = _recorded_run(oracle)
    with Progress() as progress, recorded_run(path, args.set, progress) as of_run:
        table = oracle.check(of_run)
    return show(name, oracle.holds, table, everything=args.all)


def _on_run(args: argparse.Namespace, names: list[str], *, asked: bool) -> int:
    """Misses of the named oracles on one run; one that it says nothing about is left out with the
    reason, or an error if it was asked for by name."""
    missed = 0
    with Progress() as progress, recorded_run(args.file, args.set, progress) as of_run:
        for name in names:
            oracle = ORACLES[name]
            reason = oracle.why_not(of_run)
            if reason is None:
                table = oracle.check(of_run)
                progress.hide()
                missed += show(name, oracle.holds, table, everything=args.all)
            elif asked:
                raise ConfigError(f"{args.file}: oracle {name} cannot be held against it: {reason}")
            else:
                progress.hide()
                print(f"{name}: left out: {reason}\n")
    return missed


def check(oracle: Oracle, path: Path, settings: Sequence[str] = ()) -> pd.DataFrame:
    """The oracle's table for a recorded run, replayed with `settings` ("KEY=VALUE") too."""
    with recorded_run(path, settings) as of_run:
        return oracle.check(of_run)


def _qemu_logs() -> list[Path]:
    logs = sorted(qemu.DEFAULT_LOGS.glob("*.log.xz"))
    if not logs:
        raise ConfigError(
            f"{qemu.DEFAULT_LOGS}: no recorded logs there (the default of oracle {qemu.NAME}); "
            f"name one: smmulab validate --oracle {qemu.NAME} LOG"
        )
    return logs


def _print_qemu(log: Path) -> int:
    with Lines() as progress:
        found = qemu.check(log, progress)
    print(f"{qemu.NAME}: {qemu.HOLDS}\n{log}: {found.summary()}")
    print(found.table().to_string(index=False))
    for _, row in found.misses().iterrows():
        print(f"{log}:{row['line']}: {row['check']}: recorded {row['recorded']}; ", end="")
        print(f"model {row['model']}")
    print(f"{found.missed} miss\n")
    return found.missed


def _recorded_run(oracle: Oracle) -> Path:
    path = RUNS / f"{oracle.run}.tar.xz"
    if not path.exists():
        raise ConfigError(
            f"{path}: no such recorded run (the default of oracle {oracle.name}); name one: "
            f"smmulab validate --oracle {oracle.name} FILE"
        )
    return path


def show(name: str, holds: str, table: pd.DataFrame, *, everything: bool) -> int:
    """Print an oracle's table, model beside recording; returns the number of misses."""
    agrees = table["verdict"].str.startswith("ok")
    misses = int((table["verdict"] == "miss").sum())
    agree = int(agrees.sum())
    print(f"{name}: {holds}")
    shown = table if everything else table[~agrees]
    if "details" in table.columns:
        for _, row in shown.iterrows():
            print(*row.drop(["model", "details"]), sep="  ")
            print(textwrap.indent(row["details"], "    "))
    elif len(shown):
        with pd.option_context("display.max_colwidth", 100):
            print(shown.to_string(index=False, float_format=lambda value: f"{value:.3g}"))
    hidden = " (--all prints them)" if agree and not everything else ""
    print(f"{agree} agree{hidden}, {misses} miss, {len(table) - agree - misses} not judged\n")
    return misses
