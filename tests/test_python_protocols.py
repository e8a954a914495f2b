# SPDX-License-Identifier: Apache-2.0
"""Protocols written in Python: as fast (in simulated time) and as right as what they say, and clear
about what is wrong with them."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

import python_protocols as written
import smmulab
from smmulab import ConfigError, Protocol, _core
from smmulab.protocol_source import key_of

ROOT = Path(__file__).parents[1]
TRACES = sorted((ROOT / "workloads/traces").glob("*.iotrace.zst"))
BY_IOAS = ROOT / "workloads/traces/A_qplain_smp2-c2_auto_8dev_2ioas.iotrace.zst"
GROUP = ROOT / "workloads/traces/A_qplain_smp2-e_group4_replace_4hwpt.iotrace.zst"
ATTACH = ROOT / "workloads/traces/A_qplain_smp2-a_attach1_8dev_1hwpt.iotrace.zst"
IGROUP = f"{ROOT / 'tests/python_protocols.py'}:PythonIgroup"


def replayed(trace: Path, protocol: str, folder: Path, engine: str = "native") -> tuple[str, bytes]:
    """The document but for the name, and each operation's times."""
    ops = folder / "ops"
    text = _core.replay_json(str(trace), protocol, [], None, engine, str(ops))
    document = json.loads(text)
    del document["protocol"]
    return json.dumps(document, sort_keys=True), ops.read_bytes()


@pytest.mark.parametrize("trace", TRACES, ids=lambda path: path.name.split(".")[0])
def test_igroup_in_python_takes_the_same_times(trace: Path, tmp_path: Path) -> None:
    """Nine recorded traces; every operation, lock and device."""
    in_cpp, in_python = replayed(trace, "igroup", tmp_path), replayed(trace, IGROUP, tmp_path)
    assert in_python[1] == in_cpp[1]
    assert in_python[0] == in_cpp[0]


def test_there_are_recorded_traces() -> None:
    assert len(TRACES) == 9


def test_operations_by_ioas_are_scripts_there() -> None:
    """Of the trace by ioas, so that its agreement says something."""
    kinds = {row["kind"] for row in smmulab.compare(BY_IOAS, "igroup").results[0]["kinds"]}
    assert "attach" in kinds


def test_nothing_overridden_is_the_base() -> None:
    class OnlyABase(Protocol):
        base = "v6.2"

    found = smmulab.compare(ATTACH, ["v6.2", OnlyABase])
    ours, theirs = found.result("OnlyABase"), found.result("v6.2")
    assert {**ours, "protocol": ""} == {**theirs, "protocol": ""}


def test_lockdep_and_explore_find_igroup_clean_in_python() -> None:
    """As they find the built-in one, but for its known H9."""
    assert smmulab.lockdep(written.PythonIgroup).clean
    ours = smmulab.explore(written.PythonIgroup, cases=["replace", "attach-detach"])
    theirs = smmulab.explore("igroup", cases=["replace", "attach-detach"])
    assert ours.clean
    # The same steps are seen, so the same orders matter.
    assert [c["schedules"] for c in ours.document["cases"]] == [
        c["schedules"] for c in theirs.document["cases"]
    ]


def test_lockdep_flags_an_ab_ba() -> None:
    found = smmulab.lockdep(written.AbBa)
    assert not found.clean
    assert "hwpt->sem" in found.text


def test_explore_finds_its_deadlock() -> None:
    found = smmulab.explore(written.AbBa, cases=["replace"])
    assert not found.clean
    assert "deadlock" in found.text
    assert re.search(r"hwpt->sem\(1\d\)", found.text)


def test_explore_finds_a_deadlock_of_operations_by_ioas() -> None:
    """Where an hwpt is named, nobody takes ioas->mutex around the protocol's own lock."""
    found = smmulab.explore(written.AroundIgroup, cases=["attach-detach", "group-automatic"])
    by_hwpt, by_ioas = found.document["cases"]
    assert by_hwpt["failures"] == []
    assert [f["kind"] for f in by_ioas["failures"]] == ["deadlock"]
    for lock in ("ioas->mutex", "igroup->sem"):
        assert lock in by_ioas["failures"][0]["message"]


WRONG = {
    "Raises": ["ZeroDivisionError", "python_protocols.py", "in half"],
    "Forgets": ["ends with 'igroup->lock' held"],
    "ReleasesTooMuch": ["releases 'igroup->lock', which this operation does not hold"],
    "WrongLock": ["unknown lock 'igroup->lok', did you mean 'igroup->lock'?"],
    "WrongBlock": ["unknown block 'atach_group', did you mean 'attach_group'?"],
    "WrongArgument": ["TypeError", "expected a device, an hwpt, an ioas, a whole number or None"],
    "NoVerb": ["yields 17; expected acquire(), release()"],
    "NoGenerator": ["is no generator function"],
    "NoResult": ["its result: expected a device", "'attached'"],
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_said_with_operation_and_time(name: str) -> None:
    for run in (
        lambda cls: smmulab.compare(ATTACH, cls),
        lambda cls: smmulab.explore(cls, cases=["replace"]),
    ):
        with pytest.raises(ConfigError) as error:
            run(getattr(written, name))
        text = str(error.value)
        assert re.match(rf"protocol {name}, attach by thread \S+ at \d+ ps", text), text
        for part in WRONG[name]:
            assert part in text


def test_a_misused_verb_says_its_line() -> None:
    with pytest.raises(ConfigError, match=r"python_protocols\.py:\d+\): unknown lock"):
        smmulab.compare(ATTACH, written.WrongLock)


def test_a_class_that_cannot_be_made() -> None:
    with pytest.raises(ConfigError, match=r"protocol NotMade: cannot be made(.|\n)*argument"):
        smmulab.compare(ATTACH, written.NotMade)


def test_what_no_protocol_is(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"neither a protocol's name nor a subclass of Protocol"):
        smmulab.compare(ATTACH, [int])  # type: ignore[list-item]
    with pytest.raises(ConfigError, match=r"no protocol 'PythonIgrup' in .*'PythonIgroup'"):
        smmulab.compare(ATTACH, IGROUP.replace("PythonIgroup", "PythonIgrup"))
    with pytest.raises(ConfigError, match=r"cannot read 'nowhere.py': No such file"):
        smmulab.compare(ATTACH, "nowhere.py:Mine")
    broken = tmp_path / "broken.py"
    broken.write_text("import smmulab\nclass Mine(smmulab.Protocol)\n")
    with pytest.raises(ConfigError, match=r"SyntaxError"):
        smmulab.compare(ATTACH, f"{broken}:Mine")


def test_a_class_is_checked_when_it_is_named() -> None:
    slip = type("Slip", (Protocol,), {"atach": Protocol.attach})
    with pytest.raises(ConfigError, match=r"'atach' is no operation; did you mean 'attach'"):
        key_of(slip)
    with pytest.raises(ConfigError, match=r"unknown base protocol 'igrup'"):
        key_of(type("Base", (Protocol,), {"base": "igrup"}))
    with pytest.raises(ConfigError, match=r"no kind of lock; expected mutex or rwsem"):
        key_of(type("Kind", (Protocol,), {"locks": {"hwpt->sem": "seqlock"}}))
    with pytest.raises(ConfigError, match=r"a built-in protocol has that name"):
        key_of(type("Name", (Protocol,), {"name": "igroup"}))


def test_objects_end_with_their_run() -> None:
    kept = []

    class Keeps(Protocol):
        def attach(self, device, hwpt):
            kept.append(hwpt)
            return (yield self.block("base.attach", device, hwpt))

    smmulab.compare(ATTACH, Keeps)
    with pytest.raises(ConfigError, match=r"run is over"):
        _ = kept[0].id


def test_every_block_is_documented() -> None:
    page = (ROOT / "docs/python-protocols.md").read_text()
    for name, _, description in _core.script_blocks():
        assert f"`{name}" in page, name
        if not name.startswith("base."):
            assert description in page, name


def test_the_example_of_the_page(tmp_path: Path) -> None:
    """It is as short as promised, clean in lockdep and explore, and ends where igroup does."""
    page = (ROOT / "docs/python-protocols.md").read_text()
    example = re.search(r"```python\n(.*?)```", page, re.DOTALL)
    assert example is not None
    assert len(example[1].splitlines()) <= 40
    file = tmp_path / "read_first.py"
    file.write_text(example[1])
    key = f"{file}:ReadFirst"
    assert smmulab.lockdep(key).clean
    found = smmulab.explore(key)
    failing = [case["name"] for case in found.document["cases"] if case.get("failures")]
    assert failing == [], found.text
    compared = smmulab.compare(GROUP, ["igroup", key])
    assert [result["status"] for result in compared.results] == ["ok", "ok"]
    assert compared.results[0]["final_state"] == compared.results[1]["final_state"]
