# SPDX-License-Identifier: Apache-2.0
"""Where the command starts. Ctrl-C while Python still loads modules ends it as quietly as later, so
nothing may be imported above `main` that takes time."""

from __future__ import annotations

import sys


def main() -> int:
    """Run the command line; returns its exit code."""
    try:
        from smmulab.cli import main as run  # noqa: PLC0415

        return run()
    except KeyboardInterrupt:
        print("smmulab: interrupted", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
