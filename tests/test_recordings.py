# SPDX-License-Identifier: Apache-2.0
"""Readers of recordings: on small made-up logs, and on the recorded runs where they are present."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pandas as pd
import pytest

from smmulab.recordings import RecordingError, TextLog, load_reference, open_recording
from smmulab.recordings import extract as extraction
from smmulab.recordings.contention import read_contention, static_locks
from smmulab.recordings.ftrace import OpFinder, read_events
from smmulab.recordings.lockdep_log import read_lock_sequences
from smmulab.recordings.map_costs import mapping_ops
from smmulab.recordings.op_kinds import add_kinds
from smmulab.recordings.op_stats import duration_stats, think_times, uncontended
from smmulab.recordings.ops_log import OpsLog, read_ops_log

TRACES = Path(__file__).parents[2] / "shared" / "traces"
with_runs = pytest.mark.skipif(
    not (TRACES / "runs").is_dir(), reason="no recorded runs beside the project (../shared/traces)"
)

HEADER = """\
# iofd_bench shape={shape} iters=3 ndev=3 nhwpt=3 nioas=2 nmap=0 think=0 pin=1 maplen=16 detp=20 \
seed=1 run_ns=1000
# dev 0 bdf=0000:00:02.0 iommu_group=7 iommufd_devid=1
# dev 1 bdf=0000:00:0c.0 iommu_group=9 iommufd_devid=2
# dev 2 bdf=0000:00:0c.1 iommu_group=9 iommufd_devid=3
# ioas 0 id=4
# ioas 1 id=5
# hwpt 0 id=6 ioas=4
# hwpt 1 id=7 ioas=5
# hwpt 2 id=8 ioas=4
# start_ns end_ns thread cpu_at_end op dev devid group pt_id old_pt_id iova len ret
"""
TRACE_HEAD = """\
# tracer: nop
#
# entries-in-buffer/entries-written: 9/9   #P:2
"""


def op(
    start_us: int,
    end_us: int,
    thread: int,
    name: str,
    dev: int,
    pt: int = 0,
    old: int = 0,
    ret: int = 0,
) -> str:
    """A log line of a device operation, times in microseconds."""
    ids = f"{dev} {dev + 1} {9 if dev else 7}"
    return f"{start_us}000 {end_us}000 {thread} 0 {name} {ids} {pt} {old} 0x0 0 {ret}\n"


BINDS = op(1, 2, -1, "bind", 0) + op(3, 4, -1, "bind", 1) + op(5, 6, -1, "bind", 2)


def ops_log(*lines: str, shape: str = "ioas2") -> OpsLog:
    """Parse made-up operations under the usual header."""
    return read_ops_log(TextLog("made/up.ops.txt", HEADER.format(shape=shape) + "".join(lines)))


def event(pid: int, time_us: int, name: str, args: str, comm: str = "iofd_bench") -> str:
    """A trace line."""
    stamp = f"{time_us // 1_000_000}.{time_us % 1_000_000:06d}"
    return f"  {comm}-{pid}     [001] .....    {stamp}: {name}: {args}\n"


def trace(*lines: str) -> TextLog:
    """A made-up ftrace text."""
    return TextLog("made/up.trace.txt", TRACE_HEAD + "".join(lines))


# --- archive


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


def lock(pid: int, time_us: int, sign: str, address: str, name: str) -> str:
    """A lockdep trace line."""
    kind = "lock_acquire" if sign == "+" else "lock_release"
    return event(pid, time_us, kind, f"{address} {name}")


BOUND = event(50, 5, "attach_device_to_domain", "IOMMU: device=0000:00:02.0")
ONE_REPLACE = (
    BINDS,
    op(10, 20, 0, "replace", 0, pt=8, old=6),
    op(11, 20, 1, "replace", 1, pt=8, old=6),
    op(12, 20, 2, "replace", 2, pt=8, old=6),
)
OTHERS = event(61, 11, "map", "x") + event(62, 12, "map", "x")


def test_lock_sequence_of_an_operation() -> None:
    text = trace(
        BOUND,
        lock(60, 10, "+", "a1", "&new_dev_set->lock"),
        lock(60, 11, "+", "b1", "&xa->xa_lock"),
        lock(60, 11, "-", "b1", "&xa->xa_lock"),
        event(60, 11, "lock_acquired", "b1 &xa->xa_lock"),
        lock(60, 12, "+", "c1", "read &iopt->domains_rwsem"),
        lock(60, 12, "+", "c2", "&iopt->iova_rwsem"),
        lock(60, 13, "+", "d1", "arm_smmu_asid_lock.wait_lock"),
        event(60, 13, "attach_device_to_domain", "IOMMU: device=0000:00:02.0"),
        event(60, 13, "attach_device_to_domain", "IOMMU: device=0000:00:02.0"),
        lock(60, 14, "-", "c2", "&iopt->iova_rwsem"),
        lock(60, 14, "-", "c1", "&iopt->domains_rwsem"),
        lock(60, 20, "-", "a1", "&new_dev_set->lock"),
        lock(60, 25, "+", "a1", "&new_dev_set->lock"),  # after the operation
        lock(99, 12, "+", "e1", "&mm->mmap_lock").replace("iofd_bench", "sh"),
        OTHERS,
    )
    found = read_lock_sequences(text, ops_log(*ONE_REPLACE), "made")
    words = (
        "+M dev_set->lock",
        "+S objects.xa_lock",
        "-S objects.xa_lock",
        "+R domains_rwsem",
        "+W iova_rwsem",
        "{attach_device_to_domain}",
        "-W iova_rwsem",
        "-R domains_rwsem",
        "-M dev_set->lock",
    )
    assert found.by_kind["replace_across_ioas"] == {words: 1}
    assert found.dropped == {"arm_smmu_asid_lock.wait_lock": 1}


def test_unknown_lock_class_and_missing_thread_are_refused() -> None:
    ops = ops_log(*ONE_REPLACE)
    odd = trace(BOUND, lock(60, 10, "+", "a1", "&odd->lock"), OTHERS)
    with pytest.raises(RecordingError, match=r"made/up.trace.txt:5: lock class '&odd->lock'"):
        read_lock_sequences(odd, ops, "made")
    with pytest.raises(RecordingError, match="2 tasks of iofd_bench for 3 threads"):
        read_lock_sequences(trace(BOUND, OTHERS), ops, "made")
    with pytest.raises(RecordingError, match="cannot tell the program's main thread"):
        read_lock_sequences(trace(OTHERS), ops, "made")


def wait(pid: int, time_us: int, address: str, flags: str | None = None) -> str:
    """A begin (with flags) or end of a wait for a lock."""
    if flags is None:
        return event(pid, time_us, "contention_end", f"{address} (ret=0)")
    return event(pid, time_us, "contention_begin", f"{address} (flags={flags})")


def test_contended_acquisition_counts_once() -> None:
    text = trace(
        BOUND,
        wait(60, 11, "ffff80000001", "SPIN|MUTEX"),
        wait(60, 12, "ffff80000001", "MUTEX"),
        wait(60, 13, "ffff80000001", "SPIN|MUTEX"),
        wait(60, 14, "ffff80000001"),
        wait(61, 12, "aa", "SPIN|MUTEX"),
        wait(62, 13, "aa", "SPIN|MUTEX"),
        wait(61, 14, "aa"),
        wait(62, 15, "aa"),
        wait(60, 15, "bb", "WRITE"),
        wait(60, 16, "bb"),
        wait(60, 25, "cc", "READ"),
        wait(60, 26, "cc"),
    )
    found = read_contention(text, ops_log(*ONE_REPLACE), "made", {"ffff80000001": "asid_lock"})
    assert found.counts["mutex"] == {"asid_lock": 1, "igroup->lock": 2}
    assert found.begins["mutex"] == {"asid_lock": 3, "igroup->lock": 2}
    assert found.counts["rwsem_write"] == {"iova_rwsem": 1}
    assert found.counts["rwsem_read"] == {"outside": 1}
    assert found.share("mutex", "asid_lock") == pytest.approx(1 / 3)
    assert found.share("spin", "asid_lock") == 0.0
    assert found.acquisitions[0].end_ns == 14_000


def test_end_of_a_wait_that_never_began() -> None:
    text = trace(BOUND, event(60, 10, "map", "x"), OTHERS, wait(60, 14, "aa"))
    with pytest.raises(RecordingError, match="never began"):
        read_contention(text, ops_log(*ONE_REPLACE), "made", {})


def test_static_locks_by_caller() -> None:
    unlock = "(mutex_unlock+0x0/0x50) lock=0x{} caller={}+0xa8/0xe0"
    text = trace(
        event(1, 1, "mutex_unlock", unlock.format("ffff80008076ec40", "arm_smmu_attach_dev_ste")),
        event(1, 2, "mutex_unlock", unlock.format("ffff00000076ec40", "arm_smmu_attach_dev_ste")),
        event(1, 3, "mutex_unlock", unlock.format("ffff800080000000", "pipe_read")),
    )
    assert static_locks(text) == {"ffff80008076ec40": "asid_lock"}


# --- the recorded runs


@pytest.fixture(scope="module")
def figures() -> extraction.Figures:
    return extraction.extract(TRACES)


@with_runs
def test_shipped_reference_is_what_the_runs_give(figures: extraction.Figures) -> None:
    assert extraction.render(figures) == extraction.render(load_reference().raw)


@with_runs
def test_published_contention_counts(figures: extraction.Figures) -> None:
    """The traces' README gives, per shape, mutex begins on asid_lock and in all."""
    published = {
        "a_attach1_8dev_1hwpt": (5095, 5095),
        "b_spread_8dev_4hwpt": (2099, 2099),
        "c_ioas2_8dev_4hwpt": (2695, 2695),
        "c2_auto_8dev_2ioas": (604, 2991),
        "d_mapmix_4dev_4hwpt_4map": (380, 380),
        "e_group4_replace_4hwpt": (0, 1728),
        "e2_group4_plus4dev_replace_4hwpt": (905, 2636),
    }
    shapes = figures["contention"]["shapes"]
    for shape, (on_asid, total) in published.items():
        begins = {name: counts["begins"] for name, counts in shapes[shape]["mutex"].items()}
        assert (begins.get("asid_lock", 0), sum(begins.values())) == (on_asid, total), shape


@with_runs
def test_every_operation_has_its_lock_sequence(figures: extraction.Figures) -> None:
    run = open_recording(TRACES / "runs" / "B_lk_smp2.tar.xz")
    operations = sum(len(extraction.shape_ops(run, s).frame) for s in run.shapes("ops.txt"))
    sequences = figures["lock_sequences"]["sequences"]
    assert sum(s["n"] for kind in sequences.values() for s in kind) == operations
    for kind in ("attach", "detach", "replace_in_ioas", "replace_across_ioas", "map", "unmap"):
        assert len(sequences[kind]) == 1, kind


@with_runs
def test_map_threads_follow_their_seed() -> None:
    run = open_recording(TRACES / "runs" / "A_ic_smp2.tar.xz")
    log = extraction.shape_ops(run, "d3_maponly_4dev_1hwpt_4map")
    ops = mapping_ops(log)
    assert len(ops) == 1206
    assert set(ops["offset_pages"]) == {0, 1, 2, 3}
    assert ops["new_tables"].sum() == 42
    log.header.settings["seed"] += 1
    with pytest.raises(RecordingError, match="did not do what its seed gives"):
        mapping_ops(log)


# --- shipped figures


def test_reference_accessors() -> None:
    reference = load_reference()
    replace = reference.sequences("replace_in_ioas")[0]
    assert "{attach_device_to_domain}" in replace.words
    assert replace.locks()[:2] == ("+M dev_set->lock", "+S objects.xa_lock")
    assert replace.locks().count("+S devices_lock") == 2
    with pytest.raises(KeyError, match="no lock sequence recorded for 'fly'"):
        reference.sequences("fly")
    assert len(reference.shapes()) == 11
    assert reference.latency("b_spread_8dev_4hwpt", "replace_in_ioas").mode_ns == 6748 * 8
    assert set(reference.latencies("uncontended")["shape"]) == set(reference.shapes())
    shares = reference.contention()
    mutex = shares[shares["kind"] == "mutex"].groupby("shape")["share"].sum()
    assert mutex.to_numpy() == pytest.approx(1.0, abs=1e-5)
    assert reference.map_cost("map")["run_ns"] == pytest.approx(4760, rel=0.01)


def test_extract_reports_a_missing_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert extraction.main([str(tmp_path), "-o", str(tmp_path / "out")]) == 2
    assert "B_lk_smp2.tar.xz: no such recording" in capsys.readouterr().err
