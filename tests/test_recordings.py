# SPDX-License-Identifier: Apache-2.0
"""Readers of operation logs, archives and kernel traces, on small made-up ones."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pandas as pd
import pytest

from recorded_logs import BINDS, HEADER, TRACE_HEAD, event, op, ops_log, trace
from smmulab.recordings import RecordingError, TextLog, open_recording
from smmulab.recordings.ftrace import OpFinder, read_events
from smmulab.recordings.op_kinds import add_kinds
from smmulab.recordings.op_stats import duration_stats, think_times, uncontended
from smmulab.recordings.ops_log import read_ops_log


def test_archive_members_and_checksum(tmp_path: Path) -> None:
    path = tmp_path / "RUN.tar.xz"
    with tarfile.open(path, "w:xz") as archive:
        for name, text in (("./b.ops.txt", b"one\ntwo\n"), ("./a.ops.txt", b"")):
            info = tarfile.TarInfo(name)
            info.size = len(text)
            archive.addfile(info, io.BytesIO(text))
    run = open_recording(path)
    assert run.name == "RUN"
    assert run.sha256 is not None
    assert run.shapes("ops.txt") == ["a", "b"]
    assert list(run.log("b.ops.txt").lines())[:2] == [(1, "one"), (2, "two")]
    with pytest.raises(RecordingError, match=r"^RUN: no member 'c.ops.txt'"):
        run.log("c.ops.txt")


def test_folder_and_single_file(tmp_path: Path) -> None:
    (tmp_path / "x.ops.txt").write_text("text\n")
    assert open_recording(tmp_path).shapes("ops.txt") == ["x"]
    assert open_recording(tmp_path / "x.ops.txt").log("x.ops.txt").text == "text\n"


def test_unusable_archives_are_named(tmp_path: Path) -> None:
    cut = tmp_path / "CUT.tar.xz"
    with tarfile.open(cut, "w:xz") as archive:
        info = tarfile.TarInfo("x")
        info.size = 1 << 16
        archive.addfile(info, io.BytesIO(bytes(range(256)) * 256))
    cut.write_bytes(cut.read_bytes()[:-200])
    with pytest.raises(RecordingError, match=r"CUT\.tar\.xz: damaged archive"):
        open_recording(cut)
    with pytest.raises(RecordingError, match="no such recording"):
        open_recording(tmp_path / "none.tar.xz")
    (tmp_path / "empty").mkdir()
    with pytest.raises(RecordingError, match="holds no files"):
        open_recording(tmp_path / "empty")


# --- operation log


def test_header_and_columns() -> None:
    log = ops_log(op(10, 12, 0, "attach", 0, pt=6))
    assert log.header.workload == "ioas2"
    assert log.header.hwpt_ioas == {6: 4, 7: 5, 8: 4}
    assert [log.header.group_size(dev) for dev in range(3)] == [1, 2, 2]
    assert log.frame.loc[0, "duration_ns"] == 2000


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r":1: not an operation log"),
        (HEADER.format(shape="auto"), r":11: no operations"),
        (HEADER.format(shape="auto") + "1 2 3\n", r":11: 3 columns where an operation has 13"),
        (HEADER.format(shape="auto") + op(9, 8, 0, "attach", 0), r":11: operation ends at 8000"),
        (
            HEADER.format(shape="auto") + op(8, 9, 0, "shrink", 0),
            r":11: unknown operation 'shrink'",
        ),
        (HEADER.format(shape="auto") + op(8, 9, 0, "attach", 5), r":11: attach of device 5"),
        (HEADER.format(shape="auto") + op(8, 9, 0, "bind", 0)[:-1], r":11: .*truncated"),
        (HEADER.format(shape="auto").replace("seed=1 ", ""), r":1: header lacks seed"),
        (HEADER.format(shape="auto").replace("ndev=3", "ndev=4"), "promises 4 devices"),
        (HEADER.format(shape="auto").replace("nhwpt=3", "nhwpt=9"), "promises 9 hwpts"),
        (HEADER.format(shape="auto").replace("iommufd_devid=2", ""), r":3: cannot read header"),
        (HEADER.format(shape="auto") + "1 x 0 0 map 0 0 0 0 0 0x0 0 0\n", r":11: 'x' is not a num"),
    ],
)
def test_bad_operation_logs(text: str, message: str) -> None:
    with pytest.raises(RecordingError, match=f"made/up.ops.txt.*{message}"):
        read_ops_log(TextLog("made/up.ops.txt", text))


def test_kinds_follow_the_group_and_the_ioas() -> None:
    log = ops_log(
        BINDS,
        op(10, 11, 0, "attach", 0, pt=6),
        op(12, 13, 0, "replace", 0, pt=6, old=6),
        op(14, 15, 0, "replace", 0, pt=8, old=6),
        op(16, 17, 0, "replace", 0, pt=7, old=8),
        op(18, 19, 0, "detach", 0, old=7),
        op(20, 21, 1, "attach", 1, pt=6),
        op(22, 23, 2, "attach", 2, pt=8, ret=-22),
        op(24, 25, 2, "attach", 2, pt=6),
        op(26, 27, 1, "replace", 1, pt=8, old=6),
        op(28, 29, 2, "replace", 2, pt=8, old=6),  # the group moved: nothing left to do
        op(30, 31, 1, "detach", 1, old=8),
        op(32, 33, 2, "detach", 2, old=8),
        "34000 35000 -1 0 destroy -1 0 -1 6 0 0x0 0 0\n",
        "36000 37000 -1 0 destroy -1 0 -1 4 0 0x0 0 0\n",
    )
    assert list(add_kinds(log)["kind"]) == [
        *["bind", "group_bind", "bind_join"],
        *["attach", "replace_same", "replace_in_ioas", "replace_across_ioas", "detach"],
        *["group_attach", "attach_refused", "attach_join"],
        *["group_replace_in_ioas", "group_replace_same", "detach_leave", "group_detach"],
        *["destroy_hwpt", "destroy_ioas"],
    ]


def test_automatic_domains_are_told_by_the_next_request() -> None:
    log = ops_log(
        op(10, 11, 0, "attach", 0, pt=20),
        op(12, 13, 0, "replace", 0, pt=20, old=4),
        op(14, 15, 0, "replace", 0, pt=21, old=4),
        op(16, 17, 0, "detach", 0, old=5),
        shape="auto",
    )
    kinds = ["attach_auto", "replace_same_auto", "replace_across_ioas_auto", "detach_auto"]
    assert list(add_kinds(log)["kind"]) == kinds


def test_duration_statistics_are_recorded_values() -> None:
    stats = duration_stats(pd.Series([5, 1, 9, 5, 7, 9, 2, 3, 4, 6]))
    assert stats.as_dict() == {
        "n": 10,
        "min_ns": 1,
        "p10_ns": 1,
        "median_ns": 5,
        "mode_ns": 5,
        "mode_n": 2,
        "p90_ns": 9,
    }
    with pytest.raises(ValueError, match="no durations"):
        duration_stats(pd.Series([], dtype="int64"))


def test_uncontended_operations_and_think_time() -> None:
    log = ops_log(
        op(10, 20, 0, "attach", 0, pt=6),
        op(21, 30, 0, "replace", 0, pt=8, old=6),
        op(29, 40, 1, "attach", 1, pt=6),
        op(44, 50, 0, "detach", 0, old=8),
    )
    assert list(uncontended(log.frame)["start_ns"]) == [10_000, 44_000]
    gaps = think_times(log.frame)
    assert gaps["attach -> replace"].median_ns == 1_000
    assert gaps["replace -> detach"].median_ns == 14_000


# --- traces


def test_trace_events_are_read() -> None:
    events = list(read_events(trace(event(7, 1_234_567, "map", "IOMMU: iova=0x0", comm="a b-c"))))
    assert [(e.comm, e.pid, e.cpu, e.time_ns, e.name) for e in events] == [
        ("a b-c", 7, 1, 1_234_567_000, "map")
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("hello\n", r":1: not an ftrace text"),
        (TRACE_HEAD.replace("9/9", "9/12"), r":3: .*3 events were lost"),
        (TRACE_HEAD + "CPU:1 [LOST 12 EVENTS]\n", r":4: not an ftrace event"),
        (TRACE_HEAD + event(1, 1, "map", "x")[:-1], "cut off"),
    ],
)
def test_bad_traces(text: str, message: str) -> None:
    with pytest.raises(RecordingError, match=f"^t{message}" if message[0] == ":" else message):
        list(read_events(TextLog("t", text)))


def test_operations_are_found_by_time() -> None:
    finder = OpFinder(ops_log(op(10, 12, 0, "attach", 0, pt=6)).frame)
    assert finder.find(0, 10_000) == 0
    assert finder.find(0, 12_000) == 0
    assert finder.find(0, 13_000) is None
    assert finder.find(0, 9_000) is None
