# SPDX-License-Identifier: Apache-2.0
"""Outside truth that the models are held to: each oracle replays recorded operations and gives a
table of model beside recording. None of the reference figures was produced by the simulator."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from smmulab.oracles import contention, latency, lock_sequences, published


@dataclass(frozen=True)
class Oracle:
    """One oracle: its name, what it holds, the recorded run it is of, and how it is checked.

    `run` is None where published figures stand for a recording; `check(traces)` takes shape -> trace
    file, of which there are none then, and gives a tidy table with a column `verdict`:
    "ok", "miss", or "not judged" (the table says why). `details(row)`: what stands in place of the
    row's column `model`, which is too long for a table.
    """

    name: str
    holds: str
    run: str | None
    check: Callable[[Mapping[str, Path]], pd.DataFrame]
    details: Callable[[pd.Series[Any]], str] | None = None


ORACLES = {
    oracle.name: oracle
    for oracle in (
        Oracle(
            "lock-sequences",
            "O4: locks each operation takes, in order and nesting, as lockdep saw them",
            "B_lk_smp2",
            lock_sequences.check,
            lock_sequences.details,
        ),
        Oracle(
            "contention",
            "O11: share of contended mutex acquisitions per lock class, within 10 points",
            "A_ev_smp2",
            contention.check,
        ),
        Oracle(
            "latency",
            "O12: median latency of each operation in virtual time, within 20 %",
            "A_ic_smp2",
            latency.check,
        ),
        Oracle(
            "published",
            "O7: thousand map+unmap per second and CPU, within 15 % up to 16 CPUs, 35 % beyond",
            None,
            lambda _: published.check(),
        ),
    )
}
