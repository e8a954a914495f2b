# SPDX-License-Identifier: Apache-2.0
"""Studies: sweeps over factors and seeds, their store, and what can be read from it."""

from __future__ import annotations

from smmulab.study.design import Range
from smmulab.study.store import Store
from smmulab.study.sweeping import Sweep, jobs_of, sweep

__all__ = ["Range", "Store", "Sweep", "jobs_of", "sweep"]
