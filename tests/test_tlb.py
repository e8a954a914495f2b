# SPDX-License-Identifier: Apache-2.0
"""`smmulab tlb`: sweeps of sizes against patterns; errors of what it is given."""

from __future__ import annotations

import argparse
from pathlib import Path

import pandas as pd
import pytest

import smmulab
from smmulab import ConfigError, _core
from smmulab.cli import main
from smmulab.commands import tlb


def swept(*arguments: str) -> pd.DataFrame:
    parser = argparse.ArgumentParser()
    tlb.configure(parser)
    return tlb.study(parser.parse_args([*arguments, "-s", "smmuv3.utlb_entries=0"]))


def test_a_ring_hits_from_the_size_that_holds_it() -> None:
    frame = swept(
        "--footprint", "1M", "-s", "smmuv3.mtlb_policy=lru",
        "--sweep", "smmuv3.mtlb_entries=64,128,256,512",
    )  # fmt: skip
    assert list(frame["hit_ratio"]) == [0.0, 0.0, 1.0, 1.0]  # 256 pages of 4K
    assert list(frame["walks"])[:2] == [160000, 160000]  # all but the warm-up


def test_larger_pages_reach_further() -> None:
    for page, least in (("4k", 256), ("64k", 16)):
        frame = swept(
            "--footprint", "1M", "--page", page, "-s", "smmuv3.mtlb_policy=lru",
            "-s", "smmuv3.mtlb_ways=0", "--sweep", f"smmuv3.mtlb_entries={least // 2},{least}",
        )  # fmt: skip
        assert frame["hit_ratio"].iloc[1] == 1.0
        assert frame["hit_ratio"].iloc[0] < 1.0


def time_ns(*keys: str) -> float:
    """The sum of times that are parameters, at their defaults."""
    defaults = {p.key: p.default for p in _core.parameters()}
    assert all(defaults[key].endswith("ns") for key in keys)
    return sum(float(defaults[key].removesuffix("ns")) for key in keys)


MICRO, MAIN = "smmuv3.tbu.micro_lookup", "smmuv3.tbu.main_lookup"


def test_what_a_tlb_holds_takes_a_look_up() -> None:
    lru = {"smmuv3.utlb_policy": "lru", "smmuv3.mtlb_policy": "lru", "smmuv3.utlb_entries": 16}
    row = smmulab.tlb(footprint="64k", accesses=5_000, values=[256], set=lru).iloc[0]
    assert row["hit_ratio"] == 1
    assert row["mean_ns"] == row["p50_ns"] == row["p99_ns"] == time_ns(MICRO)
    # Twice the micro TLB in a ring: LRU has always just lost what comes next.
    row = smmulab.tlb(footprint="128k", accesses=5_000, values=[256], set=lru).iloc[0]
    assert row["utlb_hits"] == 0
    assert row["mean_ns"] == row["p50_ns"] == row["p99_ns"] == time_ns(MICRO, MAIN)


@pytest.mark.parametrize("pattern", ["ring", "random"])
def test_latency_falls_as_the_tlb_grows(pattern: str) -> None:
    frame = smmulab.tlb(
        pattern=pattern,
        footprint="1M",
        accesses=20_000,
        values=[32, 64, 128, 256, 512],
        set={"smmuv3.mtlb_policy": "lru", "smmuv3.utlb_entries": 16},
    )
    for name in ("mean_ns", "p50_ns", "p99_ns"):
        assert frame[name].is_monotonic_decreasing, name
    assert frame["mean_ns"].iloc[0] > 2 * frame["mean_ns"].iloc[-1]
    clear = frame[(frame["hit_ratio"] - 0.5).abs() > 0.1]
    way = time_ns("smmuv3.link.dti") * 2  # to the TCU and back
    assert clear["p50_ns"].gt(way).eq(clear["hit_ratio"] < 0.5).all()


def test_accesses_under_way_at_once_wait_for_each_other() -> None:
    """Walks that read share the memory's channel."""

    def mean(outstanding: int) -> float:
        frame = smmulab.tlb(
            footprint="1M", accesses=5_000, outstanding=outstanding, values=[32],
            set=["smmuv3.mtlb_policy=lru", "smmuv3.wc_s1l3=0"],
        )  # fmt: skip
        return float(frame["mean_ns"].iloc[0])

    assert mean(64) > mean(1)
    for wrong in (-1, 65537):
        with pytest.raises(ConfigError, match=f"outstanding {wrong}: expected an integer from 0"):
            mean(wrong)


def test_nothing_is_timed_if_not_asked_for_or_without_caches() -> None:
    for more in (
        {"outstanding": 0},
        {"set": "smmuv3.utlb_entries=0"},
        {"set": "smmuv3.cc_entries=0"},
    ):
        frame = smmulab.tlb(accesses=1_000, values=[32, 64], **more)  # type: ignore[arg-type]
        assert frame[["mean_ns", "p50_ns", "p99_ns"]].isna().all(axis=None)
        assert frame["hit_ratio"].notna().all()


def test_a_trace_is_timed_with_its_invalidations(tmp_path: Path) -> None:
    trace = tmp_path / "inv.dma"
    head = "smmulab-dma 1\nmap 1 0x1000 0x8000 4k\ndma 1 1 0x1000\n"
    p50 = {}
    for between in ("", "inv 1 0x1000 4k\n", "inv 1\n", "inv *\n", "cfgi 1\n", "cfgi *\n"):
        trace.write_text(head + f"{between}dma 1 1 0x1008\n" * 300)
        p50[between] = smmulab.tlb(trace, values=[64])["p50_ns"].iloc[0]
    micro = p50.pop("")
    assert micro == time_ns(MICRO)
    assert all(time > micro + 2 * time_ns("smmuv3.link.dti") for time in p50.values())


def test_the_function_gives_what_the_command_writes(tmp_path: Path) -> None:
    frame = smmulab.tlb(
        pattern="random",
        footprint=1 << 20,
        accesses=20_000,
        values=[64, 128],
        set={"smmuv3.preset": "mmu700-typical", "smmuv3.mtlb_policy": "lru"},
    )
    command = [
        "--pattern", "random", "--footprint", "1M", "--accesses", "20000",
        "--preset", "mmu700-typical", "-s", "smmuv3.mtlb_policy=lru",
        "--sweep", "smmuv3.mtlb_entries=64,128",
    ]  # fmt: skip
    assert main(["tlb", *command, "-o", str(tmp_path)]) == 0
    written = pd.read_csv(tmp_path / "tlb.csv", dtype={"value": str})
    pd.testing.assert_frame_equal(frame, written)
    assert list(frame["value"]) == ["64", "128"]
    assert frame["hit_ratio"].is_monotonic_increasing
    assert frame["accesses"].eq(16_000).all()  # all but the warm-up


def test_the_function_runs_a_trace(tmp_path: Path) -> None:
    trace = tmp_path / "two.dma"
    trace.write_text("smmulab-dma 1\nmap 1 0x1000 0x2000 4k\ndma 1 1 0x1000\ndma 1 1 0x1008\n")
    frame = smmulab.tlb(trace, vary="smmuv3.utlb_entries", values=[4])
    assert list(frame[["key", "value"]].iloc[0]) == ["smmuv3.utlb_entries", "4"]
    assert list(frame[["accesses", "walks", "utlb_hits"]].iloc[0]) == [2, 1, 1]
    assert frame["hit_ratio"].iloc[0] == 0.5
    with pytest.raises(ConfigError, match="a trace or a pattern, not both"):
        smmulab.tlb(trace, pattern="ring")
    with pytest.raises(ConfigError, match="no values"):
        smmulab.tlb(trace, values=[])


def test_table_and_figure_are_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    arguments = ["--accesses", "20000", "--pattern", "random", "-o", str(out)]
    assert main(["tlb", *arguments, "--preset", "mmu700-typical"]) == 0
    assert (out / "tlb.png").stat().st_size > 1000
    assert len(pd.read_csv(out / "tlb.csv")) == 8
    out_text = capsys.readouterr().out
    assert all(name in out_text for name in ("hit_ratio", "mean_ns", "p50_ns", "p99_ns"))
    assert "with 1 under way at once" in out_text


def test_without_a_look_up_there_is_no_ratio(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trace = tmp_path / "maps.dma"
    trace.write_text("smmulab-dma 1\nmap 1 0x1000 0x2000 4k\ninv 1\n")
    frame = swept(str(trace), "--sweep", "smmuv3.mtlb_entries=32,64")
    assert frame["hit_ratio"].isna().all()
    assert frame["reads_per_access"].isna().all()
    assert main(["tlb", str(trace), "-o", str(tmp_path / "out")]) == 0
    assert capsys.readouterr().out.splitlines()[2].split()[-5:] == ["-"] * 5
    assert pd.read_csv(tmp_path / "out" / "tlb.csv")["hit_ratio"].isna().all()
    assert (tmp_path / "out" / "tlb.png").stat().st_size > 1000


def test_walks_without_reads_are_explained(capsys: pytest.CaptureFixture[str]) -> None:
    """A walk cache has the leaf: walks, and no read. Without it each walk reads once at least."""
    argv = ["tlb", "--page", "64k", "--sweep", "smmuv3.mtlb_entries=32"]
    assert main(argv) == 0
    words = "one whose last entry is in a walk cache (smmuv3.wc_*) reads no table"
    assert words in capsys.readouterr().out
    assert main([*argv, "-s", "smmuv3.wc_s1l3=0"]) == 0
    assert words not in capsys.readouterr().out
    row = smmulab.tlb(page="64k", values=[32], set={"smmuv3.wc_s1l3": 0}).iloc[0]
    assert row["walk_reads"] >= row["walks"] > 0


@pytest.mark.parametrize("oas", ["32", "36", "40", "48"])
@pytest.mark.parametrize("pattern", ["ring", "random", "strided"])
def test_patterns_run_with_any_output_address_size(oas: str, pattern: str) -> None:
    frame = swept(
        "--pattern", pattern, "--accesses", "5000", "-s", f"smmuv3.oas={oas}",
        "--sweep", "smmuv3.mtlb_entries=64",
    )  # fmt: skip
    assert list(frame["faults"]) == [0]
    assert list(frame["walks"] + frame["mtlb_hits"]) == [4000]


@pytest.mark.parametrize(
    ("line", "column", "words"),
    [
        ("inv 1 0x1000 0", 14, "size is a multiple of 4096, at least 4096"),
        ("inv 1 0x1000 100", 14, "size is a multiple of 4096"),
        ("inv 1 0x1010 4k", 7, "IOVA is a multiple of 4096"),
        ("inv 1 0xfffffffff000 8k", 22, "IOVA + size is at most 0x1000000000000"),
        ("unmap 1 0x1000 0", 16, "size is a multiple of 4096"),
        ("map 1 0x1000 0x2000 1k", 21, "size is a multiple of 4096"),
        ("map 1 0x1000 0x2000 4k ro ro", 27, "unexpected 'ro'"),
    ],
)
def test_areas_of_a_trace_are_whole_pages_of_the_space(
    tmp_path: Path, line: str, column: int, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "bad.dma"
    path.write_text(f"smmulab-dma 1\n{line}\n")
    assert main(["tlb", str(path)]) == 2
    assert f"{path}:2:{column}: {words}" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--preset", "mmu800"], "unknown SMMU preset 'mmu800'"),
        (
            ["--preset", "mmu700-max", "--sweep", "smmuv3.mtlb_entries=48"],
            "an MMU-700 has 0 or a power of 2 from 32 to 65536",
        ),
        (["--sweep", "smmuv3.mtlb_entries"], "expected KEY=V1,V2"),
        (["--page", "8k"], "expected one of 4k, 64k, 2M, 32M, 1G"),
        (["--footprint", "lots"], "expected a size"),
        (["--outstanding", "70000"], "outstanding 70000: expected an integer from 0 to 65536"),
        (["-s", "smmuv3.mtlb_policy=mru"], "smmuv3.mtlb_policy"),
    ],
)
def test_errors_name_key_and_range(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["tlb", *arguments]) == 2
    assert words in capsys.readouterr().err


def test_a_malformed_trace_names_its_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "bad.dma"
    path.write_text("smmulab-dma 1\nmap 1 0x1000 0x2000\n")
    assert main(["tlb", str(path)]) == 2
    assert f"{path}:2:20: expected size" in capsys.readouterr().err


def test_presets_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["describe", "smmuv3"]) == 0
    out = capsys.readouterr().out
    for name, _ in _core.smmu_presets():
        assert name in out
    assert "smmuv3.mtlb_entries = 2048  [0 .. 65536]" in out
