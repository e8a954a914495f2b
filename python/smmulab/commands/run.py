# SPDX-License-Identifier: Apache-2.0
"""`smmulab run [CONFIG.toml]`: one configuration, one seed."""

from __future__ import annotations

import argparse
import json

from smmulab import report
from smmulab.commands.options import add_dma_trace, with_options
from smmulab.config import Config
from smmulab.running import run as simulate

EXIT_FAILURE = 1


def configure(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    parser.add_argument(
        "config", nargs="?", metavar="CONFIG.toml", help="machine or study file (docs/studies.md)"
    )
    parser.add_argument("-t", "--trace", metavar="TRACE", help="recorded trace")
    add_dma_trace(parser)
    parser.add_argument(
        "-s",
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="a parameter, protocol, engine, preset or generate.FIELD; may be repeated",
    )
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="seed of the generator")
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")


def run(args: argparse.Namespace) -> int:
    """0, or 1 if it deadlocked or ended in a wrong state."""
    config = Config() if args.config is None else Config.from_toml(args.config)
    config = with_options(config, args.set, args.trace, args.dma_trace)
    result = simulate(config, seed=args.seed)
    if args.json:
        told = {"run_id": result.run_id, "seed": result.seed, "config": result.config.to_dict()}
        print(json.dumps({**told, "result": result.document}))
    else:
        print(report.run_text(result))
    return 0 if result.status == "ok" else EXIT_FAILURE
