# SPDX-License-Identifier: Apache-2.0
"""Which path of Linux 6.12 each logged operation took, worked out by replaying the log.

The log records what the program asked for; the kernel path depends on state shared by threads
(does the device's group sit on a hwpt already, and on which one). The state is replayed in
order of end time: operations on one group are serialized by igroup->lock, and the one that
finished first held it first. Operations that overlap on one multi-device group may still be
told apart wrongly when a thread loses its CPU between unlock and the second time stamp.

Kinds (prefix `group_`: the device's iommu group has several devices, all moved by one call):
  attach            first device of its group: reserved regions, domain attach in hardware
  attach_join       group already attached to that hwpt: reserved regions and bookkeeping only
  attach_refused    returned an error (group attached to another hwpt: -EINVAL)
  replace_same      the group sits on that hwpt already: no work
  replace_in_ioas   new hwpt, same ioas: domain switch only
  replace_across_ioas   new hwpt of another ioas: reserved regions too
  detach            last device of its group: domain detach in hardware
  detach_leave      other devices of the group stay attached
  map, unmap, hwpt_alloc, ioas_alloc, destroy_hwpt, destroy_ioas, dma
  map_refused, unmap_refused   returned an error (IOVA mapped already: -EEXIST)
  bind, bind_join   first / later device of its group
Suffix `_auto`: asked for by ioas id (automatic domain). Whether such an operation also made or
destroyed the automatic hwpt cannot be told from this log; `lockdep_log.py` shows it.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from smmulab.recordings.ops_log import PAGE_BYTES

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping

    import pandas as pd

    from smmulab.recordings.ops_log import OpsHeader, OpsLog


@dataclass
class _State:
    """Who is attached where, as far as the operations replayed so far tell."""

    header: OpsHeader
    bound: Counter[int] = field(default_factory=Counter)  # group -> devices bound
    members: dict[int, set[int]] = field(default_factory=dict)  # group -> devices attached
    hwpt_of: dict[int, int] = field(default_factory=dict)  # group -> hwpt id

    def attached(self, group: int) -> set[int]:
        """Devices of the group that are attached (by index); may be changed."""
        return self.members.setdefault(group, set())


def add_kinds(log: OpsLog) -> pd.DataFrame:
    """The log's frame with columns `kind`, `n_devices`, `pages` and `n_hwpts` added.

    `n_devices`: devices that the operation moves (the size of the iommu group). `pages`: 4 KiB
    pages of a map or unmap. `n_hwpts`: explicit hwpts of the ioas that a map or unmap names.
    """
    frame = log.frame.copy()
    header = log.header
    frame["asked_id"] = _asked_ids(log)
    state = _State(header)
    kinds = [""] * len(frame)
    ops = frame.to_dict(orient="records")
    for row in frame.sort_values(["end_ns", "start_ns"]).index:
        kinds[row] = _kind(state, ops[row])
    frame["kind"] = kinds
    sizes = {d.index: header.group_size(d.index) for d in header.devices}
    frame["n_devices"] = [sizes.get(int(dev), 0) for dev in frame["dev"]]
    ioas_sizes = {i: list(header.hwpt_ioas.values()).count(i) for i in header.ioas_ids}
    mapping = frame["op"].isin(["map", "unmap"])
    frame["pages"] = (frame["len_bytes"] // PAGE_BYTES).where(mapping, 0)
    frame["n_hwpts"] = [ioas_sizes.get(int(i), 0) for i in frame["pt_id"]]
    frame["n_hwpts"] = frame["n_hwpts"].where(mapping, 0)
    return frame.drop(columns="asked_id")


def _asked_ids(log: OpsLog) -> pd.Series[int]:
    """The id each operation asked for. With automatic domains the log's `pt_id` is the hwpt that
    was returned; the ioas asked for is the `old_pt_id` of the device's next operation."""
    frame = log.frame
    asked = frame["pt_id"].copy()
    if log.header.workload == "auto":
        moves = frame[frame["op"].isin(["attach", "replace", "detach"]) & (frame["ret"] == 0)]
        following = moves.groupby("dev")["old_pt_id"].shift(-1).dropna().astype("int64")
        following = following[moves.loc[following.index, "op"] != "detach"]
        asked.loc[following.index] = following
    return asked


def _kind(state: _State, op: Mapping[Hashable, Any]) -> str:
    name = str(op["op"])
    if name == "destroy":
        return "destroy_ioas" if op["pt_id"] in state.header.ioas_ids else "destroy_hwpt"
    if name not in ("attach", "replace", "detach", "bind"):
        return f"{name}_refused" if name in ("map", "unmap") and op["ret"] != 0 else name
    group = state.header.group_of(op["dev"])
    prefix = "group_" if state.header.group_size(op["dev"]) > 1 else ""
    if name == "bind":
        state.bound[group] += 1
        return f"{prefix}bind" if state.bound[group] == 1 else "bind_join"
    if op["ret"] != 0:
        return f"{name}_refused"
    suffix = "_auto" if state.header.workload == "auto" else ""
    if name == "attach":
        return _attach(state, op, group, prefix) + suffix
    if name == "replace":
        return prefix + _replace(state, op, group) + suffix
    return _detach(state, op, group, prefix) + suffix


def _attach(state: _State, op: Mapping[Hashable, Any], group: int, prefix: str) -> str:
    members = state.attached(group)
    members.add(op["dev"])
    state.hwpt_of[group] = op["pt_id"]  # also corrects a wrong guess: joining proves the hwpt
    return f"{prefix}attach" if len(members) == 1 else "attach_join"


def _replace(state: _State, op: Mapping[Hashable, Any], group: int) -> str:
    if state.header.workload == "auto":
        return "replace_same" if op["old_pt_id"] == op["asked_id"] else "replace_across_ioas"
    old, new = state.hwpt_of.get(group, -1), op["pt_id"]
    state.hwpt_of[group] = new
    if old == new:
        return "replace_same"
    ioas_of = state.header.hwpt_ioas
    same_ioas = old in ioas_of and ioas_of[old] == ioas_of.get(new)
    return "replace_in_ioas" if same_ioas else "replace_across_ioas"


def _detach(state: _State, op: Mapping[Hashable, Any], group: int, prefix: str) -> str:
    members = state.attached(group)
    members.discard(op["dev"])
    return "detach_leave" if members else f"{prefix}detach"
