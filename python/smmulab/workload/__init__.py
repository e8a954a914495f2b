# SPDX-License-Identifier: Apache-2.0
"""Generated traces: what a `Workload` is, and `generate`, which writes one as a trace file."""

from __future__ import annotations

from smmulab.workload.spec import Workload
from smmulab.workload.writer import Generated, generate

__all__ = ["Generated", "Workload", "generate"]
