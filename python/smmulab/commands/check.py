# SPDX-License-Identifier: Apache-2.0
"""`smmulab check FOLDER`: are the numbers of the reference studies still the same?"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from smmulab.commands.options import Runs
from smmulab.study.reference import check

EXIT_FAILURE = 1
_SHOWN = 40


def configure(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    parser.add_argument("results", type=Path, metavar="FOLDER", help="folder of studies: results/")
    parser.add_argument("names", nargs="*", metavar="NAME", help="these studies only")
    parser.add_argument(
        "-j", "--jobs", type=int, metavar="N", help="runs at a time (default: two, or one CPU)"
    )
    parser.add_argument("--update", action="store_true", help="take the new numbers")
    parser.add_argument("--reason", default="", help="why they moved (with --update)")
    parser.add_argument(
        "-o",
        "--out",
        type=Path,
        default=Path("out/check"),
        metavar="FOLDER",
        help="plots before, after and of what moved (default: out/check)",
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")


def run(args: argparse.Namespace) -> int:
    """0, or 1 if a number moved and was not accepted."""
    with Runs() as progress:
        found = check(
            args.results,
            args.names,
            out=args.out,
            jobs=args.jobs,
            update=args.update,
            reason=args.reason,
            progress=progress,
        )
    if args.json:
        rows = [
            {
                "study": d.name,
                "same": d.same,
                "lost": d.lost,
                "new": d.new,
                "moved": d.moved.to_dict("records"),
            }
            for d in found
        ]
        print(json.dumps(rows, default=str))
    else:
        for difference in found:
            if difference.same:
                print(f"{difference.name}: every number is the same")
                continue
            print(
                f"{difference.name}: {len(difference.moved)} cells moved, {difference.lost} runs "
                f"lost, {difference.new} new; plots in {args.out / difference.name}"
            )
            if len(difference.moved):
                print(difference.moved.head(_SHOWN).to_string(index=False))
    failed = any(not difference.same for difference in found) and not args.update
    return EXIT_FAILURE if failed else 0
