# SPDX-License-Identifier: Apache-2.0
"""Traces that tests share."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

# A shell has what it starts with "&" ignore Ctrl-C, which tests of Ctrl-C send.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

ROOT = Path(__file__).parent.parent
TRACES = ROOT / "workloads" / "traces"
RECORDED_RUNS = ROOT.parent / "shared" / "traces" / "runs"

# Two threads, two devices, two hwpts; each line is correct.
SMALL = """\
smmulab-trace 1
cpu 0 socket=0 node=0
cpu 1 socket=0 node=0
smmu 0
group 0
group 1
devset 0
devset 1
device 0 name=0000:00:02.0 smmu=0 sid=0x10 group=0 devset=0
device 1 name=0000:00:03.0 smmu=0 sid=0x18 group=1 devset=1
thread 0 name=t0 cpu=0
thread 1 name=t1 cpu=1
begin
0 0 bind dev=0
1 0 bind dev=1
2 0 ioas_alloc ioas=1
3 0 hwpt_alloc hwpt=2 dev=0 pt=1
4 0 hwpt_alloc hwpt=3 dev=0 pt=1
phase run
5 0 attach dev=0 pt=2
6 1 attach dev=1 pt=3
7 0 replace dev=0 pt=3 old=2
8 1 map ioas=1 iova=0x100000 len=0x4000
9 1 unmap ioas=1 iova=0x100000 len=0x4000
10 0 detach dev=0 old=3
11 1 detach dev=1 old=3
end 12
"""


# Both threads replace at once, X -> Y and Y -> X; then what is left over is destroyed.
CROSSING = (
    SMALL.split("begin\n", maxsplit=1)[0].replace("smmu 0\n", "cpu 2 socket=0 node=0\nsmmu 0\n")
    + """\
thread 2 name=main cpu=2
begin
0 2 bind dev=0
1 2 bind dev=1
2 2 ioas_alloc ioas=1
3 2 hwpt_alloc hwpt=2 dev=0 pt=1
4 2 hwpt_alloc hwpt=3 dev=0 pt=1
5 2 attach dev=0 pt=2
6 2 attach dev=1 pt=3
phase run
7 0 replace dev=0 pt=3 old=2
8 1 replace dev=1 pt=2 old=3
phase teardown
9 0 detach dev=0 old=3
10 0 detach dev=1 old=2
11 0 attach dev=0 pt=2
12 0 replace dev=0 pt=3 old=2
13 0 hwpt_destroy hwpt=2
end 14
"""
)


@pytest.fixture
def recorded_trace() -> Path:
    """A trace recorded from a real kernel: eight devices replace among four hwpts."""
    return TRACES / "A_ic_smp2-b_spread_8dev_4hwpt.iotrace.zst"


@pytest.fixture
def crossing_trace(tmp_path: Path) -> Path:
    """The hand-written trace CROSSING as a file."""
    path = tmp_path / "crossing.iotrace"
    path.write_text(CROSSING)
    return path


@pytest.fixture
def small_trace(tmp_path: Path) -> Path:
    """The hand-written trace SMALL as a file."""
    path = tmp_path / "small.iotrace"
    path.write_text(SMALL)
    return path
