# SPDX-License-Identifier: Apache-2.0
"""`smmulab validate`: holds the models to their oracles; exits 1 on a miss."""

from __future__ import annotations

import argparse
import difflib
import tempfile
import textwrap
from pathlib import Path

import pandas as pd

from smmulab import ConfigError, _core
from smmulab.oracles import ORACLES, Oracle, qemu
from smmulab.recordings import open_recording
from smmulab.recordings.qemu_log import is_qemu_log

RUNS = Path("../shared/traces/runs")
NAMES = (*ORACLES, qemu.NAME)


def configure(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    parser.add_argument(
        "file",
        nargs="?",
        type=Path,
        metavar="FILE",
        help=f"recorded run, NAME.tar.xz or a folder (default: the oracle's run in {RUNS}); for "
        f"oracle {qemu.NAME} a log of QEMU's SMMU (default: those in {qemu.DEFAULT_LOGS})",
    )
    parser.add_argument(
        "--oracle",
        action="append",
        metavar="NAME",
        help=f"one of: {', '.join(NAMES)}; may be repeated (default: all)",
    )
    parser.add_argument("--all", action="store_true", help="print the rows that agree, too")


def run(args: argparse.Namespace) -> int:
    """0 if nothing missed, else 1."""
    missed = 0
    for name in args.oracle or _default_oracles(args.file):
        if name not in NAMES:
            near = difflib.get_close_matches(name, list(NAMES), n=1)
            hint = f", did you mean '{near[0]}'?" if near else ""
            raise ConfigError(f"unknown oracle '{name}'{hint}; known: {', '.join(NAMES)}")
        if name == qemu.NAME:
            missed += sum(_print_qemu(log) for log in _qemu_logs(args.file))
            continue
        oracle = ORACLES[name]
        if oracle.run is None:
            if args.file is not None and args.oracle is not None:
                raise ConfigError(
                    f"{args.file}: oracle {name} has published figures, not a recording"
                )
            table = oracle.check({})
        else:
            table = check(oracle, args.file or _recorded_run(oracle))
        missed += _print(oracle, table, everything=args.all)
    return 1 if missed else 0


def _default_oracles(file: Path | None) -> list[str]:
    if file is None:
        return list(NAMES)
    return [qemu.NAME] if is_qemu_log(file) else list(ORACLES)


def _qemu_logs(file: Path | None) -> list[Path]:
    if file is not None:
        return [file]
    logs = sorted(qemu.DEFAULT_LOGS.glob("*.log.xz"))
    if not logs:
        raise ConfigError(
            f"{qemu.DEFAULT_LOGS}: no recorded logs there (the default of oracle {qemu.NAME}); "
            f"name one: smmulab validate --oracle {qemu.NAME} LOG"
        )
    return logs


def _print_qemu(log: Path) -> int:
    found = qemu.check(log)
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


def check(oracle: Oracle, path: Path) -> pd.DataFrame:
    """Import every shape of the recorded run and check the oracle on it."""
    recording = open_recording(path)
    shapes = recording.shapes("ops.txt")
    if not shapes:
        raise ConfigError(f"{path}: this recording has no operation log (SHAPE.ops.txt)")
    with tempfile.TemporaryDirectory() as folder:
        logs = Path(folder) / recording.name
        logs.mkdir()
        traces = {}
        for shape in shapes:
            log = logs / f"{shape}.ops.txt"
            log.write_bytes(recording.members[log.name])
            traces[shape] = logs / f"{shape}.iotrace"
            _core.import_ops_log(str(log), str(traces[shape]))
        return oracle.check(traces)


def _print(oracle: Oracle, table: pd.DataFrame, *, everything: bool) -> int:
    """Prints model beside recording; returns the number of misses."""
    agrees = table["verdict"].str.startswith("ok")
    misses = int((table["verdict"] == "miss").sum())
    agree = int(agrees.sum())
    print(f"{oracle.name}: {oracle.holds}")
    shown = table if everything else table[~agrees]
    if oracle.details is not None:
        for _, row in shown.iterrows():
            print(*row.drop("model"), sep="  ")
            print(textwrap.indent(oracle.details(row), "    "))
    elif len(shown):
        with pd.option_context("display.max_colwidth", 100):
            print(shown.to_string(index=False, float_format=lambda value: f"{value:.3g}"))
    hidden = " (--all prints them)" if agree and not everything else ""
    print(f"{agree} agree{hidden}, {misses} miss, {len(table) - agree - misses} not judged\n")
    return misses
