# SPDX-License-Identifier: Apache-2.0
"""The hash of a class that no file holds: one in every process, another for whatever it refers to."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from smmulab.fingerprint import fingerprint

ROOT = Path(__file__).parents[1]

SOURCE = """
import enum, functools, math, types
import numpy as np
import smmulab

class Side(enum.Enum):
    LEFT = 1

class Costs:
    def __init__(self, first):
        self.first, self.own = first, self

class Base(smmulab.Protocol):
    locks = {"hwpt->sem": "rwsem"}

    @staticmethod
    def steps():
        return 3

costs = Costs(10)
names = {"red", "green", "blue", "yellow"}
table = types.MappingProxyType({"a": (1, 2.5, None), "b": [b"x", ...]})
array = np.arange(4)
side = Side.LEFT

def helper(n):
    return n + 11 if n in {"x", "y", "z"} else math.floor(n) + other(n)

@functools.lru_cache
def cached(n):
    return n * 17

def other(n):
    return helper(n - 1) if n > 1 else 12

def made(extra):
    class Mine(Base):
        @property
        def limit(self):
            return 13

        def attach(self, device, hwpt, often=14):
            every = [extra for _ in range(often) if side in (Side.LEFT,)]
            yield self.block("spend", costs.first + other(len(every)) + len(names) + array.sum())
            yield self.block("spend", super().steps() + self.limit + len(table["b"]) + cached(2))
            return (yield self.block("base.attach", device, hwpt))
    return Mine

Mine = made(15)
"""


def digest_of(source: str, **environment: str) -> str:
    """Of its class `Mine`, in a process of its own, as a notebook's: no file has the source."""
    program = f"{source}\nfrom smmulab.fingerprint import fingerprint\nprint(fingerprint(Mine))"
    ran = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    return ran.stdout.strip()


@pytest.fixture(scope="module")
def digest() -> str:
    return digest_of(SOURCE)


@pytest.mark.parametrize("seed", ["1", "2", "3"])
def test_every_process_gives_the_same(seed: str, digest: str) -> None:
    assert digest_of(SOURCE, PYTHONHASHSEED=seed) == digest


def test_comments_and_places_do_not_count(digest: str) -> None:
    moved = "# A comment.\n\n" + SOURCE.replace("class Mine(Base):", "class Mine(Base):  # ours")
    assert digest_of(moved) == digest


CHANGES = {
    "a constant": ('"spend", super', '"list_step", super'),
    "a default": ("often=14", "often=15"),
    "a closure": ("made(15)", "made(16)"),
    "an object's attribute": ("Costs(10)", "Costs(11)"),
    "a member of a set": ('"yellow"', '"orange"'),
    "a mapping's value": ("2.5", "2.75"),
    "an array": ("arange(4)", "arange(4) + 1"),
    "a function": ("else 12", "else 13"),
    "a function's function": ("n + 11", "n + 12"),
    "a constant set": ('"x", "y"', '"x", "w"'),
    "a cached function": ("n * 17", "n * 18"),
    "a base's method": ("return 3", "return 4"),
    "a base's attribute": ('"rwsem"', '"mutex"'),
    "a property": ("return 13", "return 14"),
    "an enumeration": ("LEFT = 1", "LEFT = 2"),
    "the class's name": ("Mine", "Ours"),
}


@pytest.mark.parametrize("what", CHANGES)
def test_whatever_it_refers_to_counts(what: str, digest: str) -> None:
    old, new = CHANGES[what]
    assert old in SOURCE
    changed = SOURCE.replace(old, new)
    assert digest_of(changed if "Mine" in changed else f"{changed}\nMine = Ours") != digest


def test_a_module_counts_by_its_file(tmp_path: Path) -> None:
    source = f"""
import sys
sys.path.insert(0, {str(tmp_path)!r})
import helping_module
class Mine:
    def attach(self):
        return helping_module.cost()
"""
    digests = []
    for cost in (1, 2, 1):
        (tmp_path / "helping_module.py").write_text(f"def cost():\n    return {cost}\n")
        digests.append(digest_of(source, PYTHONDONTWRITEBYTECODE="1"))
    assert digests[0] != digests[1]
    assert digests[0] == digests[2]


def test_running_it_changes_nothing() -> None:
    """Bytecode that the interpreter has specialised is the same bytecode."""

    class Mine:
        def attach(self, n: int) -> int:
            return sum(i * n for i in range(n))

    before = fingerprint(Mine)
    assert {Mine().attach(50) for _ in range(100)} == {61250}
    assert fingerprint(Mine) == before


def test_what_cannot_be_copied_counts_by_its_pickle() -> None:
    def made(stream: object) -> type:
        return type("Mine", (), {"attach": lambda _: stream})

    with Path(os.devnull).open() as one, Path(__file__).open() as other:
        with pytest.raises(TypeError, match="cannot pickle"):
            one.__reduce_ex__(4)
        assert fingerprint(made(one)) == fingerprint(made(one))
        assert fingerprint(made(one)) != fingerprint(made(other))
