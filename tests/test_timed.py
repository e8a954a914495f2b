# SPDX-License-Identifier: Apache-2.0
"""Timed hardware from Python: DMA is in the tables, the text and the picture."""

from __future__ import annotations

from pathlib import Path

import pytest

import smmulab
from conftest import TRACES
from smmulab import plot_dma, report, store

TRACE = TRACES / "A_qdma_smp2-g_dma_4dev_2hwpt_2map.iotrace.zst"
STREAMS = {
    "smmuv3.hardware": "timed",
    "stream.pattern": "random",
    "stream.interval": "1us",
    "machine.cpus": 8,
    "machine.pinning": "spread",
}


@pytest.fixture(scope="module")
def comparison() -> smmulab.Comparison:
    return smmulab.compare(TRACE, ["igroup", "v6.2"], set=STREAMS)


def test_devices_have_dma_columns(comparison: smmulab.Comparison) -> None:
    devices = comparison.devices()
    assert len(devices) == 8
    assert (devices["dma_passed"] > 1000).all()
    sums = devices["dma_passed"] + devices["dma_aborted"] + devices["dma_faulted"]
    assert (sums <= devices["dma_transactions"]).all()
    assert (devices["dma_transactions"] - sums <= 64).all()  # under way at the end
    assert (devices["dma_translation_p50_ps"] <= devices["dma_translation_p99_ps"]).all()
    # 256 bytes every 1 us, less what is refused.
    assert (devices["dma_bytes_per_s"] <= 2.57e8).all()
    dark = devices.groupby("protocol")["dma_dark_total_ps"].sum()
    assert dark["v6.2"] > dark["igroup"]


def test_text_and_picture_show_them(comparison: smmulab.Comparison, tmp_path: Path) -> None:
    assert "DMA of each device" in report.text(comparison)
    store.save(comparison, tmp_path)
    assert (tmp_path / "dma_dark.png").stat().st_size > 5000
    axes = plot_dma.dark(comparison.devices())
    assert [label.get_text() for label in axes.get_yticklabels()] == ["igroup", "v6.2"]


def test_without_streams_nothing_is_said_of_dma() -> None:
    counted = smmulab.compare(TRACE, "igroup")
    assert not [name for name in counted.devices() if name.startswith("dma_")]
    assert "DMA of each device" not in report.text(counted)


def test_streams_need_timed_hardware() -> None:
    with pytest.raises(smmulab.ConfigError, match=r"stream\.pattern needs smmuv3\.hardware"):
        smmulab.compare(TRACE, "igroup", set="stream.pattern=random")
