# SPDX-License-Identifier: Apache-2.0
"""Protocols written in Python go wherever a protocol's name does: commands, workers, sweeps, and
results that know which source they are of."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import python_protocols as written
import smmulab
from smmulab import ConfigError, Protocol, store
from smmulab.comparison import Plan
from smmulab.study.sensitivity import decision

ROOT = Path(__file__).parents[1]
GROUP = ROOT / "workloads/traces/A_qplain_smp2-e_group4_replace_4hwpt.iotrace.zst"
ATTACH = ROOT / "workloads/traces/A_qplain_smp2-a_attach1_8dev_1hwpt.iotrace.zst"
IGROUP = f"{ROOT / 'tests/python_protocols.py'}:PythonIgroup"


def test_by_file_and_class_on_the_command_line(tmp_path: Path) -> None:
    def command(*argv: str) -> tuple[int, str]:
        line = [sys.executable, "-m", "smmulab", *argv]
        run = subprocess.run(line, capture_output=True, text=True, check=False)
        return run.returncode, run.stdout + run.stderr

    out = tmp_path / "out"
    code, text = command("compare", str(GROUP), "-p", "igroup", "-p", IGROUP, "-o", str(out))
    assert code == 0, text
    assert "PythonIgroup" in text
    made = json.loads((out / "manifest.json").read_text())
    assert list(made["protocol_sources_sha256"]) == ["PythonIgroup"]
    wrong = IGROUP.replace("PythonIgroup", "AbBa")
    for argv in (("lockdep", "-o", str(tmp_path)), ("explore", "-c", "replace")):
        code, text = command(*argv, "-p", wrong)
        assert code == 1, text
        assert "hwpt->sem" in text
    assert (tmp_path / "AbBa.dot").exists()


def test_blame_whatif_and_timeline_take_a_class(tmp_path: Path) -> None:
    assert smmulab.blame(GROUP, written.PythonIgroup).protocol == "PythonIgroup"
    document = smmulab.timeline(GROUP, tmp_path / "t.pftrace", written.PythonIgroup)
    assert document["protocol"] == "PythonIgroup"


def test_workers_find_the_class() -> None:
    """By its file, in a process of their own."""
    config = smmulab.Config.of(protocol=written.PythonIgroup, trace=ATTACH)
    same = smmulab.Config.of(protocol="igroup", trace=ATTACH)
    assert smmulab.run(config).ops_per_s == smmulab.run(same).ops_per_s
    assert smmulab.Config.from_json(config.to_json()) == config


def test_workers_find_a_class_that_no_file_holds() -> None:
    """As a notebook's: made in a function, with what it refers to."""
    extra = 5_000_000

    class Slower(Protocol):
        def attach(self, device, hwpt):
            yield self.block("spend", extra)
            return (yield self.block("base.attach", device, hwpt))

    config = smmulab.Config.of(protocol=Slower, trace=ATTACH)
    slow, fast = smmulab.run(config), smmulab.run(config.replace(protocol="igroup"))
    assert slow.document["protocol"] == "Slower"
    assert slow.ops_per_s < fast.ops_per_s


def test_a_class_whose_base_no_worker_finds() -> None:
    """Its pickle names the module, which is on this process's path only: no crash, but words."""

    class Here(written.PythonIgroup):
        pass

    config = smmulab.Config.of(protocol=Here, trace=ATTACH)
    assert smmulab.compare(ATTACH, Here).results[0]["status"] == "ok"
    with pytest.raises(ConfigError, match=r"ModuleNotFoundError: .*'python_protocols'"):
        smmulab.run(config)


def test_a_class_of_main(tmp_path: Path) -> None:
    """A script, or a notebook: its class is __main__'s; workers do not run the script again."""
    script = tmp_path / "script.py"
    script.write_text(
        f"""
import smmulab

class Mine(smmulab.Protocol):
    def attach(self, device, hwpt):
        return (yield self.block("base.attach", device, hwpt))

config = smmulab.Config.of(protocol=Mine, trace={str(ATTACH)!r})
print(smmulab.run(config).document["protocol"], smmulab.compare({str(ATTACH)!r}, Mine).protocols)
"""
    )
    run = subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True, check=False, cwd=tmp_path
    )
    assert run.stdout == "Mine ['Mine']\n", run.stderr


def test_a_sweep_of_a_class_that_no_file_holds_goes_on_in_a_new_process(tmp_path: Path) -> None:
    """As a notebook's after its kernel was started anew."""
    source = """
import sys
import smmulab
costs = {{"device": {cost}, "hwpt": 3}}
def made(names):
    class Mine(smmulab.Protocol):
        def attach(self, device, hwpt):
            for name in sorted(names):
                yield self.block("spend", costs[name])
            return (yield self.block("base.attach", device, hwpt))
    return Mine
config = smmulab.Config.of(protocol=made({{"device", "hwpt"}}), trace=sys.argv[1])
done = smmulab.sweep(config, out=sys.argv[2])
print(done.ran, done.skipped)
"""

    def swept(cost: int) -> str:
        line = [sys.executable, "-c", source.format(cost=cost), str(ATTACH), str(tmp_path / "out")]
        run = subprocess.run(line, capture_output=True, text=True, check=False)
        return run.stdout + run.stderr

    assert [swept(5), swept(5), swept(6)] == ["1 0\n", "0 1\n", "1 0\n"]


@pytest.mark.skipif(not smmulab.build_info().simgrid, reason="built without SimGrid")
def test_both_engines_agree() -> None:
    found = [
        smmulab.compare(GROUP, written.PythonIgroup, engine=engine).results[0]
        for engine in ("native", "simgrid")
    ]
    assert found[0] == found[1]


def test_a_sweep_over_classes(tmp_path: Path) -> None:
    config = smmulab.Config(workload=smmulab.Workload(devices=2, hwpts=2, ops=40))
    swept = smmulab.sweep(config, {"protocol": ["igroup", IGROUP]}, seeds=1, out=tmp_path / "sweep")
    rates = swept.frame()["ops_per_s"]
    assert len(rates) == 2
    assert rates.nunique() == 1
    assert list(swept.frame()["param.protocol"]) == ["igroup", "PythonIgroup"]


def test_a_class_is_a_factors_value(tmp_path: Path) -> None:
    """Tables, filters and progress have its name, wherever it comes from."""
    config = smmulab.Config(workload=smmulab.Workload(devices=2, hwpts=2, ops=40))

    class Here(Protocol):
        base = "v6.2"

    told: list[str] = []
    swept = smmulab.sweep(
        config,
        {"protocol": [Here, "v6.2", written.PythonIgroup], "devices": [1, 2]},
        where=lambda point: (point["protocol"], point["generate.devices"]) != ("Here", 1),
        out=tmp_path / "sweep",
        progress=lambda _ended, _known, what: not told.append(what),
    )
    names = ["Here", "v6.2", "v6.2", "PythonIgroup", "PythonIgroup"]
    assert list(swept.frame()["param.protocol"]) == names
    assert set(swept.frame()["status"]) == {"ok"}
    assert sorted(told) == sorted(names)


def test_two_protocols_of_one_name_are_refused_in_a_sweep(tmp_path: Path) -> None:
    """Its tables could not tell them apart."""
    same = type("PythonIgroup", (Protocol,), {})
    config = smmulab.Config.of(trace=ATTACH)
    with pytest.raises(ConfigError, match=r"two protocols have the name 'PythonIgroup'"):
        smmulab.sweep(config, {"protocol": [written.PythonIgroup, same]}, out=tmp_path / "sweep")
    with pytest.raises(ConfigError, match=r"1 is neither a protocol's name"):
        smmulab.sweep(config, {"protocol": [1]}, out=tmp_path / "sweep")


def test_decision_takes_a_class(tmp_path: Path) -> None:
    config = smmulab.Config(workload=smmulab.Workload(devices=2, hwpts=2, ops=40))
    link = ["smmuv3.link.doorbell"]
    found = decision(
        config, [written.PythonIgroup, "one-lock"], out=tmp_path / "d", samples=2, only=link
    )
    assert list(found.table["param.protocol"]) == ["PythonIgroup", "one-lock"]


def spending(cost: int) -> str:
    """Source of a protocol `Mine` whose attach takes so many ps more."""
    return (
        "import smmulab\n\n\nclass Mine(smmulab.Protocol):\n"
        "    def attach(self, device, hwpt):\n"
        f'        yield self.block("spend", {cost})\n'
        '        return (yield self.block("base.attach", device, hwpt))\n'
    )


@pytest.mark.parametrize("as_text", [True, False])
def test_an_edited_source_is_another_run(
    as_text: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Within one process: neither the manifest's run_id nor a study's takes it for the old one, and
    compare, which runs here, gives what run does in a process of its own."""
    file = tmp_path / "edited_protocol.py"
    file.write_text(spending(1))
    protocol = f"{file}:Mine"
    if not as_text:
        monkeypatch.syspath_prepend(tmp_path)
        protocol = importlib.import_module("edited_protocol").Mine
    config = smmulab.Config.of(protocol=protocol, trace=ATTACH)
    kept = []
    for cost in (1, 10**9):
        file.write_text(spending(cost))
        compared, ran = smmulab.compare(ATTACH, protocol), smmulab.run(config)
        assert compared.summary()["ops_per_s"][0] == ran.ops_per_s
        kept.append((store.run_id(compared), ran.run_id, ran.ops_per_s))
    assert kept[0][0] != kept[1][0]
    assert kept[0][1] != kept[1][1]
    assert kept[0][2] > 10 * kept[1][2]


@pytest.mark.parametrize("make", [smmulab.compare, smmulab.blame, smmulab.whatif])
def test_a_class_of_the_same_name_leaves_earlier_results_as_they_are(
    make: Callable[..., Any],
) -> None:
    def spending_class(cost: int) -> type[Protocol]:
        class Mine(Protocol):
            def attach(self, device, hwpt):
                yield self.block("spend", cost)
                return (yield self.block("base.attach", device, hwpt))

        return Mine

    first = make(ATTACH, spending_class(1))
    made = store.manifest(first)
    assert list(made["protocol_sources_sha256"]) == ["Mine"]
    second = make(ATTACH, spending_class(2))
    assert store.manifest(first) == made
    assert store.manifest(second)["protocol_sources_sha256"] != made["protocol_sources_sha256"]
    assert store.run_id(second) != made["run_id"]


def test_a_run_does_not_take_a_source_edited_since(tmp_path: Path) -> None:
    """Its row would stand under the old source's run_id."""
    file = tmp_path / "mine.py"
    file.write_text(spending(1))
    job = smmulab.study.job.Job(
        smmulab.Config.of(protocol=f"{file}:Mine", trace=ATTACH), 1
    ).to_dict()
    assert smmulab.study.isolated.run_isolated(job)["status"] == "ok"
    file.write_text(spending(2))
    answer = smmulab.study.isolated.run_isolated(job)
    assert (answer["status"], answer["result"]) == ("error", None)
    assert "was edited since this run was planned" in answer["error"]


@pytest.mark.skipif(not smmulab.build_info().simgrid, reason="built without SimGrid")
def test_a_comparison_does_not_take_a_source_edited_since(tmp_path: Path) -> None:
    """SimGrid's process loads the file; the manifest has the hash of what was planned."""
    file = tmp_path / "mine.py"
    file.write_text(spending(1))
    plan = Plan.of(ATTACH, f"{file}:Mine", None, (), "simgrid")
    assert [result["status"] for result in plan.results()] == ["ok"]
    file.write_text(spending(2))
    with pytest.raises(ConfigError, match="was edited since this run was planned"):
        list(plan.results())
