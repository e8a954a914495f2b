# SPDX-License-Identifier: Apache-2.0
"""`smmulab report FOLDER`: a study as one HTML file."""

from __future__ import annotations

import argparse
from pathlib import Path

from smmulab.study.page import write_page


def configure(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    parser.add_argument("store", type=Path, metavar="FOLDER", help="what `smmulab sweep -o` wrote")
    parser.add_argument(
        "-o",
        "--out",
        type=Path,
        metavar="FILE",
        help="the page (default: report.html in FOLDER); it opens offline",
    )


def run(args: argparse.Namespace) -> int:
    """0."""
    print(write_page(args.store, args.out))
    return 0
