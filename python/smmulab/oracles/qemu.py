# SPDX-License-Identifier: Apache-2.0
"""O3: QEMU's own SMMUv3, as its trace log shows it. The structures are rebuilt from the log; the model
makes each translation and command itself, with caches like QEMU's, and is compared line by line."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from smmulab import _core
from smmulab.recordings.qemu_log import unpacked

NAME = "qemu"
HOLDS = (
    "O3: QEMU's SMMUv3: hit or miss, levels, page or block, physical address of each translation, "
    "and what each command leaves"
)
DEFAULT_LOGS = Path("../shared/traces/qemu_smmu_logs")


@dataclass(frozen=True)
class QemuCheck:
    """What came of one log; `raw` has all counts."""

    raw: dict[str, Any] = field(repr=False)

    def table(self) -> pd.DataFrame:
        """Tidy: check, recorded (how often), model (how often it said the same), miss, verdict."""
        frame = pd.DataFrame(self.raw["checks"])
        recorded = frame["agree"] + frame["miss"]
        verdict = frame["miss"].gt(0).map({True: "miss", False: "ok"})
        return pd.DataFrame(
            {
                "check": frame["check"],
                "recorded": recorded,
                "model": frame["agree"],
                "miss": frame["miss"],
                "verdict": verdict.where(recorded > 0, "not in this log"),
            }
        )

    def misses(self) -> pd.DataFrame:
        """The first misses: line, check, recorded, model."""
        return pd.DataFrame(self.raw["misses"], columns=["line", "check", "recorded", "model"])

    @property
    def missed(self) -> int:
        """How many comparisons did not agree."""
        return sum(int(check["miss"]) for check in self.raw["checks"])

    def summary(self) -> str:
        """What was in the log, and what was not judged."""
        raw = self.raw
        how = f"{raw['hits']} IOTLB hits; {raw['pages']} by pages, {raw['blocks']} by blocks"
        words = [
            f"{raw['translations']} translations of {raw['streams']} streams ({how})",
            f"{raw['walks']} walks with {raw['reads']} reads",
            f"{raw['commands']} commands",
        ]
        more = {
            "faults": "faults",
            "faults_not_judged": "faults of the configuration, which the log does not show",
            "bypassed": "bypassed",
            "aborted": "aborted",
            "disabled": "before the SMMU was on",
            "adopted_entries": "IOTLB hits of entries from before the log, taken over",
            "adopted_configs": "configuration hits from before the log, taken over",
            "incomplete": "translations without their beginning or end",
            "damaged": f"damaged lines (the first: {raw['first_damaged']})",
        }
        words += [f"{raw[key]} {text}" for key, text in more.items() if raw[key]]
        return f"{raw['lines']} lines, {raw['noise']} of them no SMMU event; " + "; ".join(words)


def check(path: Path, progress: Callable[[int], bool] | None = None) -> QemuCheck:
    """Hold the model to one log (plain, xz or zst). `progress` is told of lines; False ends it
    (Interrupted)."""
    with unpacked(path) as plain:
        return QemuCheck(json.loads(_core.check_qemu_log(plain, str(path), progress)))
