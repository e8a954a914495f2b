# SPDX-License-Identifier: Apache-2.0
"""The command ``smmulab``.

Exit codes: 0 success; 1 the model or a check failed; 2 the usage, a file, the configuration or the
trace is wrong; 130 interrupted.
"""

from __future__ import annotations

import argparse
import difflib
import os
import sys
from collections.abc import Sequence

from smmulab import ConfigError, Error, Interrupted, TraceError
from smmulab._version import version_text
from smmulab.commands import COMMANDS, Command

EXIT_OK = 0
EXIT_FAILURE = 1
EXIT_USAGE = 2
EXIT_INTERRUPTED = 130


def _build_parser(commands: Sequence[Command], chosen: Command | None) -> argparse.ArgumentParser:
    """The parser; of the commands, only the chosen one is imported and gets its arguments."""
    parser = argparse.ArgumentParser(
        prog="smmulab",
        description="Simulates Linux iommufd locking on an Arm SMMUv3.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=version_text())
    if commands:
        verbs = parser.add_subparsers(title="commands", metavar="COMMAND")
        for command in commands:
            verb = verbs.add_parser(command.name, help=command.summary, description=command.summary)
            if command is chosen:
                command.load().configure(verb)
    return parser


def _unknown(word: str, commands: Sequence[Command]) -> str:
    """The message for a word that names no command, with the nearest one that exists."""
    near = difflib.get_close_matches(word, [command.name for command in commands], n=1)
    return f"unknown command '{word}'" + (f"; did you mean '{near[0]}'?" if near else "")


def _run(command: Command, args: argparse.Namespace) -> int:
    """Run one command; errors become a line on standard error and an exit code."""
    try:
        return command.load().run(args)
    except BrokenPipeError:
        # The reader of our output has left (``| head``): end quietly, also at the final flush.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_OK
    except (Interrupted, KeyboardInterrupt):
        print("smmulab: interrupted", file=sys.stderr)
        return EXIT_INTERRUPTED
    except (ConfigError, TraceError, OSError) as error:
        print(f"smmulab: error: {error}", file=sys.stderr)
        return EXIT_USAGE
    except Error as error:
        print(f"smmulab: error: {error}", file=sys.stderr)
        return EXIT_FAILURE


def parse(
    arguments: Sequence[str], commands: Sequence[Command] = COMMANDS
) -> tuple[Command | None, argparse.Namespace]:
    """The command that ``arguments`` name, None if they name none, and its parsed arguments.

    A wrong usage leaves through ``SystemExit(2)``, ``--help`` and ``--version`` through
    ``SystemExit(0)``, as argparse has it.
    """
    word = next((arg for arg in arguments if not arg.startswith("-")), None)
    chosen = next((command for command in commands if command.name == word), None)
    parser = _build_parser(commands, chosen)
    if word is not None and chosen is None:
        parser.error(_unknown(word, commands))
    args = parser.parse_args(arguments)
    if chosen is None:
        parser.print_help(sys.stderr)
    return chosen, args


def main(argv: Sequence[str] | None = None, commands: Sequence[Command] = COMMANDS) -> int:
    """Run the command that ``argv`` names and return its exit code; ``SystemExit`` as `parse`."""
    chosen, args = parse(sys.argv[1:] if argv is None else list(argv), commands)
    return EXIT_USAGE if chosen is None else _run(chosen, args)
