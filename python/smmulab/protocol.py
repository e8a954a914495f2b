# SPDX-License-Identifier: Apache-2.0
"""`Protocol`: a locking design written in Python. docs/python-protocols.md says how."""

from __future__ import annotations

import errno
from collections.abc import Callable, Generator, Mapping
from typing import Any, ClassVar, TypeAlias

from smmulab._core import Device, Hwpt, Ioas, Verb

# An operation: yields verbs, is sent their results, returns 0, None or a negative errno.
Operation: TypeAlias = Generator[Verb, Any, Any]


class Protocol:
    """A locking design. A subclass's generator methods replace operations of `base`.

    `base`: the built-in protocol that does what no method replaces, IOMMU_HWPT_ALLOC and PASIDs
    always. `name`: in results; default: the class's. `locks`: locks that the design brings along,
    {"OWNER->NAME": "mutex" or "rwsem"}, one for each owner: hwpt, ioas, igroup (named by a device)
    or context (one in all). Each run makes an instance without arguments: what an operation keeps in
    `self` is of that run, and takes no simulated time to look at.

    Methods may be `attach(device, hwpt)`, `attach_ioas(device, ioas)`, `replace(device, hwpt)`,
    `replace_ioas(device, ioas)`, `detach(device)`, `hwpt_destroy(hwpt)`, `msi_prepare(device)`. They
    yield verbs (`acquire`, `try_acquire`, `release`, `look`, `block`) and return 0, None or a
    negative errno. With an `attach` (`replace`) of its own but no `attach_ioas` (`replace_ioas`),
    the latter is made of the former, with an automatic hwpt.
    """

    base: ClassVar[str] = "igroup"
    name: ClassVar[str] = ""
    locks: ClassVar[Mapping[str, str]] = {}

    @staticmethod
    def acquire(
        lock: str,
        owner: Device | Hwpt | Ioas | None = None,
        mode: str = "write",
        *,
        nesting: int = 0,
    ) -> Verb:
        """Take a lock by its role: "igroup->lock" and "group->mutex" of a device, "ioas->mutex" of
        an ioas or hwpt, "hwpt->devices_lock" of an hwpt, or one of `locks`. `mode`: "read" or
        "write" of an rwsem; `nesting`: lockdep's subclass."""
        return Verb.acquire(lock, owner, mode=mode, nesting=nesting)

    @staticmethod
    def try_acquire(lock: str, owner: Device | Hwpt | Ioas | None = None) -> Verb:
        """Take an rwsem for reading unless that would wait. Gives 1 if it is taken, else 0."""
        return Verb.try_acquire(lock, owner, mode="read")

    @staticmethod
    def release(lock: str, owner: Device | Hwpt | Ioas | None = None) -> Verb:
        """Give a lock back that this operation took."""
        return Verb.release(lock, owner)

    @staticmethod
    def look(lock: str, owner: Device | Hwpt | Ioas | None = None, mode: str = "read") -> Verb:
        """Tell explore of an access, without the lock, to what the lock covers."""
        return Verb.look(lock, owner, mode=mode)

    @staticmethod
    def block(name: str, *args: Device | Hwpt | Ioas | int | None) -> Verb:
        """Work by its name, such as "attach_group" or "fill" (docs/python-protocols.md lists them);
        gives what it returns: 0 or a negative errno unless the list says otherwise."""
        return Verb.block(name, *args)

    def attach(self, device: Device, hwpt: Hwpt) -> Operation:
        """Attach a device that is attached to nothing."""
        return (yield self.block("base.attach", device, hwpt))

    def attach_ioas(self, device: Device, ioas: Ioas) -> Operation:
        """Attach by ioas: `attach` with an automatic hwpt."""
        return (yield from self.automatic(self.attach, device, ioas, replacing=False))

    def replace(self, device: Device, hwpt: Hwpt) -> Operation:
        """Move an attached device to another hwpt, without a moment off both."""
        return (yield self.block("base.replace", device, hwpt))

    def replace_ioas(self, device: Device, ioas: Ioas) -> Operation:
        """Replace by ioas: `replace` with an automatic hwpt."""
        return (yield from self.automatic(self.replace, device, ioas, replacing=True))

    def detach(self, device: Device) -> Operation:
        """Detach an attached device."""
        return (yield self.block("base.detach", device))

    def hwpt_destroy(self, hwpt: Hwpt) -> Operation:
        """What becomes of an hwpt when its id is gone."""
        return (yield self.block("base.hwpt_destroy", hwpt))

    def msi_prepare(self, device: Device) -> Operation:
        """An MSI of the device is set up."""
        return (yield self.block("base.msi_prepare", device))

    def automatic(
        self,
        operation: Callable[[Device, Hwpt], Operation],
        device: Device,
        ioas: Ioas,
        *,
        replacing: bool,
    ) -> Generator[Verb, Any, int]:
        """`operation` with the ioas's first automatic hwpt that takes the device, or with a new one,
        under ioas->mutex, as of Linux 6.12 (iommufd_device_auto_get_domain()): a new one is filled
        after its first attach, but before a replace."""
        yield self.acquire("ioas->mutex", ioas)
        rc = -errno.EINVAL
        for hwpt in ioas.hwpts:
            yield self.block("list_step", 1)
            if hwpt.automatic and (yield self.block("get", hwpt)):
                rc = (yield from operation(device, hwpt)) or 0
                yield self.block("put", hwpt)
                if rc != -errno.EINVAL:
                    break
        if rc == -errno.EINVAL:
            rc = yield from self._with_new(operation, device, ioas, replacing)
        yield self.release("ioas->mutex", ioas)
        return rc

    def _with_new(
        self,
        operation: Callable[[Device, Hwpt], Operation],
        device: Device,
        ioas: Ioas,
        replacing: bool,
    ) -> Generator[Verb, Any, int]:
        hwpt = yield self.block("alloc", device, ioas)
        rc = 0 if replacing else (yield from operation(device, hwpt)) or 0
        if rc == 0:
            rc = yield self.block("fill", hwpt)
            if rc == 0:
                yield self.block("link", hwpt)
                if replacing:
                    rc = (yield from operation(device, hwpt)) or 0
                    if rc != 0:
                        yield self.block("unlink", hwpt)
                        yield self.block("unfill", hwpt)
            elif not replacing:
                yield from self.detach(device)
        yield self.block("publish" if rc == 0 else "abort", hwpt)
        return rc
