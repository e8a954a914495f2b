# SPDX-License-Identifier: Apache-2.0
"""`fingerprint`: a hash of a class by what it does, the same in every process.

A pickle is no such thing: its bytes depend on hash seeds, interned strings and the order in which
objects were met.
"""

from __future__ import annotations

import dis
import hashlib
import sys
from collections.abc import Iterator
from pathlib import Path
from types import (
    BuiltinFunctionType,
    CellType,
    CodeType,
    FunctionType,
    MappingProxyType,
    ModuleType,
)
from typing import Any

_PLAIN = (type(None), bool, int, float, complex, str, bytes, type(...), type(NotImplemented))
_GLOBALS = ("LOAD_GLOBAL", "LOAD_NAME")
# Of a class: where it was made, and what Python itself puts there.
_LEFT_OUT = {"__module__", "__qualname__", "__dict__", "__weakref__", "__annotations__", "__doc__"}
_LEFT_OUT |= {"__firstlineno__", "__static_attributes__", "_abc_impl"}


def fingerprint(cls: type) -> str:
    """SHA-256 of the class: constants, the bytecode of its functions (so that comments and line
    numbers do not count), and in turn the globals, closures, defaults and bases that they refer to.

    What an imported module holds is named, with a hash of that module's file. Objects count by what
    copying them would take; one that cannot be copied (an open file) by its pickle, which another
    process may not give again.
    """
    return _Walk({}).digest(cls).hex()


class _Walk:
    """Hashes what it is given. An object met again is told by the place where it was met first, so
    that cycles end."""

    def __init__(self, seen: dict[int, int]) -> None:
        self._seen = seen
        self._kept: list[object] = []  # ids in `seen` stay theirs

    def digest(self, value: object) -> bytes:
        if isinstance(value, _PLAIN) and type(value) in _PLAIN:
            return _hash("plain", type(value).__name__, repr(value))
        if id(value) in self._seen:
            return _hash("again", str(self._seen[id(value)]))
        self._seen[id(value)] = len(self._seen)
        self._kept.append(value)
        return _hash(type(value).__name__, *self._parts(value))

    def _parts(self, value: Any) -> Iterator[str | bytes]:
        if isinstance(value, CodeType):
            yield from self._code(value)
        elif isinstance(value, FunctionType):
            yield from self._function(value)
        elif isinstance(value, ModuleType):
            yield from _module(value.__name__)
        elif isinstance(value, type | BuiltinFunctionType) and _is_imported(value):
            yield from (value.__qualname__, *_module(value.__module__))
        elif isinstance(value, type):
            yield value.__name__
            yield from map(self.digest, (type(value), *value.__bases__))
            for name, member in vars(value).items():
                if name not in _LEFT_OUT:
                    yield from (name, self.digest(member))
        elif isinstance(value, staticmethod | classmethod):
            yield self.digest(value.__func__)
        elif isinstance(value, property):
            yield from map(self.digest, (value.fget, value.fset, value.fdel))
        elif isinstance(value, CellType):
            yield self.digest(value.cell_contents) if _is_filled(value) else "empty"
        elif type(value) in {tuple, list}:
            yield from map(self.digest, value)
        elif type(value) in {set, frozenset}:
            # Each as if it were the first: their order differs between processes.
            yield from sorted(_Walk(dict(self._seen)).digest(each) for each in value)
        elif type(value) in {dict, MappingProxyType}:
            for each in value.items():
                yield from map(self.digest, each)
        else:
            yield from self._copied(value)

    def _code(self, code: CodeType) -> Iterator[str | bytes]:
        yield code.co_code
        yield code.co_exceptiontable
        counts = (code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount, code.co_flags)
        names = (code.co_names, code.co_varnames, code.co_freevars, code.co_cellvars)
        yield repr((counts, names))
        # Equal constants may be one object or several.
        for constant in code.co_consts:
            yield _Walk({}).digest(constant)

    def _function(self, function: FunctionType) -> Iterator[str | bytes]:
        if _is_imported(function):
            yield from (function.__qualname__, *_module(function.__module__))
            return
        yield self.digest(function.__code__)
        yield self.digest(function.__defaults__)
        yield self.digest(function.__kwdefaults__)
        yield self.digest(vars(function))
        yield from map(self.digest, function.__closure__ or ())
        for name in sorted(set(_globals_of(function.__code__))):
            if name in function.__globals__:
                yield from (name, self.digest(function.__globals__[name]))

    def _copied(self, value: Any) -> Iterator[str | bytes]:
        try:
            made = value.__reduce_ex__(4)
        except Exception:  # noqa: BLE001  whatever the object says
            import cloudpickle  # noqa: PLC0415  few need it

            yield cloudpickle.dumps(value)
            return
        if isinstance(made, str):  # the name of a global
            yield from (made, *_module(getattr(value, "__module__", None) or ""))
            yield self.digest(getattr(value, "__wrapped__", None))
            return
        for part in made:
            yield self.digest(list(part) if isinstance(part, Iterator) else part)


def _hash(*parts: str | bytes) -> bytes:
    digest = hashlib.sha256()
    for part in parts:
        data = part.encode("utf-8", "surrogatepass") if isinstance(part, str) else part
        digest.update(f"{len(data)}:".encode() + data)
    return digest.digest()


def _globals_of(code: CodeType) -> Iterator[str]:
    for instruction in dis.get_instructions(code):
        if instruction.opname in _GLOBALS:
            yield str(instruction.argval)
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _globals_of(constant)


def _is_filled(cell: CellType) -> bool:
    try:
        _ = cell.cell_contents
    except ValueError:
        return False
    return True


def _is_imported(value: Any) -> bool:
    """Whether other processes find it by its name, as cloudpickle's do."""
    module = sys.modules.get(value.__module__ or "")
    if module is None or module.__name__ == "__main__":
        return False
    found: Any = module
    for name in value.__qualname__.split("."):
        found = getattr(found, name, None)
    return found is value


def _module(name: str) -> Iterator[str | bytes]:
    yield name
    file = getattr(sys.modules.get(name), "__file__", None) or ""
    if name != "__main__" and file.endswith(".py") and Path(file).is_file():
        yield Path(file).read_bytes()
