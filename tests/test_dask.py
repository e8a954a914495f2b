# SPDX-License-Identifier: Apache-2.0
"""A real Dask scheduler with two worker processes on loopback: same bytes as here, whoever dies."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

import smmulab
from smmulab import Config, Workload, cli, sweep
from smmulab.study.store import TABLES

CONFIG = Config(workload=Workload(devices=4, ops=300, mix="attach=1,replace=3,map=2,unmap=2"))
FACTORS = {"protocol": ["igroup", "devices-users-3", "v6.2"], "threads": [1, 2, 4]}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


class Cluster:
    """A scheduler and some workers, processes of their own; `package`: where these find smmulab."""

    def __init__(
        self, stack: ExitStack, folder: Path, workers: int = 2, package: Path | None = None
    ) -> None:
        self._environment = dict(os.environ)
        if package is not None:
            self._environment["PYTHONPATH"] = str(package)
        self.address = f"127.0.0.1:{free_port()}"
        self._stack, self._folder = stack, folder
        host, port = self.address.split(":")
        self._start("scheduler", "--host", host, "--port", port)
        self.workers = [
            self._start("worker", f"tcp://{self.address}", "--nthreads", "1", "--no-nanny")
            for _ in range(workers)
        ]

    def _start(self, what: str, *argv: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", f"distributed.cli.dask_{what}", *argv, "--no-dashboard"]
        with (self._folder / f"{what}.log").open("ab") as log:
            process = subprocess.Popen(
                command, stdout=log, stderr=log, cwd=self._folder, env=self._environment
            )
        self._stack.callback(process.wait)
        self._stack.callback(process.kill)
        return process

    def wait_for_workers(self) -> None:
        from distributed import Client  # noqa: PLC0415

        deadline = time.monotonic() + 120
        while True:
            try:
                with Client(f"tcp://{self.address}", timeout=5, set_as_default=False) as client:
                    client.wait_for_workers(len(self.workers), timeout=120)
                return
            except OSError:
                if time.monotonic() > deadline:
                    raise


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    with ExitStack() as stack:
        made = Cluster(stack, tmp_path)
        made.wait_for_workers()
        yield made


def tables(folder: Path) -> dict[str, bytes]:
    names = [*(f"{name}.parquet" for name in TABLES), "manifest.json"]
    return {name: (folder / name).read_bytes() for name in names}


@pytest.mark.filterwarnings("default")
def test_a_worker_killed_in_the_middle_changes_no_byte(cluster: Cluster, tmp_path: Path) -> None:
    here = sweep(CONFIG, FACTORS, seeds=2, out=tmp_path / "here")
    ended: list[int] = []

    def kill_one(count: int, known: int, what: str) -> bool:
        ended.append(count)
        if count == 4:
            os.kill(cluster.workers[0].pid, signal.SIGKILL)
        return known == 18 and bool(what)

    address = f"dask://{cluster.address}"
    there = sweep(
        CONFIG, FACTORS, seeds=2, out=tmp_path / "there", executor=address, progress=kill_one
    )
    assert cluster.workers[0].wait() == -signal.SIGKILL
    assert ended == list(range(1, 19))
    assert (there.ran, len(there.failed)) == (18, 0)
    assert tables(tmp_path / "there") == tables(tmp_path / "here")
    assert there.frame().equals(here.frame())


def refused(cluster: Cluster, out: Path, capsys: pytest.CaptureFixture[str]) -> str:
    argv = ["sweep", "-s", "generate.devices=2", "--executor", f"dask://{cluster.address}"]
    assert cli.main([*argv, "-o", str(out)]) == 2
    return capsys.readouterr().err


@pytest.mark.filterwarnings("default")
def test_a_scheduler_without_workers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with ExitStack() as stack:
        cluster = Cluster(stack, tmp_path, workers=0)
        deadline = time.monotonic() + 60
        told = refused(cluster, tmp_path / "out", capsys)
        while "no scheduler there" in told and time.monotonic() < deadline:  # it starts
            told = refused(cluster, tmp_path / "out", capsys)
    assert f"executor dask://{cluster.address}: the scheduler has no worker" in told


@pytest.mark.filterwarnings("default")
def test_workers_of_another_build(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One changed line of Python there is another build."""
    package = Path(str(smmulab.__file__)).parent
    copied = tmp_path / "elsewhere" / "smmulab"
    shutil.copytree(package, copied, ignore=shutil.ignore_patterns("*.so", "__pycache__"))
    (core,) = package.glob("_core*.so")
    (copied / core.name).symlink_to(core)
    with (copied / "tables.py").open("a") as file:
        file.write("# another\n")
    with ExitStack() as stack:
        cluster = Cluster(stack, tmp_path, workers=1, package=copied.parent)
        cluster.wait_for_workers()
        told = refused(cluster, tmp_path / "out", capsys)
    assert f"executor dask://{cluster.address}: another build of smmulab on tcp://" in told


def test_no_scheduler_is_a_clear_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("smmulab.study.dask._CONNECT_S", 1)
    address = f"dask://127.0.0.1:{free_port()}"
    argv = ["sweep", "-s", "generate.devices=2", "--executor", address, "-o", str(tmp_path / "out")]
    assert cli.main(argv) == 2
    assert re.search(rf"executor {address}: no scheduler there", capsys.readouterr().err)
    with pytest.raises(smmulab.ConfigError, match=r"expected dask://HOST:PORT"):
        sweep(CONFIG, {}, out=tmp_path / "out", executor="tcp://x")
