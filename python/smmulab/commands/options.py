# SPDX-License-Identifier: Apache-2.0
"""Arguments and progress that several commands share."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from smmulab.config import GENERATE, Config, canonical_key

if TYPE_CHECKING:
    from tqdm import tqdm


def add_settings(parser: argparse.ArgumentParser) -> None:
    """--machine and --set."""
    parser.add_argument(
        "-m", "--machine", metavar="FILE", help="machine file (TOML; docs/machine.md)"
    )
    parser.add_argument(
        "-s",
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="a parameter of `smmulab describe`, or preset=NAME; may be repeated",
    )


def names_of(given: Sequence[str]) -> list[str]:
    """The names of a repeated option, each of which may have several with commas between."""
    return [name.strip() for text in given for name in text.split(",")]


def protocols_of(given: Sequence[str] | None) -> list[str] | None:
    """The protocols of repeated --protocol, each of which may name several with commas between. A
    file's name may have commas."""
    if given is None:
        return None
    names: list[str] = []
    for text in given:
        whole = Path(text.rpartition(":")[0]).is_file()
        names += [text] if whole else names_of([text])
    return names


class _Once(argparse.Action):
    """An option whose second value is an error, not the one that counts."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: object,
        option_string: str | None = None,
    ) -> None:
        given: set[str] = namespace.__dict__.setdefault("_given_once", set())
        several = self.dest == "protocol" and len(protocols_of([str(values)]) or []) > 1
        if self.dest in given or several:
            parser.error(f"{option_string} {values}: this command takes one {self.dest}")
        given.add(self.dest)
        setattr(namespace, self.dest, values)


def add_protocol(parser: argparse.ArgumentParser, *, default: str | None = None) -> None:
    """--protocol of the commands that take one; without a default it must be given."""
    parser.add_argument(
        "-p",
        "--protocol",
        action=_Once,
        default=default,
        required=default is None,
        metavar="NAME",
        help="a protocol of `smmulab protocols`, or FILE.py:CLASS"
        + (f" (default: {default})" if default else ""),
    )


def add_dma_trace(parser: argparse.ArgumentParser) -> None:
    """--dma-trace."""
    parser.add_argument(
        "--dma-trace",
        metavar="FILE",
        help="a DMA trace that the devices issue meanwhile, over and over (docs/timed.md); not with "
        "smmuv3.hardware=counted",
    )


def with_options(
    config: Config,
    settings: Sequence[str],
    trace: str | None = None,
    dma_trace: str | None = None,
) -> Config:
    """`config` of a file with --trace, --dma-trace and --set, which go before it: a trace takes the
    place of the file's generator, a setting of the generator that of the file's trace. ConfigError."""
    if dma_trace is not None:
        config = config.replace(dma_trace=dma_trace)
    if trace is not None:
        config = config.replace(trace=trace, workload=None)
    generated = config.workload is not None
    names = {
        canonical_key(text.partition("=")[0].strip(), generated=generated)
        for text in settings
        if "=" in text
    }
    if "trace" in names:
        config = config.replace(workload=None)
    elif trace is None and any(name.startswith(GENERATE) for name in names):
        config = config.replace(trace=None)
    return config.replace(settings)


class _Bar:
    """A bar on standard error, from the second second on; quiet where nobody watches.

    `clock` gives seconds.
    """

    def __init__(self, unit: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._unit = unit
        self._clock = clock
        self._start = clock()
        self._bar: tqdm[Any] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.hide()

    def hide(self) -> None:
        """Takes the bar away, so that something can be printed; the next call shows it again."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None

    def _shown(self) -> tqdm[Any] | None:
        """The bar, once it is time for one."""
        if self._bar is None and self._clock() - self._start > 1:
            from tqdm.auto import tqdm  # noqa: PLC0415  only a long run needs it

            self._bar = tqdm(unit=f" {self._unit}", leave=False, disable=None)
        return self._bar


class Progress(_Bar):
    """The operations of one replay after another."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__("operations", clock)
        self._protocol = ""

    def hide(self) -> None:
        """As of any bar; the next one has its protocol's name, too."""
        super().hide()
        self._protocol = ""

    def __call__(self, protocol: str, ended: int) -> bool:
        """Always goes on; Ctrl-C raises by itself."""
        bar = self._shown()
        if bar is not None:
            # A bar that is off has few of its attributes: what it shows is remembered here.
            if protocol != self._protocol:
                self._protocol = protocol
                bar.reset()
                bar.set_description_str(protocol)
            bar.update(ended - bar.n)
        return True


class Runs(_Bar):
    """Replays that ended, of those known so far."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__("replays", clock)

    def __call__(self, ended: int, known: int, what: str) -> bool:
        """Always goes on; Ctrl-C raises by itself."""
        bar = self._shown()
        if bar is not None:
            bar.total = known
            bar.set_description_str(what, refresh=False)
            bar.update(ended - bar.n)
        return True


class Lines(_Bar):
    """Lines written or read."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__("lines", clock)

    def __call__(self, lines: int) -> bool:
        """Always goes on; Ctrl-C raises by itself."""
        bar = self._shown()
        if bar is not None:
            bar.update(lines - bar.n)
        return True
