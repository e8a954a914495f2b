# SPDX-License-Identifier: Apache-2.0
"""The timed SMMU from Python: it is the default; DMA is in the tables, the text and the picture."""

from __future__ import annotations

from pathlib import Path

import pytest

import smmulab
from conftest import TRACES
from smmulab import plot_dma, report, store
from smmulab.config import default_parameters, inert_costs

TRACE = TRACES / "A_qdma_smp2-g_dma_4dev_2hwpt_2map.iotrace.zst"
STREAMS = {
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
    mean, most = devices["dma_tlb_reach_mean_bytes"], devices["dma_tlb_reach_max_bytes"]
    assert (most % 4096 == 0).all()
    assert ((mean > 0) & (mean <= most)).all()
    # 256 bytes every 1 us, less what is refused.
    assert (devices["dma_bytes_per_s"] <= 2.57e8).all()
    dark = devices.groupby("protocol")["dma_dark_total_ps"].sum()
    assert dark["v6.2"] > dark["igroup"]


def test_counters_are_rows_of_perf(comparison: smmulab.Comparison) -> None:
    pmu = comparison.pmu()
    assert list(pmu.columns) == ["protocol", "smmu", "unit", "event", "id", "count"]
    assert not pmu.duplicated(["protocol", "smmu", "unit", "id"]).any()
    assert set(pmu.loc[pmu["unit"] == "tcu", "event"]) > {"cycles", "tlb_miss", "cc_read"}
    passing = pmu[(pmu["event"] == "transaction") & pmu["unit"].str.startswith("tbu")]
    issued = comparison.devices().groupby("protocol")["dma_transactions"].sum()
    assert dict(passing.groupby("protocol")["count"].sum()) == dict(issued)
    counted = smmulab.compare(TRACE, "igroup", set="smmuv3.hardware=counted").pmu()
    assert counted.empty
    assert list(counted.columns) == list(pmu.columns)


def test_a_filter_leaves_some_of_them(comparison: smmulab.Comparison) -> None:
    one = {"smmuv3.pmu.filter_enable": True, "smmuv3.pmu.filter_stream_id": 0x10}
    found = smmulab.compare(TRACE, "igroup", set={**STREAMS, **one})
    some = found.pmu()
    every = comparison.pmu()
    every = every[every["protocol"] == "igroup"].reset_index(drop=True)
    assert some.drop(columns="count").equals(every.drop(columns="count"))
    filtered = some["id"].between(1, 7)
    assert (some["count"] == every["count"])[~filtered].all()
    assert (some["count"] <= every["count"])[filtered].all()
    passing = some[(some["event"] == "transaction") & some["unit"].str.startswith("tbu")]
    assert passing["count"].sum() in set(found.devices()["dma_transactions"])


def test_text_and_picture_show_them(comparison: smmulab.Comparison, tmp_path: Path) -> None:
    assert "DMA of each device" in report.text(comparison)
    store.save(comparison, tmp_path)
    assert (tmp_path / "dma_dark.png").stat().st_size > 5000
    axes = plot_dma.dark(comparison.devices())
    assert [label.get_text() for label in axes.get_yticklabels()] == ["igroup", "v6.2"]


def test_events_have_columns_and_a_thread(comparison: smmulab.Comparison) -> None:
    assert "dma_events" not in comparison.devices()
    slow = {"driver.events": True, "driver.evtq_log2": 0, "driver.evtq_entry": "10ms"}
    with_events = smmulab.compare(TRACE, ["igroup", "v6.2"], set={**STREAMS, **slow})
    devices = with_events.devices()
    told = devices["dma_events"] + devices["dma_events_lost"]
    assert (told <= devices["dma_faulted"] + 64).all()
    assert (told + 64 >= devices["dma_faulted"]).all()  # records under way at the end
    assert devices["dma_events"].sum() > 0
    assert devices["dma_events_lost"].sum() > 0
    text = report.text(with_events)
    assert "lost" in text
    threads = [thread["thread"] for thread in with_events.results[0]["threads"]]
    assert "irq/smmu0-evtq" in threads


def test_devices_with_ats_have_columns(comparison: smmulab.Comparison) -> None:
    assert "dma_atc_hits" not in comparison.devices()
    ats = {"machine.ats": "all", "stream.ats": True}
    with_ats = smmulab.compare(TRACE, "igroup", set={**STREAMS, **ats})
    devices = with_ats.devices()
    assert (devices["dma_atc_hits"] > 1000).all()
    assert (devices["dma_translation_requests"] > 0).all()
    assert "ATC hit %" in report.text(with_ats)
    assert "ATC hit: " in report.text(with_ats)
    with pytest.raises(smmulab.ConfigError, match=r"machine\.ats"):
        smmulab.compare(TRACE, "igroup", set={**STREAMS, "stream.ats": True})


def test_costs_of_events_are_inert_without_them() -> None:
    timed = {**default_parameters(), "smmuv3.hardware": "timed"}
    assert "driver.evtq_" in inert_costs(timed)
    assert "driver.evtq_" not in inert_costs({**timed, "driver.events": True})


def test_without_streams_nothing_is_said_of_dma() -> None:
    quiet = smmulab.compare(TRACE, "igroup")
    assert quiet.config["smmuv3.hardware"] == "timed"
    assert not [name for name in quiet.devices() if name.startswith("dma_")]
    assert "DMA of each device" not in report.text(quiet)


def test_streams_need_timed_hardware() -> None:
    with pytest.raises(smmulab.ConfigError, match=r"stream\.pattern needs smmuv3\.hardware"):
        smmulab.compare(TRACE, "igroup", set=["smmuv3.hardware=counted", "stream.pattern=random"])


def test_a_cost_of_counted_hardware_is_refused_where_it_would_do_nothing(tmp_path: Path) -> None:
    nothing = r"hw\.sync = 1us counts for nothing with smmuv3\.hardware = timed"
    for refused in (
        lambda: smmulab.compare(TRACE, "igroup", set="hw.sync=1us"),
        lambda: smmulab.run(smmulab.Config.of(["hw.sync=1us"]), TRACE),
        lambda: smmulab.whatif(TRACE, set="hw.sync=1us"),
        lambda: smmulab.blame(TRACE, set="hw.sync=1us"),
    ):
        with pytest.raises(smmulab.ConfigError, match=nothing):
            refused()
    config = smmulab.Config.of({"devices": 2, "ops": 40}, workload=smmulab.Workload())
    with pytest.raises(smmulab.ConfigError, match=nothing):
        smmulab.sweep(config, {"hw.sync": ["250ns", "1us"]}, out=tmp_path / "timed")
    assert not (tmp_path / "timed").exists()  # before any run
    both = {"smmuv3.hardware": ["counted", "timed"], "hw.sync": ["250ns", "1us"]}
    done = smmulab.sweep(
        config,
        both,
        out=tmp_path / "both",
        where=lambda p: p["smmuv3.hardware"] == "counted" or p["hw.sync"] == "250ns",
    )
    rates = done.frame().set_index(["param.smmuv3.hardware", "param.hw.sync_ps"])["ops_per_s"]
    assert len(rates) == 3
    assert rates["counted", 10**6] < rates["counted", 250_000]


@pytest.mark.parametrize("preset", [name for name, _ in smmulab._core.smmu_presets()])
def test_every_smmu_preset_replays(small_trace: Path, preset: str) -> None:
    setting = f"smmuv3.preset={preset}"
    if preset == "qemu":  # has an IOTLB and nothing else
        with pytest.raises(smmulab.ConfigError, match=r"utlb_entries must not be 0"):
            smmulab.compare(small_trace, "igroup", set=setting)
        return
    found = smmulab.compare(small_trace, "igroup", set=setting)
    assert found.results[0]["status"] == "ok"


def test_spinning_is_for_locks_and_not_for_the_smmu(small_trace: Path) -> None:
    """A thread alone waits for CMD_SYNCs and for nobody; with either hardware."""
    config = smmulab.Config(workload=smmulab.Workload(devices=1, ops=40))
    for hardware in ("timed", "counted"):
        row = smmulab.run(config.replace({"smmuv3.hardware": hardware}), seed=1)
        assert smmulab.tables.summary_row(row.document)["spin_cpu_ps"] == 0
    two = smmulab.compare(small_trace, "one-lock").summary()
    assert 0 < two["spin_cpu_ps"][0] <= two["lock_wait_total_ps"][0]


def test_a_stream_that_finds_nothing_mapped_is_said() -> None:
    trace = TRACES / "A_ic_smp2-b_spread_8dev_4hwpt.iotrace.zst"
    stream = {"stream.pattern": "random", "stream.interval": "1us", "stream.devices": 1}
    (warning,) = (
        text
        for text in smmulab.compare(trace, "igroup", set=stream).warnings
        if text.startswith("no device issued DMA")
    )
    assert "stream.footprint_kib" in warning
    own = {**stream, "stream.footprint_kib": 64}
    others = smmulab.compare(trace, "igroup", set=own).warnings
    assert not [text for text in others if text.startswith("no device issued DMA")]
