# SPDX-License-Identifier: Apache-2.0
"""Outside truth that the models are held to: each oracle replays recorded operations and gives a
table of model beside recording. None of the reference figures was produced by the simulator."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pandas as pd

from smmulab.oracles import contention, latency, lock_sequences
from smmulab.oracles.recorded_run import RecordedRun


@dataclass(frozen=True)
class Oracle:
    """One oracle that a recorded run is held to: its name, what it holds, the run it is of unless
    another is given, and how it is checked.

    `check(run)` gives a tidy table with a column `verdict`: "ok...", "miss", or "not judged: why";
    a column `details`, if there is one, stands for the column `model`, which is too long for a table.
    `why_not(run)`: why the run says nothing about it, or None.
    """

    name: str
    holds: str
    run: str
    check: Callable[[RecordedRun], pd.DataFrame]
    why_not: Callable[[RecordedRun], str | None]


ORACLES = {
    oracle.name: oracle
    for oracle in (
        Oracle(
            "lock-sequences",
            "O4: locks each operation takes, in order and nesting, as lockdep saw them",
            "B_lk_smp2",
            lock_sequences.check,
            lambda _: None,
        ),
        Oracle(
            "contention",
            "O11: share of contended mutex acquisitions per lock class, within 10 points",
            "A_ev_smp2",
            contention.check,
            contention.why_not,
        ),
        Oracle(
            "latency",
            "O12: median latency of each path of each operation in virtual time, within 20 %",
            "A_ic_smp2",
            latency.check,
            latency.why_not,
        ),
    )
}
