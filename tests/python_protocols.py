# SPDX-License-Identifier: Apache-2.0
"""Protocols written in Python, for test_python_protocols.py: some built-in ones once more, and some
that are wrong."""

from __future__ import annotations

import errno
from collections.abc import Generator
from typing import Any

from smmulab import Protocol


class PythonIgroup(Protocol):
    """Linux 6.12 once more: models/iommufd/protocols/igroup.cpp, method by method."""

    def attach(self, device, hwpt):
        yield self.acquire("igroup->lock", device)
        rc = 0
        if device.group_hwpt not in (None, hwpt):
            rc = -errno.EINVAL
        else:
            rc = yield self.block("enforce_reserved", device, hwpt.ioas)
            if rc == 0 and not device.group_devices:
                yield self.block("setup_msi", hwpt)
                rc = yield self.block("attach_group", device, hwpt)
                if rc == 0:
                    yield self.block("set_group_hwpt", device, hwpt)
                else:
                    yield self.block("remove_reserved", device, hwpt.ioas)
        if rc == 0:
            yield self.block("group_add", device, hwpt)
        yield self.release("igroup->lock", device)
        return rc

    def replace(self, device, hwpt):
        rc, old = yield from self.move(device, hwpt)
        if old is not None:
            yield self.block("put_hwpt", old)
        return rc

    def replace_ioas(self, device, ioas):
        left = []

        def move(device, hwpt):
            rc, old = yield from self.move(device, hwpt)
            if old is not None:
                left.append(old)
            return rc

        rc = yield from self.automatic(move, device, ioas, replacing=True)
        for old in left:
            yield self.block("put_hwpt", old)
        return rc

    def move(self, device, hwpt) -> Generator[Any, Any, tuple[int, Any]]:
        yield self.acquire("igroup->lock", device)
        devices, old, rc, moved = device.group_devices, device.group_hwpt, 0, None
        yield self.block("list_step", len(devices))
        if old is None or device not in devices:
            rc = -errno.EINVAL
        elif old != hwpt:
            other_ioas = old.ioas != hwpt.ioas
            for each in devices if other_ioas else []:
                rc = rc or (yield self.block("enforce_reserved", each, hwpt.ioas))
            if rc == 0:
                yield self.block("setup_msi", hwpt)
                rc = yield self.block("replace_group", device, old, hwpt)
            for each in devices if rc != 0 else []:
                yield self.block("remove_reserved", each, hwpt.ioas)
            if rc == 0:
                for each in devices if other_ioas else []:
                    yield self.block("remove_reserved", each, old.ioas)
                yield self.block("group_move", device, hwpt)
                moved = old
        yield self.release("igroup->lock", device)
        return rc, moved

    def detach(self, device):
        yield self.acquire("igroup->lock", device)
        hwpt = device.group_hwpt
        yield self.block("group_remove", device)
        if not device.group_devices:
            yield self.block("detach_group", device, hwpt)
            yield self.block("set_group_hwpt", device, None)
        yield self.block("remove_reserved", device, hwpt.ioas)
        yield self.release("igroup->lock", device)
        yield self.block("put_hwpt", hwpt)


class AbBa(Protocol):
    """A replace takes both hwpts' locks, the new one's first: X->Y deadlocks with Y->X."""

    locks = {"hwpt->sem": "rwsem"}

    def replace(self, device, hwpt):
        old = device.hwpt
        if old == hwpt:
            return 0
        yield self.acquire("hwpt->sem", hwpt)
        yield self.acquire("hwpt->sem", old, nesting=1)
        rc = yield self.block("base.replace", device, hwpt)
        yield self.release("hwpt->sem", old)
        yield self.release("hwpt->sem", hwpt)
        return rc


class AroundIgroup(Protocol):
    """A lock of its own around igroup's operations, as in the first try of notebook 4: attach by ioas
    takes it under ioas->mutex, and a detach that destroys an automatic hwpt the other way round."""

    base = "igroup"
    locks = {"igroup->sem": "rwsem"}

    def attach(self, device, hwpt):
        yield self.acquire("igroup->sem", device)
        rc = yield self.block("base.attach", device, hwpt)
        yield self.release("igroup->sem", device)
        return rc

    def detach(self, device):
        yield self.acquire("igroup->sem", device)
        rc = yield self.block("base.detach", device)
        yield self.release("igroup->sem", device)
        return rc


class Raises(Protocol):
    """An exception between two verbs."""

    def attach(self, device, hwpt):
        yield self.acquire("igroup->lock", device)
        self.half(0)
        yield self.release("igroup->lock", device)

    def half(self, zero: int) -> float:
        return 1 / zero


class Forgets(Protocol):
    """A lock that nobody releases."""

    def attach(self, device, hwpt):
        yield self.acquire("igroup->lock", device)


class ReleasesTooMuch(Protocol):
    """A lock that is not held."""

    def attach(self, device, hwpt):
        yield self.release("igroup->lock", device)


class WrongLock(Protocol):
    """No such lock."""

    def attach(self, device, hwpt):
        yield self.acquire("igroup->lok", device)


class WrongBlock(Protocol):
    """No such block."""

    def attach(self, device, hwpt):
        yield self.block("atach_group", device, hwpt)


class WrongArgument(Protocol):
    """What no verb takes."""

    def attach(self, device, hwpt):
        yield self.block("attach_group", device, "hwpt")


class NoVerb(Protocol):
    """What no verb is."""

    def attach(self, device, hwpt):
        yield 17


class NoGenerator(Protocol):
    """A method that yields nothing."""

    def attach(self, device, hwpt):
        return 0


class NoResult(Protocol):
    """A result that is no errno."""

    def attach(self, device, hwpt):
        yield self.block("base.attach", device, hwpt)
        return "attached"


class NotMade(Protocol):
    """A class that needs arguments."""

    def __init__(self, argument: int) -> None:
        self.argument = argument
