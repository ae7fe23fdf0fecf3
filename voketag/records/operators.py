"""Operators: who may use ops, with which role."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import asyncpg

from voketag import identifiers, keys
from voketag.errors import Conflict
from voketag.records.database import Connection
from voketag.roles import Actor, Role

_COLUMNS = "operator_id, name, role, prefix, created_at, revoked_at"


@dataclass(frozen=True, slots=True)
class Operator:
    """An operator; of the key only the first characters are known."""

    operator_id: UUID
    name: str
    role: Role
    prefix: str
    created_at: datetime
    revoked_at: datetime | None

    @property
    def actor(self) -> Actor:
        """The operator as one who does something."""
        return Actor(self.name, self.role, self.operator_id)


async def create_operator(connection: Connection, name: str, role: Role) -> tuple[UUID, str]:
    """A new operator; gives the id and the key, which is shown once.

    Raises Conflict where another one who is not revoked has this name, whatever the case.
    """
    operator_id, key = identifiers.new_id(), keys.mint(keys.OPERATOR)
    try:
        await connection.execute(
            "INSERT INTO operators (operator_id, name, role, prefix, key_hash) "
            "VALUES ($1, $2, $3, $4, $5)",
            operator_id,
            name,
            role,
            keys.prefix(key),
            keys.digest(key),
        )
    except asyncpg.UniqueViolationError:
        raise Conflict("An operator with this name exists already.") from None
    return operator_id, key


async def list_operators(
    connection: Connection, *, limit: int, after: UUID | None = None
) -> list[Operator]:
    """Up to `limit` operators, revoked ones too, in the order in which they were made."""
    rows = await connection.fetch(
        f"SELECT {_COLUMNS} FROM operators WHERE operator_id > $1 ORDER BY operator_id LIMIT $2",
        after or UUID(int=0),
        limit,
    )
    return [Operator(**dict(row)) for row in rows]


async def operator_of_key(connection: Connection, key_hash: bytes) -> Operator | None:
    """Whose key has this hash, revoked or not; None for an unknown one."""
    row = await connection.fetchrow(
        f"SELECT {_COLUMNS} FROM operators WHERE key_hash = $1", key_hash
    )
    return None if row is None else Operator(**dict(row))


async def revoke_operator(
    connection: Connection, operator_id: UUID
) -> tuple[Operator, bool] | None:
    """Make an operator's key and sessions unusable from now on; gives the operator, and whether it
    was so before. None where there is no such operator. Must run inside a transaction.
    """
    row = await connection.fetchrow(
        f"SELECT {_COLUMNS} FROM operators WHERE operator_id = $1 FOR UPDATE", operator_id
    )
    if row is None:
        return None
    operator = Operator(**dict(row))
    if operator.revoked_at is not None:
        return operator, True
    await connection.execute(
        "UPDATE operators SET revoked_at = now() WHERE operator_id = $1", operator_id
    )
    await connection.execute(
        "UPDATE operator_sessions SET ended_at = now() WHERE operator_id = $1 AND ended_at IS NULL",
        operator_id,
    )
    return operator, False
