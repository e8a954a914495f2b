# SPDX-License-Identifier: Apache-2.0
"""docs/ci/: are the CI files for users' studies YAML of the right shape, and are their commands real?
`test_ci_jobs.py` runs the jobs."""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from conftest import ROOT
from smmulab import cli
from test_doc_commands import check_pip

CI = ROOT / "docs" / "ci"


def load(name: str) -> dict[str, Any]:
    # YAML 1.1 reads GitHub's key `on` as true; as text all keys are as written.
    loaded: dict[str, Any] = yaml.load((CI / name).read_text(), Loader=yaml.BaseLoader)
    return loaded


def scripts(name: str) -> list[str]:
    """What the jobs run, in order."""
    loaded = load(name)
    if name == "github.yml":
        return [step["run"] for step in loaded["jobs"]["studies"]["steps"] if "run" in step]
    return [*loaded["studies"]["before_script"], *loaded["studies"]["script"]]


def commands(name: str) -> list[list[str]]:
    """One list of words for each command."""
    lines = "\n".join(scripts(name)).replace("\\\n", " ").split("\n")
    return [shlex.split(line.removeprefix("sudo ")) for line in lines if line]


def packages_of_setup() -> set[str]:
    text = (ROOT / "scripts" / "setup").read_text()
    return set(re.search(r"^packages=\(([^)]*)\)", text, re.MULTILINE)[1].split())  # type: ignore[index]


def test_github_has_the_shape_of_a_workflow() -> None:
    workflow = load("github.yml")
    assert set(workflow) == {"name", "on", "jobs"}
    assert set(workflow["on"]) <= {"push", "pull_request"}
    (job,) = workflow["jobs"].values()
    assert {"runs-on", "timeout-minutes", "steps"} == set(job)
    for step in job["steps"]:
        assert set(step) <= {"uses", "run", "with", "if", "name"}
        assert len({"uses", "run"} & set(step)) == 1
        assert (
            re.fullmatch(r"actions/(checkout|setup-python|upload-artifact)@v\d+", step["uses"])
            if ("uses" in step)
            else step["run"]
        )


def test_gitlab_has_the_shape_of_a_pipeline() -> None:
    pipeline = load("gitlab.yml")
    assert set(pipeline) == {"variables", "studies"}
    job = pipeline["studies"]
    assert set(job) == {"image", "timeout", "before_script", "script", "artifacts"}
    assert job["artifacts"]["when"] == "on_failure"
    used = {name for text in scripts("gitlab.yml") for name in re.findall(r"\$(\w+)", text)}
    assert used == set(pipeline["variables"]) - {"GIT_DEPTH"}


@pytest.mark.parametrize("name", ["github.yml", "gitlab.yml"])
def test_every_command_is_real(name: str) -> None:
    for script in scripts(name):
        subprocess.run(["bash", "-n", "-c", script], check=True)
    seen = set()
    for words in commands(name):
        seen.add(Path(words[0]).name)
        match words:
            case ["apt-get", "update"]:
                pass
            case ["apt-get", "install", "-y", "--no-install-recommends", *packages]:
                assert set(packages) <= packages_of_setup()
                # All libraries but the optional one.
                libraries = {p for p in packages_of_setup() if p.endswith("-dev")} - {"python3-dev"}
                assert libraries - set(packages) == {"libsimgrid-dev"}
            case ["git", "clone", *_] | ["python3", "-m", "venv", _]:
                pass
            case ["python", "-m", "pip", *rest] | ["/opt/venv/bin/pip", *rest]:
                check_pip(rest)
                (option,) = re.findall(r"cmake\.define\.(\w+)=OFF", " ".join(rest))
                assert option in (ROOT / "cmake" / "SmmulabOptions.cmake").read_text()
            case ["smmulab" | "/opt/venv/bin/smmulab", *rest]:
                cli.parse(rest)
            case _:
                pytest.fail(f"{name}: nobody knows {words}")
    assert seen >= {"apt-get", "smmulab"}
