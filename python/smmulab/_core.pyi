# SPDX-License-Identifier: Apache-2.0
# Types of the C++ half, kept by hand and compared with the built module by stubtest.

class _PybindType(type): ...  # the metaclass of every class that pybind11 binds
class Error(Exception): ...
class ConfigError(Error): ...

class TraceError(Error):
    file: str
    line: int
    column: int

class ModelError(Error): ...

class DeadlockError(Error):
    cycle: list[str]

class Interrupted(Error): ...

class BuildInfo(metaclass=_PybindType):
    @property
    def version(self) -> str: ...
    @property
    def compiler(self) -> str: ...
    @property
    def build_type(self) -> str: ...
    @property
    def simgrid(self) -> str | None: ...

def build_info() -> BuildInfo: ...
