# SPDX-License-Identifier: Apache-2.0
"""What README.md and docs/ show a reader to type, and a folder to try it in.

A command is a line of a code block that begins with a program's name, or with `$ `; then the rest of
the block is its output. `Save this as NAME` makes the block after it a file. Run as a script it
writes outputs that are not what the commands print anew.
"""

from __future__ import annotations

import io
import os
import re
import shlex
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent
PAGES = sorted(
    str(path.relative_to(ROOT))
    for path in (ROOT / "README.md", *(ROOT / "docs").rglob("*.md"))
    if path.name != "protocols.md"  # written by a command, and held to it by test_protocol_doc.py
)
_PROGRAM = re.compile(
    r"(?:\$ )?(?:smmulab|smmulab-replay|\./scripts/\w+|\.venv/bin/\S+|build/\S+|cmake|python"
    r"|pip|dask|duckdb|git|mkdir|sudo|source)(?=\s|$)"
)
_SAVE = re.compile(r"Save this as `([^`]+)`")
# A run's name has the build in it.
_RUN_ID = re.compile(r"(?<=run )[0-9a-f]{12}\b")


@dataclass(frozen=True)
class Item:
    """`kind`: "command", "python" or "file" (`name`); `shown`: the output beside a command, or None.
    Lines are counted from 1; `line` is the first, `last` the last of a command."""

    page: str
    line: int
    kind: str
    text: str
    shown: str | None = None
    name: str = ""
    last: int = 0

    def __str__(self) -> str:
        return f"{self.page}:{self.line}: {self.text}"


@dataclass(frozen=True)
class _Block:
    line: int  # of the first line of text
    language: str | None  # None: indented
    indent: int
    lines: list[str]
    title: str  # the text above


def _blocks(text: str) -> Iterator[_Block]:
    lines = text.split("\n")
    number, above = 0, ""
    while number < len(lines):
        line = lines[number]
        fence = re.match(r"( *)```(\S*)", line)
        if fence:
            end = next(n for n in range(number + 1, len(lines)) if lines[n].strip() == "```")
            indent = len(fence[1])
            body = [text[indent:] for text in lines[number + 1 : end]]
            yield _Block(number + 2, fence[2], indent, body, above)
            number, above = end + 1, ""
        elif line.startswith("    ") and (number == 0 or not lines[number - 1].strip()):
            end = number
            while end < len(lines) and (lines[end].startswith("    ") or not lines[end].strip()):
                end += 1
            while not lines[end - 1].strip():
                end -= 1
            yield _Block(number + 1, None, 4, [text[4:] for text in lines[number:end]], above)
            number, above = end, ""
        else:
            above = line if line.strip() else above
            number += 1


def _commands(page: str, block: _Block) -> Iterator[Item]:
    strict = block.language in {"sh", "console"}
    number = 0
    while number < len(block.lines):
        first = number
        text = block.lines[number]
        number += 1
        if not _PROGRAM.match(text):
            if strict and text and not text.startswith("#"):
                raise ValueError(f"{page}:{block.line + first}: no program that is known: {text}")
            continue
        while text.endswith("\\"):
            text = text[:-1].rstrip() + " " + block.lines[number].strip()
            number += 1
        shown, last = None, block.line + number - 1
        if text.startswith("$ "):
            text, shown = text[2:], "\n".join(block.lines[number:])
            number = len(block.lines)
        yield Item(page, block.line + first, "command", text, shown, last=last)


def items(page: str, text: str | None = None) -> list[Item]:
    """What `page` (its `text`) shows, in order. ValueError for a line of a block sh or console that
    begins with no program that is known."""
    found: list[Item] = []
    for block in _blocks(text if text is not None else (ROOT / page).read_text("utf-8")):
        body = "\n".join(block.lines) + "\n"
        save = _SAVE.search(block.title)
        if save:
            found.append(Item(page, block.line, "file", body, name=save[1]))
        elif block.language == "python":
            found.append(Item(page, block.line, "python", body))
        elif block.language in {None, "", "sh", "console"}:
            found += _commands(page, block)
    return found


_OPS_LOG = """\
# iofd_bench shape=SHAPE iters=1 ndev=1 nhwpt=1 nioas=1 nmap=0 think=0 pin=1 seed=1 run_ns=100
# dev 0 bdf=0000:00:02.0 iommu_group=0 iommufd_devid=1
# ioas 0 id=9
# hwpt 0 id=10 ioas=9
# start_ns end_ns thread cpu_at_end op dev devid group pt_id old_pt_id iova len ret
100 200 -1 0 bind 0 1 0 0 0 0x0 0 0
300 400 -1 0 ioas_alloc -1 0 -1 9 0 0x0 0 0
500 600 -1 0 hwpt_alloc 0 1 0 10 9 0x0 0 0
700 800 0 0 attach 0 1 0 10 0 0x0 0 0
900 1000 0 0 detach 0 1 0 0 10 0x0 0 0
"""
_LSPCI = """\
0000:00:02.0 Ethernet controller [0200]: Example [8086:1520]
\tCapabilities: [a0] Express (v2) Root Complex Integrated Endpoint, MSI 00
0000:00:03.0 Ethernet controller [0200]: Example [8086:1520]
\tCapabilities: [a0] Express (v2) Root Complex Integrated Endpoint, MSI 00
"""
_STUDY = """\
[study]
title = "A small one"
protocols = ["igroup", "one-lock"]
x = "threads"
[generate]
devices = 4
ops = 40
[factors]
threads = "1,2,4"
"""


def furnish(folder: Path, page: str) -> None:
    """Makes what the pages call by a name of their own: TRACE, LOG, STUDY.toml, results, ..."""
    for name in ("workloads", "models"):
        (folder / name).symlink_to(ROOT / name)
    trace = ROOT / "workloads" / "traces" / "A_ic_smp2-b_spread_8dev_4hwpt.iotrace.zst"
    shutil.copy(trace, folder / "TRACE")
    if page == "docs/explore.md":  # it takes small ones only
        guide = items("docs/guide/own-trace.md")
        (small,) = (item.text for item in guide if item.name == "mine.iotrace")
        (folder / "TRACE").write_text(small)
    shutil.copy(ROOT / "tests" / "data" / "qemu_smmu_stock.log.zst", folder / "LOG")
    shutil.copy(ROOT / "models" / "pcie" / "testdata" / "recorded_a.toml", folder / "HOST.toml")
    (folder / "lspci.txt").write_text(_LSPCI)
    page_of_protocols = (ROOT / "docs" / "python-protocols.md").read_text("utf-8")
    example = page_of_protocols.split("```python\n")[1].split("```")[0]
    (folder / "read_first.py").write_text(example, "utf-8")
    study = (ROOT / "docs" / "studies.md").read_text().split("```toml\n")[1].split("```")[0]
    study = study.replace("ops = 5000", "ops = 150").replace("seeds = 5 ", "seeds = 1 ")
    for name in ("STUDY.toml", "study.toml"):
        (folder / name).write_text(study)
    with tarfile.open(folder / "RUN.tar.xz", "w:xz") as archive:
        text = _OPS_LOG.encode()
        member = tarfile.TarInfo("RUN/SHAPE.ops.txt")
        member.size = len(text)
        archive.addfile(member, io.BytesIO(text))
    if "check results" in (ROOT / page).read_text() and page != "docs/guide/regression-plot.md":
        (folder / "results" / "small").mkdir(parents=True)
        (folder / "results" / "small" / "study.toml").write_text(_STUDY)
        execute("smmulab study all", folder, check=True)


def save(item: Item, folder: Path) -> None:
    """The file that a page tells to save."""
    path = folder / item.name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(item.text, "utf-8")


def execute(text: str, folder: Path, *, check: bool = False) -> subprocess.CompletedProcess[str]:
    """Runs a command line in a folder, the installed commands first in PATH."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "MPLBACKEND": "agg", "LC_ALL": "C.UTF-8"}
    environment.pop("COLUMNS", None)
    return subprocess.run(
        ["bash", "-c", text],
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=check,
        timeout=300,
    )


def same_output(shown: str, printed: str) -> bool:
    """Is the text of a page what the command prints, but for the build and blanks at line ends?"""

    def lines(text: str) -> list[str]:
        return [_RUN_ID.sub("", line.rstrip()) for line in text.rstrip().split("\n")]

    return lines(shown) == lines(printed)


def words(text: str) -> list[str]:
    """The command line up to its first pipe, redirection or end."""
    lexer = shlex.shlex(text, posix=True, punctuation_chars="|;<>&")
    lexer.whitespace_split = True
    found = []
    for word in lexer:
        if set(word) <= set("|;<>&"):
            break
        found.append(word)
    return found


def update() -> int:
    """Writes outputs that are not what the commands print anew; returns how many."""
    written = 0
    for page in PAGES:
        found = items(page)
        if all(item.shown is None for item in found):
            continue
        lines = (ROOT / page).read_text("utf-8").split("\n")
        with tempfile.TemporaryDirectory() as folder:
            furnish(Path(folder), page)
            new: list[tuple[Item, str]] = []
            for item in found:
                if item.kind == "file":
                    save(item, Path(folder))
                elif item.shown is not None:
                    printed = execute(item.text, Path(folder)).stdout
                    if not same_output(item.shown, printed):
                        new.append((item, printed))
        for item, printed in reversed(new):
            indent = re.match(" *", lines[item.line - 1])[0]  # type: ignore[index]
            end = item.last + len((item.shown or "").split("\n")) if item.shown else item.last
            lines[item.last : end] = [
                (indent + line).rstrip() for line in printed.rstrip().split("\n")
            ]
            sys.stdout.write(f"{item.page}:{item.line}: written anew\n")
        (ROOT / page).write_text("\n".join(lines), "utf-8")
        written += len(new)
    return written


if __name__ == "__main__":
    sys.stdout.write(f"{update()} outputs written\n")
