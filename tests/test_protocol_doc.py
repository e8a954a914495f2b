# SPDX-License-Identifier: Apache-2.0
"""docs/protocols.md: how its lock pictures are drawn, and that it is what the command writes."""

from __future__ import annotations

from pathlib import Path

import pytest

from conftest import ROOT, TRACES
from smmulab import protocol_doc
from smmulab.cli import main

SETTINGS = ["machine.cpus=8", "machine.pinning=spread"]


def test_locks_are_indented_by_those_held() -> None:
    sequence = "+M a; +R b; -R b; +W c; +S d; -S d; -W c; -M a"
    assert protocol_doc.lock_tree(sequence) == [
        "a",
        "  b (read)",
        "  c (write)",
        "    d (spinlock)",
    ]


def test_a_lock_released_early_is_marked() -> None:
    assert protocol_doc.lock_tree("+M a; +M b; -M a; -M b") == [
        "a  [released before what it encloses]",
        "  b",
    ]


def test_equal_neighbours_are_counted() -> None:
    assert protocol_doc.lock_tree("+M a; +S b; -S b; +S b; -S b; -M a") == [
        "a",
        "  b (spinlock)  x2",
    ]


def test_the_same_lock_twice_is_two_levels() -> None:
    assert protocol_doc.lock_tree("+M a; +M a; -M a; -M a") == ["a", "  a"]


def test_places_leave_the_bounds_out_and_take_rates_within_a_percent_as_equal() -> None:
    rates = {"a": 1000.0, "b": 1009.0, "c": 1011.0, "no-locks": 9000.0, "one-lock": 2000.0}
    assert {name: protocol_doc._place(name, rates) for name in "abc"} == {"a": 2, "b": 1, "c": 1}


def test_the_page_is_what_the_command_writes(tmp_path: Path) -> None:
    page = tmp_path / "protocols.md"
    traces = [str(path) for path in TRACES.glob("*.iotrace.zst")]
    settings = [word for setting in SETTINGS for word in ("-s", setting)]
    assert main(["protocols", "--document", str(page), *settings, *traces]) == 0
    assert page.read_bytes() == (ROOT / "docs" / "protocols.md").read_bytes(), (
        "make it anew with the command that docs/protocols.md names"
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["some.iotrace"], "some.iotrace: traces go with --document FILE"),
        (["--document", "page.md"], "--document needs at least one TRACE"),
    ],
)
def test_wrong_usage(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["protocols", *arguments]) == 2
    assert message in capsys.readouterr().err


def test_a_damaged_trace_leaves_the_page_alone(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("as it was", encoding="utf-8")
    broken = tmp_path / "broken.iotrace"
    broken.write_text("smmulab-trace 1\n", encoding="utf-8")
    assert main(["protocols", "--document", str(page), str(broken)]) == 2
    assert page.read_text(encoding="utf-8") == "as it was"
    assert [path.name for path in tmp_path.iterdir()] in (
        ["page.md", "broken.iotrace"],
        ["broken.iotrace", "page.md"],
    )
