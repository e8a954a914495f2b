# SPDX-License-Identifier: Apache-2.0
"""O3: is the model held to QEMU's SMMU trace log, and does a log become a DMA trace?"""

from __future__ import annotations

import lzma
import subprocess
from pathlib import Path

import pytest

from conftest import ROOT
from smmulab.cli import main
from smmulab.oracles import qemu

# The first translations of a stock Debian kernel's dd under QEMU 7.2, MMIO lines left out.
EXCERPT = ROOT / "tests" / "data" / "qemu_smmu_stock.log.zst"
LOGS = ROOT.parent / "shared" / "traces" / "qemu_smmu_logs"


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "excerpt.log"
    path.write_bytes(
        subprocess.run(["zstd", "-dc", EXCERPT], check=True, capture_output=True).stdout
    )
    return path


def test_the_excerpt_agrees_in_everything() -> None:
    found = qemu.check(EXCERPT)
    assert found.missed == 0
    assert found.raw["translations"] == 1895
    assert found.raw["adopted_entries"] == found.raw["damaged"] == 0
    table = found.table().set_index("check")
    assert table.loc["physical address", "model"] == 1895
    assert table.loc["IOTLB hit or miss", "model"] == 1895


@pytest.mark.parametrize("name", ["stock_qtrace", "A_qdma_smp2", "A_qplain_smp2"])
def test_recorded_logs_agree_in_everything(name: str) -> None:
    path = LOGS / f"{name}.smmu.log.xz"
    if not path.exists():
        pytest.skip(f"no recorded log {path}")
    found = qemu.check(path)
    assert found.misses().empty
    assert found.missed == 0
    assert found.raw["translations"] > 800
    assert found.raw["adopted_entries"] == found.raw["incomplete"] == 0


def test_validate_prints_model_beside_recording(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["validate", "--oracle", "qemu", str(EXCERPT)]) == 0
    out = capsys.readouterr().out
    assert "1895 translations of" in out
    assert "0 miss" in out


def test_a_wrong_address_is_a_miss_with_its_line(
    log: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = log.read_text().splitlines()
    at = next(i for i, line in enumerate(lines) if "translate_success" in line)
    lines[at] = lines[at].replace("translated=0x8090040", "translated=0x8091040")
    log.write_text("\n".join(lines) + "\n")
    assert main(["validate", "--oracle", "qemu", str(log)]) == 1
    assert f"{log}:{at + 1}: physical address" in capsys.readouterr().out


def test_logs_packed_with_xz_noise_and_a_cut_end(tmp_path: Path, log: Path) -> None:
    lines = log.read_text().splitlines(keepends=True)
    noisy = "".join(f"[ {i}.0] console \x1b[0m noise\n{line}" for i, line in enumerate(lines))
    packed = tmp_path / "noisy.log.xz"
    packed.write_bytes(lzma.compress(noisy[:-7].encode()))
    found = qemu.check(packed)
    assert found.missed == 0
    assert found.raw["noise"] >= len(lines)


def test_a_log_is_recognized_after_any_number_of_noisy_lines(
    tmp_path: Path, log: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log.write_text("[    0.000000] Booting Linux\n" * 5000 + log.read_text())
    assert main(["import", str(log), "-o", str(tmp_path / "noisy.dma")]) == 0
    assert "DMA accesses of" in capsys.readouterr().out
    log.write_text("[    0.000000] Booting Linux\n" * 5000)
    assert main(["import", str(log), "-o", str(tmp_path / "none.dma")]) == 2
    assert "an unknown kind of log; known kinds of log: iofd-ops" in capsys.readouterr().err


def test_a_log_without_its_beginning(log: Path) -> None:
    lines = log.read_text().splitlines(keepends=True)
    log.write_text("".join(lines[4000:]))
    found = qemu.check(log)
    assert found.missed == 0
    assert found.raw["adopted_entries"] > 0


def test_what_is_no_such_log_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "other.log"
    path.write_text("hello\nworld\n")
    assert main(["validate", "--oracle", "qemu", str(path)]) == 2
    assert f"{path}:1:1: no SMMU trace event" in capsys.readouterr().err
    path.write_text("1@2.3:smmu_get_pte baseaddr=0x\n" * 40)
    assert main(["validate", "--oracle", "qemu", str(path)]) == 2
    assert f"{path}:1:1: 40 of 40 events lack fields" in capsys.readouterr().err


def test_a_log_without_look_ups_compares_nothing_and_says_so(
    log: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log.write_text("".join(x for x in log.read_text().splitlines(keepends=True) if "_success" in x))
    assert main(["validate", "--oracle", "qemu", str(log)]) == 2
    assert "-trace 'smmu*'" in capsys.readouterr().err


def test_import_and_replay_hit_as_often_as_qemu(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trace = tmp_path / "excerpt.dma"
    assert main(["import", str(EXCERPT), "-o", str(trace)]) == 0
    assert "1895 DMA accesses of" in capsys.readouterr().out
    sweep = ["--sweep", "smmuv3.mtlb_entries=256"]
    assert main(["tlb", str(trace), "--preset", "qemu", *sweep]) == 0
    row = capsys.readouterr().out.splitlines()[-1].split()
    recorded = qemu.check(EXCERPT).raw
    assert [int(row[1]), int(row[3]), int(row[4])] == [
        1895,
        recorded["hits"],
        recorded["walks"],
    ]
    assert int(row[5]) == 0
    assert int(row[6]) == recorded["reads"]
