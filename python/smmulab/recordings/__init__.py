# SPDX-License-Identifier: Apache-2.0
"""Readers of recordings of a real kernel, and the reference figures taken from them."""

from __future__ import annotations

from smmulab.recordings.archive import Recording, RecordingError, TextLog, open_recording
from smmulab.recordings.reference import LockSequence, Reference, load_reference

__all__ = [
    "LockSequence",
    "Recording",
    "RecordingError",
    "Reference",
    "TextLog",
    "load_reference",
    "open_recording",
]
