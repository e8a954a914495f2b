# SPDX-License-Identifier: Apache-2.0
"""The user-space operation log SHAPE.ops.txt: one line per ioctl, and what the header says.

Times are CLOCK_MONOTONIC nanoseconds of the guest. The meaning of each operation (which kernel
path it took) is worked out in `op_kinds.py`; statistics are in `op_stats.py`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pandas as pd

if TYPE_CHECKING:
    from smmulab.recordings.archive import RecordingError, TextLog

PAGE_BYTES = 4096
COLUMNS = (
    "start_ns",
    "end_ns",
    "thread",
    "cpu",
    "op",
    "dev",
    "devid",
    "group",
    "pt_id",
    "old_pt_id",
    "iova",
    "len_bytes",
    "ret",
)
DEVICE_OPS = ("attach", "replace", "detach", "bind", "dma")
OPS = frozenset((*DEVICE_OPS, "map", "unmap", "hwpt_alloc", "ioas_alloc", "destroy"))
_HEADER_KEYS = ("iters", "ndev", "nhwpt", "nioas", "nmap", "seed", "run_ns")
_TOKEN = re.compile(r"(\w+)=(\S+)")
_OP_COLUMN = COLUMNS.index("op")
_DEV_COLUMN = COLUMNS.index("dev")
_IOVA_COLUMN = COLUMNS.index("iova")


@dataclass(frozen=True)
class Device:
    """A device as the log's header names it; `group` is the kernel's iommu group number."""

    index: int
    bdf: str
    group: int
    devid: int


@dataclass(frozen=True)
class OpsHeader:
    """Header of one log. `hwpt_ioas` maps a hwpt id to its ioas id (explicit hwpts only)."""

    workload: str
    settings: dict[str, int]
    devices: tuple[Device, ...]
    ioas_ids: tuple[int, ...]
    hwpt_ioas: dict[int, int]

    def group_of(self, dev: int) -> int:
        """The iommu group of the device with that index."""
        return self.devices[dev].group

    def group_size(self, dev: int) -> int:
        """Number of the run's devices in that device's iommu group."""
        return sum(d.group == self.group_of(dev) for d in self.devices)


@dataclass(frozen=True)
class OpsLog:
    """One shape's operations, in order of start time; see COLUMNS and `duration_ns`."""

    name: str
    header: OpsHeader
    frame: pd.DataFrame


def read_ops_log(log: TextLog) -> OpsLog:
    """Parse a log; a line that is not what the format says raises RecordingError."""
    header_lines: list[tuple[int, str]] = []
    rows: list[tuple[int | str, ...]] = []
    row_lines: list[int] = []
    last_line = 0
    for number, line in log.lines():
        if line.startswith("#"):
            header_lines.append((number, line))
        elif line:
            rows.append(_row(log, number, line))
            row_lines.append(number)
        last_line = number
    header = _header(log, header_lines)
    if not log.text.endswith("\n"):
        raise log.fault("the last line is cut off: truncated log", last_line or None)
    if not rows:
        raise log.fault("no operations in this log", last_line)
    for number, row in zip(row_lines, rows, strict=True):
        _check_device(log, number, row, len(header.devices))
    frame = pd.DataFrame(rows, columns=list(COLUMNS))
    frame.insert(2, "duration_ns", frame["end_ns"] - frame["start_ns"])
    return OpsLog(log.name, header, frame.sort_values(["start_ns", "end_ns"], ignore_index=True))


def _row(log: TextLog, number: int, line: str) -> tuple[int | str, ...]:
    tokens = line.split()
    if len(tokens) != len(COLUMNS):
        message = f"{len(tokens)} columns where an operation has {len(COLUMNS)}: '{line}'"
        raise log.fault(message, number)
    if tokens[_OP_COLUMN] not in OPS:
        raise log.fault(f"unknown operation '{tokens[_OP_COLUMN]}'", number)
    row: list[int | str] = []
    for column, token in enumerate(tokens):
        if column == _OP_COLUMN:
            row.append(token)
            continue
        row.append(
            _number(log, number, COLUMNS[column], token, 16 if column == _IOVA_COLUMN else 10)
        )
    if int(row[1]) < int(row[0]) or int(row[0]) < 0:
        raise log.fault(f"operation ends at {row[1]} ns, before it starts ({row[0]} ns)", number)
    return tuple(row)


def _check_device(log: TextLog, number: int, row: tuple[int | str, ...], devices: int) -> None:
    device = int(row[_DEV_COLUMN])
    least = 0 if row[_OP_COLUMN] in DEVICE_OPS else -1
    if not least <= device < devices:
        raise log.fault(f"{row[_OP_COLUMN]} of device {device}; the header lists {devices}", number)


def _number(log: TextLog, number: int, column: str, token: str, base: int) -> int:
    try:
        return int(token, base)
    except ValueError:
        raise log.fault(f"'{token}' is not a number (column {column})", number) from None


def _header(log: TextLog, lines: list[tuple[int, str]]) -> OpsHeader:
    if not lines or not lines[0][1].startswith("# iofd_bench "):
        raise log.fault("not an operation log: the first line has no '# iofd_bench' header", 1)
    number, first = lines[0]
    tokens = dict(_TOKEN.findall(first))
    missing = [key for key in ("shape", *_HEADER_KEYS) if key not in tokens]
    if missing:
        raise log.fault(f"header lacks {', '.join(missing)}", number)
    workload = tokens.pop("shape")
    settings = {key: _number(log, number, key, value, 10) for key, value in tokens.items()}
    devices: list[Device] = []
    ioas_ids: list[int] = []
    hwpt_ioas: dict[int, int] = {}
    for number, line in lines[1:]:
        try:
            _header_object(line, devices, ioas_ids, hwpt_ioas)
        except (KeyError, ValueError, IndexError):
            raise log.fault(f"cannot read header line '{line}'", number) from None
    if len(devices) != settings["ndev"]:
        raise _count_error(log, "devices", settings["ndev"], len(devices))
    if len(hwpt_ioas) != settings["nhwpt"]:
        raise _count_error(log, "hwpts", settings["nhwpt"], len(hwpt_ioas))
    return OpsHeader(workload, settings, tuple(devices), tuple(ioas_ids), hwpt_ioas)


def _count_error(log: TextLog, what: str, promised: int, found: int) -> RecordingError:
    return log.fault(f"header promises {promised} {what} and lists {found}", 1)


def _header_object(
    line: str,
    devices: list[Device],
    ioas_ids: list[int],
    hwpt_ioas: dict[int, int],
) -> None:
    words = line.split()
    tokens = dict(_TOKEN.findall(line))
    if words[1] == "dev":
        group, devid = int(tokens["iommu_group"]), int(tokens["iommufd_devid"])
        devices.append(Device(int(words[2]), tokens["bdf"], group, devid))
    elif words[1] == "ioas":
        ioas_ids.append(int(tokens["id"]))
    elif words[1] == "hwpt":
        hwpt_ioas[int(tokens["id"])] = int(tokens["ioas"])
