# SPDX-License-Identifier: Apache-2.0
"""Do designs visit what they say, and is what a person wrote read rightly or refused?"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import smmulab
from smmulab import Config, Range, Workload, cli, sweep
from smmulab.study import jobs_of
from smmulab.study.design import points
from smmulab.study.factor_text import parse_factor, parse_filter

SMALL = Config(workload=Workload(devices=3, ops=60))
SAMPLED = {"design": "lhs", "samples": 2}


def test_designs() -> None:
    grid = points({"protocol": ["a", "b"], "threads": [1, 2]})
    assert len(grid) == 4
    pair = points({("devices", "threads"): [(8, 2), (16, 4)], "protocol": ["a"]})
    assert pair[1] == {"generate.devices": 16, "generate.threads": 4, "protocol": "a"}
    zipped = points({"devices": [8, 16], "threads": [2, 4]}, design="zip")
    assert zipped == [
        {"generate.devices": 8, "generate.threads": 2},
        {"generate.devices": 16, "generate.threads": 4},
    ]


@given(st.integers(0, 4), st.sampled_from(["lhs", "sobol"]), st.integers(0, 99))
@settings(deadline=None, max_examples=20)
def test_sampled_designs_fill_their_ranges(power: int, design: str, seed: int) -> None:
    """Property of both: in each dimension one point in each of n equal parts of the range (of its
    logarithm)."""
    count = 1 << power
    factors = {"hw.sync": Range("100ns", "10us", log=True), "hw.tlbi": Range("10ns", "90ns")}
    found = points(factors, design=design, samples=count, seed=seed)
    assert found == points(factors, design=design, samples=count, seed=seed)

    def shares(name: str, low: float, high: float, log: bool) -> list[float]:
        values = [float(point[name].removesuffix("ps")) for point in found]
        if log:
            return sorted(math.log(value / low, high / low) for value in values)
        return sorted((value - low) / (high - low) for value in values)

    for shared in (shares("hw.sync", 1e5, 1e7, log=True), shares("hw.tlbi", 1e4, 9e4, log=False)):
        for place, share in enumerate(shared):  # values are whole ps, so nearly
            assert place / count - 1e-5 <= share <= (place + 1) / count + 1e-5


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("threads=1,2,4..64", [1, 2, 4, 8, 16, 32, 64]),
        ("threads=1..5", [1, 2, 3, 4, 5]),
        ("threads=1,3..9", [1, 3, 5, 7, 9]),
        ("protocol=a,b", ["a", "b"]),
        ("devices,threads=8:2,16:4", [("8", "2"), ("16", "4")]),
    ],
)
def test_factors_as_text(text: str, expected: list[Any]) -> None:
    _, values = parse_factor(text)
    assert isinstance(values, list)
    assert values == [v if isinstance(v, tuple) else str(v) for v in expected]


@pytest.mark.parametrize(
    "text", ["threads", "threads=", "threads=1,,2", "threads=4..1", "x=1:2:lin"]
)
def test_factors_that_are_none(text: str) -> None:
    with pytest.raises(smmulab.ConfigError):
        parse_factor(text)


def test_filters() -> None:
    keep = parse_filter(["threads <= devices", "hw.sync>500ns"], generated=True)
    assert keep is not None
    point = {"generate.threads": "2", "generate.devices": 4, "hw.sync": "1us"}
    assert keep(point)
    assert not keep({**point, "generate.threads": 10})
    assert not keep({**point, "hw.sync": "500ns"})
    for text in ("threads", "threads ~ 3", "treads < 4"):
        with pytest.raises(smmulab.ConfigError):
            parse_filter([text], generated=True)
    with pytest.raises(smmulab.ConfigError, match=r"'generate[.]threads' has no value"):
        keep({"hw.sync": "1us"})
    for text, near in (
        ("threads <= devcies", "cannot be compared; did you mean 'devices'"),
        ("threads < nan", "cannot be compared"),
    ):
        unlike = parse_filter([text], generated=True)
        assert unlike is not None
        with pytest.raises(smmulab.ConfigError, match=near):
            unlike(point)
    wrong = parse_filter(["threads < igroup"], generated=True)
    assert wrong is not None
    with pytest.raises(smmulab.ConfigError, match="cannot be compared"):
        wrong(point)


@pytest.mark.parametrize(
    ("factors", "options", "message"),
    [
        ({"treads": [1]}, {}, "did you mean 'threads'"),
        ({"threads": []}, {}, "has no value"),
        ({"threads": [1], "generate.threads": [2]}, {}, "named twice"),
        ({"protocol": ["igroup", "v6.3"]}, {}, "unknown protocol 'v6.3'"),
        ({"threads": [1, 2]}, {"where": lambda _: False}, "the design is empty"),
        ({"threads": [1, 2], "hwpts": [2]}, {"design": "zip"}, "zip: factors have 1, 2 values"),
        ({"hw.sync": Range("1us", "2us")}, {}, "needs design lhs or sobol"),
        ({"hw.sync": Range("2us", "1us")}, {"design": "lhs", "samples": 2}, "no range from"),
        ({"hw.sync": Range("1us", "2us")}, {"design": "lhs"}, "needs a number of samples"),
        ({"hw.sync": Range("1us", "2us")}, {"design": "sobol", "samples": 3}, "no power of two"),
        ({"threads": [1, 2]}, {"max_runs": 1}, "2 runs are more than the 1 of max_runs"),
        ({}, {"executor": "slurm://x"}, "expected dask://HOST:PORT"),
        ({"threads": Range(1, float("inf"))}, SAMPLED, "'inf' is no number from"),
        ({"threads": Range(float("nan"), 2)}, SAMPLED, "'nan' is no number from"),
        ({"threads": [float("inf")]}, {}, "threads: expected a whole number from 0 to 4096"),
        ({"hw.sync": Range("1us", "nan")}, SAMPLED, "hw.sync: 'nan' is no duration"),
        ({"hw.sync": Range("1us", "2us")}, {**SAMPLED, "design_seed": -1}, "design_seed: .*'-1'"),
        ({}, {"samples": 0}, "samples: expected a whole number from 1"),
        ({}, {"design": 3}, "unknown design '3'; known: grid, zip, lhs, sobol"),
        ({"mix": [3]}, {}, "mix: '3' is not KIND=WEIGHT"),
        ({"engine": [3]}, {}, "unknown engine '3'"),
        ({3: [1]}, {}, "unknown name '3'"),
        ({}, {"executor": 3}, "expected an Executor or dask://HOST:PORT, not '3'"),
        ({}, {"max_runs": float("nan")}, "max_runs: expected a whole number"),
        ({}, {"seeds": []}, "seeds: none given"),
        ({}, {"seeds": 0}, "seeds: expected a whole number from 1 to 1000000, not '0'"),
        ({}, {"seeds": 2.5}, "seeds: expected a whole number"),
        ({}, {"seeds": [-1]}, "seed: expected a whole number from 0"),
    ],
)
def test_a_wrong_study_is_refused(
    tmp_path: Path, factors: dict[Any, Any], options: Mapping[str, Any], message: str
) -> None:
    with pytest.raises(smmulab.ConfigError, match=message):
        sweep(SMALL, factors, out=tmp_path, **options)


def test_numbers_of_numpy_are_numbers() -> None:
    factors = {"threads": list(np.array([1, 2]))}
    found = jobs_of(SMALL, factors, seeds=np.int64(2))  # type: ignore[arg-type]
    assert len(found) == 4


SHORT = """\
[study]
protocols = ["igroup", "v6.2"]
seeds = 2
{more}
[generate]
devices = 4
ops = 60
[factors]
{factor} = [1, 2]
"""


def runs_of(
    argv: list[str],
    capsys: pytest.CaptureFixture[str],
    study: Path,
    more: str = "",
    factor: str = "threads",
) -> list[str]:
    study.write_text(SHORT.format(more=more, factor=factor))
    assert cli.main(["sweep", str(study), "--dry-run", *argv]) == 0
    return capsys.readouterr().out.splitlines()


def test_options_go_before_the_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Whatever a name is called here and there, and whether the file varies it."""
    study = tmp_path / "study.toml"
    assert runs_of([], capsys, study)[-1].startswith("8 runs")
    # A factor by its other name.
    lines = runs_of(["-f", "generate.threads=3"], capsys, study)
    assert lines[-1].startswith("4 runs")
    assert all("generate.threads=3" in line for line in lines[:-1])
    # One value instead of the file's several.
    lines = runs_of(["-s", "protocol=one-lock", "-s", "threads=3"], capsys, study)
    assert lines[-1].startswith("2 runs")
    assert all(" one-lock " in f" {line} " for line in lines[:-1])
    assert all("generate.threads=3" in line for line in lines[:-1])
    assert runs_of(["--seeds", "1"], capsys, study, more="design_seed = 3")[-1].startswith("4 runs")
    where = ["--where", "threads < 2"]
    assert runs_of(where, capsys, study, more='where = "threads > 1"')[-1].startswith("4 runs")
    # The file's trace goes, if a generator is given.
    study.write_text('[study]\ntrace = "none.iotrace"\n')
    assert cli.main(["sweep", str(study), "--dry-run", "-s", "devices=2"]) == 0
    assert "generate.devices=2" in capsys.readouterr().out


def test_a_trace_takes_the_place_of_a_generator(
    tmp_path: Path, small_trace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    study = tmp_path / "study.toml"
    study.write_text("[generate]\ndevices = 2\nops = 60\n")
    for option in (["-t", str(small_trace)], ["-s", f"trace={small_trace}"]):
        assert cli.main(["run", str(study), *option, "--json"]) == 0
        assert '"generate": null' in capsys.readouterr().out
        assert cli.main(["sweep", str(study), *option, "--dry-run", "--json"]) == 0
        assert '"workload": null' in capsys.readouterr().out


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--where", "threads <= devcies"], "cannot be compared; did you mean 'devices'?"),
        (["--where", "treads < 2"], "unknown name 'treads'; did you mean 'threads'?"),
        (["--where", "threads"], "filter 'threads' is not A OP B"),
        (["--where", "threads < nan"], "'2.0' and 'nan' cannot be compared"),
        (
            ["--design", "lhs", "--samples", "2", "-f", "hw.sync=1us:2us", "--design-seed", "-1"],
            "design_seed: expected a whole number from 0 to",
        ),
        (["--design", "lhs", "--samples", "2", "-f", "threads=1:inf"], "'inf' is no number from"),
        (["-f", "threads=nan"], "threads: expected a whole number from 0 to 4096, not 'nan'"),
        (["-s", "engine=3"], "unknown engine '3'; known: native, simgrid"),
        (["-s", "mix=3"], "mix: '3' is not KIND=WEIGHT"),
        (["--seeds", "-1"], "seeds: expected a whole number from 1 to 1000000, not '-1'"),
        (["--seeds", "4", "--max-runs", "3"], "4 runs are more than the 3 of max_runs"),
        (["--max-runs", "0"], "max_runs: expected a whole number from 1"),
    ],
)
@pytest.mark.parametrize("dry", [True, False])
def test_the_command_says_what_is_wrong(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], argv: list[str], message: str, dry: bool
) -> None:
    """Exit code 2, one line, nothing made; with --dry-run as without."""
    out = tmp_path / "out"
    first = ["sweep", "-s", "generate.devices=2", "-o", str(out), *(["--dry-run"] if dry else [])]
    assert cli.main([*first, *argv]) == 2
    told = capsys.readouterr()
    assert message in told.err
    assert told.err.startswith("smmulab: error: ")
    assert (told.out, told.err.count("\n"), out.exists()) == ("", 1, False)


def test_a_filter_on_a_generator_that_there_is_not(
    small_trace: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    argv = ["sweep", "-t", str(small_trace), "--where", "threads <= 2", "-o", str(tmp_path / "out")]
    assert cli.main(argv) == 2
    assert "'generate.threads' has no value, there is no generator" in capsys.readouterr().err


def test_names_that_go_together_are_replaced_together(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    study = tmp_path / "study.toml"
    study.write_text('[generate]\nops = 60\n[factors]\n"devices,threads" = [[4, 2], [8, 4]]\n')
    assert cli.main(["sweep", str(study), "--dry-run", "-s", "threads=1"]) == 2
    assert "sets these together" in capsys.readouterr().err
    assert cli.main(["sweep", str(study), "--dry-run", "-s", "threads=1", "-s", "devices=2"]) == 0
    assert capsys.readouterr().out.splitlines()[-1].startswith("1 runs")
