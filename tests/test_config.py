# SPDX-License-Identifier: Apache-2.0
"""Does a configuration survive its round trips, and is what cannot be refused with the nearest name?"""

from __future__ import annotations

import dataclasses
import json
import pickle
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import smmulab
from conftest import SMALL
from smmulab import Config, Workload, _core
from smmulab.checking import duration, picoseconds
from smmulab.config import default_parameters
from smmulab.study.file import read_study

PARAMETERS = _core.parameters()


def value_of(parameter: _core.Parameter) -> st.SearchStrategy[Any]:
    """Values in the parameter's range."""
    if parameter.unit == "bool":
        return st.booleans()
    if parameter.unit == "enum":
        return st.sampled_from(parameter.maximum.split("|"))
    if parameter.unit == "ps":
        low, high = (picoseconds(end, "") for end in (parameter.minimum, parameter.maximum))
        return st.integers(low, high).map(lambda ps: f"{ps}ps")
    return st.integers(int(parameter.minimum), int(parameter.maximum))


SETTINGS = st.lists(st.sampled_from(PARAMETERS), max_size=4, unique_by=lambda p: p.key).flatmap(
    lambda chosen: st.fixed_dictionaries({p.key: value_of(p) for p in chosen})
)


# Numbers of the generator that are 0 follow others; those that are not keep their value.
WORKLOADS = st.builds(
    Workload,
    devices=st.integers(8, 12),
    groups=st.sampled_from([0, 8]),
    threads=st.sampled_from([0, 2, 8]),
    cpus=st.sampled_from([0, 3, 8]),
    think=st.sampled_from(["0", "exp:1us"]),
    mix=st.sampled_from(["replace=1,map=1", "attach=1,map=2,unmap=3"]),
)


@given(SETTINGS, st.sampled_from(["igroup", "v6.2"]), st.none() | WORKLOADS)
@settings(max_examples=60, deadline=None)
def test_json_and_back(values: dict[str, Any], protocol: str, workload: Workload | None) -> None:
    config = Config.of(values, protocol=protocol, workload=workload)
    # However it is made, it is the same one.
    assert Config(tuple(values.items()), protocol, workload=workload) == config
    assert Config(config.changed[::-1], protocol, workload=workload) == config
    if workload is not None:
        # What followed goes on following.
        more = Config.from_json(config.to_json()).replace({"devices": 16})
        assert more == config.replace({"devices": 16})
        assert more.workload is not None
        assert more.workload.derived == workload.derived
    again = Config.from_json(config.to_json())
    assert again == config
    assert hash(again) == hash(config)
    assert again.to_json() == config.to_json()
    assert pickle.loads(pickle.dumps(config)) == config
    for key, value in values.items():
        if isinstance(value, str) and value.endswith("ps"):
            assert picoseconds(config.parameters[key], key) == int(value[:-2])
        else:
            assert config.parameters[key] == value


@given(st.integers(0, 10**15))
def test_durations_and_back(ps: int) -> None:
    assert picoseconds(duration(ps), "") == ps
    assert picoseconds(f"{float(Fraction(ps, 1000)):.3f}ns", "") == pytest.approx(ps)


def test_json_is_canonical_and_complete() -> None:
    text = Config().to_json()
    assert text == json.dumps(json.loads(text), sort_keys=True, separators=(",", ":"))
    assert json.loads(text)["parameters"] == dict(default_parameters())


def test_a_configuration_does_not_change() -> None:
    config = Config()
    with pytest.raises(dataclasses.FrozenInstanceError):
        config.protocol = "v6.2"  # type: ignore[misc]
    changed = config.replace({"cores": 4, "protocol": "v6.2"})
    assert (config.parameters["machine.cpus"], changed.parameters["machine.cpus"]) == (0, 4)
    assert (config.protocol, changed.protocol) == ("igroup", "v6.2")


def test_derived_numbers_follow() -> None:
    """As many threads as devices, unless another number was given."""
    config = Config(workload=Workload(devices=4))
    more = config.replace({"devices": 16}).workload
    assert more is not None
    assert (more.devices, more.groups, more.threads, more.cpus) == (16, 16, 16, 16)
    fixed = config.replace({"generate.threads": 2}).replace({"devices": 16}).workload
    assert fixed is not None
    assert (fixed.threads, fixed.cpus) == (2, 2)


def test_think_times_are_kept_by_the_replay() -> None:
    config = Config(workload=Workload(think="exp:1us"))
    assert "replay.think=recorded" in config.assignments
    assert Config(workload=Workload()).assignments == []


def test_a_value_alone_is_what_it_is_among_all() -> None:
    """Of each parameter, its least value allowed; the one set before does not show."""
    for known in _core.parameters():
        least = {"bool": "true", "enum": known.maximum.partition("|")[0]}
        value = least.get(known.unit, known.minimum)
        among_all = json.loads(_core.resolve([f"{known.key}={value}"]))
        found = Config.of({known.key: value}).parameters
        assert found == among_all
        assert type(found[known.key]) is type(among_all[known.key])


def test_a_preset_sets_everything() -> None:
    config = Config.of(["machine.cpus=3", "preset=qemu-tcg", "hw.sync=1us"])
    expected = json.loads(_core.resolve(["machine.cpus=3", "preset=qemu-tcg", "hw.sync=1us"]))
    assert config.parameters == expected


@pytest.mark.parametrize(
    ("settings_", "message"),
    [
        ({"machine.cpu": 3}, r"unknown name 'machine.cpu'; did you mean 'machine.cpus'\?"),
        ({"treads": 3}, "did you mean 'threads'"),
        ({"machine.cpus": 10**9}, "machine.cpus"),
        ({"hw.sync": "fast"}, "hw.sync"),
        ({"protocol": "igrup"}, "did you mean 'igroup'"),
        ({"engine": "nativ"}, "did you mean 'native'"),
        ({"engine": 3}, "unknown engine '3'; known: native, simgrid"),
        ({"mix": 3}, "mix: '3' is not KIND=WEIGHT"),
        ({"drive": 3}, "unknown value of drive '3'; known: group, device"),
        ({"hw.sync": float("nan")}, "hw.sync.*'nan' is no duration"),
        ({"machine.cpus": float("inf")}, "machine.cpus.*'inf'.*from 0 to 4096"),
        ({"devices": float("nan")}, "devices: expected a whole number from 1 to 65536, not 'nan'"),
        (3, "settings: expected a mapping"),
        (["cores"], "is not KEY=VALUE"),
    ],
)
def test_what_cannot_be_is_refused(settings_: Any, message: str) -> None:
    with pytest.raises(smmulab.ConfigError, match=message):
        Config.of(settings_)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"changed": (("hw.snyc", "1us"),)}, "unknown parameter 'hw.snyc'; did you mean 'hw.sync'"),
        ({"changed": (("machine.cpus", 10**9),)}, "machine.cpus.*from 0 to 4096"),
        ({"changed": (("preset", "server"),)}, "unknown parameter 'preset'"),
        ({"changed": 3}, "changed: expected pairs"),
        ({"engine": 3}, "unknown engine '3'"),
        ({"protocol": 3}, "3 is neither a protocol's name nor a subclass of Protocol"),
        ({"trace": 3}, "trace: expected a text, not '3'"),
        ({"workload": {"devices": 2}}, "workload: expected a Workload"),
        ({"trace": "t", "workload": Workload()}, "give one of them"),
    ],
)
def test_a_configuration_checks_its_fields(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(smmulab.ConfigError, match=message):
        Config(**fields)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "no JSON"),
        ("[]", "no JSON object"),
        ('{"egnine": "native"}', "did you mean 'engine'"),
        ('{"engine": 3}', "unknown engine '3'"),
        ('{"parameters": 3}', "'parameters' is no JSON object"),
        ('{"parameters": {"hw.sync": NaN}}', "'nan' is no duration"),
        ('{"generate": 3}', "'generate' is no JSON object"),
        ('{"generate": {"derived": ["hwpts"]}}', "unknown derived number .*known: groups, threads"),
        ('{"generate": {"derived": 3}}', "is no list"),
        ('{"trace": 3}', "trace: expected a path"),
    ],
)
def test_json_that_is_no_configuration(text: str, message: str) -> None:
    with pytest.raises(smmulab.ConfigError, match=message):
        Config.from_json(text)


def test_a_trace_goes_and_a_generator_comes() -> None:
    config = Config(trace="t.iotrace")
    assert config.replace(trace=None, workload=Workload()).trace is None


STUDY = """\
preset = "qemu-tcg"

[hw]
sync = "1.5us"

[study]
protocols = ["igroup", "v6.2"]
seeds = 3
where = "threads <= devices"

[generate]
devices = 4
mix = { replace = 8, attach = 1 }

[factors]
"generate.threads" = "1,2,4..16"
"hw.tlbi" = ["90ns", "180ns"]
"""


def test_a_study_file_is_a_machine_file_with_more(tmp_path: Path) -> None:
    path = tmp_path / "study.toml"
    path.write_text(STUDY)
    study = read_study(path)
    assert study.config == Config.from_toml(path)
    assert study.config.parameters["hw.sync"] == "1.5us"
    assert study.config.workload == Workload(devices=4, mix="attach=1,replace=8")
    assert study.factors == {
        "protocol": ["igroup", "v6.2"],
        "generate.threads": ["1", "2", "4", "8", "16"],
        "hw.tlbi": ["90ns", "180ns"],
    }
    assert (study.seeds, study.where) == (3, ("threads <= devices",))


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ("sync =", "snyc =", r"study.toml:4:1: .*hw.sync"),
        ("seeds =", "seds =", r"study.toml:8: unknown key of \[study\] 'seds'.*'seeds'"),
        ("devices = 4", "devcies = 4", r"study.toml:12: unknown key of the generator.*'devices'"),
        ("devices = 4", "devices = 0", r"study.toml:11: devices: expected a whole number"),
        ("seeds = 3", "seeds = 0", r"study.toml:8: seeds: expected"),
        ("seeds = 3", "design_seed = -1", r"study.toml:8: design_seed: expected .* not '-1'"),
        ("seeds = 3", "design_seed = nan", r"study.toml:8: design_seed: expected .* not 'nan'"),
        ("seeds = 3", "samples = inf", r"study.toml:8: samples: expected .* from 1 to"),
        ("seeds = 3", "engine = 3", r"study.toml:8: 'engine' is not a text"),
        ("seeds = 3", "x = 3", r"study.toml:8: 'x' is not a text"),
        ('"threads <= devices"', "[3]", r"study.toml:9: filter '3' is not A OP B"),
        ("mix = {", "mix = 3 #", r"study.toml:11: mix: '3' is not KIND=WEIGHT"),
        ('"1,2,4..16"', '"1,2,4..15"', r"study.toml:16: factor 'generate.threads'.*is not met"),
        ("[study]", "[sutdy]", r"study.toml:7:1: .*'sutdy.protocols'; there is a table 'study'"),
        ("[study]", "[study", r"study.toml: no TOML"),
    ],
)
def test_an_error_in_a_study_file_says_where(
    tmp_path: Path, before: str, after: str, message: str
) -> None:
    assert before in STUDY
    path = tmp_path / "study.toml"
    path.write_text(STUDY.replace(before, after))
    with pytest.raises(smmulab.ConfigError, match=message):
        read_study(path)


def test_a_run_is_what_compare_gives(small_trace: Path) -> None:
    result = smmulab.run(Config.of(["smmuv3.link.dti=50ns"]), small_trace)
    comparison = smmulab.compare(small_trace, "igroup", set="smmuv3.link.dti=50ns")
    expected = {k: v for k, v in comparison.results[0].items() if k != "final_state"}
    assert result.document == expected
    assert result.frame().equals(comparison.frame())
    assert result.ops_per_s == comparison.summary()["ops_per_s"][0]


def test_a_run_says_what_is_wrong_with_its_trace(tmp_path: Path) -> None:
    bad = tmp_path / "bad.iotrace"
    bad.write_text(SMALL.replace("attach dev=0", "attach dev=9"))
    with pytest.raises(smmulab.TraceError, match=r"bad.iotrace:20:\d+: "):
        smmulab.run(trace=bad)
    with pytest.raises(smmulab.ConfigError, match="nothing to run"):
        smmulab.run()
