# SPDX-License-Identifier: Apache-2.0
"""Runs a command within the test's own process, or in one of its own that gets Ctrl-C."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

from smmulab.cli import main

if TYPE_CHECKING:
    import pytest


def run(capsys: pytest.CaptureFixture[str], *argv: str) -> tuple[int, str, str]:
    """Exit code, standard output, standard error of the command."""
    try:
        code = main(argv)
    except SystemExit as end:
        code = int(end.code or 0)
    out, err = capsys.readouterr()
    return code, out, err


def interrupted(*argv: str, after_s: float = 0.2) -> subprocess.CompletedProcess[str]:
    """The command in another process, which gets SIGINT when its modules have been loaded so long."""
    script = (
        "import os, signal, sys, threading\n"
        "from smmulab.cli import main, parse\n"
        "parse(sys.argv[2:])[0].load()\n"
        "kill = threading.Timer(float(sys.argv[1]), os.kill, (os.getpid(), signal.SIGINT))\n"
        "kill.start()\n"
        "sys.exit(main(sys.argv[2:]))\n"
    )
    return subprocess.run(
        [sys.executable, "-c", script, str(after_s), *argv],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
