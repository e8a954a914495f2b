# SPDX-License-Identifier: Apache-2.0
"""Does the command line turn every outcome of a command into the promised exit code and message?"""

from __future__ import annotations

import argparse
import pickle
import re
import sys
from types import ModuleType

import pytest

import smmulab
from conftest import ROOT
from smmulab import cli
from smmulab.commands import Command

OUTCOMES: dict[str, BaseException] = {
    "config": smmulab.ConfigError("machine.toml:3: unknown key 'cpuz'"),
    "trace": smmulab.TraceError("a.iotrace:7:1: unknown operation"),
    "file": FileNotFoundError(2, "No such file or directory", "a.iotrace"),
    "model": smmulab.ModelError("lock released by another thread"),
    "deadlock": smmulab.DeadlockError("T1 -> A -> T2 -> B -> T1"),
    "interrupted": smmulab.Interrupted("stopped"),
    "ctrl-c": KeyboardInterrupt(),
}


@pytest.fixture
def commands(monkeypatch: pytest.MonkeyPatch) -> tuple[Command, ...]:
    """A table of two commands: ``ends``, which ends as it is told, and one that cannot load."""
    module = ModuleType("ends_as_told")

    def configure(parser: argparse.ArgumentParser) -> None:
        parser.add_argument("outcome")

    def run(args: argparse.Namespace) -> int:
        if args.outcome in OUTCOMES:
            raise OUTCOMES[args.outcome]
        return int(args.outcome)

    vars(module).update(configure=configure, run=run)
    monkeypatch.setitem(sys.modules, "ends_as_told", module)
    return (
        Command("ends", "Ends as it is told.", "ends_as_told"),
        Command("broken", "Its module does not exist.", "no_such_module"),
    )


@pytest.mark.parametrize(
    ("outcome", "code"),
    [
        ("0", 0),
        ("1", 1),
        ("config", 2),
        ("trace", 2),
        ("file", 2),
        ("model", 1),
        ("deadlock", 1),
        ("interrupted", 130),
        ("ctrl-c", 130),
    ],
)
def test_outcome_becomes_an_exit_code(
    commands: tuple[Command, ...], outcome: str, code: int
) -> None:
    assert cli.main(["ends", outcome], commands) == code


def test_error_message_goes_to_standard_error(
    commands: tuple[Command, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    cli.main(["ends", "config"], commands)
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err == "smmulab: error: machine.toml:3: unknown key 'cpuz'\n"


def test_unknown_command_suggests_the_nearest(
    commands: tuple[Command, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        cli.main(["end", "0"], commands)
    assert "unknown command 'end'; did you mean 'ends'?" in capsys.readouterr().err


def test_no_command_prints_the_list_and_fails(
    commands: tuple[Command, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main([], commands) == 2
    assert "Ends as it is told." in capsys.readouterr().err


def test_help_loads_no_command(
    commands: tuple[Command, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="0"):
        cli.main(["--help"], commands)
    assert "Its module does not exist." in capsys.readouterr().out


def test_every_listed_command_loads() -> None:
    for command in cli.COMMANDS:
        module = command.load()
        module.configure(argparse.ArgumentParser())
        assert callable(module.run)


def test_every_argument_says_what_it_is_and_names_pages_that_are_there() -> None:
    for command in cli.COMMANDS:
        parser = argparse.ArgumentParser()
        command.load().configure(parser)
        for argument in parser._actions:
            words = argument.help or ""
            assert words.strip("()"), f"{command.name} {argument.dest}"
            assert not words.startswith(("(default", "default")), f"{command.name} {argument.dest}"
            for page in re.findall(r"docs/[\w/-]+\.md", words):
                assert (ROOT / page).is_file(), f"{command.name} {argument.dest}: {page}"


def test_error_classes_mirror_the_cpp_ones() -> None:
    leaves = (
        smmulab.ConfigError,
        smmulab.TraceError,
        smmulab.ModelError,
        smmulab.DeadlockError,
        smmulab.Interrupted,
    )
    assert all(leaf.__bases__ == (smmulab.Error,) for leaf in leaves)
    assert smmulab.Error.__bases__ == (Exception,)


def test_errors_survive_pickling_with_their_fields() -> None:
    error = smmulab.TraceError("a.iotrace:7:1: unknown operation")
    error.file, error.line, error.column = "a.iotrace", 7, 1
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), again.args) == (type(error), error.args)
    assert (again.file, again.line, again.column) == ("a.iotrace", 7, 1)
