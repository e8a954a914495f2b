# SPDX-License-Identifier: Apache-2.0
"""The virtual machine that a run was recorded on, from its qemu_command.txt."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from smmulab.recordings.archive import Recording

COMMAND = "qemu_command.txt"
_SMP = re.compile(r"(?:cpus=)?(\d+)")
_SHIFT = re.compile(r"(?:^|,)shift=(\d+)(?:,|$)")


@dataclass(frozen=True)
class RunMachine:
    """`cpus`: vCPUs. `icount_shift`: one guest instruction takes 2^shift ns of virtual time (QEMU
    -icount; the vCPUs take turns on one host thread); None: the guest's clock is the host's."""

    cpus: int
    icount_shift: int | None

    @property
    def virtual_time(self) -> bool:
        """Do the run's times count instructions?"""
        return self.icount_shift is not None


def run_machine(recording: Recording) -> RunMachine | None:
    """The machine, or None if the recording does not hold the command that started it."""
    if COMMAND not in recording.members:
        return None
    log = recording.log(COMMAND)
    try:
        words = shlex.split(log.text)
    except ValueError as error:
        raise log.fault(f"cannot read the command: {error}") from None
    cpus, shift = 1, None
    for option, value in pairwise(words):
        if option == "-smp":
            found = _SMP.match(value)
            if found is None:
                raise log.fault(f"-smp {value}: not a number of CPUs")
            cpus = int(found[1])
        elif option == "-icount":
            found = _SHIFT.search(value)
            if found is None:
                raise log.fault(f"-icount {value}: no shift=N, so virtual time is no count")
            shift = int(found[1])
    return RunMachine(cpus, shift)
