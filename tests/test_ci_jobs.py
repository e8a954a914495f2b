# SPDX-License-Identifier: Apache-2.0
"""docs/ci/: do the jobs for users' studies go through, step by step and in the shells of the runners, and
do they fail with the plots kept if a number moved? Debian's packages and the installed smmulab stand in
for what the steps would install; checkouts and the installation of Python are the runners' own."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from conftest import ROOT
from doc_commands import execute

CI = ROOT / "docs" / "ci"
SCHEMAS = {"github.yml": "vendor.github-workflows", "gitlab.yml": "vendor.gitlab-ci"}
STUDY = """\
[study]
title = "A small one"
protocols = ["igroup", "one-lock"]
x = "threads"

[generate]
devices = 2
ops = 40

[factors]
threads = "1,2"
"""
# Under the names of all programs that would install something.
STAND_IN = f"""\
#!/bin/bash
set -e
here=$(dirname "$0")
case "${{0##*/}} $*" in
  "sudo "*) exec "$@" ;;
  "apt-get update") ;;
  "apt-get install "*)
    shift
    for package in "$@"; do
      [[ $package == -* ]] || ! command -v dpkg-query >/dev/null || dpkg-query -W "$package"
    done
    ;;
  "python3 -m venv "*) mkdir -p "$3/bin" && cp "$0" "$3/bin/pip" ;;
  "python -m pip install "* | "pip install "*)
    [[ $1 == -m ]] && shift 2
    [[ -f $2/pyproject.toml ]]
    ln -s "{Path(sys.executable).parent / "smmulab"}" "$here/smmulab"
    ;;
  *) echo "nothing stands in for ${{0##*/}} $*" >&2 && exit 9 ;;
esac
"""


def load(name: str) -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.load((CI / name).read_text(), Loader=yaml.BaseLoader)
    return loaded


class Runner:
    """A fresh machine with the user's repository checked out in `workspace`."""

    def __init__(self, folder: Path, repository: Path) -> None:
        self.folder, self.workspace, self.kept = folder, folder / "workspace", folder / "kept"
        shutil.copytree(repository, self.workspace)
        stand_ins = folder / "bin"
        stand_ins.mkdir()
        for program in ("sudo", "apt-get", "python", "python3"):
            (stand_ins / program).write_text(STAND_IN)
            (stand_ins / program).chmod(0o755)
        self.environment = {**os.environ, "PATH": f"{stand_ins}:{os.environ['PATH']}"}

    def shell(self, script: str, *options: str) -> bool:
        path = self.folder / "step.sh"
        path.write_text(script)
        argv = ["bash", *options, str(path)]
        return subprocess.run(argv, cwd=self.workspace, env=self.environment).returncode == 0  # noqa: PLW1510

    def keep(self, path: str) -> None:
        shutil.copytree(self.workspace / path, self.kept)

    def github(self) -> bool:
        """Every step in a `bash -e` of its own; after one that failed, those with `if: failure()`."""
        passed = True
        (job,) = load("github.yml")["jobs"].values()
        for step in job["steps"]:
            if passed == (step.get("if") == "failure()"):
                continue
            action = step.get("uses", "").partition("@")[0]
            match action:
                case "actions/checkout":
                    if "path" in step.get("with", {}):
                        checkout = self.workspace / step["with"]["path"]
                        checkout.mkdir()
                        (checkout / "pyproject.toml").touch()
                case "actions/setup-python":
                    pass
                case "actions/upload-artifact":
                    self.keep(step["with"]["path"])
                case _:
                    passed = self.shell(step["run"], "-e") and passed
        return passed

    def gitlab(self) -> bool:
        """All lines in one shell that ends with the first that fails."""
        source = self.folder / "source"
        source.mkdir()
        (source / "pyproject.toml").touch()
        git = ["git", "-c", "user.name=a", "-c", "user.email=a@b.c"]
        for arguments in (["init", "-q"], ["add", "."], ["commit", "-qm", "One"], ["tag", "v1"]):
            subprocess.run([*git, *arguments], cwd=source, check=True)
        self.environment |= {"SMMULAB_URL": source.as_uri(), "SMMULAB_REF": "v1"}
        job = load("gitlab.yml")["studies"]
        lines = "\n".join(["set -eo pipefail", *job["before_script"], *job["script"]])
        passed = self.shell(lines.replace("/opt/", f"{self.folder}/opt/"))
        if not passed and job["artifacts"]["when"] == "on_failure":
            for path in job["artifacts"]["paths"]:
                self.keep(path)
        return passed


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A user's, with one study and what it gave."""
    root = tmp_path_factory.mktemp("repository")
    study = root / "results" / "small"
    study.mkdir(parents=True)
    (study / "study.toml").write_text(STUDY)
    execute("smmulab study all", root, check=True)
    return root


@pytest.mark.parametrize("kind", ["github", "gitlab"])
def test_the_job_passes(kind: str, repository: Path, tmp_path: Path) -> None:
    runner = Runner(tmp_path, repository)
    assert getattr(runner, kind)()
    assert not runner.kept.exists()


@pytest.mark.parametrize("kind", ["github", "gitlab"])
def test_the_job_fails_if_a_number_moves_and_keeps_the_plots(
    kind: str, repository: Path, tmp_path: Path
) -> None:
    runner = Runner(tmp_path, repository)
    runs = runner.workspace / "results" / "small" / "runs.csv"
    moved = re.sub(r"(?m)(,ok,\d+,)(\d+)", lambda m: f"{m[1]}{int(m[2]) + 1}", runs.read_text())
    assert moved != runs.read_text()
    runs.write_text(moved)
    assert not getattr(runner, kind)()
    assert (runner.kept / "small" / "delta.png").stat().st_size > 1000


def check_schema(schema: str, path: Path) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", schema, str(path)]
    return subprocess.run(argv, capture_output=True, text=True, check=False, timeout=120)


@pytest.mark.parametrize(
    ("name", "word", "wrong"),
    [("github.yml", "runs-on", "run-on"), ("gitlab.yml", "when", "whenn")],
)
def test_the_published_schema_takes_it(name: str, word: str, wrong: str, tmp_path: Path) -> None:
    """That of the JSON Schema Store, of which the checker brings a copy."""
    checked = check_schema(SCHEMAS[name], CI / name)
    assert checked.returncode == 0, checked.stdout
    text = (CI / name).read_text()
    misspelt = tmp_path / name
    misspelt.write_text(text.replace(f"{word}:", f"{wrong}:"))
    assert misspelt.read_text() != text
    assert check_schema(SCHEMAS[name], misspelt).returncode == 1
