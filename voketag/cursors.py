"""Cursors of paged lists: the id of the last item shown, opaque to whoever gets it."""

from __future__ import annotations

import base64
import binascii
from uuid import UUID

from voketag import identifiers
from voketag.errors import InvalidField


def cursor_after(identifier: UUID) -> str:
    """The cursor of the page that follows the item with this UUIDv7."""
    return base64.urlsafe_b64encode(identifier.bytes).rstrip(b"=").decode()


def read_cursor(cursor: str | None) -> UUID | None:
    """The item a page follows, None for the first page. Raises InvalidField."""
    if cursor is None:
        return None
    try:
        identifier = UUID(bytes=base64.b64decode(cursor + "==", altchars=b"-_", validate=True))
    except (binascii.Error, ValueError):
        identifier = UUID(int=0)
    # The id's time is compared with a timestamp: only what this program gave out is taken.
    if not identifiers.is_uuid7(str(identifier)) or cursor_after(identifier) != cursor:
        raise InvalidField("cursor", "A cursor is the next_cursor of an earlier answer.")
    return identifier
