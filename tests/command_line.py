# SPDX-License-Identifier: Apache-2.0
"""Runs a command within the test's own process."""

from __future__ import annotations

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
