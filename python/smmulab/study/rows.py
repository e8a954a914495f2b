# SPDX-License-Identifier: Apache-2.0
"""Tidy rows of one run, for the tables of a store. Parameters are `param.*`; times are ps."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from smmulab import tables
from smmulab._core import build_info
from smmulab.checking import picoseconds
from smmulab.config import Config, parameter_units
from smmulab.study.job import Job, build_hash

_OWN = ("protocol", "status")  # these are there already


def parameters(job: Job) -> dict[str, Any]:
    """`param.*` of a run: every parameter, resolved; durations as integers, named `..._ps`."""
    config = job.config
    trace = None if config.trace is None else Path(config.trace).name
    row: dict[str, Any] = {"protocol": job.protocol_name, "seed": job.seed, "trace": trace}
    row |= {"trace_identity": job.trace_identity}
    if config.dma_trace is not None:
        row |= {"dma_trace": Path(config.dma_trace).name}
        row |= {"dma_trace_identity": job.dma_trace_identity}
    row |= _machine(config)
    if config.workload is not None:
        for name, value in config.workload.to_dict().items():
            text = value
            if name == "mix":
                text = ",".join(f"{kind}={weight}" for kind, weight in value.items())
            row[f"generate.{name}"] = text
    return {f"param.{key}": value for key, value in row.items()}


@lru_cache(maxsize=1024)
def _machine(config: Config) -> dict[str, Any]:
    units = parameter_units()
    effective = dict(pair.split("=", 1) for pair in config.assignments)
    row: dict[str, Any] = {}
    for key, value in config.parameters.items():
        if units[key] == "ps":
            row[f"{key}_ps"] = picoseconds(str(value), key)
        else:
            row[key] = effective.get(key, value) if units[key] == "enum" else value
    return row


def run_row(job: Job, answer: Mapping[str, Any]) -> dict[str, Any]:
    """The row of table `runs`: what was asked for, how it ended, and totals (those of
    Comparison.summary; null unless the run has a result), DMA's included if devices had streams."""
    info = build_info()
    row: dict[str, Any] = {
        "run_id": job.run_id,
        "status": answer["status"],
        "error": answer["error"] or "",
        "smmulab": info.version,
        "build": build_hash(),
    }
    result = answer["result"]
    if result is not None:
        totals = tables.summary_row(result)
        row |= {key: _null(value) for key, value in totals.items() if key not in _OWN}
        row |= tables.dma_totals(result)
        row["span_ps"] = result["main_span_ps"]
        row["events"] = result["events"]
        queues = result["queues"]
        row["commands"] = sum(queue["commands"] for queue in queues)
        row["sync_wait_total_ps"] = sum(queue["sync_wait_ps"] for queue in queues)
    return row | parameters(job)


def _null(value: Any) -> Any:
    """None for a NaN: JSON has none."""
    return None if isinstance(value, float) and math.isnan(value) else value


def _rows(run_id: str, rows: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    return [
        {"run_id": run_id, **{key: _null(v) for key, v in row.items() if key not in _OWN}}
        for row in rows
    ]


def operation_rows(run_id: str, result: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Rows of table `operations`: a kind of operation each (columns of Comparison.frame)."""
    return _rows(run_id, tables.operation_rows([result]))


def lock_rows(run_id: str, result: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Rows of table `locks`: a class and mode each (columns of Comparison.locks)."""
    return _rows(run_id, tables.lockstat_rows([result]))


def latency_rows(run_id: str, result: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Rows of table `latencies`: a bucket of the latency histogram of a kind of operation each."""
    return [
        {"run_id": run_id, "kind": kind["kind"], "low_ps": low, "high_ps": high, "count": count}
        for kind in result["kinds"]
        for low, high, count in kind["latency"]["buckets"]
    ]


def record(job: Job, answer: Mapping[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """The rows of one run, by table. A run without a result has a row in `runs` only."""
    result = answer["result"]
    rows: dict[str, list[dict[str, Any]]] = {
        "runs": [run_row(job, answer)],
        "operations": [],
        "locks": [],
        "latencies": [],
    }
    if result is not None:
        rows["operations"] = operation_rows(job.run_id, result)
        rows["locks"] = lock_rows(job.run_id, result)
        rows["latencies"] = latency_rows(job.run_id, result)
    return rows
