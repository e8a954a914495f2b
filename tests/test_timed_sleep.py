# SPDX-License-Identifier: Apache-2.0
"""`sched.timed_sleep` of preset qemu-tcg comes from one thread alone that sleeps between operations
(shape n12_ of workloads/recordings/N_think_ic_smp1.tar.xz): what passes beyond the time it asks
usleep() for is the kernel's timer slack, the sleep's CPU time, a context switch and the program's own
time. The program draws what it asks for (a xorshift of its seed), so the log tells it."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np

from conftest import ROOT
from smmulab import Config
from smmulab.recordings import open_recording

RECORDING = ROOT / "workloads" / "recordings" / "N_think_ic_smp1.tar.xz"
SHAPE = "n12_spread_1dev_4hwpt"
TIMER_SLACK_NS = 50_000  # Linux 6.12 init/init_task.c: timer_slack_ns


def draws(seed: int) -> Iterator[int]:
    """Of the program's thread for device 0."""
    state = (seed * 2654435761 + 7) & 0xFFFFFFFF
    while True:
        state ^= (state << 13) & 0xFFFFFFFF
        state ^= state >> 17
        state ^= (state << 5) & 0xFFFFFFFF
        yield state


def asked_us(header: dict[str, int]) -> list[int]:
    """What it asks usleep() for, in order: after a move, and after the detach that may follow."""
    draw = draws(header["seed"])
    asked = []
    for _ in range(header["iters"]):
        next(draw)  # the hwpt
        asked.append(next(draw) % (header["think"] + 1))
        if next(draw) % 100 < header["detp"]:
            asked.append(next(draw) % (header["think"] + 1))
    return asked


def test_timed_sleep_is_what_a_lone_thread_shows() -> None:
    lines = open_recording(RECORDING).log(f"{SHAPE}.ops.txt").text.splitlines()
    words = dict(word.split("=") for word in lines[0].split() if "=" in word)
    header = {key: int(value) for key, value in words.items() if value.isdigit()}
    rows = [line.split() for line in lines if not line.startswith("#")]
    moves = [(int(row[0]), int(row[1])) for row in rows if int(row[2]) == 0]
    gaps = [after[0] - before[1] for before, after in pairwise(moves)]
    beyond = [
        gap - 1000 * asked for gap, asked in zip(gaps, asked_us(header), strict=True) if asked
    ]
    parameters = Config.of({"preset": "qemu-tcg"}).parameters
    ours_us = sum(
        float(parameters[key].removesuffix("us"))
        for key in ("sched.timed_sleep", "sched.context_switch", "replay.user_time")
    )
    assert abs(TIMER_SLACK_NS + 1000 * ours_us - np.median(beyond)) < 500  # ns
