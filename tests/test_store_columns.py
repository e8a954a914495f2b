# SPDX-License-Identifier: Apache-2.0
"""Do the tables of a store have Arrow's own types, without what takes long to import?"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from smmulab import ConfigError
from smmulab.study import parquet


@settings(deadline=None)  # the first call may import pandas
@given(
    st.one_of(
        st.lists(st.none() | st.integers(-(2**63), 2**63 - 1)),
        st.lists(st.none() | st.integers(-9, 9) | st.floats(allow_nan=False)),
        st.lists(st.none() | st.booleans()),
        st.lists(st.none() | st.text(st.characters(exclude_categories=["Cs"]))),
    )
)
def test_a_column_is_what_arrow_makes_of_it(values: list[Any]) -> None:
    expected = pa.array(values)
    found = parquet.column(values)
    found.validate(full=True)
    assert found.type == expected.type
    assert found.null_count == expected.null_count
    assert repr(found.to_pylist()) == repr(expected.to_pylist())


@settings(deadline=None)  # the first call may import pandas
@given(
    st.lists(
        st.none()
        | st.integers(-(2**63), 2**63 - 1)
        | st.floats(allow_nan=False, allow_infinity=False)
    )
)
@example([2**53 + 1, 1.0])
@example([2**53 + 1, None, 0.5])
@example([2**53, 0.5])
@example([2**62, 2.0**64, 2**53 + 1])
def test_numbers_keep_every_digit_or_are_refused(values: list[Any]) -> None:
    """Integers beside floats: a double holds them all, or all are whole."""
    mixed = {int, float} <= set(map(type, values))
    wide = mixed and any(isinstance(value, int) and int(float(value)) != value for value in values)
    fraction = any(isinstance(value, float) and not value.is_integer() for value in values)
    if wide and fraction:
        with pytest.raises(ConfigError, match="beyond 2\\^53"):
            parquet.column(values)
    elif wide and any(isinstance(value, float) and abs(value) >= 2**63 for value in values):
        with pytest.raises(OverflowError):
            parquet.column(values)
    else:
        found = parquet.column(values)
        found.validate(full=True)
        assert found.to_pylist() == values


def test_a_sweep_does_not_wait_for_pandas(tmp_path: Path) -> None:
    """Importing it takes as long as several runs; what is read later may need it."""
    code = (
        "import sys; import smmulab as s;"
        "c = s.Config(workload=s.Workload(devices=3, ops=60));"
        "ran = [s.sweep(c, {}, out=sys.argv[1]).ran for _ in range(2)];"
        "print(ran, 'pandas' in sys.modules)"
    )
    argv = [sys.executable, "-c", code, str(tmp_path)]
    assert subprocess.check_output(argv, text=True) == "[1, 0] False\n"
