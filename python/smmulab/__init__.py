# SPDX-License-Identifier: Apache-2.0
"""Simulates Linux iommufd locking on an Arm SMMUv3: which locks cost what, on which trace.

What the package offers is imported when it is first used, so that the command answers Ctrl-C from
its first moment (see __main__).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from smmulab import plot
    from smmulab._core import (
        BuildInfo,
        ConfigError,
        DeadlockError,
        Error,
        Interrupted,
        ModelError,
        TraceError,
        build_info,
    )
    from smmulab._version import __version__
    from smmulab.comparison import Comparison, compare
    from smmulab.config import Config
    from smmulab.dma_caches import tlb
    from smmulab.order_checks import explore, lockdep
    from smmulab.protocol import Protocol
    from smmulab.running import Result, operations, run
    from smmulab.study import Range, Store, Sweep
    from smmulab.study.statistics import crossovers, differences, fit_usl, intervals
    from smmulab.study.sweeping import sweep
    from smmulab.timelines import lock_times, timeline
    from smmulab.waits import Blame, blame
    from smmulab.what_if import WhatIf, whatif
    from smmulab.workload import Workload, generate

__all__ = [
    "Blame",
    "BuildInfo",
    "Comparison",
    "Config",
    "ConfigError",
    "DeadlockError",
    "Error",
    "Interrupted",
    "ModelError",
    "Protocol",
    "Range",
    "Result",
    "Store",
    "Sweep",
    "TraceError",
    "WhatIf",
    "Workload",
    "__version__",
    "blame",
    "build_info",
    "compare",
    "crossovers",
    "differences",
    "explore",
    "fit_usl",
    "generate",
    "intervals",
    "lock_times",
    "lockdep",
    "operations",
    "plot",
    "run",
    "sweep",
    "timeline",
    "tlb",
    "whatif",
]
_ELSEWHERE = {
    "Blame": "smmulab.waits",
    "Comparison": "smmulab.comparison",
    "Config": "smmulab.config",
    "Protocol": "smmulab.protocol",
    "Range": "smmulab.study",
    "Result": "smmulab.running",
    "Store": "smmulab.study",
    "Sweep": "smmulab.study",
    "WhatIf": "smmulab.what_if",
    "Workload": "smmulab.workload",
    "__version__": "smmulab._version",
    "blame": "smmulab.waits",
    "compare": "smmulab.comparison",
    "crossovers": "smmulab.study.statistics",
    "differences": "smmulab.study.statistics",
    "explore": "smmulab.order_checks",
    "fit_usl": "smmulab.study.statistics",
    "generate": "smmulab.workload",
    "intervals": "smmulab.study.statistics",
    "lock_times": "smmulab.timelines",
    "lockdep": "smmulab.order_checks",
    "operations": "smmulab.running",
    "run": "smmulab.running",
    "sweep": "smmulab.study",
    "timeline": "smmulab.timelines",
    "tlb": "smmulab.dma_caches",
    "whatif": "smmulab.what_if",
}


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    from importlib import import_module  # noqa: PLC0415

    if name == "plot":
        return import_module("smmulab.plot")
    value = getattr(import_module(_ELSEWHERE.get(name, "smmulab._core")), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
