# SPDX-License-Identifier: Apache-2.0
"""Lock sequences and contention as recordings have them, on small made-up traces."""

from __future__ import annotations

import pytest

from recorded_logs import BINDS, event, op, ops_log, trace
from smmulab.recordings import RecordingError
from smmulab.recordings.contention import read_contention, static_locks
from smmulab.recordings.lockdep_log import read_lock_sequences


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
