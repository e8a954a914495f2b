# SPDX-License-Identifier: Apache-2.0
"""`smmulab lockdep -p PROTOCOL [TRACE]`: lock-order hazards, before anything deadlocks."""

from __future__ import annotations

import argparse
import shutil
import subprocess
from pathlib import Path

from smmulab import ConfigError, _core, store
from smmulab.commands.options import Progress, add_protocol, add_settings

EXIT_HAZARD = 1
FORMATS = ("svg", "png")


def configure(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    parser.add_argument(
        "trace",
        nargs="?",
        metavar="TRACE",
        help="trace to replay (default: a covering set of small workloads)",
    )
    add_protocol(parser)
    add_settings(parser)
    parser.add_argument(
        "-o",
        "--out",
        type=Path,
        default=Path("out/lockdep"),
        metavar="FOLDER",
        help="where the graph goes: NAME.dot, and NAME.svg, NAME.png if GraphViz is installed "
        "(default: out/lockdep)",
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of text")


def run(args: argparse.Namespace) -> int:
    """0 if clean, 1 if a hazard was found."""
    name = _core.protocol_name(args.protocol)
    store.prepare_folder(args.out)
    with Progress() as progress:
        found = _core.lockdep(
            args.protocol,
            args.set,
            args.machine,
            args.trace,
            lambda ended: progress(name, ended),
        )
    drawn = draw(found.dot, args.out / f"{name}.dot")
    if args.json:
        print(found.json)
    else:
        print(found.text)
        print(f"graph: {', '.join(map(str, drawn))}")
    return EXIT_HAZARD if found.hazards else 0


def draw(dot: str, path: Path) -> list[Path]:
    """Write the graph, and render it beside if GraphViz is there; the files that were written."""
    path.write_text(dot)
    files = [path]
    program = shutil.which("dot")
    if program is not None:
        for form in FORMATS:
            picture = path.with_name(path.name.removesuffix(".dot") + f".{form}")
            command = [program, f"-T{form}", "-o", str(picture), str(path)]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode != 0:
                raise ConfigError(f"{' '.join(command)}: {done.stderr.strip()}")
            files.append(picture)
    return files
