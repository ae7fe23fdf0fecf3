"""The advisory locks of this program, all of them here: two duties must never share one."""

from __future__ import annotations

import enum

_VOKETAG = 0x766F6B65_74616700  # "voketag" and room for a number


@enum.unique
class Lock(enum.IntEnum):
    """What one process does at a time, on one database."""

    MIGRATION = _VOKETAG + 1
    ANCHORS = _VOKETAG + 2  # the one writer of anchors
    MAINTENANCE = _VOKETAG + 3
