# SPDX-License-Identifier: Apache-2.0
"""Where protocols written in Python come from: "FILE.py:CLASS", or a class.

Everything that runs a protocol takes a text, its key, so that another process can find it too. A
class that no file holds (a notebook's) is pickled to a file, and its key names that.
"""

from __future__ import annotations

import atexit
import difflib
import hashlib
import inspect
import runpy
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp
from typing import Any, TypeAlias

from smmulab import _core
from smmulab._core import ConfigError
from smmulab.checking import nearest
from smmulab.fingerprint import fingerprint
from smmulab.protocol import Protocol

# What functions take: a built-in protocol's name, "FILE.py:CLASS", or a class.
ProtocolLike: TypeAlias = str | type[Protocol]

_PICKLE = ".pickle"
_hashes: dict[str, str] = {}  # by key
_keys: dict[type[Protocol], str] = {}
_folder: list[Path] = []


def key_of(protocol: object) -> str:
    """The text by which every process finds the protocol. Raises ConfigError, with the nearest
    name, if there is none."""
    if isinstance(protocol, str):
        _refresh(protocol)
        return protocol
    if not (isinstance(protocol, type) and issubclass(protocol, Protocol)):
        raise ConfigError(f"{protocol!r} is neither a protocol's name nor a subclass of Protocol")
    if protocol not in _keys:
        _keys[protocol] = _make_key(protocol)
    _refresh(_keys[protocol])
    return _keys[protocol]


def key_and_name(protocol: ProtocolLike) -> tuple[str, str]:
    """`key_of`, and the name that results show."""
    key = key_of(protocol)
    return key, _core.protocol_name(key)


def source_hashes(keys: list[str]) -> dict[str, str]:
    """SHA-256 of the source of each that is written in Python, by the name that results show. Of
    what `key_of` loaded last: results keep it, since the name may come to mean another class."""
    return {_core.protocol_name(key): _hashes[key] for key in keys if key in _hashes}


def identity(protocol: str) -> str | list[str]:
    """What determines the protocol: its name; written in Python, name and hash of the source as it
    is now. Raises ConfigError."""
    _refresh(protocol)
    return [_core.protocol_name(protocol), _hashes[protocol]] if protocol in _hashes else protocol


def expect(protocol: str, known: str | list[str]) -> None:
    """Raise ConfigError unless its identity is still `known`: another process loads the file anew."""
    if identity(protocol) != known:
        raise ConfigError(f"protocol '{protocol}' was edited since this run was planned")


def load(key: str) -> None:
    """Make the class of "FILE.py:CLASS" known. Raises ConfigError."""
    file, _, name = key.rpartition(":")
    path = Path(file)
    try:
        data = path.read_bytes()
    except OSError as error:
        reason = error.strerror or str(error)
        raise ConfigError(f"protocol '{key}': cannot read '{file}': {reason}") from None
    if path.suffix == _PICKLE:
        import cloudpickle  # noqa: PLC0415  few need it

        with _as_config_error(key):
            cls = cloudpickle.loads(data)
        _register(key, cls, path.stem.rpartition("-")[2])
        return
    with _as_config_error(key):
        found = runpy.run_path(file, run_name="smmulab_protocol")
    classes = {
        each: value
        for each, value in found.items()
        if isinstance(value, type) and issubclass(value, Protocol) and value is not Protocol
    }
    if name not in classes:
        known = f"; it has: {', '.join(classes)}" if classes else "; it has none"
        raise ConfigError(
            f"protocol '{key}': no protocol '{name}' in {file}{nearest(name, classes)}{known}"
        )
    _register(key, classes[name], hashlib.sha256(data).hexdigest())


@contextmanager
def _as_config_error(key: str) -> Iterator[None]:
    """What a protocol's own code raises says whose it is."""
    try:
        yield
    except Exception as error:
        raise ConfigError(f"protocol '{key}': {type(error).__name__}: {error}") from error


def _refresh(key: str) -> None:
    """Make the protocol known, of its file as it is now: other processes load that."""
    _core.check_protocol(key)
    file = Path(key.rpartition(":")[0])
    if key not in _hashes or file.suffix == _PICKLE:  # a pickle is named by its hash
        return
    try:
        same = hashlib.sha256(file.read_bytes()).hexdigest() == _hashes[key]
    except OSError:
        same = False
    if not same:
        load(key)


def _make_key(cls: type[Protocol]) -> str:
    module = sys.modules.get(cls.__module__)
    file = getattr(module, "__file__", None)
    if file and cls.__module__ != "__main__" and getattr(module, cls.__name__, None) is cls:
        key = f"{Path(file).resolve()}:{cls.__name__}"
        _register(key, cls, hashlib.sha256(Path(file).read_bytes()).hexdigest())
        return key
    import cloudpickle  # noqa: PLC0415  few need it

    data = cloudpickle.dumps(cls)
    digest = fingerprint(cls)
    if not _folder:
        _folder.append(Path(mkdtemp(prefix="smmulab-protocols-")))
        atexit.register(rmtree, _folder[0], ignore_errors=True)
    path = _folder[0] / f"{cls.__name__}-{digest}{_PICKLE}"
    path.write_bytes(data)
    key = f"{path}:{cls.__name__}"
    _register(key, cls, digest)
    return key


def _register(key: str, cls: type[Protocol], digest: str) -> None:
    known = ["base", "name", "locks", *_core.script_operations()]
    for each in vars(cls):
        # A slip of the pen would leave the operation to the base protocol.
        near = difflib.get_close_matches(each, known, n=1, cutoff=0.85)
        if near and not each.startswith("_") and not hasattr(Protocol, each):
            raise ConfigError(
                f"protocol '{cls.__name__}': '{each}' is no operation; did you mean '{near[0]}'?"
            )
    name = cls.name or cls.__name__
    text = inspect.getdoc(cls) if cls.__doc__ else None
    description = (text or f"written in Python over {cls.base}").partition("\n")[0]
    _core.add_protocol(key, cls, name, description, cls.base, dict(cls.locks), _operations(cls))
    _hashes[key] = digest


def _operations(cls: type[Protocol]) -> list[str]:
    """The operations that are not the base protocol's."""

    def own(name: str) -> bool:
        method: Any = getattr(cls, name)
        return method is not getattr(Protocol, name)

    made_of = {"attach_ioas": "attach", "replace_ioas": "replace"}
    return [name for name in _core.script_operations() if own(name) or own(made_of.get(name, name))]
