# SPDX-License-Identifier: Apache-2.0
"""Does `smmulab lockdep` tell clean protocols from hazardous ones, and draw their graph?"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

import command_line
from smmulab import _core
from smmulab.commands import lockdep

HAZARDS = {
    "seed-unordered": {"H1"},
    "posted-v1": {"H1"},
    "posted-v2": {"H1", "H2", "H3", "leaked-reference"},
}
CLEAN = [name for name, *_ in _core.protocols() if name not in HAZARDS]


def run(capsys: pytest.CaptureFixture[str], *argv: str) -> tuple[int, str, str]:
    return command_line.run(capsys, "lockdep", *argv)


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


@pytest.mark.parametrize("protocol", list(HAZARDS))
def test_hazards_are_named_and_exit_code_1(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, protocol: str
) -> None:
    argv = ("-p", protocol, "-o", str(tmp_path))
    code, out, _ = run(capsys, *argv)
    assert code == 1
    verdict = out[out.index("\nverdict: ") :].splitlines()[1]
    assert set(verdict[verdict.index("(") + 1 : -1].split(", ")) == HAZARDS[protocol]
    assert "WARNING: possible recursive locking detected" in out
    assert "*** DEADLOCK ***" in out
    assert "color=red" in (tmp_path / f"{protocol}.dot").read_text()
    code, out, _ = run(capsys, *argv, "--json")
    assert code == 1
    document = json.loads(out)
    assert set(document["names"]) == HAZARDS[protocol]
    recursions = [f for f in document["findings"] if f["kind"] == "recursion"]
    assert ["hwpt->devices_lock"] in [f["classes"] for f in recursions]
    assert all(f["seen_by_lockdep"] for f in recursions)
    assert all(f["witnesses"][0]["operation"].startswith("replace ") for f in recursions)


def test_h2_shows_both_operations(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    argv = ("-p", "posted-v2", "-s", "protocol.mend_h3=true", "-o", str(tmp_path))
    _, out, _ = run(capsys, *argv)
    part = out[out.index("possible circular locking dependency") :]
    assert "in detach dev=" in part
    assert "in attach dev=" in part
    assert "-> hwpt->devices_lock#" in part
    assert "-> [ioas->mutex#" in part


@pytest.mark.parametrize("protocol", ["seed-unordered", "posted-v1"])
def test_a_mended_hazard_is_gone(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, protocol: str
) -> None:
    code, out, _ = run(capsys, "-p", protocol, "-s", "protocol.mend_h1=true", "-o", str(tmp_path))
    assert code == 0
    assert "verdict: clean" in out


def test_a_deadlocked_trace_gives_its_graph(
    capsys: pytest.CaptureFixture[str], crossing_trace: Path, tmp_path: Path
) -> None:
    code, out, _ = run(capsys, str(crossing_trace), "-p", "seed-unordered", "-o", str(tmp_path))
    assert code == 1
    assert "ended badly: deadlock" in out
    assert "It happened: a thread that waits for ever" in out
    assert "(H1)" in out[out.index("\nverdict: ") :]
