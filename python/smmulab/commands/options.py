# SPDX-License-Identifier: Apache-2.0
"""Arguments and progress that several commands share."""

from __future__ import annotations

import argparse
import time
from types import TracebackType
from typing import Any, Self

from tqdm.auto import tqdm


def add_settings(parser: argparse.ArgumentParser) -> None:
    """--machine and --set."""
    parser.add_argument("-m", "--machine", metavar="FILE", help="machine file (TOML)")
    parser.add_argument(
        "-s",
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="a parameter of `smmulab describe`, or preset=NAME; may be repeated",
    )


class Progress:
    """A bar on standard error, from the second second on; quiet where nobody watches."""

    def __init__(self) -> None:
        self._start = time.monotonic()
        self._bar: tqdm[Any] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.close()

    def __call__(self, protocol: str, ended: int) -> bool:
        """Always goes on; Ctrl-C raises by itself."""
        if self._bar is None and time.monotonic() - self._start > 1:
            self._bar = tqdm(unit=" operations", leave=False, disable=None)
        if self._bar is not None:
            if self._bar.desc != f"{protocol}: ":
                self._bar.reset()
                self._bar.set_description(protocol)
            self._bar.update(ended - self._bar.n)
        return True
