# SPDX-License-Identifier: Apache-2.0
"""DMA of a replay from a DMA trace: who has it, that results say where it is from, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import smmulab
from command_line import run
from conftest import TRACES
from smmulab import Config, report, store
from smmulab.study.file import read_study

TRACE = TRACES / "A_qdma_smp2-g_dma_4dev_2hwpt_2map.iotrace.zst"
# 256 bytes each 2 us: the trace is of 650 ms.
TIMED = {"stream.link_burst": "500ns"}
SETS = [word for key, value in TIMED.items() for word in ("-s", f"{key}={value}")]
LINES = "smmulab-dma 1\ndma 0x10 1 0x10000000 w\ndma 0x10 1 0x10001000\ndma 0x20 1 0x10008040\n"


@pytest.fixture
def dma_trace(tmp_path: Path) -> Path:
    path = tmp_path / "nic.dma"
    path.write_text(LINES)
    return path


def test_devices_that_it_names_have_dma(dma_trace: Path) -> None:
    comparison = smmulab.compare(TRACE, ["igroup", "v6.2"], set=TIMED, dma_trace=dma_trace)
    devices = comparison.devices().set_index(["protocol", "device"])
    named = devices["dma_passed"].dropna()
    assert list(named.index) == [
        (protocol, device)
        for protocol in ("igroup", "v6.2")
        for device in ("0000:00:02.0", "0000:00:04.0")
    ]
    assert (named > 1000).all()
    assert comparison.dma_trace == str(dma_trace)
    assert str(dma_trace) in report.text(comparison)
    simgrid = smmulab.compare(TRACE, "igroup", set=TIMED, dma_trace=dma_trace, engine="simgrid")
    mine = simgrid.devices()["dma_passed"].to_list()
    assert np.array_equal(mine, devices.loc["igroup", "dma_passed"].to_list(), equal_nan=True)


def test_the_manifest_says_which(
    capsys: pytest.CaptureFixture[str], dma_trace: Path, tmp_path: Path
) -> None:
    argv = ["compare", str(TRACE), "-p", "igroup", *SETS, "-o", str(tmp_path / "out")]
    code, text, _ = run(capsys, *argv, "--dma-trace", str(dma_trace))
    assert code == 0
    assert "DMA of each device" in text
    made = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert made["dma_trace"] == "nic.dma"
    assert made["dma_trace_xxh3_128"] == smmulab._core.trace_hash(str(dma_trace))
    # Other contents are another run; without a DMA trace the manifest has no such entry.
    dma_trace.write_text(LINES + "dma 0x18 1 0x10000000\n")
    run(capsys, *argv, "--dma-trace", str(dma_trace))
    other = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert other["run_id"] != made["run_id"]
    without = store.manifest(smmulab.compare(TRACE, "igroup", set=TIMED))
    assert not [key for key in without if key.startswith("dma_trace")]
    assert without["run_id"] not in {made["run_id"], other["run_id"]}


def test_errors_name_the_line_or_the_setting(
    capsys: pytest.CaptureFixture[str], dma_trace: Path, tmp_path: Path
) -> None:
    argv = ["compare", str(TRACE), "-o", str(tmp_path / "out"), "--dma-trace", str(dma_trace)]

    def refused(*more: str) -> str:
        code, out, err = run(capsys, *argv, *more)
        assert (code, out) == (2, "")
        assert not (tmp_path / "out").exists()
        return err.removeprefix("smmulab: error: ").strip()

    counted = refused("-s", "smmuv3.hardware=counted")
    assert counted == "a DMA trace needs smmuv3.hardware = timed"
    assert (
        refused(*SETS, "-s", "stream.pattern=strided")
        == "stream.pattern and a DMA trace: give one of them"
    )
    dma_trace.write_text(LINES + "dma 0x10 1 nowhere\n")
    assert refused(*SETS).startswith(f"{dma_trace}:5:12: 'nowhere' is no IOVA")
    dma_trace.write_text("smmulab-dma 1\ndma 0x77 1 0x10000000\n")
    assert "StreamIDs 0x77, and the devices have 0x10, 0x18, 0x20, 0x28" in refused(*SETS)
    assert refused(*SETS, "--dma-trace", "none.dma").startswith("cannot read none.dma")


def test_a_run_and_a_study_take_one(
    capsys: pytest.CaptureFixture[str], dma_trace: Path, tmp_path: Path
) -> None:
    config = Config.of(TIMED)
    result = smmulab.run(config, TRACE, dma_trace=dma_trace)
    assert result.devices()["dma_passed"].notna().sum() == 2
    assert Config.from_json(result.config.to_json()) == result.config
    assert result.config.dma_trace == str(dma_trace)
    assert smmulab.run(config.replace(dma_trace=dma_trace), TRACE).run_id == result.run_id
    assert smmulab.run(config, TRACE).run_id != result.run_id
    code, out, _ = run(
        capsys, "run", "-t", str(TRACE), *SETS, "--dma-trace", str(dma_trace), "--json"
    )
    assert code == 0
    assert json.loads(out)["run_id"] == result.run_id
    (tmp_path / "other.dma").write_text(LINES.replace("0x20", "0x28"))
    study = tmp_path / "study.toml"
    study.write_text(
        '[smmuv3]\nhardware = "timed"\n[stream]\nlink_burst = "500ns"\n[study]\n'
        f'trace = "{TRACE}"\ndma_trace = "nic.dma"\n[factors]\n"smmuv3.utlb_entries" = [8, 16]\n'
    )
    assert read_study(study).config.dma_trace == str(dma_trace)
    argv = ["sweep", str(study), "-o", str(tmp_path / "store")]
    assert run(capsys, *argv)[0] == 0
    assert run(capsys, *argv, "--dma-trace", str(tmp_path / "other.dma"))[0] == 0
    rows = smmulab.Store(tmp_path / "store").runs(all_parameters=True)
    assert sorted(rows["param.dma_trace"]) == ["nic.dma", "nic.dma", "other.dma", "other.dma"]
    assert set(rows["param.dma_trace_identity"]) == {
        smmulab._core.trace_hash(str(tmp_path / name)) for name in ("nic.dma", "other.dma")
    }
    assert rows["run_id"].nunique() == 4
    devices = result.devices().dropna(subset="dma_transactions")
    totals = smmulab.tables.dma_totals(result.document)
    assert totals["dma_passed"] == devices["dma_passed"].sum() > 0
    assert totals["dma_bytes_per_s"] == pytest.approx(devices["dma_bytes_per_s"].sum())
    assert totals["dma_dark_max_ps"] == devices["dma_dark_max_ps"].max()
    assert totals["dma_translation_p99_ps"] == devices["dma_translation_p99_ps"].max()
    assert set(totals) <= set(rows)
    assert (rows["dma_passed"] > 0).all()
    shown = set(smmulab.Store(tmp_path / "store").runs())
    assert "param.dma_trace" in shown
    assert "param.dma_trace_identity" not in shown


def test_a_device_whose_dma_never_passes_has_no_times_and_a_warning(
    capsys: pytest.CaptureFixture[str], dma_trace: Path, tmp_path: Path
) -> None:
    dma_trace.write_text(LINES.replace("0x10008040", "0xdead0008040"))
    argv = ["compare", str(TRACE), "-p", "igroup", *SETS, "-o", str(tmp_path / "out")]
    code, text, err = run(capsys, *argv, "--dma-trace", str(dma_trace))
    assert code == 0
    (warning,) = [line for line in err.splitlines() if "no DMA" in line]
    assert warning.startswith("smmulab: warning: no DMA of 0000:00:04.0 passed: ")
    table = text.split("DMA of each device, by transactions\n\n")[1].splitlines()
    heads, good, bad = (line.split() for line in table[:3])
    assert heads[2:6] == ["passed", "aborted", "faulted", "GB/s"]
    assert heads[6:9] == ["translation", "p50", "ns"]
    devices = smmulab.compare(TRACE, "igroup", set=TIMED, dma_trace=dma_trace).devices()
    row = devices.set_index("device").loc["0000:00:02.0"]
    assert good[2:5] == [f"{row[f'dma_{what}']:,.0f}" for what in ("passed", "aborted", "faulted")]
    assert good[6] == f"{row['dma_translation_p50_ps'] / 1000:,.2f}"
    assert bad[1:3] == ["0000:00:04.0", "0"]
    assert bad[5:] == ["-"] * 8
    assert table[3].startswith("aborted: the device was detached; faulted: not mapped")
    # What did pass is not warned of.
    dma_trace.write_text(LINES)
    assert "no DMA" not in run(capsys, *argv, "--dma-trace", str(dma_trace))[2]


@pytest.mark.parametrize("changed", ["trace", "dma_trace"])
def test_the_hash_is_of_what_was_read(
    changed: str, dma_trace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that changes while it is replayed is an error, not another file's hash."""
    trace = tmp_path / TRACE.name
    trace.write_bytes(TRACE.read_bytes())
    replay = smmulab._core.replay_json

    def then_another(*arguments: object) -> str:
        text = replay(*arguments)  # type: ignore[arg-type]
        if changed == "trace":
            trace.write_bytes(
                TRACE.with_name("A_qplain_smp2-a_attach1_8dev_1hwpt.iotrace.zst").read_bytes()
            )
        else:
            dma_trace.write_text(LINES + "dma 0x18 1 0x10000000\n")
        return text

    compared = smmulab.compare(trace, "igroup", set=TIMED, dma_trace=dma_trace)
    assert compared.dma_trace_hash == smmulab._core.trace_hash(str(dma_trace))
    monkeypatch.setattr(smmulab._core, "replay_json", then_another)
    name = trace if changed == "trace" else dma_trace
    with pytest.raises(smmulab.ConfigError, match=f"{name}: changed while it was read"):
        smmulab.compare(trace, "igroup", set=TIMED, dma_trace=dma_trace)


def test_a_configuration_refuses_what_is_no_path() -> None:
    with pytest.raises(smmulab.ConfigError, match="dma_trace: expected a path, not '3'"):
        Config().replace(dma_trace=3)
    with pytest.raises(smmulab.ConfigError, match="dma_trace: expected a text, not '3'"):
        Config(dma_trace=3)  # type: ignore[arg-type]
