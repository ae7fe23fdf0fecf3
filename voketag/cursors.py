"""Cursors of paged lists: what the last item shown goes by, opaque to whoever gets it."""

from __future__ import annotations

import base64
import contextlib
from collections.abc import Callable, Sequence
from typing import TypeVar
from uuid import UUID

from voketag import identifiers
from voketag.errors import InvalidField

Item = TypeVar("Item")


def cursor_after(identifier: UUID) -> str:
    """The cursor of the page that follows the item with this UUIDv7."""
    return _encoded(identifier.bytes)


def page_of(
    found: Sequence[Item], limit: int, id_of: Callable[[Item], UUID]
) -> tuple[Sequence[Item], str | None]:
    """The page that items make, of which one more than `limit` was looked for: the items shown, and
    the cursor of the page after them, None where this is the last.
    """
    shown = found[:limit]
    return shown, cursor_after(id_of(shown[-1])) if len(found) > limit else None


def read_cursor(cursor: str | None) -> UUID | None:
    """The item a page follows, None for the first page. Raises InvalidField."""
    if cursor is None:
        return None
    identifier = UUID(int=0)
    with contextlib.suppress(ValueError):
        identifier = UUID(bytes=_decoded(cursor))
    # The id's time is compared with a timestamp: only what this program gave out is taken.
    if not identifiers.is_uuid7(str(identifier)) or cursor_after(identifier) != cursor:
        raise bad_cursor()
    return identifier


def cursor_after_entry(stream: str, entry_id: str) -> str:
    """The cursor of the page that follows this entry in a list that goes through streams."""
    return _encoded(f"{stream} {entry_id}".encode())


def read_entry_cursor(cursor: str) -> tuple[str, str]:
    """The stream and the entry id that a page follows, to be checked by whoever knows the streams.

    Raises InvalidField.
    """
    try:
        stream, _, entry_id = _decoded(cursor).decode().partition(" ")
    except ValueError:
        raise bad_cursor() from None
    return stream, entry_id


def bad_cursor() -> InvalidField:
    """What is said of a cursor that this program never gave out."""
    return InvalidField("cursor", "A cursor is the next_cursor of an earlier answer.")


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _decoded(cursor: str) -> bytes:
    """Raises ValueError, of which binascii's error is a kind."""
    return base64.b64decode(cursor + "==", altchars=b"-_", validate=True)
