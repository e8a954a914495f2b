# SPDX-License-Identifier: Apache-2.0
"""Is what README.md and docs/ show true? Every command of theirs is run in a scratch folder, outputs
beside commands are compared, Python is run unless it is a fragment. Commands of NOT_RUN are parsed
by the parser that would get them."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import click
import pytest

import doc_commands
from conftest import ROOT
from doc_commands import PAGES, Item, execute, furnish, items, same_output, words
from smmulab import cli

# (command, why it is not run). Synopses (`smmulab blame TRACE [-p PROTOCOL]`) are not run either.
NOT_RUN = [
    (r"\./scripts/", "installs or builds; steps of ./scripts/test"),
    (r"source ", "changes PATH only, which is set here"),
    (r"cmake |build/", "takes minutes; step dev of ./scripts/test"),
    (r"python -m pip ", "needs a network; ./scripts/setup installs the same"),
    (r"dask ", "servers, which tests/test_dask.py has"),
    (r"mkdir host", "needs root and a host with PCIe"),
    (r"git ", "is about the reader's repository"),
]
# (what stands in the page, what is run, why)
INSTEAD = [
    (r"\bPROTOCOL\b", "igroup", "a placeholder"),
    (
        r"my\.py:MyProtocol",
        "read_first.py:ReadFirst",
        "the reader's; docs/python-protocols.md has one",
    ),
    (r"\bFOLDER\b", "HOST.toml", "a copy of sysfs; models/pcie/config_space_test.cpp has one"),
    (r"--seeds (5|10)\b", "--seeds 1", "seconds instead of a minute"),
    (r"-f devices=1,2,4\.\.64", "-f devices=1,4", "the same"),
    (r" --executor dask://HOST:8786", "", "the same without servers"),
    (r"^duckdb -c", "python -c 'import duckdb, sys; print(duckdb.sql(sys.argv[1]))'", "its Python"),
]
# Exit codes other than 0.
ENDS_WITH = [
    (r"smmulab compare workloads/.* -o out/demo", 1),  # three designs deadlock as posted
    (r"smmulab validate --oracle published", 1),  # a miss, which docs/validation.md explains
    (r"smmulab explore -p posted-v2", 1),
    (r"smmulab compare TRACE (--hgrm|-s stream\.)", 1),  # all protocols; some deadlock as posted
]
# Python that is not run: fragments.
FRAGMENTS = [
    (r"smmulab\.sweep\(\s+config,|sensitivity\(\s+config,", "of a config that is the reader's"),
]


def all_commands() -> list[Item]:
    return [item for page in PAGES for item in items(page) if item.kind == "command"]


def reason(item: Item) -> str | None:
    """Why a command is not run; None: it is."""
    if re.search(r" \[-", item.text):
        return "a synopsis"
    return next((why for what, why in NOT_RUN if re.match(what, item.text)), None)


def as_run(text: str) -> str:
    for what, instead, _ in INSTEAD:
        text = re.sub(what, instead, text)
    return text


def expected_code(text: str) -> int:
    return next((code for what, code in ENDS_WITH if re.match(what, text)), 0)


def try_item(item: Item, folder: Path) -> str:
    """Does what the page says; what is wrong with it, or nothing."""
    if item.kind == "file":
        doc_commands.save(item, folder)
        return ""
    if item.kind == "python":
        if any(re.search(what, item.text) for what, _ in FRAGMENTS):
            return ""
        (folder / "example.py").write_text(item.text)
        done, code = execute("python example.py", folder), 0
    else:
        if reason(item):
            return ""
        # The end of a pipe would hide how the command ended.
        done = execute("set -o pipefail; " + as_run(item.text), folder)
        code = expected_code(item.text)
    if done.returncode != code:
        return f"{item}\nexit code {done.returncode}, not {code}\n{done.stdout}{done.stderr}"
    if item.shown is not None and not same_output(item.shown, done.stdout):
        return f"{item}\nprints something else (./scripts/docs --update):\n{done.stdout}"
    return ""


@pytest.mark.parametrize(
    "page", [page for page in PAGES if any(item.kind != "file" for item in items(page))]
)
def test_what_a_page_shows_works(page: str, tmp_path: Path) -> None:
    furnish(tmp_path, page)
    wrong = [text for item in items(page) if (text := try_item(item, tmp_path))]
    assert not wrong, "\n\n".join(wrong)


def presets(kind: str) -> set[str]:
    found = json.loads((ROOT / "CMakePresets.json").read_text())[f"{kind}Presets"]
    return {preset["name"] for preset in found}


def targets_of(lists: str) -> set[str]:
    return set(re.findall(r"(?:add_executable|add_library|smmulab_add_test)\((\w+)", lists))


def check_cmake(argv: list[str]) -> None:
    rest = argv[1:]
    kind = "configure"
    targets: list[str] = []
    while rest:
        word = rest.pop(0)
        if word in {"--build", "--workflow"}:
            kind = word.removeprefix("--")
        elif word == "--preset":
            assert rest.pop(0) in presets(kind), argv
        elif word == "--target":
            targets, rest = rest, []
        else:
            pytest.fail(f"{argv}: {word}")
    lists = "\n".join(
        path.read_text()
        for folder in ("sim", "models", "workloads", "analysis", "bench", "python")
        for path in (ROOT / folder).rglob("CMakeLists.txt")
    )
    assert set(targets) <= targets_of(lists), argv


def check_built(argv: list[str]) -> None:
    """build/PRESET/FOLDER/TARGET: the folder makes it."""
    preset, *folder, target = Path(argv[0]).parts[1:]
    assert preset in presets("build")
    assert target in targets_of(ROOT.joinpath(*folder, "CMakeLists.txt").read_text())


def check_pip(argv: list[str]) -> None:
    from pip._internal.commands import create_command  # noqa: PLC0415  as `python -m pip` does

    name, *rest = argv
    _, wanted = create_command(name).parse_args(rest)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    for requirement in wanted:
        extra = re.search(r"\[(\w+)\]", requirement)
        assert extra is None or extra[1] in project["optional-dependencies"], requirement


def check_dask(argv: list[str]) -> None:
    import importlib  # noqa: PLC0415

    what, *rest = argv
    main: Any = importlib.import_module(f"distributed.cli.dask_{what}").main
    main.make_context(what, rest)


def check_script(argv: list[str]) -> None:
    text = (ROOT / argv[0]).read_text()
    assert (ROOT / argv[0]).stat().st_mode & 0o111
    for word in argv[1:]:
        assert re.search(rf"^# .*{re.escape(word)}\b", text, re.MULTILINE), argv


def check_options(argv: list[str]) -> None:
    """Of a synopsis or of text: the command exists, and the options are its own."""
    command = next((c for c in cli.COMMANDS if c.name == argv[0]), None)
    assert command is not None, argv
    parser = cli.argparse.ArgumentParser()
    command.load().configure(parser)
    for word in argv[1:]:
        option = word.strip("[]").split("=")[0]
        if re.fullmatch(r"-\w|--[\w-]+", option):
            assert option in parser._option_string_actions, argv


def check_arguments(text: str) -> None:
    """The parser that would get the command takes it."""
    done = subprocess.run(["bash", "-n", "-c", text], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    argv = words(text)
    match argv:
        case ["smmulab", *rest] if re.search(r" \[-", text):
            check_options(rest)
        case ["smmulab", *rest]:
            cli.parse(rest)
        case [program, *_] if program.startswith("build/"):
            check_built(argv)
        case ["cmake", *_]:
            check_cmake(argv)
        case ["python", "-m", "pip", *rest]:
            check_pip(rest)
        case ["dask", *rest]:
            check_dask(rest)
        case ["source" | "git" | "mkdir", *_]:
            pass
        case _:
            check_script(argv)


@pytest.mark.parametrize(
    "item",
    [item for item in all_commands() if reason(item) or "--executor" in item.text],
    ids=str,
)
def test_what_is_not_run_would_be_parsed(item: Item) -> None:
    check_arguments(item.text)


def inline() -> list[tuple[str, str]]:
    found = []
    for page in (*PAGES, "CONTRIBUTING.md", "results/README.md", "bench/README.md"):
        for text in re.findall(r"(?<!`)`([^`\n]+)`(?!`)", (ROOT / page).read_text("utf-8")):
            argv = text.removeprefix(".venv/bin/").split()
            if len(argv) > 1 and argv[0] in {
                "smmulab",
                "cmake",
                "./scripts/setup",
                "./scripts/test",
            }:
                found.append((page, text.removeprefix(".venv/bin/")))
    return found


def test_commands_within_text_exist() -> None:
    assert len(inline()) > 30
    for page, text in inline():
        argv = text.split()
        if argv[0] == "cmake":
            for part in text.split(" && "):
                check_cmake(shlex.split(part))
        elif argv[0] == "smmulab" and not argv[1].startswith("--") and argv[1] != "COMMAND":
            check_options(argv[1:])
        elif argv[0] == "./scripts/test":
            steps = re.findall(
                r"^run_(\w+)\(\)", (ROOT / "scripts" / "test").read_text(), re.MULTILINE
            )
            assert set(argv[1:]) <= set(steps), (page, text)


def test_no_exception_is_kept_for_nothing() -> None:
    texts = [item.text for item in all_commands()]
    for what, *_ in (*NOT_RUN, *ENDS_WITH):
        assert any(re.match(what, text) for text in texts), what
    python = [item.text for page in PAGES for item in items(page) if item.kind == "python"]
    for what, _ in FRAGMENTS:
        assert any(re.search(what, text) for text in python), what
    for what, *_ in INSTEAD:
        assert any(re.search(what, text) for text in texts if " [-" not in text), what


PAGE = """\
Text. Save this as `a/b.txt`:

```text
smmulab is text here
```

    smmulab compare T   # a comment
    a table  1
      smmulab indented is output

    $ smmulab blame T \\
        -p igroup
    waits (run 0123456789ab)

    12

1. One:

   ```sh
   # a comment
   smmulab-replay T
   ```

```python
smmulab.compare()
```
"""


def test_what_is_found_in_a_page() -> None:
    found = items("p.md", PAGE)
    assert [(item.line, item.kind, item.text) for item in found] == [
        (4, "file", "smmulab is text here\n"),
        (7, "command", "smmulab compare T   # a comment"),
        (11, "command", "smmulab blame T -p igroup"),
        (21, "command", "smmulab-replay T"),
        (25, "python", "smmulab.compare()\n"),
    ]
    assert found[0].name == "a/b.txt"
    assert found[1].shown is None
    assert found[2].shown == "waits (run 0123456789ab)\n\n12"
    with pytest.raises(ValueError, match=r"p\.md:2: no program that is known: smulab x"):
        items("p.md", "```sh\nsmulab x\n```")


def test_outputs_differ_in_more_than_the_build() -> None:
    assert same_output("a 12 (run 0123456789ab)", "a 12 (run aaaaaaaaaaaa)  \n")
    assert not same_output("a 12 (run 0123456789ab)", "a 13 (run 0123456789ab)\n")
    assert not same_output("a", "a\nb\n")


def test_a_false_page_is_told(tmp_path: Path) -> None:
    def tell(text: str, shown: str | None = None) -> str:
        return try_item(Item("p.md", 1, "command", text, shown), tmp_path)

    assert "exit code 2, not 0" in tell("smmulab describe lokc")
    assert "unknown command" in tell("smmulab descrbe | head -n 1")
    assert "prints something else" in tell("smmulab describe lock | head -n 1", "lock.x = 1")
    (first,) = execute("smmulab describe lock | head -n 1", tmp_path).stdout.splitlines()
    assert tell("smmulab describe lock | head -n 1", first) == ""


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("smmulab sweep S.toml --executer dask://H:1", SystemExit),
        ("smmulab blame T [--nothing X]", AssertionError),
        ("smmulab blame 'T", AssertionError),
        ("cmake --preset debug", AssertionError),
        ("cmake --build --preset dev --target no_such_test", AssertionError),
        ("build/dev/sim/no_such_test", AssertionError),
        ("python -m pip install --upgrad x", SystemExit),
        ("python -m pip install 'smmulab[dusk]'", AssertionError),
        ("dask worker tcp://H:1 --nthread-s 1", click.UsageError),
        ("./scripts/test nothing", AssertionError),
    ],
)
def test_a_wrong_argument_is_found(text: str, error: type[BaseException]) -> None:
    with pytest.raises(error):
        check_arguments(text)


def test_the_page_of_commands_has_every_option() -> None:
    sys.path.insert(0, str(ROOT / "docs"))
    import reference_pages  # noqa: PLC0415  an extension of Sphinx

    from smmulab import _core  # noqa: PLC0415

    text = reference_pages.commands()
    for command in cli.COMMANDS:
        section = text.split(f"\n## {command.name}\n")[-1].split("\n## ")[0]
        parser = cli.argparse.ArgumentParser(add_help=False)
        command.load().configure(parser)
        for option in parser._option_string_actions:
            assert re.search(rf"^\| `[^`]*{option}\b", section, re.MULTILINE), (command, option)
    assert "--engine" in text.split("## smmulab-replay\n")[-1]
    listed = set(re.findall(r"^\| `([\w.]+)` \|", reference_pages.parameters(), re.MULTILINE))
    assert {p.key for p in _core.parameters()} <= listed
    assert {name for name, _ in _core.smmu_presets()} <= set(
        re.findall(r"^\| `([^`]+)` \|", reference_pages.parameters(), re.MULTILINE)
    )


def test_the_page_of_the_package_has_every_name() -> None:
    import smmulab  # noqa: PLC0415

    text = (ROOT / "docs" / "reference" / "api.md").read_text()
    for name in smmulab.__all__:
        if name != "__version__":
            assert re.search(rf":: smmulab\.{name}$", text, re.MULTILINE), name
