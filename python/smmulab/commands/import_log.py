# SPDX-License-Identifier: Apache-2.0
"""`smmulab import LOG -o TRACE`: turns a recorded log into a trace."""

from __future__ import annotations

import argparse
import json
import tempfile
from functools import partial
from pathlib import Path

from smmulab import ConfigError, _core
from smmulab.commands.options import Lines, Progress
from smmulab.recordings import open_recording
from smmulab.recordings.qemu_log import is_qemu_log, unpacked

KINDS = ("iofd-ops", "qemu-smmu")
_ARCHIVE = ".tar.xz"
_TRACES = (".iotrace", ".iotrace.zst")


def configure(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    parser.add_argument(
        "log",
        metavar="LOG",
        help="a log, or ARCHIVE.tar.xz:SHAPE for the operation log of one shape of a recorded run",
    )
    parser.add_argument(
        "-o",
        "--out",
        required=True,
        metavar="TRACE",
        help="FILE.iotrace[.zst]; of a QEMU SMMU log a DMA trace (docs/dma-trace.md), FILE.dma[.zst]",
    )
    parser.add_argument("--kind", choices=KINDS, help="kind of log (default: by its contents)")
    parser.add_argument(
        "--cpus",
        type=int,
        metavar="N",
        help="CPUs of the recorded machine (default: what the log and smpN in its name say)",
    )


def run(args: argparse.Namespace) -> int:
    """Imports; the kind is recognized by the log's first lines unless it is named."""
    if args.kind == "qemu-smmu" or (args.kind is None and _may_be_qemu(args.log)):
        return _import_qemu(args)
    if args.kind is None and _ARCHIVE not in args.log:
        _core.detect_log_kind(args.log)  # what it is matters before what its trace is called
    if not args.out.endswith(_TRACES):
        raise ConfigError(f"{args.out}: a trace is named FILE.iotrace or FILE.iotrace.zst")
    if args.log.endswith(_ARCHIVE):
        return _import_member(args, args.log, "")
    if _ARCHIVE + ":" in args.log:
        archive, _, shape = args.log.rpartition(":")
        return _import_member(args, archive, shape)
    return _import(args, args.log, Path(args.log).name)


def _may_be_qemu(log: str) -> bool:
    return _ARCHIVE not in log and is_qemu_log(log)


def _import_qemu(args: argparse.Namespace) -> int:
    with unpacked(args.log) as plain, Lines() as progress:
        found = json.loads(_core.import_qemu_log(plain, args.out, args.log, progress))
    missed = sum(check["miss"] for check in found["checks"])
    print(
        f"{args.out}: {found['translations']} DMA accesses of {found['streams']} streams, "
        f"{found['walks']} walks and {found['invalidations']} invalidations when recorded"
    )
    if missed:
        print(f"{missed} disagreements with the model: smmulab validate --oracle qemu {args.log}")
    return 0


def _import_member(args: argparse.Namespace, archive: str, shape: str) -> int:
    recording = open_recording(archive)
    shapes = recording.shapes("ops.txt")
    if not shapes:
        raise ConfigError(f"{archive}: this recording has no operation log (SHAPE.ops.txt)")
    if not shape:
        raise ConfigError(f"name a shape, {archive}:SHAPE; it has: {', '.join(shapes)}")
    if shape not in shapes:
        raise ConfigError(f"{archive} has no shape '{shape}'; it has: {', '.join(shapes)}")
    with tempfile.TemporaryDirectory() as folder:
        # The folder's name carries "smpN", which tells the number of CPUs.
        path = Path(folder) / recording.name / f"{shape}.ops.txt"
        path.parent.mkdir()
        path.write_bytes(recording.members[path.name])
        return _import(args, str(path), f"{recording.name}/{path.name}")


def _import(args: argparse.Namespace, path: str, source: str) -> int:
    if args.kind is None:
        _core.detect_log_kind(path)
    with Progress() as progress:
        tell = partial(progress, Path(path).name)
        summary = _core.import_ops_log(path, args.out, args.cpus, source, progress=tell)
    print(
        f"{args.out}: {summary.operations} operations ({summary.failed} failed when recorded), "
        f"{summary.devices} devices, {summary.threads} threads, {summary.cpus} CPUs; "
        f"source {source} (XXH3-128 {summary.source_hash})"
    )
    return 0
