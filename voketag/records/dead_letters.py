"""What ops did to dead letters."""

from __future__ import annotations

from typing import Literal
from uuid import UUID

from voketag import identifiers
from voketag.records.database import Connection

Door = Literal["api", "cli"]


async def note(
    connection: Connection,
    *,
    stream: str,
    entry_id: str,
    action: Literal["redrive", "drop"],
    reason: str | None,
    event: bytes,
    via: Door,
) -> UUID:
    """Write down what is about to be done to a dead letter, with all it holds; gives the row's id.

    `stream` is the one it was in, `entry_id` its id among the dead letters;
    `via` says through which door whoever does it came.
    """
    audit_id = identifiers.new_id()
    await connection.execute(
        "INSERT INTO dead_letter_audit (audit_id, stream, entry_id, action, reason, event, via) "
        "VALUES ($1, $2, $3, $4, $5, $6, $7)",
        audit_id,
        stream,
        entry_id,
        action,
        reason,
        event,
        via,
    )
    return audit_id


async def withdraw(connection: Connection, audit_id: UUID) -> None:
    """Take a row back: what it announced was not done."""
    await connection.execute("DELETE FROM dead_letter_audit WHERE audit_id = $1", audit_id)
