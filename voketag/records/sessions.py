"""Sessions of people who are signed in to ops."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from voketag import identifiers
from voketag.records.database import Connection
from voketag.roles import Actor

# A token that was given out is no guess for so long after its session's end.
KEPT_AFTER_END = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Session:
    """A session and whose it is. `actor` is None for the holder of the admin key, who must be the
    one that `admin_proof` was made by; `over` says that it was ended, or its operator revoked.
    """

    session_id: UUID
    actor: Actor | None
    admin_proof: bytes | None
    expires_at: datetime
    over: bool


async def open_session(
    connection: Connection,
    token_hash: bytes,
    operator_id: UUID | None,
    admin_proof: bytes | None,
    expires_at: datetime,
) -> UUID:
    """Store a new session and gives its id; those that ended long ago are forgotten."""
    await connection.execute(
        "DELETE FROM operator_sessions WHERE expires_at < now() - $1::interval", KEPT_AFTER_END
    )
    session_id = identifiers.new_id()
    await connection.execute(
        "INSERT INTO operator_sessions (session_id, token_hash, operator_id, admin_proof, "
        "expires_at) VALUES ($1, $2, $3, $4, $5)",
        session_id,
        token_hash,
        operator_id,
        admin_proof,
        expires_at,
    )
    return session_id


async def find_session(connection: Connection, token_hash: bytes) -> Session | None:
    """The session whose token has this hash, over or not; None for an unknown one."""
    row = await connection.fetchrow(
        "SELECT session_id, admin_proof, expires_at, operator_id, name, role, "
        "ended_at IS NOT NULL OR revoked_at IS NOT NULL AS over "
        "FROM operator_sessions LEFT JOIN operators USING (operator_id) WHERE token_hash = $1",
        token_hash,
    )
    if row is None:
        return None
    known = row["operator_id"] is not None
    actor = Actor(row["name"], row["role"], row["operator_id"]) if known else None
    return Session(row["session_id"], actor, row["admin_proof"], row["expires_at"], row["over"])


async def end_session(connection: Connection, session_id: UUID) -> bool:
    """End a session; gives whether it was not ended before."""
    row = await connection.fetchrow(
        "UPDATE operator_sessions SET ended_at = now() "
        "WHERE session_id = $1 AND ended_at IS NULL RETURNING session_id",
        session_id,
    )
    return row is not None
