# SPDX-License-Identifier: Apache-2.0
"""Traces written so that what they gain by a change is known beforehand."""

from __future__ import annotations


def replaces(threads: int, rounds: int) -> str:
    """Each thread, on a CPU of its own, replaces a device in a group of its own between two hwpts of
    one IOAS; nothing is shared but the SMMU's driver and the IOAS."""
    lines = ["smmulab-trace 1"]
    lines += [f"cpu {i} socket=0 node=0" for i in range(threads)]
    lines += ["smmu 0"]
    lines += [f"group {i}\ndevset {i}" for i in range(threads)]
    lines += [
        f"device {i} name=0000:00:{i + 2:02x}.0 smmu=0 sid={(i + 2) * 8:#x} group={i} devset={i}"
        for i in range(threads)
    ]
    lines += [f"thread {i} name=t{i} cpu={i}" for i in range(threads)]
    ops = [f"0 bind dev={i}" for i in range(threads)]
    ops += ["0 ioas_alloc ioas=1"]
    ops += ["0 hwpt_alloc hwpt=2 dev=0 pt=1", "0 hwpt_alloc hwpt=3 dev=0 pt=1"]
    ops += [f"0 attach dev={i} pt=2" for i in range(threads)]
    ops += ["phase run"]
    ops += [
        f"{i} replace dev={i} pt={3 - turn % 2} old={2 + turn % 2}"
        for turn in range(rounds)
        for i in range(threads)
    ]
    number = 0
    lines += ["begin"]
    for op in ops:
        lines.append(op if op.startswith("phase") else f"{number} {op}")
        number += not op.startswith("phase")
    return "\n".join([*lines, f"end {number}", ""])
