"""How batches are listed: what is asked of them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

import msgspec
from msgspec import Meta

from voketag.batches.submission import utc
from voketag.errors import InvalidField

LIST_MAX = 100
LIST_DEFAULT = 50
Status = Literal["pending", "processing", "completed", "failed"]


class ListQuery(msgspec.Struct, frozen=True):
    """The query of GET /v1/batches."""

    status: Status | None = None
    created_after: (
        Annotated[
            str,
            Meta(
                description="RFC 3339 with an offset; a + is written %2B.",
                extra_json_schema={"format": "date-time"},
            ),
        ]
        | None
    ) = None
    limit: Annotated[int, Meta(ge=1, le=LIST_MAX)] = LIST_DEFAULT
    cursor: Annotated[str, Meta(description="next_cursor of the page before.")] | None = None


class NamedListQuery(ListQuery, frozen=True):
    """The query of GET /v1/batches where those of every factory are listed."""

    factory_id: UUID | None = None


def read_created_after(text: str | None) -> datetime | None:
    """The time after which a list of batches begins. Raises InvalidField."""
    if text is None:
        return None
    try:
        return utc(text)
    except ValueError:
        raise InvalidField(
            "created_after",
            "created_after is RFC 3339 with an offset, such as 2026-01-31T08:00:00Z "
            "(a + in a URL is written %2B).",
        ) from None
