# SPDX-License-Identifier: Apache-2.0
"""Do `describe` and `protocols` tell what there is, with sources that a reader can find?"""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from command_line import run
from conftest import ROOT
from smmulab import _core


def test_protocols_and_describe(capsys: pytest.CaptureFixture[str]) -> None:
    code, text, _ = run(capsys, "protocols")
    assert code == 0
    assert "igroup" in text
    assert "v6.6-6.12" in text
    assert "-s protocol.mend_h1=true" in text
    code, text, _ = run(capsys, "protocols", "--json")
    hazards = {row["name"]: [h["name"] for h in row["hazards"]] for row in json.loads(text)}
    assert hazards["v6.2"] == ["H10"]
    assert "H2" in hazards["posted-v2"]
    code, text, _ = run(capsys, "describe", "lock.osq", "--json")
    (row,) = json.loads(text)
    assert row["key"] == "lock.osq"
    assert row["provenance"]
    assert row["default"].endswith("ns")


def test_a_protocol_at_length(capsys: pytest.CaptureFixture[str]) -> None:
    code, text, _ = run(capsys, "protocols", "posted-v1", "igroup")
    assert code == 0
    assert text.startswith("posted-v1 (PATCH v1 7/8, 2 Feb 2023): a lock per hwpt; ")
    assert _core.protocol_history("posted-v1") in text
    assert "(-s protocol.mend_h1=true)" in text
    first, second = text.split("\nigroup (v6.6-6.12): ")
    # The new hwpt's lock, in it the old one's.
    replace = first.split("replace by an hwpt of the same ioas:\n")[1].split("\n\n")[0]
    assert [line.strip() for line in replace.splitlines() if "hwpt->devices_lock" in line] == [
        "hwpt->devices_lock"
    ] * 2
    assert "hwpt->devices_lock" not in second
    assert "igroup->lock" in second
    assert "docs/protocols.md, section igroup" in second
    code, text, _ = run(capsys, "protocols", "igroup", "--json")
    assert [row["name"] for row in json.loads(text)] == ["igroup"]
    code, _, err = run(capsys, "protocols", "igruop")
    assert code == 2
    assert "did you mean 'igroup'?" in err
    assert run(capsys, "protocols", "-s", "machine.cpus=8")[0] == 2


def config_of(machine: Path) -> dict[str, object]:
    config: dict[str, object] = json.loads(_core.resolve([], str(machine)))
    return config


@pytest.mark.parametrize("preset", [(), *((f"preset={row[0]}",) for row in _core.presets())])
def test_describe_as_a_machine_file_that_loads_back(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, preset: tuple[str, ...]
) -> None:
    code, text, _ = run(capsys, "describe", "--toml", *preset, "-s", "machine.cpus=3")
    assert code == 0
    machine = tmp_path / "m.toml"
    machine.write_text(text)
    assert config_of(machine) == json.loads(_core.resolve([*preset, "machine.cpus=3"]))
    code, again, _ = run(capsys, "describe", "--toml", "-m", str(machine))
    assert again == text


def test_the_machine_file_of_the_documentation_loads(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "machine.md").read_text()
    machine = tmp_path / "m.toml"
    machine.write_text(page.split("```toml\n")[1].split("```")[0])
    config = config_of(machine)
    assert config["machine.cpus"] == 64
    assert config["line.cross_socket"] == "180ns"
    assert config["driver.global_asid_lock"] is False
    tables = {parameter.key.split(".")[0] for parameter in _core.parameters()}
    assert all(f"`{table}`" in page for table in tables)
    assert all(f"`{name}`" in page for name, _ in _core.presets())


def test_describe_takes_the_beginning_of_a_key(capsys: pytest.CaptureFixture[str]) -> None:
    def keys(prefix: str) -> list[str]:
        code, text, _ = run(capsys, "describe", prefix, "--json")
        assert code == 0
        return [row["key"] for row in json.loads(text)]

    assert set(keys("lock.mutex")) < set(keys("lock"))
    assert keys("lock") == [p.key for p in _core.parameters() if p.key.startswith("lock.")]
    code, _, err = run(capsys, "describe", "lokc")
    assert code == 2
    assert "did you mean 'lock'?" in err
    code, _, err = run(capsys, "describe", "-s", "machine.cpus=3")
    assert code == 2
    assert "--toml" in err


def test_describe_takes_a_pattern_of_keys(capsys: pytest.CaptureFixture[str]) -> None:
    def keys(pattern: str) -> list[str]:
        code, text, _ = run(capsys, "describe", pattern, "--json")
        assert code == 0
        return [row["key"] for row in json.loads(text)]

    assert keys("smmuv3.*") == [p.key for p in _core.parameters() if p.key.startswith("smmuv3.")]
    assert keys("smmuv3*") == keys("smmuv3")
    assert keys("*") == [p.key for p in _core.parameters()]
    assert keys("smmuv3.[mu]tlb_entries") == ["smmuv3.utlb_entries", "smmuv3.mtlb_entries"]
    # A pattern is of the whole key: this one does not go on after "entries".
    entries = keys("*_entries")
    assert "smmuv3.mtlb_entries" in entries
    assert all(key.endswith("_entries") for key in entries)
    text = run(capsys, "describe", "smmuv3.*")[1]
    assert text == run(capsys, "describe", "smmuv3")[1]
    assert "SMMU presets" in text
    text = run(capsys, "describe", "--toml", "lock.*")[1]
    assert text == run(capsys, "describe", "--toml", "lock")[1]
    for wrong in ("lokc.*", "lokc*", "lokc?"):
        code, _, err = run(capsys, "describe", wrong)
        assert code == 2
        assert f"no parameter or preset '{wrong}'; did you mean 'lock'?" in err


def test_describe_tells_of_presets(capsys: pytest.CaptureFixture[str]) -> None:
    code, text, _ = run(capsys, "describe", "preset")
    assert code == 0
    for name, what in (*_core.presets(), *_core.smmu_presets()):
        assert f"  {name}: {what}" in text
        code, one, _ = run(capsys, "describe", name)
        assert code == 0
        assert what in one
    assert "every parameter at its default" in run(capsys, "describe", "server")[1]
    code, text, _ = run(capsys, "describe", "d06", "--json")
    sets = json.loads(text)["sets"]
    config = json.loads(_core.resolve(["preset=d06"]))
    assert sets["machine.cpus"] == config["machine.cpus"] == 96
    assignments = [f"{key}={value}".replace("=False", "=false") for key, value in sets.items()]
    assert json.loads(_core.resolve(assignments)) == config
    text = run(capsys, "describe", "mmu600-agilex5")[1]
    assert text.startswith("smmuv3.preset=mmu600-agilex5: Intel Agilex 5")
    assert "(default " in text
    assert "'server'" in run(capsys, "describe", "sever")[2]


def test_every_parameter_has_a_provenance() -> None:
    for parameter in _core.parameters():
        assert parameter.provenance, parameter.key
        assert parameter.doc, parameter.key


def test_a_source_is_one_that_a_reader_can_find() -> None:
    """Kernel files, manuals, mails, or pages of docs/; not notes that are not in the repository."""
    texts = [(p.key, p.doc + " " + p.provenance) for p in _core.parameters()]
    texts += [*_core.presets(), *_core.smmu_presets()]
    texts += [
        (row[0], " ".join(row[1:]) + _core.protocol_history(row[0])) for row in _core.protocols()
    ]
    for name, text in texts:
        for page in re.findall(r"[\w/.-]+\.md\b", text):
            assert page.startswith("docs/"), f"{name}: {page}"
            assert (ROOT / page).is_file(), f"{name}: {page}"
        assert not re.search(r"\bR\d\d?\b", text), f"{name}: {text}"


def test_the_sources_cite_pages_that_are_here() -> None:
    for folder in ("analysis", "bench", "models", "python", "sim", "workloads"):
        for path in sorted((ROOT / folder).rglob("*.[ch]pp")):
            for page in re.findall(r"(?:[\w-]+/)*[\w-]+\.md\b", path.read_text("utf-8")):
                assert (ROOT / page).is_file(), f"{path}: {page}"
