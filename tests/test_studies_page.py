# SPDX-License-Identifier: Apache-2.0
"""Does docs/studies.md show what works: its study file, its Python, its options?"""

from __future__ import annotations

import re
from pathlib import Path

import jupytext
import nbformat
import pytest

import smmulab
from conftest import ROOT
from smmulab import cli, plot
from smmulab.study import sensitivity

PAGE = (ROOT / "docs" / "studies.md").read_text("utf-8")


def blocks(language: str) -> list[str]:
    found: list[str] = re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    return found


def test_the_study_file_is_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (text,) = blocks("toml")
    study = tmp_path / "STUDY.toml"
    study.write_text(text)
    assert cli.main(["sweep", str(study), "--dry-run"]) == 0
    # 7 + 5 pairs of devices and threads (1 or 4, not more than devices), 2 protocols, 2 x asid, 5 seeds.
    assert capsys.readouterr().out.splitlines()[-1].startswith(f"{12 * 2 * 2 * 5} runs")
    argv = ["-f", "devices=1,2,4..64", "-f", "protocol=igroup,v6.2", "--seeds", "10", "--dry-run"]
    assert cli.main(["sweep", str(study), *argv]) == 0


def test_python_shown_is_python_and_names_exist() -> None:
    for block in blocks("python"):
        compile(block, "docs/studies.md", "exec")
        for names in re.findall(r"^from smmulab import (.*)$", block, re.MULTILINE):
            assert set(names.split(", ")) <= set(smmulab.__all__)
        for names in re.findall(
            r"^from smmulab.study.sensitivity import (.*)$", block, re.MULTILINE
        ):
            assert all(hasattr(sensitivity, name) for name in names.split(", "))
    pictures = PAGE.split("Pictures: ")[1].split(";")[0]
    for name in re.findall(r"`(?:smmulab\.plot\.)?(\w+)`", pictures):
        assert callable(getattr(plot, name))


@pytest.mark.parametrize("name", sorted(p.stem for p in (ROOT / "notebooks").glob("*.py")))
def test_a_notebook_is_of_the_source_beside_it(name: str) -> None:
    source = jupytext.read(ROOT / "notebooks" / f"{name}.py")
    notebook = nbformat.read(ROOT / "notebooks" / f"{name}.ipynb", as_version=4)
    assert [cell.source for cell in notebook.cells] == [cell.source for cell in source.cells]
    assert any(cell.get("outputs") for cell in notebook.cells)
