# SPDX-License-Identifier: Apache-2.0
"""Is a run taken for another one only if nothing that makes its numbers differs?"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import smmulab
from conftest import SMALL
from smmulab import Config
from smmulab.study import jobs_of, sweep
from smmulab.study.job import build_hash


def test_a_changed_trace_is_another_run(small_trace: Path, tmp_path: Path) -> None:
    """Under the same path, in the same process, and of the same size."""
    config = Config(trace=str(small_trace))
    before = jobs_of(config, {})[0].run_id
    assert sweep(config, {}, out=tmp_path / "out").ran == 1
    small_trace.write_text(SMALL.replace("len=0x4000", "len=0x8000"))
    after = jobs_of(config, {})[0].run_id
    assert before != after
    assert sweep(config, {}, out=tmp_path / "out").ran == 1
    small_trace.unlink()
    with pytest.raises((smmulab.ConfigError, smmulab.TraceError), match="small"):
        jobs_of(config, {})


def hash_of(package: Path) -> str:
    code = "from smmulab.study.job import build_hash; print(build_hash())"
    environment = {**os.environ, "PYTHONPATH": str(package)}
    argv = [sys.executable, "-c", code]
    return subprocess.run(
        argv, env=environment, check=True, capture_output=True, text=True
    ).stdout.strip()


def test_python_sources_are_part_of_the_build(tmp_path: Path) -> None:
    """The generator and the tables are Python: a change there is another build."""
    package = Path(str(smmulab.__file__)).parent
    copied = tmp_path / "smmulab"
    shutil.copytree(package, copied, ignore=shutil.ignore_patterns("*.so", "__pycache__"))
    (core,) = package.glob("_core*.so")
    (copied / core.name).symlink_to(core)
    assert hash_of(tmp_path) == build_hash()
    source = copied / "workload" / "operations.py"
    text = source.read_text()
    source.write_text(text + "\n# another\n")
    changed = hash_of(tmp_path)
    assert changed != build_hash()
    source.write_text(text)
    source.rename(source.with_name("operations_.py"))
    assert hash_of(tmp_path) not in {changed, build_hash()}
