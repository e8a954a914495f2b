# SPDX-License-Identifier: Apache-2.0
"""Do the commands do their work, and answer bad input with a clear message and exit code 2?"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import smmulab
from command_line import interrupted, run
from conftest import SMALL
from smmulab import _core
from smmulab.cli import main
from smmulab.commands.options import Progress, protocols_of


def test_compare_prints_and_writes(
    capsys: pytest.CaptureFixture[str], small_trace: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    code, text, _ = run(capsys, "compare", str(small_trace), "-o", str(out))
    assert code == 0
    assert all(row[0] in text for row in _core.protocols())
    names = {path.name for path in out.iterdir()}
    assert names == {
        "comparison.png",
        "config.json",
        "devices.parquet",
        "locks.parquet",
        "manifest.json",
        "operations.parquet",
        "summary.parquet",
    }


def test_compare_ends_with_a_verdict_for_every_protocol(
    capsys: pytest.CaptureFixture[str], crossing_trace: Path, tmp_path: Path
) -> None:
    names = ("igroup", "seed-unordered", "posted-v1", "ioas-pair")
    argv = ["compare", str(crossing_trace), "-o", str(tmp_path)]
    argv += [word for name in names for word in ("-p", name)]
    code, text, _ = run(capsys, *argv)
    assert code == 1
    row = next(line for line in text.splitlines() if line.split()[:1] == ["seed-unordered"])
    assert row.split()[1] == "deadlock"
    assert "t0 -> hwpt->devices_lock#1 -> t1 -> hwpt->devices_lock#0 -> t0" in text
    code, text, _ = run(capsys, *argv, "-s", "protocol.mend_h1=true", "--json")
    assert code == 1
    results = {result["protocol"]: result for result in json.loads(text)["results"]}
    assert results["seed-unordered"]["status"] == "ok"
    assert results["posted-v1"]["status"] == "wrong state"
    (broken,) = results["posted-v1"]["broken_invariants"][:1]
    assert broken["invariant"] == "a domain is linked to its ioas once"
    code, _, _ = run(
        capsys, *argv, "-s", "protocol.mend_h1=true", "-s", "protocol.mend_stale_domain=true"
    )
    assert code == 0


@pytest.mark.parametrize("terminal", [False, True])
def test_progress_of_a_long_run(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, terminal: bool
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: terminal)
    seconds = iter((0.0, 0.5, 1.5))
    with Progress(clock=lambda: next(seconds)) as progress:
        assert progress("v6.2", 10)
        assert progress("v6.2", 20)
        assert progress("igroup", 5)
    err = capsys.readouterr().err
    assert ("igroup: " in err) == terminal
    assert terminal or err == ""


def changed(old: str, new: str) -> str:
    assert old in SMALL
    return SMALL.replace(old, new, 1)


# Where the text is wrong, and words the message must have.
BAD_TRACES = {
    "truncated line": (changed("\nend 12\n", "\n"), ("truncated",)),
    "wrong version": (changed("smmulab-trace 1", "smmulab-trace 9"), (":1:", "version")),
    "unknown operation": (changed("detach dev=0", "detatch dev=0"), (":25:", "detatch")),
    "used before made": (changed("attach dev=0 pt=2", "attach dev=0 pt=7"), (":20:", "7")),
    "overlapping map": (
        changed("9 1 unmap ioas=1 iova=0x100000", "9 1 map ioas=1 iova=0x102000"),
        (":24:", "overlap"),
    ),
    "negative time": (changed("5 0 attach", "-5 0 attach"), (":20:", "negative")),
    "duplicate id": (changed("hwpt_alloc hwpt=3", "hwpt_alloc hwpt=2"), (":18:", "2")),
    "empty": ("", (":1:",)),
}


@pytest.mark.parametrize("name", list(BAD_TRACES))
def test_bad_traces(
    capsys: pytest.CaptureFixture[str], small_trace: Path, tmp_path: Path, name: str
) -> None:
    text, words = BAD_TRACES[name]
    small_trace.write_text(text)
    code, _, err = run(capsys, "compare", str(small_trace), "-o", str(tmp_path / "out"))
    assert code == 2
    assert "small.iotrace:" in err
    for word in words:
        assert word in err
    assert not (tmp_path / "out" / "manifest.json").exists()


def test_corrupt_zstd(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = tmp_path / "bad.iotrace.zst"
    path.write_bytes(b"\x28\xb5\x2f\xfd" + b"nonsense" * 9)
    code, _, err = run(capsys, "compare", str(path), "-o", str(tmp_path / "out"))
    assert code == 2
    assert "bad.iotrace.zst" in err


def test_a_cut_zstd_file_is_wrong_at_a_line(
    capsys: pytest.CaptureFixture[str], recorded_trace: Path, tmp_path: Path
) -> None:
    path = tmp_path / "cut.iotrace.zst"
    whole = recorded_trace.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    code, _, err = run(capsys, "compare", str(path), "-o", str(tmp_path / "out"))
    assert code == 2
    line = int(err.split(f"{path}:")[1].split(":")[0])
    assert line > 100
    assert "truncated" in err


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (("-p", "igruop"), ("igruop", "did you mean 'igroup'")),
        (("-p", "igroup", "-p", "v6.2", "-p", "igroup"), ("'igroup' is named twice",)),
        (("-s", "lock.mutex_lok=1ns"), ("lock.mutex_lok", "lock.mutex_lock")),
        (("-s", "lock.mutex_lock=1hour"), ("lock.mutex_lock",)),
        (("-s", "lock.mutex_lock=5s"), ("lock.mutex_lock", "5s")),
        (("-s", "preset=sever"), ("sever", "server")),
        (("-s", "lock.mutex_lock"), ("KEY=VALUE",)),
        (("--engine", "simgird"), ("simgird",)),
        (("-m", "absent.toml"), ("absent.toml",)),
        (("-o", "/proc/no/such/folder"), ("/proc/no/such/folder",)),
        (("-o", "small.iotrace"), ("small.iotrace: is a file, not a folder",)),
    ],
)
def test_bad_arguments(
    capsys: pytest.CaptureFixture[str],
    small_trace: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    argv: tuple[str, ...],
    words: tuple[str, ...],
) -> None:
    monkeypatch.chdir(tmp_path)
    code, _, err = run(capsys, "compare", str(small_trace), *argv)
    assert code == 2
    for word in words:
        assert word in err


def test_a_machine_file_with_a_wrong_key_names_its_line(
    capsys: pytest.CaptureFixture[str], small_trace: Path, tmp_path: Path
) -> None:
    machine = tmp_path / "m.toml"
    machine.write_text('[lock]\nosq = "20ns"\nmutex_lokc = "12ns"\n')
    code, _, err = run(capsys, "compare", str(small_trace), "-m", str(machine))
    assert code == 2
    assert f"{machine}:3:" in err
    assert "mutex_lock" in err


def test_run_says_what_of_a_study_it_leaves_out(
    capsys: pytest.CaptureFixture[str], small_trace: Path, tmp_path: Path
) -> None:
    study = tmp_path / "study.toml"
    study.write_text(
        f'[study]\ntrace = "{small_trace}"\nprotocols = ["igroup", "v6.2"]\n'
        "[factors]\ncores = [1, 2]\n"
    )
    code, _, err = run(capsys, "run", str(study))
    assert code == 0
    assert (
        f"run takes one value of each parameter: protocol, cores of {study} are not varied" in err
    )


def test_run_writes_what_it_prints(
    capsys: pytest.CaptureFixture[str], small_trace: Path, tmp_path: Path
) -> None:
    out = tmp_path / "new" / "out"
    argv = [
        "run",
        "-t",
        str(small_trace),
        "-s",
        "smmuv3.link.doorbell=500ns",
        "-s",
        "machine.cpus=1",
    ]
    code, text, err = run(capsys, *argv)
    assert code == 0
    assert "warning: 2 threads share 1 CPU" in err
    code, again, _ = run(capsys, *argv, "-o", str(out))
    assert code == 0
    assert again.startswith(text.rstrip())
    assert {path.name for path in out.iterdir()} == {
        "config.json",
        "devices.parquet",
        "locks.parquet",
        "manifest.json",
        "operations.parquet",
        "summary.parquet",
    }
    made = json.loads((out / "manifest.json").read_text())
    config = smmulab.Config.from_json((out / "config.json").read_text())
    result = smmulab.run(config)
    assert made["run_id"] == result.run_id
    assert made["run_id"][:12] in again
    assert made["trace"] == small_trace.name
    assert made["trace_xxh3_128"] == smmulab._core.trace_hash(str(small_trace))
    frame = pd.read_parquet(out / "summary.parquet")
    assert frame["ops_per_s"].to_list() == [result.ops_per_s]
    # What was run counts, even if the file is another one by now.
    text = small_trace.read_text("utf-8").replace("meta kind", "meta other", 1)
    small_trace.write_text(text + "\n", "utf-8")
    assert smmulab.store.save_run(result, tmp_path / "late") == made
    (tmp_path / "file").touch()
    assert run(capsys, *argv, "-o", str(tmp_path / "file"))[0] == 2


@pytest.fixture
def long_trace(tmp_path: Path) -> Path:
    """SMALL with a replace repeated so often that a protocol takes seconds."""
    before, after = SMALL.split("7 0 replace", 1)
    count = 400_000
    swaps = "".join(f"7 0 replace dev=0 pt={2 + i % 2}\n" for i in range(count))
    path = tmp_path / "long.iotrace"
    path.write_text(f"{before}{swaps}7 0 replace{after}".replace("end 12", f"end {12 + count}"))
    return path


def test_ctrl_c_ends_quietly(long_trace: Path, tmp_path: Path) -> None:
    out = tmp_path / "new" / "out"
    ended = interrupted("compare", str(long_trace), "-o", str(out))
    assert ended.returncode == 130, ended.stderr
    assert "interrupted" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert not out.parent.exists()


@pytest.mark.parametrize("stop", [KeyboardInterrupt, smmulab.Interrupted])
def test_an_interrupted_comparison_prints_what_has_finished(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    small_trace: Path,
    tmp_path: Path,
    stop: type[BaseException],
) -> None:
    replay = _core.replay_json

    def stopped_at_igroup(trace: str, protocol: str, *rest: Any) -> str:
        if protocol == "igroup":
            raise stop
        return replay(trace, protocol, *rest)

    monkeypatch.setattr(_core, "replay_json", stopped_at_igroup)
    out = tmp_path / "out"
    argv = ("compare", str(small_trace), "-o", str(out))
    code, text, err = run(capsys, *argv, "-p", "v6.2", "-p", "igroup", "-p", "no-locks")
    assert code == 130
    assert "interrupted" in err
    assert "\n    v6.2 " in text
    assert "no-locks" not in text
    assert text.endswith("incomplete: interrupted after 1 of 3 protocols; nothing was written\n")
    assert not out.exists()


def test_a_failure_leaves_only_folders_that_were_there(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    out = tmp_path / "there"
    out.mkdir()
    for folder in (out, out / "new" / "out"):
        assert run(capsys, "compare", str(tmp_path / "no.iotrace"), "-o", str(folder))[0] == 2
    assert out.is_dir()
    assert not list(out.iterdir())


def test_protocols_with_commas_between(
    capsys: pytest.CaptureFixture[str], small_trace: Path, tmp_path: Path
) -> None:
    argv = ["compare", str(small_trace), "-o", str(tmp_path / "out"), "--json"]
    code, text, _ = run(capsys, *argv, "-p", "igroup,v6.2", "-p", "no-locks")
    assert code == 0
    assert [r["protocol"] for r in json.loads(text)["results"]] == ["igroup", "v6.2", "no-locks"]
    code, _, err = run(capsys, *argv, "-p", "igroup,v6.22")
    assert code == 2
    assert "unknown protocol 'v6.22'" in err
    code, text, _ = run(capsys, "explore", "-p", "igroup", "-c", "replace,attach-detach", "--json")
    assert [case["case"] for case in json.loads(text)["cases"]] == ["replace", "attach-detach"]
    argv = ["dma-bench", "-c", "2", "--rounds", "50", "-V", "series,lazy", "--json"]
    code, text, _ = run(capsys, *argv)
    assert [row["variant"] for row in json.loads(text)] == ["series", "lazy"]
    assert "unknown oracle 'x'" in run(capsys, "validate", "--oracle", "qemu,x")[2]
    mine = tmp_path / "a,b.py"
    mine.write_text("")
    assert protocols_of([f"igroup,{mine}:P"]) == ["igroup", str(tmp_path / "a"), "b.py:P"]
    assert protocols_of([f"{mine}:P", "igroup"]) == [f"{mine}:P", "igroup"]


@pytest.mark.parametrize("command", ["blame", "whatif", "timeline", "explore", "lockdep"])
def test_a_second_protocol_is_refused_where_one_is_taken(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    trace = [] if command in ("explore", "lockdep") else ["any.iotrace"]
    with pytest.raises(SystemExit) as caught:
        main([command, *trace, "-p", "igroup", "-p", "v6.2"])
    assert caught.value.code == 2
    assert "-p v6.2: this command takes one protocol" in capsys.readouterr().err
    with pytest.raises(SystemExit) as caught:
        main([command, *trace, "-p", "igroup,v6.2"])
    assert caught.value.code == 2
    assert "-p igroup,v6.2: this command takes one protocol" in capsys.readouterr().err
