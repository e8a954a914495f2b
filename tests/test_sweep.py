# SPDX-License-Identifier: Apache-2.0
"""Does a sweep run each point once, lose nothing when it is killed, and give the same bytes?"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import duckdb
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import smmulab
from conftest import SMALL as SMALL_TRACE
from smmulab import Config, Store, Workload, cli, sweep
from smmulab.study import isolated, jobs_of, parquet
from smmulab.study.store import TABLES, merge

SMALL = Config(workload=Workload(devices=3, ops=60, mix="attach=1,replace=3,map=2,unmap=2"))
FACTORS = {"protocol": ["igroup", "v6.2"], "threads": [1, 2]}


def tables(folder: Path) -> dict[str, bytes]:
    names = [*(f"{name}.parquet" for name in TABLES), "manifest.json"]
    return {name: (folder / name).read_bytes() for name in names}


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory) -> smmulab.Sweep:
    return sweep(SMALL, FACTORS, seeds=2, out=tmp_path_factory.mktemp("swept"))


def test_a_prompt_shows_what_was_done(swept: smmulab.Sweep) -> None:
    folder = swept.store.folder
    assert repr(swept).startswith(f"8 runs in {folder}, 8 of them simulated now; ")
    again = sweep(SMALL, FACTORS, seeds=2, out=folder)
    assert repr(again).startswith(f"8 runs in {folder}, 0 of them simulated now; ")
    assert repr(swept.store) == f"Store('{folder}')"


def test_every_point_with_every_seed(swept: smmulab.Sweep) -> None:
    frame = swept.frame()
    seen = list(
        zip(
            frame["param.protocol"],
            frame["param.generate.threads"],
            frame["param.seed"],
            strict=True,
        )
    )
    assert seen == [(p, t, s) for p in ("igroup", "v6.2") for t in (1, 2) for s in (1, 2)]
    assert set(frame["status"]) == {"ok"}
    assert (frame["ops_per_s"] > 0).all()
    assert (swept.ran, swept.skipped) == (8, 0)
    # The group lock scales; both protocols met the same operations.
    rate = frame.pivot_table(
        index="param.protocol", columns="param.generate.threads", values="ops_per_s"
    )
    assert rate.loc["igroup", 2] > rate.loc["igroup", 1]
    counts = swept.operations().pivot_table(
        index=["kind", "param.seed", "param.generate.threads"],
        columns="param.protocol",
        values="count",
    )
    assert (counts["igroup"] == counts["v6.2"]).all()


def test_a_row_is_what_a_run_gives(swept: smmulab.Sweep) -> None:
    row = swept.frame().iloc[3]
    result = smmulab.run(SMALL.replace({"threads": 2}), seed=2)
    assert row["run_id"] == result.run_id
    assert row["ops_per_s"] == result.ops_per_s
    mine = swept.operations().query("run_id == @result.run_id").reset_index(drop=True)
    assert mine["p99_ps"].to_list() == result.frame()["p99_ps"].to_list()
    buckets = swept.latencies().query("run_id == @result.run_id").groupby("kind")["count"].sum()
    assert buckets.to_dict() == mine.set_index("kind")["count"].to_dict()


def test_units_stand_in_the_names(swept: smmulab.Sweep) -> None:
    runs = swept.store.runs(all_parameters=True)
    assert runs["param.hw.sync_ps"].iloc[0] == 250_000
    assert "param.hw.sync" not in runs
    assert runs["param.smmuv3.link.doorbell_ps"].iloc[0] == 150_000
    assert runs["param.replay.think"].iloc[0] == "zero"


def test_done_runs_are_skipped_and_new_ones_added(tmp_path: Path) -> None:
    first = sweep(SMALL, {"threads": [1]}, out=tmp_path)
    before = tables(tmp_path)
    again = sweep(SMALL, {"threads": [1]}, out=tmp_path)
    assert (first.ran, again.ran, again.skipped) == (1, 0, 1)
    assert tables(tmp_path) == before
    more = sweep(SMALL, {"threads": [1, 3]}, out=tmp_path)
    assert (more.ran, more.skipped) == (1, 1)
    assert len(Store(tmp_path).runs()) == 2
    assert sweep(SMALL, {"threads": [1]}, out=tmp_path, resume=False).ran == 1
    assert len(Store(tmp_path).runs()) == 2


def test_two_sweeps_in_one_store_are_as_one(swept: smmulab.Sweep, tmp_path: Path) -> None:
    sweep(SMALL, {**FACTORS, "protocol": ["v6.2"]}, seeds=[2, 1], out=tmp_path)
    sweep(SMALL, {**FACTORS, "protocol": ["igroup"]}, seeds=2, out=tmp_path, jobs=1)
    assert tables(tmp_path) == tables(swept.store.folder)


def test_any_executor_gives_the_same_bytes(swept: smmulab.Sweep, tmp_path: Path) -> None:
    with ThreadPoolExecutor(3) as executor:
        sweep(SMALL, FACTORS, seeds=2, out=tmp_path, executor=executor)
    assert tables(tmp_path) == tables(swept.store.folder)


def test_a_run_that_fails_keeps_a_row(tmp_path: Path) -> None:
    bad = tmp_path / "bad.iotrace"
    bad.write_text(SMALL_TRACE.replace("attach dev=0", "attach dev=9"))
    done = sweep(Config(), {"protocol": ["igroup", "v6.2"]}, trace=bad, out=tmp_path / "out")
    assert done.failed["status"].to_list() == ["error", "error"]
    assert "bad.iotrace:20" in done.failed["error"][0]
    assert sweep(Config(), {}, trace=bad, out=tmp_path / "out").ran == 0


def test_a_deadlock_is_a_result(crossing_trace: Path, tmp_path: Path) -> None:
    done = sweep(Config(protocol="seed-unordered"), {}, trace=crossing_trace, out=tmp_path)
    row = done.frame().iloc[0]
    assert row["status"] == "deadlock"
    assert "->" in row["deadlock_cycle"]
    assert pd.isna(row["ops_per_s"])


def test_a_crash_takes_nobody_along(monkeypatch: pytest.MonkeyPatch) -> None:
    """The run's process dies of a signal; its worker answers, and goes on with the next."""
    job = next(iter(jobs_of(SMALL, {}))).to_dict()
    worker = isolated.Worker()
    workers = isolated.Workers()
    folder = workers.folder()
    code = (
        "import os, sys; from smmulab.study import worker;"
        "worker.simulate = lambda job, trace: os.kill(os.getpid(), 11);"
        "worker.serve(sys.stdin.buffer, sys.stdout.buffer)"
    )
    worker.close()
    real = subprocess.Popen
    monkeypatch.setattr(
        subprocess,
        "Popen",
        lambda argv, **kw: (
            real([sys.executable, "-c", code], **kw) if "-m" in argv else real(argv, **kw)
        ),
    )
    crashing = isolated.Worker()
    for _ in range(2):
        answer = crashing.ask(job, folder)
        assert (answer["status"], answer["error"]) == (
            "crashed",
            "the run's process died of SIGSEGV",
        )
    crashing.close()


def test_a_worker_that_is_killed_is_replaced() -> None:
    job = next(iter(jobs_of(SMALL, {}))).to_dict()
    first = isolated.run_isolated(job)
    isolated._workers._local.worker.process.kill()
    second = isolated.run_isolated(job)
    assert first["status"] == second["status"] == "ok"
    assert first["result"] == second["result"]


def test_another_build_is_not_mixed_in() -> None:
    job = {**next(iter(jobs_of(SMALL, {}))).to_dict(), "build": "0" * 64}
    answer = isolated.run_isolated(job)
    assert answer["status"] == "error"
    assert "another build" in answer["error"]


def test_killed_at_any_moment_only_runs_in_flight_are_lost(
    swept: smmulab.Sweep, tmp_path: Path
) -> None:
    code = (
        "import sys; sys.path[:0] = sys.argv[2:]; import test_sweep as t;"
        "t.sweep(t.SMALL, t.FACTORS, seeds=2, out=sys.argv[1], jobs=1,"
        " progress=lambda ended, known, what: print(ended, flush=True) or True)"
    )
    argv = [sys.executable, "-c", code, str(tmp_path), str(Path(__file__).parent)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if int(line) == 3:
                process.send_signal(signal.SIGKILL)
                break
    assert not (tmp_path / "manifest.json").exists()
    # A line that was cut off by the kill is none.
    (journal,) = tmp_path.glob("journal-*.jsonl")
    with journal.open("ab") as file:
        file.write(b'{"runs": [{"run_')
    assert len(Store(tmp_path).done()) >= 3
    rest = sweep(SMALL, FACTORS, seeds=2, out=tmp_path)
    assert rest.skipped >= 3
    assert rest.ran + rest.skipped == 8
    assert tables(tmp_path) == tables(swept.store.folder)
    assert not list(tmp_path.glob("journal-*"))


def test_tables_are_on_the_disk_before_they_have_their_names(
    swept: smmulab.Sweep, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each file is synchronized before its rename, and the folder before a journal goes."""
    told: list[tuple[str, str]] = []
    fsync, replace, unlink = os.fsync, Path.replace, Path.unlink

    def name_of(descriptor: int) -> str:
        return Path(f"/proc/self/fd/{descriptor}").readlink().name

    monkeypatch.setattr(os, "fsync", lambda d: (told.append(("sync", name_of(d))), fsync(d)))
    monkeypatch.setattr(
        Path, "replace", lambda a, b: (told.append(("name", a.name)), replace(a, b))[1]
    )
    monkeypatch.setattr(
        Path,
        "unlink",
        lambda a, missing_ok=False: (told.append(("gone", a.name)), unlink(a, missing_ok))[1],
    )
    merge(tmp_path / "all", [swept.store.folder])
    for name in [*(f"{table}.parquet" for table in TABLES), "manifest.json"]:
        (at,) = (
            place
            for place, (what, partial) in enumerate(told)
            if what == "name" and partial.startswith(f".{name}.")
        )
        partial = told[at][1]
        assert told[at - 1 : at + 2] == [("sync", partial), ("name", partial), ("sync", "all")]
    journal = next(place for place, (_, name) in enumerate(told) if name.startswith("journal-"))
    assert journal > at + 1  # the manifest's


def test_a_stop_keeps_what_ended(tmp_path: Path) -> None:
    with pytest.raises(smmulab.Interrupted):
        sweep(SMALL, FACTORS, out=tmp_path, jobs=1, progress=lambda ended, *_: ended < 2)
    assert len(Store(tmp_path).done()) == 2


def test_a_study_that_goes_on_keeps_its_journal(swept: smmulab.Sweep, tmp_path: Path) -> None:
    """Two sweeps at a time in one store: the first to end takes nothing from the other."""
    merge(tmp_path, [swept.store.folder])
    store = Store(tmp_path)
    with store.journal() as journal:
        row = {"run_id": "f" * 64, "status": "ok", "param.protocol": "igroup", "param.seed": 1}
        journal.append({"runs": [row], "operations": [], "locks": [], "latencies": []})
        store.compact()
        assert journal.path.exists()
        assert len(store.runs()) == 9
    store.compact()
    assert not journal.path.exists()
    assert len(store.runs()) == 9


@given(st.lists(st.integers(0, 7), max_size=12), st.integers(1, 3))
@settings(max_examples=15, deadline=None)
def test_merging_stores_in_any_order_gives_the_same_bytes(
    swept: smmulab.Sweep, tmp_path_factory: pytest.TempPathFactory, picks: list[int], parts: int
) -> None:
    """Property: however runs are dealt out over stores, and however often, the union is the same."""
    rows = {name: parquet.by_run(swept.store._path(name)) for name in TABLES}
    ids = list(rows["runs"])
    dealt: list[list[str]] = [[] for _ in range(parts)]
    for place, pick in enumerate([*picks, *range(8)]):
        dealt[(place * 7 + pick) % parts].append(ids[pick])
    folder = tmp_path_factory.mktemp("merge")
    for number, mine in enumerate(dealt):
        store = Store(folder / str(number), create=True)
        with store.journal() as journal:
            for run_id in mine:
                journal.append({name: rows[name].get(run_id, []) for name in TABLES})
        store.compact()
    merge(folder / "all", [folder / str(number) for number in range(parts)])
    assert tables(folder / "all") == tables(swept.store.folder)


def test_stores_of_something_else_are_refused(swept: smmulab.Sweep, tmp_path: Path) -> None:
    with pytest.raises(smmulab.ConfigError, match="no such folder"):
        Store(tmp_path / "none")
    with pytest.raises(smmulab.ConfigError, match="no store of a study"):
        Store(tmp_path)
    merge(tmp_path / "old", [swept.store.folder])
    (tmp_path / "old" / "store.json").write_text('{"kind": "smmulab study", "schema": 0}')
    with pytest.raises(smmulab.ConfigError, match="a store of version 0"):
        sweep(SMALL, FACTORS, out=tmp_path / "old")
    merge(tmp_path / "bad", [swept.store.folder])
    data = (tmp_path / "bad" / "runs.parquet").read_bytes()
    (tmp_path / "bad" / "runs.parquet").write_bytes(data[: len(data) // 2])
    with pytest.raises(smmulab.ConfigError, match=r"runs.parquet: damaged .* remove it"):
        sweep(SMALL, FACTORS, out=tmp_path / "bad")
    for name in TABLES:
        (tmp_path / "bad" / f"{name}.parquet").unlink()
    assert sweep(SMALL, FACTORS, seeds=2, out=tmp_path / "bad").ran == 8
    assert tables(tmp_path / "bad") == tables(swept.store.folder)


def test_seeds_need_something_random(small_trace: Path, tmp_path: Path) -> None:
    with pytest.raises(smmulab.ConfigError, match="draws no random numbers"):
        sweep(Config(), {}, trace=small_trace, seeds=2, out=tmp_path)


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    study = tmp_path / "study.toml"
    study.write_text(
        '[study]\nseeds = 2\n[generate]\ndevices = 2\nops = 30\n[factors]\nthreads = "1,2"\n'
    )
    out = tmp_path / "out"
    argv = ["sweep", str(study), "-f", "protocol=igroup,v6.2", "-o", str(out)]
    assert cli.main([*argv, "--dry-run"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "8 runs; nothing was simulated"
    assert not out.exists()
    assert cli.main([*argv, "--max-runs", "7"]) == 2
    assert cli.main([*argv, "--json"]) == 0
    made = json.loads(capsys.readouterr().out)
    assert (made["ran"], made["skipped"], made["status"]) == (8, 0, {"ok": 8})
    assert cli.main(argv) == 0
    assert "0 runs, 8 were there already" in capsys.readouterr().out


def test_readable_without_this_package(swept: smmulab.Sweep) -> None:
    path = swept.store.folder / "runs.parquet"
    query = f'select count(*) from "{path}" where "param.generate.threads" = 2'
    assert duckdb.sql(query).fetchall() == [(4,)]
    assert len(pd.read_parquet(path)) == 8


def test_bytes_do_not_depend_on_the_process(swept: smmulab.Sweep, tmp_path: Path) -> None:
    code = (
        "import sys; sys.path[:0] = sys.argv[2:]; import test_sweep as t;"
        "t.sweep(t.SMALL, t.FACTORS, seeds=2, out=sys.argv[1])"
    )
    argv = [sys.executable, "-c", code, str(tmp_path), str(Path(__file__).parent)]
    subprocess.run(argv, check=True, env={**os.environ, "PYTHONHASHSEED": "7"})
    assert tables(tmp_path) == tables(swept.store.folder)
