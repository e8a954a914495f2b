# SPDX-License-Identifier: Apache-2.0
"""`smmulab topology`."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

import smmulab
from conftest import RECORDED_RUNS, ROOT
from smmulab.cli import main

TESTDATA = ROOT / "models/pcie/testdata"
RECORDED = str(TESTDATA / "recorded_a.toml")


def test_prints_the_recorded_machine(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["topology", RECORDED]) == 0
    out = capsys.readouterr().out
    assert "23 functions, 13 iommu groups" in out
    assert "03:00.0 endpoint: group 1, smmu 0 sid 0x300, devset" in out
    assert "groups 1, 5: nothing keeps them apart but the order" in out
    assert "groups are those that the host recorded" in out


def test_json_has_every_function(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["topology", RECORDED, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    by_address = {f["address"]: f for f in found["functions"]}
    assert len(by_address) == 23
    assert all(f["group"] == f["recorded_group"] for f in by_address.values())
    assert by_address["0000:05:01.0"]["stream_ids"] == [0x508, 0x500]
    assert by_address["0000:05:02.0"]["why_no_group"] == "stream id 0x500 belongs to 0000:05:01.0"
    assert found["split"] == [{"groups": [1, 5], "without_group": []}]
    assert found["not_as_recorded"] == []


def test_other_groups_than_recorded_are_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = Path(RECORDED).read_text()
    changed = tmp_path / "changed.toml"
    changed.write_text(text[: text.index("probe_order")] + text[text.index("]\n") + 2 :])
    assert main(["topology", str(changed)]) == 1
    out = capsys.readouterr().out
    assert "not as recorded: 00:0d.0 and 03:00.0 are together, the host had them apart" in out


def test_draws(tmp_path: Path) -> None:
    assert main(["topology", RECORDED, "-o", str(tmp_path / "out")]) == 0
    dot = (tmp_path / "out/topology.dot").read_text()
    assert dot.count("group 12") == 4  # the four functions of one device
    assert "->" in dot


def test_a_trace_for_the_host_can_be_replayed(tmp_path: Path) -> None:
    trace = tmp_path / "host.iotrace.zst"
    devices = ["0000:00:0c.0", "0000:00:0c.1", "0000:03:00.0"]
    chosen = [word for device in devices for word in ("--device", device)]
    assert main(["topology", RECORDED, *chosen, "--trace", str(trace), "--replaces", "20"]) == 0
    result = smmulab.compare(trace, protocols=["igroup"]).results[0]
    assert result["status"] == "ok"
    kinds = {kind["kind"]: kind for kind in result["kinds"]}
    assert kinds["replace"]["latency"]["count"] == 60
    assert kinds["replace"]["errors"] == 0


def test_a_header_for_the_host(tmp_path: Path) -> None:
    header = tmp_path / "host.iotrace"
    arguments = ["topology", RECORDED, "--device", "0000:05:01.0", "--trace-header", str(header)]
    assert main(arguments) == 0
    lines = header.read_text().splitlines()
    assert "device 0 name=0000:05:01.0 smmu=0 sid=0x508,0x500 group=6 devset=16" in lines
    assert lines[-1] == "begin"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--device", "0000:05:02.0", "--trace-header", "x"], "stream id 0x500 belongs to"),
        (["--settings", "s.toml"], "has its own iommu_map"),
        (["--cpus", "-1"], "--cpus: expected a number from 0 to 4096, not -1"),
        (["--cpus", "4097"], "--cpus: expected a number from 0 to 4096, not 4097"),
        (["--replaces", "1" + "0" * 30], "--replaces: expected a number from 0 to 1000000000000"),
        (["--trace-header", "."], "cannot write .: it is a folder"),
    ],
)
def test_errors_exit_with_2(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["topology", RECORDED, *arguments]) == 2
    assert message in capsys.readouterr().err


def test_settings_for_a_host_from_lspci(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "host.txt").write_text(
        "00:02.0 A [0200]: Thing [1234:0001]\n00:03.0 A [0200]: Thing [1234:0001]\n"
    )
    (tmp_path / "s.toml").write_text(
        'probe_order = ["00:03.0", "00:02.0"]\n[[iommu_map]]\nstream_id = 0x100\n'
    )
    host, settings = str(tmp_path / "host.txt"), str(tmp_path / "s.toml")
    assert main(["topology", host, "--settings", settings]) == 0
    out = capsys.readouterr().out
    assert "00:02.0 conventional, Thing: group 1, smmu 0 sid 0x110" in out


def test_settings_that_are_a_folder_and_text_that_is_not_utf8(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    host, bad = tmp_path / "host.txt", tmp_path / "bad.txt"
    host.write_text("00:02.0 A [0200]: Thing [1234:0001]\n")
    bad.write_bytes(b"# lspci\n00:02.0 A [0200]: M\xfcller [1234:0001]\n")
    assert main(["topology", str(host), "--settings", str(tmp_path)]) == 2
    assert f"{tmp_path}: is a folder; expected a file" in capsys.readouterr().err
    assert main(["topology", str(bad)]) == 2
    assert f"{bad}:2: the text is not UTF-8" in capsys.readouterr().err


def test_ctrl_c_ends_the_writing_of_a_long_trace(tmp_path: Path) -> None:
    trace = tmp_path / "long.iotrace"
    script = (
        "import os, signal, sys, threading\n"
        "from smmulab.cli import main\n"
        "import smmulab.commands.topology\n"
        "threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT)).start()\n"
        "sys.exit(main(sys.argv[1:]))\n"
    )
    arguments = ["topology", RECORDED, "--trace", str(trace), "--replaces", "1000000000"]
    ended = subprocess.run(
        [sys.executable, "-c", script, *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert ended.returncode == 130, ended.stderr
    assert "Traceback" not in ended.stderr
    assert list(tmp_path.iterdir()) == []


def _member(run: str, name: str) -> str:
    """A file of a recorded run."""
    with tarfile.open(RECORDED_RUNS / f"{run}.tar.xz") as archive:
        file = archive.extractfile(f"./{name}")
        assert file is not None
        return file.read().decode()


recorded_runs = pytest.mark.skipif(not RECORDED_RUNS.is_dir(), reason="no recorded runs here")


@recorded_runs
@pytest.mark.parametrize(
    ("description", "run"), [("recorded_a", "A_plain_smp2"), ("recorded_stock", "stock1")]
)
def test_the_described_machines_are_the_recorded_ones(description: str, run: str) -> None:
    host = json.loads(smmulab._core.Topology(f"{TESTDATA}/{description}.toml").json())
    recorded = {}
    for line in _member(run, "iommu_groups.txt").splitlines():
        address, *fields = line.split()
        values = dict(field.split("=") for field in fields)
        recorded[address] = int(values["group"]) if values["group"] else None
    assert {f["address"]: f["group"] for f in host["functions"]} == recorded


@recorded_runs
def test_device_sets_are_the_locks_that_the_kernel_took() -> None:
    # dev_set->lock is the one mutex that vfio_df_ioctl_bind_iommufd releases; devices are bound in
    # the order in which the log names them.
    shape = "e2_group4_plus4dev_replace_4hwpt"
    locks = re.findall(
        r"mutex_unlock: .* lock=(\w+) caller=vfio_df_ioctl_bind_iommufd\+",
        _member("A_la_smp2", f"{shape}.lockaddr.txt"),
    )
    devices = re.findall(
        r"^# dev \d+ bdf=(\S+)", _member("A_la_smp2", f"{shape}.ops.txt"), re.MULTILINE
    )
    assert len(locks) == len(devices) == 8
    host = json.loads(smmulab._core.Topology(RECORDED).json())
    computed = {f["address"]: f["dev_set"] for f in host["functions"]}
    groups = {f["address"]: f["group"] for f in host["functions"]}
    assert len({groups[d] for d in devices}) == 5  # four of them are of one group
    pairs = list(zip(locks, [computed[d] for d in devices], strict=True))
    for lock, dev_set in pairs:
        for other_lock, other_set in pairs:
            assert (lock == other_lock) == (dev_set == other_set)
