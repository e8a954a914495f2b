# SPDX-License-Identifier: Apache-2.0
"""The version, as the built C++ half knows it, and the text of ``smmulab --version``."""

from __future__ import annotations

from smmulab._core import build_info

__version__ = build_info().version


def version_text() -> str:
    """Version, compiler and SimGrid engine of this build, one line each."""
    info = build_info()
    return "\n".join(
        (
            f"smmulab {info.version}",
            f"compiler: {info.compiler} ({info.build_type})",
            f"SimGrid engine: {info.simgrid or 'not built in'}",
        )
    )
