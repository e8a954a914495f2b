# SPDX-License-Identifier: Apache-2.0
"""Runs on more than one machine: `executor="dask://HOST:PORT"` names a Dask scheduler."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor
from typing import Any, cast

from smmulab._core import ConfigError
from smmulab.study.job import build_hash

SCHEME = "dask://"
_CONNECT_S = 10


def connect(address: str) -> tuple[Executor, int, Callable[[], object]]:
    """(executor, runs in flight, what closes it). ConfigError if Dask is not installed, the scheduler
    cannot be reached, has no worker, or a worker has another build of smmulab.

    A worker that dies loses nothing: the scheduler gives its runs to another one.
    """
    if not address.startswith(SCHEME):
        raise ConfigError(f"executor '{address}': expected {SCHEME}HOST:PORT")
    try:
        import distributed  # noqa: PLC0415  an extra
    except ImportError:
        raise ConfigError(
            "executor: Dask is not installed; python -m pip install 'smmulab[dask]'"
        ) from None
    target = "tcp://" + address.removeprefix(SCHEME)
    try:
        make: Any = distributed.Client
        client = make(target, timeout=_CONNECT_S, set_as_default=False)
    except (OSError, ValueError) as error:
        raise ConfigError(f"executor {address}: no scheduler there: {error}") from None
    try:
        builds = client.run(build_hash)
        if not builds:
            raise ConfigError(f"executor {address}: the scheduler has no worker")
        other = [worker for worker, build in builds.items() if build != build_hash()]
        if other:
            raise ConfigError(f"executor {address}: another build of smmulab on {', '.join(other)}")
        width = 2 * sum(client.nthreads().values())
        # Not pure: a run that is made again has the same arguments.
        executor = cast(Executor, client.get_executor(pure=False))
    except BaseException:
        client.close()
        raise
    return executor, width, client.close
