# SPDX-License-Identifier: Apache-2.0
"""Made-up operation logs and kernel traces in the recordings' form."""

from __future__ import annotations

from smmulab.recordings import TextLog
from smmulab.recordings.ops_log import OpsLog, read_ops_log

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


def long_log(operations: int) -> str:
    """A log with so many replaces, which failed when recorded: they need no state to follow."""
    head = (
        "# iofd_bench shape=auto iters=1 ndev=1 nhwpt=0 nioas=1 nmap=0 pin=1 seed=1 run_ns=1000\n"
        "# dev 0 bdf=0000:00:02.0 iommu_group=7 iommufd_devid=1\n"
        "# ioas 0 id=3\n"
        "# start_ns end_ns thread cpu_at_end op dev devid group pt_id old_pt_id iova len ret\n"
        "1000 1500 -1 1 bind 0 1 7 0 0 0x0 0 0\n"
        "1800 1900 -1 1 ioas_alloc -1 0 -1 3 0 0x0 0 0\n"
        "2000 2600 0 0 attach 0 1 7 9 0 0x0 0 0\n"
    )
    first, each = 3000, 100
    starts = range(first, first + each * operations, each)
    swaps = "".join(f"{at} {at + 50} 0 0 replace 0 1 7 8 3 0x0 0 -22\n" for at in starts)
    end = first + each * operations
    return f"{head}{swaps}{end} {end + 50} 0 0 detach 0 1 7 0 3 0x0 0 0\n"
