# SPDX-License-Identifier: Apache-2.0
"""The verbs of the command line, in one table; each is carried out by a module of this package.

Such a module has two functions: ``configure(parser)`` adds the arguments, ``run(args)`` does the
work and returns the exit code. It is imported only when its verb is used, so it may import pandas
or matplotlib at the top and the other verbs still start fast.
"""

from __future__ import annotations

import argparse
import importlib
from dataclasses import dataclass
from typing import Protocol, cast


class CommandModule(Protocol):
    """What a module that carries out a command offers."""

    def configure(self, parser: argparse.ArgumentParser) -> None:
        """Add the command's arguments to its parser."""

    def run(self, args: argparse.Namespace) -> int:
        """Do it; return the exit code."""


@dataclass(frozen=True)
class Command:
    """One verb: its name, a line for ``smmulab --help``, and the module that carries it out."""

    name: str
    summary: str
    module: str

    def load(self) -> CommandModule:
        """Import the module."""
        return cast(CommandModule, importlib.import_module(self.module))


# In the order of --help.
COMMANDS: tuple[Command, ...] = (
    Command(
        "compare",
        "Replay a trace under several protocols; print the comparison, write tables and a figure.",
        "smmulab.commands.compare",
    ),
    Command(
        "whatif",
        "Replay a trace with one thing changed at a time (a lock free, a cost 0); rank what it buys.",
        "smmulab.commands.whatif",
    ),
    Command(
        "blame",
        "Replay a trace; tell who waits for whom, through which lock, and the critical path.",
        "smmulab.commands.blame",
    ),
    Command(
        "topology",
        "Tell iommu groups, VFIO device sets and stream ids of a PCIe host; draw it; begin a trace.",
        "smmulab.commands.topology",
    ),
    Command(
        "timeline",
        "Replay a trace; write threads, CPUs, locks and command queues as a trace for Perfetto.",
        "smmulab.commands.timeline",
    ),
    Command(
        "generate",
        "Write a trace of random operations, seeded, of any size and shape.",
        "smmulab.commands.generate",
    ),
    Command(
        "run",
        "Simulate one configuration with one seed; print its tables, and write them with -o.",
        "smmulab.commands.run",
    ),
    Command(
        "sweep",
        "Run every point of a study with every seed, on several CPUs or machines; resumes.",
        "smmulab.commands.sweep",
    ),
    Command(
        "report",
        "Write a study as one HTML file that opens offline: figures, tables, provenance.",
        "smmulab.commands.report",
    ),
    Command(
        "study",
        "Run the reference studies of results/ anew; write their tables, figures and findings.",
        "smmulab.commands.study",
    ),
    Command(
        "check",
        "Run the reference studies of results/ anew; compare every number, draw what moved.",
        "smmulab.commands.check",
    ),
    Command(
        "dma-bench",
        "The DMA API's map+unmap loop on more and more CPUs, by variant of the command queue.",
        "smmulab.commands.dma_bench",
    ),
    Command("import", "Turn a recorded log into a trace.", "smmulab.commands.import_log"),
    Command(
        "validate",
        "Hold the models to their oracles; print model beside recording.",
        "smmulab.commands.validate",
    ),
    Command(
        "lockdep",
        "Find lock-order hazards of a protocol, as lockdep does and beyond; draw its lock graph.",
        "smmulab.commands.lockdep",
    ),
    Command(
        "explore",
        "Run small cases in every order that matters; find deadlocks, lost wake-ups, wrong states.",
        "smmulab.commands.explore",
    ),
    Command(
        "tlb",
        "Run a DMA trace or pattern through the SMMU's caches; sweep a size, plot hits, reads, latency.",
        "smmulab.commands.tlb",
    ),
    Command(
        "protocols",
        "List the locking protocols; of named ones tell history, hazards and locks.",
        "smmulab.commands.protocols",
    ),
    Command(
        "describe",
        "List every parameter with default, range and provenance, and the presets.",
        "smmulab.commands.describe",
    ),
)
