# SPDX-License-Identifier: Apache-2.0
"""`smmulab compare TRACE`: the main job."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from smmulab import Interrupted, report, store
from smmulab.commands.options import Progress, add_dma_trace, add_settings, protocols_of
from smmulab.comparison import Plan

EXIT_FAILURE = 1


def configure(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    parser.add_argument("trace", metavar="TRACE", help="trace (.iotrace or .iotrace.zst)")
    parser.add_argument(
        "-p",
        "--protocol",
        action="append",
        metavar="NAME",
        help="a protocol of `smmulab protocols`, or FILE.py:CLASS (docs/python-protocols.md); several with commas "
        "between, or repeated (default: all)",
    )
    add_settings(parser)
    add_dma_trace(parser)
    parser.add_argument(
        "--engine", default="native", help="native (default) or simgrid: the same results"
    )
    parser.add_argument(
        "-o",
        "--out",
        type=Path,
        default=Path("out/compare"),
        metavar="FOLDER",
        help="where configuration, Parquet, figure and manifest go (default: out/compare)",
    )
    parser.add_argument(
        "--hgrm",
        action="store_true",
        help="write latency percentiles too: hgrm/PROTOCOL.OPERATION.hgrm",
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")


def run(args: argparse.Namespace) -> int:
    """0, or 1 if a protocol deadlocked or ended in a wrong state."""
    protocols = protocols_of(args.protocol)
    plan = Plan.of(args.trace, protocols, args.machine, args.set, args.engine, args.dma_trace)
    with store.output_folder(args.out):
        return _compare(plan, args)


def _compare(plan: Plan, args: argparse.Namespace) -> int:
    results: list[dict[str, Any]] = []
    try:
        with Progress() as progress:
            for result in plan.results(progress):
                results.append(result)  # noqa: PERF402  keeps those before an interrupt
    except (Interrupted, KeyboardInterrupt):
        if results and not args.json:
            print(report.text(plan.comparison(results)))
            print(
                f"\nincomplete: interrupted after {len(results)} of {len(plan.protocols)} "
                "protocols; nothing was written"
            )
        raise
    comparison = plan.comparison(results)
    for warning in comparison.warnings:
        print(f"smmulab: warning: {warning}", file=sys.stderr)
    made = store.save(comparison, args.out)
    if args.hgrm:
        store.save_hgrm(comparison, args.out)
    if args.json:
        print(json.dumps({"manifest": made, "results": comparison.results}))
    else:
        print(report.text(comparison))
        print(f"\nwritten to {args.out} (run {made['run_id'][:12]}); figure: comparison.png")
    failed = any(result["status"] != "ok" for result in comparison.results)
    return EXIT_FAILURE if failed else 0
