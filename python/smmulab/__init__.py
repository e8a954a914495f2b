# SPDX-License-Identifier: Apache-2.0
"""Simulates Linux iommufd locking on an Arm SMMUv3: which locks cost what, on which trace."""

from __future__ import annotations

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

# Below the errors, which these modules use.
from smmulab.comparison import Comparison, compare  # isort: skip

__all__ = [
    "BuildInfo",
    "Comparison",
    "ConfigError",
    "DeadlockError",
    "Error",
    "Interrupted",
    "ModelError",
    "TraceError",
    "__version__",
    "build_info",
    "compare",
]
