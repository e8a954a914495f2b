# SPDX-License-Identifier: Apache-2.0
"""Does `smmulab lockdep` tell clean protocols from hazardous ones, and draw their graph?"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from smmulab import _core
from smmulab.cli import main
from smmulab.commands import lockdep

CLEAN = ("v6.2", "seed-lock-both", "igroup", "one-lock")


def run(capsys: pytest.CaptureFixture[str], *argv: str) -> tuple[int, str, str]:
    """Exit code, standard output, standard error of the command."""
    try:
        code = main(("lockdep", *argv))
    except SystemExit as end:
        code = int(end.code or 0)
    out, err = capsys.readouterr()
    return code, out, err


@pytest.mark.parametrize("protocol", CLEAN)
def test_clean_protocols(capsys: pytest.CaptureFixture[str], tmp_path: Path, protocol: str) -> None:
    code, out, _ = run(capsys, "-p", protocol, "-o", str(tmp_path))
    assert code == 0
    assert out.startswith(f"lockdep: {protocol}, covering set\n")
    assert "verdict: clean" in out
    graph = (tmp_path / f"{protocol}.dot").read_text()
    assert graph.startswith("digraph G {")
    assert "color=red" not in graph


def test_the_graph_is_rendered_where_graphviz_is(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if shutil.which("dot") is None:
        pytest.skip("no GraphViz")
    code, out, _ = run(capsys, "-p", "igroup", "-o", str(tmp_path))
    assert code == 0
    names = {"igroup.dot", "igroup.svg", "igroup.png"}
    assert {path.name for path in tmp_path.iterdir()} == names
    assert all(name in out for name in names)
    assert "asid_lock" in (tmp_path / "igroup.svg").read_text()
    monkeypatch.setattr(shutil, "which", lambda _: None)
    without = lockdep.draw("digraph G {}", tmp_path / "other.dot")
    assert without == [tmp_path / "other.dot"]


def test_a_trace(capsys: pytest.CaptureFixture[str], small_trace: Path, tmp_path: Path) -> None:
    code, out, _ = run(capsys, str(small_trace), "-p", "igroup", "-o", str(tmp_path))
    assert code == 0
    assert str(small_trace) in out.splitlines()[0]
    code, out, _ = run(capsys, str(small_trace), "-p", "igroup", "-o", str(tmp_path), "--json")
    assert code == 0
    document = json.loads(out)
    assert document["hazards"] == 0
    assert document["findings"] == []
    edges = {(edge["from"], edge["to"]): edge for edge in document["edges"]}
    edge = edges["igroup->lock", "group->mutex"]
    assert edge["direct"]
    assert edge["first"]["operation"] == "attach dev=0 pt=2"
    held = [link["class"] for link in edge["first"]["held"]]
    assert held[0] == "dev_set->lock"
    assert held[-1] == "igroup->lock"


def test_settings_reach_the_runs(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    argv = ("-p", "igroup", "-s", "iommufd.vfio=false", "-o", str(tmp_path), "--json")
    _, out, _ = run(capsys, *argv)
    assert "dev_set->lock" not in {node["class"] for node in json.loads(out)["nodes"]}


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        ((), ("--protocol",)),
        (("-p", "igruop"), ("igruop", "did you mean 'igroup'")),
        (("-p", "igroup", "absent.iotrace"), ("absent.iotrace",)),
        (("-p", "igroup", "-s", "lock.osk=1ns"), ("lock.osk", "lock.osq")),
        (("-p", "igroup", "-m", "absent.toml"), ("absent.toml",)),
        (("-p", "igroup", "-o", "/proc/no/such"), ("/proc/no/such",)),
    ],
)
def test_bad_usage(
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    argv: tuple[str, ...],
    words: tuple[str, ...],
) -> None:
    monkeypatch.chdir(tmp_path)
    code, _, err = run(capsys, *argv)
    assert code == 2
    for word in words:
        assert word in err


def test_a_hazard_is_exit_code_1(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Found:
        text, dot, json, hazards = "verdict: 1 hazard (H2)", "digraph G {}", "{}", 1

    monkeypatch.setattr(_core, "lockdep", lambda *_: Found)
    code, out, _ = run(capsys, "-p", "any", "-o", str(tmp_path))
    assert code == 1
    assert "H2" in out
