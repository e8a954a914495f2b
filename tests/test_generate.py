# SPDX-License-Identifier: Apache-2.0
"""Are generated traces valid for every shape, the same for the same seed, and what was asked for?"""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

import smmulab
from smmulab import Workload, _core, cli, generate

SHAPES = st.fixed_dictionaries(
    {
        "devices": st.integers(1, 12),
        "groups": st.integers(0, 5),
        "smmus": st.integers(1, 2),
        "hwpts": st.integers(2, 5),
        "ioases": st.integers(1, 3),
        "threads": st.integers(0, 6),
        "cpus": st.integers(0, 3),
        "ops": st.integers(20, 120),
        "mix": st.sampled_from(
            ["replace=1", "attach=1,replace=2,map=3,unmap=3", "attach=1,unmap=1"]
        ),
        "think": st.sampled_from(["0", "exp:5us", "const:1us", "uniform:1us..3us"]),
        "areas": st.integers(1, 3),
        "drive": st.sampled_from(["group", "device"]),
    }
)


def lines_of(path: Path) -> list[str]:
    return path.read_text().splitlines()


def run_lines(path: Path) -> list[list[str]]:
    lines = lines_of(path)
    return [line.split() for line in lines[lines.index("phase run") + 1 : -1]]


@given(SHAPES, st.integers(0, 2**63 - 1))
@settings(max_examples=30, deadline=None)
def test_no_operation_fails_whatever_the_shape(shape: dict[str, object], seed: int) -> None:
    try:
        workload = Workload.of(shape)
    except smmulab.ConfigError:
        return
    with TemporaryDirectory() as folder:
        path = Path(folder) / "t.iotrace"
        made = generate(workload, path, seed)
        result = smmulab.compare(path, "igroup", set="replay.think=recorded").results[0]
        assert result["status"] == "ok", result["message"]
        assert result["operations"] == made.operations
        assert result["main_operations"] == workload.ops
        assert sum(kind["errors"] for kind in result["kinds"]) == 0


def test_seed_and_shape_determine_the_bytes(tmp_path: Path) -> None:
    workload = Workload(
        devices=4, ops=300, mix="attach=1,replace=8,map=4,unmap=4", think="exp:20us"
    )
    paths = [tmp_path / f"{name}.iotrace" for name in "abc"]
    for path, seed in zip(paths, (7, 7, 8), strict=True):
        generate(workload, path, seed)
    assert paths[0].read_bytes() == paths[1].read_bytes()
    assert run_lines(paths[0]) != run_lines(paths[2])
    # Fixed once and for all: another numpy must give the same trace.
    assert _core.trace_hash(str(paths[0])) == "abc8255d63cc5c2b48d32ba6348ef520"


def test_compressed_is_the_same_text_with_a_checksum(tmp_path: Path) -> None:
    workload = Workload(devices=2, ops=50)
    plain, packed = tmp_path / "t.iotrace", tmp_path / "t.iotrace.zst"
    made = generate(workload, plain)
    generate(workload, packed)
    data = packed.read_bytes()
    assert zstandard.get_frame_parameters(data).has_checksum
    assert zstandard.ZstdDecompressor().stream_reader(data).read() == plain.read_bytes()
    assert made.bytes == plain.stat().st_size
    assert _core.trace_hash(str(packed)) == _core.trace_hash(str(plain))


def test_the_mix_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "t.iotrace"
    generate(Workload(devices=8, ops=8000, mix="attach=1,replace=8,map=4,unmap=4"), path)
    seen = Counter(words[2] for words in run_lines(path))
    # 17 parts, of which attach is two operations: 18 in all. Three standard deviations: about 4 %.
    assert seen["detach"] - seen["attach"] in range(9)  # at the end a thread may be between the two
    assert seen["detach"] / 8000 == pytest.approx(1 / 18, rel=0.15)
    assert seen["replace"] / 8000 == pytest.approx(8 / 18, rel=0.05)
    # A random walk between 0 and 16 areas reflects at both ends: maps and unmaps balance.
    assert seen["map"] - seen["unmap"] in range(8 * 16 + 1)


def test_think_times_have_the_mean_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "t.iotrace"
    for think, low, high in (("exp:20us", 0, 400), ("uniform:10us..30us", 10, 30)):
        generate(Workload(devices=1, hwpts=2, ops=4001, think=think), path)
        times = [int(words[0]) for words in run_lines(path)]
        gaps = [(b - a) / 1000 for a, b in pairwise(times)]
        assert sum(gaps) / len(gaps) == pytest.approx(20, rel=0.05)  # 3 sigma of exp: 4.7 %
        assert low <= min(gaps)
        assert max(gaps) <= high


def test_without_think_times_threads_take_turns(tmp_path: Path) -> None:
    path = tmp_path / "t.iotrace"
    generate(Workload(devices=5, ops=100), path)
    assert Counter(words[1] for words in run_lines(path)) == dict.fromkeys("01234", 20)


def test_a_replay_keeps_the_think_times(tmp_path: Path) -> None:
    config = smmulab.Config(workload=Workload(devices=1, ops=200, think="const:1ms"))
    # Some microseconds of each millisecond are the replace itself.
    assert smmulab.run(config).ops_per_s == pytest.approx(1000, rel=0.01)
    assert smmulab.run(config.replace({"think": "0"})).ops_per_s > 100_000
    path = tmp_path / "t.iotrace"
    generate(Workload(ops=100), path)
    assert "dur=" not in path.read_text()


def test_another_thread_does_not_move_the_numbers_of_the_first(tmp_path: Path) -> None:
    """With devices of its own and hwpts in common, a thread does the same beside others."""
    words = []
    for devices in (1, 3):
        path = tmp_path / f"{devices}.iotrace"
        generate(Workload(devices=devices, ops=40 * devices, hwpts=3), path, 5)
        words.append([line[2:] for line in run_lines(path) if line[1] == "0"])
    ids = [[word.replace("pt=", "") for _, _, word in line] for line in words]
    assert ids[0][:30] == ids[1][:30]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"devcies": 3}, r"unknown key of the generator 'devcies'; did you mean 'devices'\?"),
        ({"devices": 0}, "devices: expected a whole number from 1 to 65536, not '0'"),
        ({"mix": "atach=1"}, "unknown kind of operation in mix 'atach'; did you mean 'attach'"),
        ({"mix": "map=0"}, "no operation has a weight above 0"),
        ({"mix": "map"}, "is not KIND=WEIGHT"),
        ({"think": "exp:20"}, "needs one of the units"),
        ({"think": "gauss:20us"}, "unknown distribution"),
        ({"think": "exp:1.5ns"}, "not whole nanoseconds"),
        ({"devices": 2, "groups": 3}, "some are empty"),
        ({"ops": 21}, "not more than the 21 operations of the set-up"),
        ({"hwpts": 1}, "replace needs two hwpts"),
        ({"map_bytes": 4097}, "not whole pages"),
        ({"threads": 9}, "9 threads for 8 groups"),
        ({"groups": 2, "drive": "device", "mix": "attach=1"}, "would fail by chance"),
    ],
)
def test_what_cannot_be_is_refused(values: dict[str, object], message: str) -> None:
    with pytest.raises(smmulab.ConfigError, match=message):
        Workload.of(values)


def test_a_workload_goes_through_its_dictionary() -> None:
    workload = Workload(devices=6, groups=3, mix={"map": 1, "attach": 2}, map_bytes="1MiB")
    assert Workload.of(workload.given) == workload
    resolved = Workload.of(workload.to_dict())
    assert resolved.to_dict() == workload.to_dict()
    assert resolved != workload  # its threads no longer follow
    assert workload.to_dict()["mix"] == {"attach": 2, "map": 1}
    assert workload.map_bytes == 1 << 20


def test_a_stopped_generation_leaves_no_file(tmp_path: Path) -> None:
    with pytest.raises(smmulab.Interrupted):
        generate(Workload(ops=20_000), tmp_path / "t.iotrace", progress=lambda lines: lines < 9000)
    assert list(tmp_path.iterdir()) == []


def test_two_may_write_one_trace_at_a_time(tmp_path: Path) -> None:
    path, workload = tmp_path / "t.iotrace", Workload(ops=20_000)
    text = generate(workload, tmp_path / "same.iotrace").path.read_bytes()
    others = []

    def other_writes(_lines: int) -> bool:
        if not others:
            others.append(generate(workload, path))
        return True

    generate(workload, path, progress=other_writes)
    assert len(others) == 1
    assert path.read_bytes() == text
    assert {file.name for file in tmp_path.iterdir()} == {"t.iotrace", "same.iotrace"}


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "t.iotrace.zst"
    argv = "generate --devices 4 --mix attach=1,replace=8 --think exp:20us --ops 100 --seed 3 -o"
    assert cli.main([*argv.split(), str(out)]) == 0
    assert "113 operations" in capsys.readouterr().out
    same = tmp_path / "same.iotrace"
    mix = "attach=1,replace=8"
    generate(Workload(devices=4, mix=mix, think="exp:20us", ops=100), same, 3)
    assert _core.trace_hash(str(out)) == _core.trace_hash(str(same))
    assert cli.main(["generate", "--devices", "x", "-o", str(out)]) == 2
    assert "devices: expected a whole number" in capsys.readouterr().err
    assert cli.main(["generate", "-o", str(tmp_path / "t.txt")]) == 2
    assert cli.main(["generate", "-o", str(tmp_path / "no" / "t.iotrace")]) == 2


def test_memory_does_not_grow_with_the_trace(tmp_path: Path) -> None:
    code = (
        "import resource, sys; from smmulab import Workload, generate;"
        "generate(Workload(devices=16, ops=int(sys.argv[1])), sys.argv[2]);"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
    )
    peak = [
        int(
            subprocess.run(
                [sys.executable, "-c", code, str(ops), str(tmp_path / "t.iotrace.zst")],
                capture_output=True,
                check=True,
                text=True,
            ).stdout
        )
        for ops in (1000, 100_000)
    ]
    assert peak[1] - peak[0] < 3 * 1024  # KiB; the text is 3 MB
