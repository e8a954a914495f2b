# SPDX-License-Identifier: Apache-2.0
"""Does `smmulab explore` find what is wrong, show it again, and say when it did not look at all?"""

from __future__ import annotations

import json
import re

import pytest

import command_line

EXIT_HAZARD = 1
EXIT_USAGE = 2
EXIT_NOT_EXHAUSTIVE = 3


def run(capsys: pytest.CaptureFixture[str], *argv: str) -> tuple[int, str, str]:
    return command_line.run(capsys, "explore", *argv)


def test_a_clean_protocol(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "-p", "igroup")
    assert code == 0
    assert out.startswith("explore igroup\n")
    assert out.count("clean: no deadlock") == 10
    assert "left out (needs Linux 6.15); run it by its name" in out


def test_what_only_timed_hardware_has_is_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    sets = ("-s", "driver.events=true", "-s", "stream.pattern=random")
    code, out, err = run(capsys, "-p", "igroup", "-c", "replace", *sets)
    assert code == 0, err
    assert "clean: no deadlock" in out


def test_a_hazard_is_found_and_shown_again(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "-p", "seed-unordered", "-c", "replace", "--json")
    assert code == EXIT_HAZARD
    (case,) = json.loads(out)["cases"]
    deadlock = case["failures"][0]
    assert deadlock["kind"] == "deadlock"
    assert deadlock["of"] == "hwpt->devices_lock, hwpt->devices_lock"
    assert case["time_line"]
    code, out, _ = run(
        capsys, "-p", "seed-unordered", "--replay", f"replace:{deadlock['schedule']}"
    )
    assert code == EXIT_HAZARD
    assert f"deadlock: {deadlock['message']}" in out
    assert "replace dev=0 pt=12" in out


@pytest.mark.parametrize(
    ("protocol", "case"), [("posted-v2", "attach-detach"), ("seed-unordered", "replace")]
)
def test_steps_without_a_row_are_explained(
    protocol: str, case: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(capsys, "-p", protocol, "-c", case, "--json")[0] == EXIT_HAZARD
    out = run(capsys, "-p", protocol, "-c", case)[1].split("  step  t0")[1]
    steps = [int(number) for number in re.findall(r"^ +(\d+)  ", out, re.MULTILINE)]
    assert steps[0] == 1
    assert ("a step without a row takes no lock" in out) == (steps[-1] > len(steps))


def test_what_is_left_out_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "-p", "seed-lock-both")
    assert code == 0
    assert "left out (hazard group-move)" in out
    assert run(capsys, "-p", "seed-lock-both", "-c", "group-replace")[0] == EXIT_HAZARD


def test_a_bound_is_no_proof(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "-p", "seed-lock-both", "-c", "replace", "--max-schedules", "1")
    assert code == EXIT_NOT_EXHAUSTIVE
    assert "not exhaustive: 1 schedule run" in out
    assert "nothing found so far" in out


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (("-p", "igroup", "-c", "replase"), "did you mean 'replace'?"),
        (("-p", "igroup", "--replay", "replace:7*1"), "threads 0 to 1"),
        (("-p", "igroup", "--replay", "0*1"), "expected CASE:"),
        (("-p", "igroup", "--max-schedules", "0"), "expected 1 or more"),
        (("-p", "igroup", "-s", "iommufd.vfio=false"), "iommufd.vfio=false"),
    ],
)
def test_wrong_usage(
    capsys: pytest.CaptureFixture[str], argv: tuple[str, ...], message: str
) -> None:
    code, _, err = run(capsys, *argv)
    assert code == EXIT_USAGE
    assert message in err
