# SPDX-License-Identifier: Apache-2.0
"""Are the models held to what a real kernel did? (O4, O11, O12; docs/validation.md has the figures)"""

from __future__ import annotations

import pandas as pd
import pytest

from conftest import RECORDED_RUNS
from smmulab.commands.validate import check
from smmulab.oracles import ORACLES, lock_sequences
from smmulab.recordings import load_reference

# Misses that docs/validation.md explains, and how large they may be.
KNOWN_LATENCY_MISSES = {
    ("c2_auto_8dev_2ioas", "replace"): 0.45,
    ("d2_map2_4dev_4hwpt_4map", "replace"): 0.3,
}


def table_of(name: str) -> pd.DataFrame:
    oracle = ORACLES[name]
    path = RECORDED_RUNS / f"{oracle.run}.tar.xz"
    if not path.exists():
        pytest.skip(f"no recorded run {path}")
    return check(oracle, path)


def test_lock_sequences_are_those_of_the_kernel() -> None:
    table = table_of("lock-sequences")
    assert table[table["verdict"] == "miss"].empty
    judged = table[table["verdict"] == "ok"]
    assert set(judged["operation"]) == set(lock_sequences.KINDS)
    # The paths of the recording that matter most are all taken.
    taken = set(judged["recorded"])
    assert {
        "attach",
        "replace_in_ioas",
        "replace_across_ioas",
        "group_replace_in_ioas",
        "detach_leave",
        "attach_join",
        "map",
        "unmap",
        "hwpt_alloc",
    } <= taken
    assert len(table) - len(judged) <= 2


def test_every_recorded_class_is_covered_or_named_as_not() -> None:
    reference = load_reference()
    classes = {
        word.split()[1]
        for kind in reference.kinds()
        for sequence in reference.sequences(kind)
        for word in sequence.locks()
    }
    assert classes == lock_sequences.COVERED | lock_sequences.UNCOVERED


def test_contention_falls_on_the_recorded_classes() -> None:
    table = table_of("contention")
    assert table[table["verdict"] == "miss"].empty
    assert len(table) >= 10


def test_latencies_in_virtual_time() -> None:
    table = table_of("latency")
    for _, row in table[table["verdict"] == "miss"].iterrows():
        assert abs(row["error_ratio"]) <= KNOWN_LATENCY_MISSES[row["shape"], row["operation"]]
    assert len(table) >= 28
