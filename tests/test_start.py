# SPDX-License-Identifier: Apache-2.0
"""Does the command start fast, and can it be stopped from its first moment?"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

import smmulab
from smmulab import Config, Workload
from smmulab.study import jobs_of

# Runs the command as its script does, then tells which slow modules were loaded.
LOADED = """
import sys
from smmulab.__main__ import main
try:
    code = main()
except SystemExit as end:
    code = end.code
slow = {"matplotlib", "numpy", "pandas", "pyarrow", "tqdm"} & set(sys.modules)
print(*sorted(slow), file=sys.stderr)
sys.exit(code)
"""
# The same, but Ctrl-C comes when the module named first is about to be imported.
STOPPED = """
import sys
from smmulab.__main__ import main
at = sys.argv.pop(1)
class Finder:
    def find_spec(name, path=None, target=None):
        if name == at:
            raise KeyboardInterrupt
sys.meta_path.insert(0, Finder)
sys.exit(main())
"""


def python(
    folder: Path, script: str, *arguments: str, given: str | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", script, *arguments],
        input=given,
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@pytest.mark.parametrize(
    "arguments",
    [
        ("--help",),
        ("--version",),
        ("protocols",),
        ("describe",),
        ("compare", "--help"),
        ("compare", "no.iotrace"),
        ("import", "--help"),
    ],
)
def test_slow_modules_are_loaded_only_where_they_are_used(
    tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    ended = python(tmp_path, LOADED, *arguments)
    assert ended.returncode == (2 if "no.iotrace" in arguments else 0), ended.stderr
    assert ended.stderr.splitlines()[-1] == ""


def test_a_worker_loads_what_a_run_needs(tmp_path: Path) -> None:
    """It is forked for each run, which takes longer the more it holds."""
    script = "import sys, smmulab.study.worker; print(sorted(sys.modules))"
    ended = python(tmp_path, script)
    assert ended.returncode == 0, ended.stderr
    for slow in ("matplotlib", "numpy", "pandas", "pyarrow", "multiprocessing"):
        assert f"'{slow}'" not in ended.stdout


def test_a_worker_of_generated_traces_loads_no_more(tmp_path: Path) -> None:
    jobs = jobs_of(Config(workload=Workload(ops=60)), {}, seeds=2)
    lines = [json.dumps({"job": job.to_dict(), "folder": str(tmp_path)}) for job in jobs]
    script = (
        "import sys; from smmulab.study import worker;"
        "worker.serve(sys.stdin.buffer, sys.stdout.buffer);"
        "sys.stdout.write(str('numpy' in sys.modules))"
    )
    ended = python(tmp_path, script, given="\n".join(lines) + "\n")
    assert ended.returncode == 0, ended.stderr
    *answers, loaded = ended.stdout.splitlines()
    assert [json.loads(answer)["result"]["status"] for answer in answers] == ["ok", "ok"]
    assert loaded == "False"
    assert len(list(tmp_path.glob("*.iotrace"))) == 2


@pytest.mark.parametrize("at", ["smmulab.cli", "argparse", "smmulab._core", "smmulab.store"])
def test_ctrl_c_while_modules_load(tmp_path: Path, at: str) -> None:
    ended = python(tmp_path, STOPPED, at, "compare", "no.iotrace")
    assert (ended.returncode, ended.stderr) == (130, "smmulab: interrupted\n")


def test_the_package_lists_what_it_offers() -> None:
    assert set(smmulab.__all__) <= set(dir(smmulab))
    for name in smmulab.__all__:
        assert getattr(smmulab, name) is not None
    # What a study is made of and read with, from one place.
    offered = {"Config", "Workload", "run", "Result", "compare", "sweep", "operations", "plot"}
    offered |= {"intervals", "differences", "crossovers", "fit_usl"}
    assert offered <= set(smmulab.__all__)
    for name in smmulab.plot.__all__:
        assert getattr(smmulab.plot, name).__doc__, name
    with pytest.raises(AttributeError, match="comapre"):
        _ = smmulab.comapre  # type: ignore[attr-defined]
