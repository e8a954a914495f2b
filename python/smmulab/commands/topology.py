# SPDX-License-Identifier: Apache-2.0
"""`smmulab topology FILE`: iommu groups, VFIO device sets and stream ids of a PCIe host."""

from __future__ import annotations

import argparse
from pathlib import Path

from smmulab import ConfigError, _core, store
from smmulab.commands.lockdep import draw

EXIT_UNLIKE = 1


def configure(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    parser.add_argument(
        "host",
        metavar="FILE",
        help="topology file (.toml), output of `lspci -vvv -nn -D`, or a folder copied from sysfs",
    )
    parser.add_argument(
        "--settings",
        default="",
        metavar="FILE",
        help="TOML with iommu_map and probe_order, for a host read from lspci or sysfs",
    )
    parser.add_argument(
        "--device",
        action="append",
        default=[],
        metavar="ADDRESS",
        help="a device of the trace; may be repeated (default: all that vfio-pci can take)",
    )
    parser.add_argument(
        "--cpus", type=int, default=0, metavar="N", help="CPUs of the trace (default: one a device)"
    )
    parser.add_argument("--trace-header", type=Path, metavar="FILE", help="write a trace's header")
    parser.add_argument(
        "--trace",
        type=Path,
        metavar="FILE",
        help="write a trace in which every device is moved between two hwpts (see --replaces)",
    )
    parser.add_argument(
        "--replaces", type=int, default=100, metavar="N", help="moves of a device (default: 100)"
    )
    parser.add_argument(
        "-o",
        "--out",
        type=Path,
        metavar="FOLDER",
        help="draw it there: topology.dot, and .svg, .png if GraphViz is installed (default: no drawing)",
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of the tree")


def run(args: argparse.Namespace) -> int:
    """0, or 1 if the host recorded other groups."""
    for option, value, most in (("cpus", args.cpus, 4096), ("replaces", args.replaces, 10**12)):
        if not 0 <= value <= most:
            raise ConfigError(f"--{option}: expected a number from 0 to {most}, not {value}")
    host = _core.Topology(args.host, args.settings)
    print(host.json() if args.json else host.text(), end="\n" if args.json else "")
    written: list[Path] = []
    if args.out is not None:
        store.prepare_folder(args.out)
        written += draw(host.dot(), args.out / "topology.dot")
    if args.trace_header is not None:
        header = host.trace_header(args.device, args.cpus)
        store.publish(args.trace_header, lambda path: path.write_text(header, encoding="utf-8"))
        written.append(args.trace_header)
    if args.trace is not None:
        host.write_trace(str(args.trace), args.replaces, args.device, args.cpus)
        written.append(args.trace)
    if written and not args.json:
        print(f"written: {', '.join(map(str, written))}")
    return EXIT_UNLIKE if host.unlike_recorded else 0
