# SPDX-License-Identifier: Apache-2.0
"""`smmulab explore -p PROTOCOL [TRACE]`: small cases in every order of their steps that matters."""

from __future__ import annotations

import argparse

from smmulab import ConfigError, _core
from smmulab.commands.options import Progress, add_protocol, add_settings, names_of

EXIT_HAZARD = 1
EXIT_NOT_EXHAUSTIVE = 3
MAX_SCHEDULES = 1_000_000


def configure(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    parser.add_argument(
        "trace",
        nargs="?",
        metavar="TRACE",
        help="a small trace (default: built-in cases of two threads)",
    )
    add_protocol(parser)
    add_settings(parser)
    parser.add_argument(
        "-c",
        "--case",
        action="append",
        default=[],
        metavar="NAME",
        help="only this built-in case, like replace or group-automatic; several with commas between, "
        "or repeated (without it all are run, and named)",
    )
    parser.add_argument(
        "--replay",
        metavar="SCHEDULE",
        help="show one schedule as a time line: CASE:THREAD*STEPS,... as a report prints it",
    )
    parser.add_argument(
        "--max-schedules",
        type=int,
        default=MAX_SCHEDULES,
        metavar="N",
        help=f"stop a case after N schedules; exit code 3 then (default: {MAX_SCHEDULES})",
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of text")


def run(args: argparse.Namespace) -> int:
    """0 if clean, 1 if something was found, 3 if nothing was found in only a part of the orders."""
    if args.max_schedules < 1:
        raise ConfigError(f"--max-schedules {args.max_schedules}: expected 1 or more")
    if args.replay is not None:
        text, failed = _core.replay_schedule(
            args.protocol, args.set, args.replay, args.machine, args.trace
        )
        print(text, end="")
        return EXIT_HAZARD if failed else 0
    name = _core.protocol_name(args.protocol)
    with Progress() as progress:
        found = _core.explore(
            args.protocol,
            args.set,
            args.machine,
            args.trace,
            names_of(args.case),
            args.max_schedules,
            lambda ended: progress(name, ended),
        )
    print(found.json if args.json else found.text.rstrip())
    if found.failed:
        return EXIT_HAZARD
    return 0 if found.exhaustive else EXIT_NOT_EXHAUSTIVE
