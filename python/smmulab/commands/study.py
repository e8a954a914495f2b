# SPDX-License-Identifier: Apache-2.0
"""`smmulab study all|NAME...`: runs the reference studies and writes what they gave."""

from __future__ import annotations

import argparse
from pathlib import Path

from smmulab.commands.options import Runs
from smmulab.study.reference import make


def configure(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    parser.add_argument("names", nargs="+", metavar="NAME", help="a folder of results/, or all")
    parser.add_argument(
        "--results",
        type=Path,
        default=Path("results"),
        metavar="FOLDER",
        help="folder of studies (default: results)",
    )
    parser.add_argument(
        "-j", "--jobs", type=int, metavar="N", help="runs at a time (default: two, or one CPU)"
    )
    parser.add_argument(
        "-o",
        "--out",
        type=Path,
        default=Path("out/study"),
        metavar="FOLDER",
        help="stores of all runs; an interrupted study goes on there (default: out/study)",
    )


def run(args: argparse.Namespace) -> int:
    """0."""
    wanted = [] if args.names == ["all"] else args.names
    with Runs() as progress:
        made = make(args.results, wanted, out=args.out, jobs=args.jobs, progress=progress)
    print(f"{args.results}: {', '.join(made)}; read {args.results / 'README.md'}")
    return 0
