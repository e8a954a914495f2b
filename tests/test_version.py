# SPDX-License-Identifier: Apache-2.0
"""Does the installed package say truly what it is made of?"""

from __future__ import annotations

import importlib.metadata
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import smmulab

SCRIPTS = Path(sys.executable).parent


def run_smmulab(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the installed command, as a user would."""
    return subprocess.run(
        [SCRIPTS / "smmulab", *arguments], capture_output=True, text=True, check=False, timeout=60
    )


def test_python_and_cpp_agree_on_the_version() -> None:
    assert smmulab.__version__ == importlib.metadata.version("smmulab")
    assert smmulab.build_info().version == smmulab.__version__


def test_version_option_names_version_compiler_and_simgrid() -> None:
    info = smmulab.build_info()
    done = run_smmulab("--version")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        f"smmulab {info.version}",
        f"compiler: {info.compiler} ({info.build_type})",
        f"SimGrid engine: {info.simgrid or 'not built in'}",
    ]
    assert re.fullmatch(r"\w+ \d+(\.\d+)+", info.compiler)


def test_simgrid_engine_is_built_in_where_simgrid_is_installed() -> None:
    if shutil.which("pkg-config") is None:
        pytest.skip("pkg-config is not installed")
    found = subprocess.run(
        ["pkg-config", "--modversion", "simgrid"], capture_output=True, text=True, check=False
    )
    assert smmulab.build_info().simgrid == (found.stdout.strip() or None)


def test_build_info_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        smmulab.build_info().version = "9"  # type: ignore[misc]
