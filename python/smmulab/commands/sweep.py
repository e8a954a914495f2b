# SPDX-License-Identifier: Apache-2.0
"""`smmulab sweep [STUDY.toml]`: every point of a study with every seed."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from smmulab._core import ConfigError
from smmulab.commands.options import Runs, add_dma_trace, with_options
from smmulab.config import Config
from smmulab.study.design import DESIGNS, factor_names
from smmulab.study.factor_text import parse_factor, parse_filter
from smmulab.study.file import Study, read_study
from smmulab.study.job import Job
from smmulab.study.sweeping import jobs_of, sweep

EXIT_FAILURE = 1
_SHOWN = 20


def configure(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command. Each key of the file has an option, which goes before the file's."""
    add = parser.add_argument
    add("study", nargs="?", metavar="STUDY.toml", help="study file (docs/studies.md)")
    add(
        "-f",
        "--factor",
        action="append",
        default=[],
        metavar="KEY=VALUES",
        help="values of a factor: cores=1,2,4..64, protocol=a,b, line.cross_node=50ns:1us:log (a range); "
        "KEY,KEY=A:B,C:D sets two together; may be repeated",
    )
    add(
        "-s",
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="a parameter, protocol, engine, preset or generate.FIELD of every run; may be repeated",
    )
    add("-t", "--trace", metavar="TRACE", help="recorded trace")
    add_dma_trace(parser)
    add("--seeds", type=int, metavar="N", help="seeds 1 to N at every point (default: 1)")
    add("--design", choices=DESIGNS, help="how factors combine (default: grid)")
    add("--samples", type=int, metavar="N", help="points of a Latin hypercube or Sobol design")
    add("--design-seed", type=int, metavar="N", help="random seed of such a design (default: 1)")
    add(
        "--where",
        action="append",
        metavar="'A OP B'",
        help="keep points for which this holds, such as 'threads <= devices'; may be repeated",
    )
    add("-j", "--jobs", type=int, metavar="N", help="runs at a time (default: two, or one CPU)")
    add("--executor", metavar="dask://HOST:PORT", help="a Dask scheduler instead of this machine")
    add(
        "--resume",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="skip runs that the folder holds (default)",
    )
    add("--dry-run", action="store_true", help="list the runs, simulate nothing")
    add("--max-runs", type=int, metavar="N", help="refuse a study of more runs")
    add(
        "-o",
        "--out",
        type=Path,
        default=Path("out/sweep"),
        metavar="FOLDER",
        help="the store (default: out/sweep)",
    )
    add("--json", action="store_true", help="print JSON instead of text")


def _factors(study: Study, args: argparse.Namespace, generated: bool) -> dict[Any, Any]:
    """The options' factors, and those of the file whose names no option gives, whatever they are
    called in either. ConfigError for an option that gives one name of several that go together."""
    given = dict(map(parse_factor, args.factor))
    texts = [text.partition("=")[0] for text in args.set]
    texts += ["trace"] if args.trace is not None else []
    texts += ["dma_trace"] if args.dma_trace is not None else []
    mine = {name for key in [*given, *texts] for name in factor_names(key, generated=generated)}
    factors: dict[Any, Any] = {}
    for key, values in study.factors.items():
        names = factor_names(key, generated=generated)
        if mine.isdisjoint(names):
            factors[key] = values
        elif not mine.issuperset(names):
            raise ConfigError(
                f"factor '{','.join(names)}' of the study sets these together: give an option for all"
            )
    return factors | given


def _study(args: argparse.Namespace) -> tuple[Config, dict[Any, Any], dict[str, Any]]:
    """Configuration, factors and the other arguments of `sweep`: the file's, then the options'."""
    study = Study() if args.study is None else read_study(args.study)
    config = with_options(study.config, args.set, args.trace, args.dma_trace)
    factors = _factors(study, args, generated=config.workload is not None)
    where = args.where if args.where is not None else list(study.where)
    options = {
        "seeds": study.seeds if args.seeds is None else args.seeds,
        "design": args.design or study.design,
        "samples": study.samples if args.samples is None else args.samples,
        "design_seed": study.design_seed if args.design_seed is None else args.design_seed,
        "where": parse_filter(where, generated=config.workload is not None),
    }
    return config, factors, options


def _line(job: Job) -> str:
    words = [job.run_id[:12], job.protocol_name, f"seed={job.seed}", *job.config.assignments]
    if job.config.workload is not None:
        words += job.config.workload.options()
    return "  ".join(words)


def _dry_run(jobs: list[Job], as_json: bool) -> int:
    if as_json:
        print(json.dumps([job.to_dict() for job in jobs]))
        return 0
    for job in jobs[:_SHOWN]:
        print(_line(job))
    if len(jobs) > _SHOWN:
        print(f"... and {len(jobs) - _SHOWN:,} more")
    print(f"{len(jobs):,} runs; nothing was simulated")
    return 0


def run(args: argparse.Namespace) -> int:
    """0, or 1 if a run has no result."""
    config, factors, options = _study(args)
    if args.dry_run:
        jobs = jobs_of(config, factors, **options, max_runs=args.max_runs)
        return _dry_run(jobs, args.json)
    with Runs() as progress:
        done = sweep(
            config,
            factors,
            out=args.out,
            jobs=args.jobs,
            executor=args.executor,
            resume=args.resume,
            progress=progress,
            max_runs=args.max_runs,
            **options,
        )
    failed = done.failed
    for _, row in failed.head(_SHOWN).iterrows():
        where = f"{row['run_id'][:12]} ({row['param.protocol']}, seed {row['param.seed']})"
        print(f"smmulab: {where}: {row['status']}: {row['error']}", file=sys.stderr)
    counts = done.frame()["status"].value_counts().to_dict()
    if args.json:
        told = {"ran": done.ran, "skipped": done.skipped, "status": counts}
        print(json.dumps({**told, "out": str(args.out)}))
    else:
        words = ", ".join(f"{count:,} {status}" for status, count in counts.items())
        print(f"{args.out}: {done.ran:,} runs, {done.skipped:,} were there already: {words}")
    return EXIT_FAILURE if len(failed) else 0
