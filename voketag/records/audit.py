"""The audit log: who changed what through ops, and when."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from voketag import identifiers
from voketag.records.database import Connection
from voketag.roles import Actor, Role

Action = Literal[
    "batch.recall",
    "dead_letter.drop",
    "dead_letter.redrive",
    "factory.create",
    "key.create",
    "key.revoke",
    "operator.create",
    "operator.revoke",
    "report.change",
    "session.sign_in",
    "session.sign_out",
]


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the log. `target` names what was changed, mostly by its id; `detail` says how."""

    audit_id: UUID
    at: datetime
    actor: str
    role: Role
    operator_id: UUID | None
    action: str
    target: str
    detail: dict[str, Any]


async def note(
    connection: Connection,
    actor: Actor,
    action: Action,
    target: object,
    detail: Mapping[str, Any] | None = None,
    *,
    audit_id: UUID | None = None,
) -> UUID:
    """Write down a change, in the transaction that makes it. `detail` holds no secret, and nothing
    that leads to a person outside the company.
    """
    audit_id = audit_id or identifiers.new_id()
    await connection.execute(
        "INSERT INTO audit_log (audit_id, actor, role, operator_id, action, target, detail) "
        "VALUES ($1, $2, $3, $4, $5, $6, $7)",
        audit_id,
        actor.name,
        actor.role,
        actor.operator_id,
        action,
        str(target),
        dict(detail or {}),
    )
    return audit_id


async def withdraw(connection: Connection, audit_id: UUID) -> None:
    """Take a line back: what it announced was not done."""
    await connection.execute("DELETE FROM audit_log WHERE audit_id = $1", audit_id)


async def page(
    connection: Connection,
    *,
    limit: int,
    after: UUID | None = None,
    actor: str | None = None,
    action: str | None = None,
) -> list[Entry]:
    """Up to `limit` lines, the newest first, from the one that follows `after`."""
    conditions, values = ["audit_id < $1"], [after or UUID(int=(1 << 128) - 1), limit]
    for column, wanted in (("actor", actor), ("action", action)):
        if wanted is not None:
            values.append(wanted)
            conditions.append(f"{column} = ${len(values)}")
    rows = await connection.fetch(
        "SELECT audit_id, at, actor, role, operator_id, action, target, detail FROM audit_log "
        f"WHERE {' AND '.join(conditions)} ORDER BY audit_id DESC LIMIT $2",
        *values,
    )
    return [Entry(**dict(row)) for row in rows]
