# SPDX-License-Identifier: Apache-2.0
"""Studies: designs of many runs, a store that loses none of them, and what can be told from both.

What the package offers is imported when it is first used: a worker process, which is forked for each
run, needs none of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from smmulab.study.design import Range
    from smmulab.study.store import Store
    from smmulab.study.sweeping import Sweep, jobs_of, sweep

__all__ = ["Range", "Store", "Sweep", "jobs_of", "sweep"]
_ELSEWHERE = {
    "Range": "smmulab.study.design",
    "Store": "smmulab.study.store",
    "Sweep": "smmulab.study.sweeping",
    "jobs_of": "smmulab.study.sweeping",
    "sweep": "smmulab.study.sweeping",
}


def __getattr__(name: str) -> object:
    if name not in _ELSEWHERE:
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    from importlib import import_module  # noqa: PLC0415

    value = getattr(import_module(_ELSEWHERE[name]), name)
    globals()[name] = value
    return value
