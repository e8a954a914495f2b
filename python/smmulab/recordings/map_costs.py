# SPDX-License-Identifier: Apache-2.0
"""What a map and an unmap cost, fitted to the instruction counts of run A_ic_smp2 (ns).

A map pins its pages once and then calls iommu_map once per run of physically contiguous pages and
per hwpt of the ioas; table pages are added where a hwpt's table has none yet. An unmap makes one
iommu_unmap (TLBI and CMD_SYNC) per hwpt, whatever the runs, and reads the pages back from one hwpt.
  map   = fixed + hwpt*h + page*p + page_hwpt*p*h + run_hwpt*r*h + table*t
  unmap = fixed + hwpt*h + page*p + page_hwpt*p*h + run*r
with h hwpts, p pages of 4 KiB, r runs and t new table pages.
The log tells h and p; t follows from the IOVAs. Each map thread owns one buffer and maps a piece
that starts 0 to 3 pages into it; the offset is not logged, but the program draws it from a seeded
generator, replayed here and checked against every logged address and length. Where the buffer's
runs break is then solved for: one bit for each page boundary, the same for all maps of a thread.
Maps never wait for a command, so the other CPU cannot slow them in virtual time; unmaps can be
slowed, so only those during which the other CPU had no operation under way are used.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from smmulab.recordings.archive import RecordingError
from smmulab.recordings.op_kinds import add_kinds
from smmulab.recordings.ops_log import PAGE_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray

    from smmulab.recordings.ops_log import OpsHeader, OpsLog

_WINDOW_BYTES = 0x1000_0000  # IOVA window of each map thread, from 4 GiB on
_FIRST_WINDOW = 0x1_0000_0000
_STEP_BYTES = 0x1_0000
_MOST_LIVE = 8
_OFFSETS = 4
_LEAF_TABLE_SHIFT = 21  # a leaf table maps 2 MiB (4 KiB granule), the table above it 1 GiB
_UPPER_TABLE_SHIFT = 30
_UPPER_TABLES = 2  # two levels above the leaf are missing at an ioas's first map
_TICK_NS = 450_000  # longer maps lost their CPU to another thread for a time slice
_OUTLIER_NS = 1_000
_START_PAGE_NS, _START_RUN_NS = 2_200.0, 4_700.0  # start of the iteration; not in the result
_ROUNDS = 6
_L1_ROUNDS = 40
_LEAST_KEPT = 0.75
_DIGITS = 6  # that linear algebra libraries agree on


@dataclass(frozen=True)
class MapCosts:
    """Fitted costs in ns (see the module's formula); `residual_ns`: standard deviation."""

    fixed_ns: float
    hwpt_ns: float
    page_ns: float
    page_hwpt_ns: float
    run_ns: float  # map: per run and hwpt; unmap: per run
    table_ns: float
    residual_ns: float
    n: int
    n_dropped: int

    def as_dict(self) -> dict[str, float]:
        """The figures by name, times rounded to whole ns."""
        return {name: round(value) for name, value in asdict(self).items()}


def _draws(seed: int) -> Iterator[int]:
    """The program's 32-bit xorshift generator (shifts 13, 17, 5)."""
    state = seed & 0xFFFFFFFF
    while True:
        state ^= (state << 13) & 0xFFFFFFFF
        state ^= state >> 17
        state ^= (state << 5) & 0xFFFFFFFF
        yield state


def _replay_thread(header: OpsHeader, number: int) -> list[tuple[str, int, int, int, int]]:
    """(op, ioas index, iova, bytes, offset in pages) of each operation of map thread `number`."""
    settings = header.settings
    draw = _draws(settings["seed"] * 97 + number * 1013904223 + 13)
    window = _FIRST_WINDOW + number * _WINDOW_BYTES
    live: list[tuple[int, int, int, int]] = []
    done: list[tuple[str, int, int, int, int]] = []
    for i in range(settings["iters"]):
        if len(live) == _MOST_LIVE or (live and next(draw) & 1):
            at = next(draw) % len(live)
            done.append(("unmap", *live[at]))
            live[at] = live[-1]
            live.pop()
        else:
            size = PAGE_BYTES * (1 + next(draw) % settings["maplen"])
            ioas = (next(draw) >> 3) % settings["nioas"]
            piece = (ioas, window + i % 4096 * _STEP_BYTES, size, next(draw) % _OFFSETS)
            live.append(piece)
            done.append(("map", *piece))
    return done + [("unmap", *piece) for piece in reversed(live)]


def mapping_ops(log: OpsLog) -> pd.DataFrame:
    """The log's maps and unmaps with columns `map_thread`, `offset_pages` and `new_tables`."""
    frame = add_kinds(log)
    frame = frame[frame["op"].isin(["map", "unmap"])].sort_values("start_ns")
    parts: list[pd.DataFrame] = []
    first = log.header.settings["ndev"]
    for number in range(log.header.settings["nmap"]):
        own = frame[frame["thread"] == first + number].copy()
        replayed = _replay_thread(log.header, number)
        ids = log.header.ioas_ids
        expected = [(op, ids[ioas], iova, size) for op, ioas, iova, size, _ in replayed]
        columns = (own[name] for name in ("op", "pt_id", "iova", "len_bytes"))
        if list(zip(*columns, strict=True)) != expected:
            message = f"map thread {number} did not do what its seed gives"
            raise RecordingError(message, log.name)
        own["map_thread"] = number
        own["offset_pages"] = [offset for *_, offset in replayed]
        parts.append(own)
    ops = pd.concat(parts).sort_values("start_ns")
    ops["new_tables"] = _new_tables(ops)
    return ops


def _new_tables(ops: pd.DataFrame) -> list[int]:
    """Table pages that each map adds in each of its hwpts; table pages are never taken away."""
    seen: set[tuple[int, int, int]] = set()
    added: list[int] = []
    for op, ioas, iova in zip(ops["op"], ops["pt_id"], ops["iova"], strict=True):
        leaf = (ioas, _LEAF_TABLE_SHIFT, iova >> _LEAF_TABLE_SHIFT)
        upper = (ioas, _UPPER_TABLE_SHIFT, iova >> _UPPER_TABLE_SHIFT)
        count = (leaf not in seen) + _UPPER_TABLES * (upper not in seen) if op == "map" else 0
        if count:
            seen |= {leaf, upper}
        added.append(count)
    return added


def _solve_runs(maps: pd.DataFrame, excess_runs: NDArray[np.float64]) -> NDArray[np.int64]:
    """Break bits of one thread's buffer from the estimated extra runs of its maps."""
    boundaries = _OFFSETS + int(maps["pages"].max()) - 2
    covers = np.zeros((len(maps), boundaries))
    pieces = zip(maps["offset_pages"], maps["pages"], strict=True)
    for row, (offset, pages) in enumerate(pieces):
        covers[row, offset : offset + pages - 1] = 1
    target = np.clip(_whole(excess_runs), 0, None)
    solution = np.linalg.lstsq(covers, target, rcond=None)[0].astype(np.float64)
    return np.clip(_whole(solution), 0, 1).astype(np.int64)


def _whole(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rounded; halves as if there were no noise in the last digits, which is each machine's own."""
    rounded: NDArray[np.float64] = np.round(np.round(values, _DIGITS))
    return rounded


def _runs(ops: pd.DataFrame, bits: NDArray[np.int64]) -> list[int]:
    pieces = zip(ops["offset_pages"], ops["pages"], strict=True)
    return [1 + int(bits[o : o + p - 1].sum()) for o, p in pieces]


def _design(ops: pd.DataFrame, runs_per_hwpt: bool) -> NDArray[np.float64]:
    h, p, r = (ops[name].to_numpy(float) for name in ("n_hwpts", "pages", "runs"))
    tables = ops["new_tables"].to_numpy(float) * h
    return np.column_stack([np.ones(len(ops)), h, p, p * h, r * h if runs_per_hwpt else r, tables])


def _fit(log_name: str, design: NDArray[np.float64], ns: NDArray[np.float64]) -> MapCosts:
    """Least absolute deviations to get near, then least squares without the points that are off by
    more than the outlier bound (time-slice ends, interrupts)."""
    weights = np.ones(len(ns))
    for _ in range(_L1_ROUNDS):
        costs = np.linalg.lstsq(design * weights[:, None], ns * weights, rcond=None)[0]
        weights = 1 / np.sqrt(np.maximum(np.abs(ns - design @ costs), 1.0))
    keep = np.abs(ns - design @ costs) < _OUTLIER_NS
    if keep.sum() < _LEAST_KEPT * len(ns):
        message = f"only {keep.sum()} of {len(ns)} durations follow the cost model: not a run"
        raise RecordingError(f"{message} that counts instructions?", log_name)
    costs = np.linalg.lstsq(design[keep], ns[keep], rcond=None)[0]
    fixed, hwpt, page, page_hwpt, run, table = (float(c) for c in costs)
    return MapCosts(
        fixed_ns=fixed,
        hwpt_ns=hwpt,
        page_ns=page,
        page_hwpt_ns=page_hwpt,
        run_ns=run,
        table_ns=table,
        residual_ns=float((ns - design @ costs)[keep].std()),
        n=int(keep.sum()),
        n_dropped=int((~keep).sum()),
    )


def fit_map_costs(logs: Iterable[OpsLog]) -> tuple[MapCosts, MapCosts]:
    """Costs of map and of unmap, fitted over all shapes that have map threads."""
    shapes: list[pd.DataFrame] = []
    alone: list[pd.DataFrame] = []
    name = "recording"
    for log in logs:
        if log.header.settings["nmap"]:
            name = log.name
            ops = _with_runs(mapping_ops(log))
            shapes.append(ops)
            quiet = _other_cpus_idle(log.frame, ops)
            alone.append(ops[(ops["op"] == "unmap") & quiet])
    maps = pd.concat(shapes)
    maps = maps[(maps["op"] == "map") & (maps["duration_ns"] < _TICK_NS)]
    unmaps = pd.concat(alone)
    unmaps = unmaps[unmaps["duration_ns"] < _TICK_NS]
    map_ns, unmap_ns = (part["duration_ns"].to_numpy(float) for part in (maps, unmaps))
    return (
        _fit(name, _design(maps, runs_per_hwpt=True), map_ns),
        _fit(name, _design(unmaps, runs_per_hwpt=False), unmap_ns),
    )


def _other_cpus_idle(frame: pd.DataFrame, ops: pd.DataFrame) -> NDArray[np.bool_]:
    """For each of `ops`: did no other CPU have an operation of `frame` under way?"""
    idle = np.ones(len(ops), dtype=bool)
    for cpu in ops["cpu"].unique():
        others = frame[frame["cpu"] != cpu].sort_values("start_ns")
        own = (ops["cpu"] == cpu).to_numpy()
        starts, ends = others["start_ns"].to_numpy(), others["end_ns"].cummax().to_numpy()
        before = np.searchsorted(starts, ops.loc[own, "end_ns"].to_numpy(), side="left")
        latest = np.where(before > 0, ends[np.maximum(before - 1, 0)], -1)
        idle[own] = latest <= ops.loc[own, "start_ns"].to_numpy()
    return idle


def _with_runs(ops: pd.DataFrame) -> pd.DataFrame:
    """Add column `runs`: solve each thread's breaks, refine the costs, and solve again."""
    ops = ops.assign(runs=1)
    usable = (ops["op"] == "map") & (ops["new_tables"] == 0) & (ops["duration_ns"] < _TICK_NS)
    hwpts = int(ops["n_hwpts"].max())
    page_ns, run_ns = _START_PAGE_NS + 190 * (hwpts - 1), _START_RUN_NS * hwpts
    one = ops.loc[usable & (ops["pages"] == 1), "duration_ns"]
    base_ns = float(one.median())
    for _ in range(_ROUNDS):
        for _, own in ops[usable].groupby("map_thread"):
            ns = own["duration_ns"].to_numpy(float) - base_ns
            bits = _solve_runs(own, (ns - page_ns * (own["pages"].to_numpy(float) - 1)) / run_ns)
            mine = ops["map_thread"] == own["map_thread"].iloc[0]
            ops.loc[mine, "runs"] = _runs(ops[mine], bits)
        maps = ops[usable]
        extra = [maps["pages"].to_numpy(float) - 1, maps["runs"].to_numpy(float) - 1]
        design = np.column_stack([np.ones(len(maps)), *extra])
        ns = maps["duration_ns"].to_numpy(float)
        near = np.abs(ns - design @ [base_ns, page_ns, run_ns]) < 5 * _OUTLIER_NS
        if near.sum() < _LEAST_KEPT / 2 * len(maps):
            break  # not a run that counts instructions: the fit will say so
        fitted = np.linalg.lstsq(design[near], ns[near], rcond=None)[0]
        base_ns, page_ns, run_ns = (float(c) for c in fitted)
    return ops
