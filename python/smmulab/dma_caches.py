# SPDX-License-Identifier: Apache-2.0
"""`tlb`: a DMA trace or a pattern through the SMMU's caches: what hits, and what a translation
takes."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from os import PathLike, fspath
from typing import TYPE_CHECKING

from smmulab import _core
from smmulab._core import ConfigError
from smmulab.comparison import assignments_of

if TYPE_CHECKING:
    import pandas as pd

PATTERNS = ("ring", "random", "strided")
SIZES = (32, 64, 128, 256, 512, 1024, 2048, 4096)
MOST_OUTSTANDING = 65536
LATENCIES = ("mean", "p50", "p99")


def _size(name: str, size: int | str) -> int:
    value = _core.parse_size(size) if isinstance(size, str) else size
    if value is None:
        raise ConfigError(f"{name} {size}: expected a size such as 4096, 64k, 2M")
    return value


def tlb(
    trace: str | PathLike[str] | None = None,
    machine: str | PathLike[str] | None = None,
    *,
    pattern: str | None = None,
    footprint: int | str = "8M",
    page: int | str = "4k",
    stride: int | str = "4k",
    accesses: int | str = 200_000,
    outstanding: int = 1,
    vary: str = "smmuv3.mtlb_entries",
    values: Sequence[object] = SIZES,
    set: str | Sequence[str] | Mapping[str, object] = (),
) -> pd.DataFrame:
    """Run a DMA trace (.dma or .dma.zst), or else a pattern, through the SMMU's caches once for each of
    `values` of the parameter `vary` (by default sizes of the main TLB in entries). What hits is
    counted without time; latencies are those of the same accesses through the timed SMMU, in closed
    loop and with the same tables.

    `pattern`: "ring" (the default without a trace), "random" or "strided", over `footprint` bytes in
    pages of `page` bytes (4k, 64k, 2M, 32M or 1G), from access to access `stride` bytes, `accesses`
    times; the first fifth of the accesses warms the caches and is not counted. Sizes are bytes or texts
    such as "64k". `outstanding` accesses are under way at once: with 1 none waits for another, with 0
    nothing is timed. `machine`, `set`: as in `compare`; "smmuv3.preset" names a preset.

    Tidy, a row for each value: key (`vary`), value (as text), counts (accesses, utlb_hits, mtlb_hits,
    walks, faults, walk_reads, config_reads, invalidations, invalidated entries, ...), hit_ratio (0 to
    1), reads_per_access (reads of tables and configuration), and mean_ns, p50_ns, p99_ns: from an
    access's issue to its way to memory, or to its fault. Ratios are NaN where no address was looked up,
    or none accessed; latencies there too, and without a micro TLB or a config cache, which the timed
    SMMU must have.

    Raises ConfigError (unknown name, value out of range, a trace and a pattern), TraceError
    (file:line:column).
    """
    import pandas as pd  # noqa: PLC0415  imports numpy

    if trace is not None and pattern is not None:
        raise ConfigError("name a trace or a pattern, not both")
    if not 0 <= outstanding <= MOST_OUTSTANDING:
        raise ConfigError(
            f"outstanding {outstanding}: expected an integer from 0 to {MOST_OUTSTANDING}"
        )
    points = [assignments_of({vary: value}) for value in values]
    if not points:
        raise ConfigError(f"{vary}: no values to run with")
    settings = assignments_of(set)
    machine = None if machine is None else fspath(machine)
    if trace is not None:
        results = _core.run_dma_trace(fspath(trace), settings, points, machine, outstanding)
    else:
        results = _core.run_dma_pattern(
            PATTERNS[0] if pattern is None else pattern,
            _size("footprint", footprint),
            _size("page", page),
            _size("stride", stride),
            _size("accesses", accesses),
            settings,
            points,
            machine,
            outstanding,
        )
    frame = pd.DataFrame([json.loads(result) for result in results])
    looked_up = frame["utlb_hits"] + frame["mtlb_hits"] + frame["walks"]
    frame.insert(0, "value", [text.partition("=")[2] for (text,) in points])
    frame.insert(0, "key", vary)
    # Missing where nothing was looked up or accessed: neither good nor bad.
    frame["hit_ratio"] = 1 - frame["walks"] / looked_up.where(looked_up > 0)
    reads = frame["walk_reads"] + frame["config_reads"]
    frame["reads_per_access"] = reads / frame["accesses"].where(frame["accesses"] > 0)
    for name in LATENCIES:
        frame[f"{name}_ns"] = frame.pop(f"{name}_ps").astype(float) / 1000
    return frame
