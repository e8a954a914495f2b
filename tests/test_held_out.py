# SPDX-License-Identifier: Apache-2.0
"""Recordings that nothing was fitted to (workloads/recordings; docs/validation.md has the figures),
and `smmulab validate FILE`, which holds the model to any run."""

from __future__ import annotations

import tarfile
from pathlib import Path

import pytest

from conftest import ROOT
from smmulab import ConfigError
from smmulab.cli import main
from smmulab.commands.validate import check
from smmulab.oracles import ORACLES, latency
from smmulab.oracles.recorded_run import recorded_run
from smmulab.recordings import RecordingError, open_recording
from smmulab.recordings.op_kinds import add_kinds
from smmulab.recordings.run_machine import RunMachine, run_machine

HELD_OUT = ROOT / "workloads" / "recordings"
# Run -> paths that agree at least, and miss at most; docs/validation.md explains the misses.
AGREEMENT = {
    "S_ic_smp1": (23, 1),
    "S_ic_smp2": (23, 0),
    "N_ic_smp3": (44, 2),
    "V_think_ic_smp2": (25, 16),
    "N_think_ic_smp3": (37, 8),
}


def archive(name: str) -> Path:
    return HELD_OUT / f"{name}.tar.xz"


def unpacked(name: str, folder: Path, *, keep: str = "") -> Path:
    with tarfile.open(archive(name)) as packed:
        if hasattr(tarfile, "data_filter"):  # not in Python 3.11.2, which Debian 12 has
            packed.extractall(folder, filter="data")
        else:
            packed.extractall(folder)
    for file in folder.iterdir():
        if keep and file.name.endswith(".ops.txt") and not file.name.startswith(keep):
            file.unlink()
    return folder


@pytest.mark.parametrize("name", AGREEMENT)
def test_latencies_of_runs_that_nothing_was_fitted_to(name: str) -> None:
    table = check(ORACLES["latency"], archive(name))
    agree, miss = AGREEMENT[name]
    assert (table["verdict"] == "ok").sum() >= agree
    assert (table["verdict"] == "miss").sum() <= miss


def test_what_no_recording_did_is_not_judged_by_its_locks() -> None:
    # Maps onto mapped IOVA; detaches of devices that another order of events left detached.
    table = check(ORACLES["lock-sequences"], archive("N_ic_smp3"))
    assert set(table["verdict"]) == {"ok", "not judged"}
    reasons = set(table[table["verdict"] == "not judged"]["recorded"])
    assert "a map onto mapped IOVA was not recorded" in reasons
    assert "a detach of a device that is not attached was not recorded" in reasons


def test_a_map_that_was_refused_is_a_path_of_its_own() -> None:
    with recorded_run(archive("N_ic_smp3")) as run:
        frame = add_kinds(run.log("n5_maponly_4dev_2hwpt_3map_64page"))
    refused = frame[frame["kind"] == "map_refused"]
    assert set(refused["ret"]) == {-17}
    assert (frame[frame["kind"] == "map"]["ret"] == 0).all()


def test_waiting_falls_on_the_locks_that_the_stacks_name() -> None:
    table = check(ORACLES["contention"], archive("V_evst_ic_smp2"))
    shared = table[table["shape"].str.startswith("c2_")].set_index("lock_class")
    assert set(shared.index) == {"asid_lock", "ioas->mutex"}
    assert set(shared["verdict"]) == {"ok"}
    assert set(table[table["verdict"] == "miss"]["shape"].str[:3]) <= {"e2_"}


def test_the_figures_are_those_of_the_given_run(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    folder = unpacked("S_ic_smp1", tmp_path / "run", keep="s1_")
    assert main(["validate", str(folder), "--oracle", "latency", "--all"]) == 0
    assert "s1_attach1_16dev_1hwpt" in (out := capsys.readouterr().out)
    assert "2 agree, 0 miss, 0 not judged" in out
    log = folder / "s1_attach1_16dev_1hwpt.ops.txt"
    lines = log.read_text("utf-8").splitlines()
    quicker = [line.split(" ") for line in lines]
    for words in quicker:  # each detach takes 25 us less
        if words[0] != "#" and words[4] == "detach":
            words[1] = str(int(words[1]) - 25_000)
    log.write_text("".join(" ".join(words) + "\n" for words in quicker), "utf-8")
    assert main(["validate", str(folder), "--oracle", "latency"]) == 1
    assert "1 miss" in capsys.readouterr().out


def test_oracles_that_a_run_says_nothing_about_are_left_out_with_the_reason(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    folder = unpacked("S_ic_smp1", tmp_path / "run", keep="s1_")
    assert main(["validate", str(folder)]) == 0
    out = capsys.readouterr().out
    assert "contention: left out: it has no SHAPE.events.txt or SHAPE.contention_stacks.txt" in out
    assert "O4" in out
    assert main(["validate", str(folder), "--oracle", "contention"]) == 2
    assert "oracle contention cannot be held against it" in capsys.readouterr().err
    (folder / "qemu_command.txt").write_text("qemu-system-aarch64 -smp 2\n", "utf-8")
    assert main(["validate", str(folder), "--oracle", "latency"]) == 2
    assert "recorded without -icount" in capsys.readouterr().err


def test_a_traced_run_is_not_judged_by_its_latencies() -> None:
    with recorded_run(archive("V_evst_ic_smp2")) as run:
        assert "what tracing cost" in str(latency.why_not(run))


@pytest.mark.parametrize(
    ("command", "machine"),
    [
        ("qemu -smp 4 -icount shift=3,sleep=off", RunMachine(4, 3)),
        ("qemu -icount sleep=off,shift=0 -smp cpus=16,sockets=2", RunMachine(16, 0)),
        ("qemu -m 1G", RunMachine(1, None)),
    ],
)
def test_the_machine_is_read_from_the_command(
    command: str, machine: RunMachine, tmp_path: Path
) -> None:
    (tmp_path / "qemu_command.txt").write_text(command + "\n", "utf-8")
    assert run_machine(open_recording(tmp_path)) == machine


@pytest.mark.parametrize("command", ["qemu -smp many", "qemu -icount auto", "qemu 'open"])
def test_a_command_that_cannot_be_read_names_its_file(command: str, tmp_path: Path) -> None:
    (tmp_path / "qemu_command.txt").write_text(command + "\n", "utf-8")
    with pytest.raises(RecordingError, match=r"qemu_command\.txt: "):
        run_machine(open_recording(tmp_path))


def test_a_recording_without_operations_is_an_error(tmp_path: Path) -> None:
    folder = unpacked("S_ic_smp1", tmp_path / "run", keep="none")
    with pytest.raises(ConfigError, match="no operation log"), recorded_run(folder):
        pass
