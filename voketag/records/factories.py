"""Factories and their API keys."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

import asyncpg

from voketag import identifiers, keys
from voketag.errors import Conflict
from voketag.records.database import Connection

LIST_LIMIT = 1000


@dataclass(frozen=True, slots=True)
class Key:
    """What is known of an API key; the key itself is not kept."""

    key_id: UUID
    prefix: str
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None


@dataclass(frozen=True, slots=True)
class Factory:
    """A factory with its keys, the oldest first."""

    factory_id: UUID
    name: str
    email: str
    created_at: datetime
    keys: tuple[Key, ...]


@dataclass(frozen=True, slots=True)
class Revoked:
    """Whose key was revoked, and whether it was so before."""

    factory_id: UUID
    before: bool


@dataclass(frozen=True, slots=True)
class KeyOwner:
    """Whose key it is, and whether it may still be used."""

    factory_id: UUID
    key_id: UUID
    state: Literal["valid", "revoked", "expired"]


async def create_factory(connection: Connection, name: str, email: str) -> tuple[UUID, str]:
    """A new factory and its first key; gives its id and the key, which is shown once.

    Raises Conflict where another factory has this e-mail address, whatever the case of letters.
    """
    factory_id = identifiers.new_id()
    async with connection.transaction():
        try:
            await connection.execute(
                "INSERT INTO factories (factory_id, name, email) VALUES ($1, $2, $3)",
                factory_id,
                name,
                email.lower(),
            )
        except asyncpg.UniqueViolationError:
            raise Conflict("A factory with this e-mail address exists already.") from None
        created = await add_key(connection, factory_id)
    assert created is not None
    return factory_id, created[1]


async def list_factories(
    connection: Connection, *, limit: int = LIST_LIMIT, after: UUID | None = None
) -> list[Factory]:
    """Up to `limit` factories in the order in which they were made, from the one after `after`."""
    rows = await connection.fetch(
        "SELECT factory_id, name, email, created_at FROM factories WHERE factory_id > $1 "
        "ORDER BY factory_id LIMIT $2",
        after or UUID(int=0),
        limit,
    )
    held = await _keys_of(connection, [row["factory_id"] for row in rows])
    return [Factory(**row, keys=tuple(held.get(row["factory_id"], ()))) for row in rows]


async def _keys_of(connection: Connection, factory_ids: Sequence[UUID]) -> dict[UUID, list[Key]]:
    rows = await connection.fetch(
        "SELECT factory_id, key_id, prefix, created_at, expires_at, revoked_at FROM api_keys "
        "WHERE factory_id = ANY($1) ORDER BY key_id",
        factory_ids,
    )
    held: dict[UUID, list[Key]] = {}
    for factory_id, *columns in rows:
        held.setdefault(factory_id, []).append(Key(*columns))
    return held


async def add_key(
    connection: Connection, factory_id: UUID, expires_at: datetime | None = None
) -> tuple[UUID, str] | None:
    """One more key for a factory; gives its id and the key, which is shown once.

    None where there is no such factory.
    """
    key_id, key = identifiers.new_id(), keys.mint()
    row = await connection.fetchrow(
        "INSERT INTO api_keys (key_id, factory_id, prefix, key_hash, expires_at) "
        "SELECT $1, factory_id, $3, $4, $5 FROM factories WHERE factory_id = $2 RETURNING key_id",
        key_id,
        factory_id,
        keys.prefix(key),
        keys.digest(key),
        expires_at,
    )
    return (key_id, key) if row is not None else None


async def revoke_key(connection: Connection, key_id: UUID) -> Revoked | None:
    """Make a key unusable from now on; None where there is no such key.

    One that was revoked before keeps its time.
    """
    row = await connection.fetchrow(
        "WITH known AS (SELECT key_id, revoked_at FROM api_keys WHERE key_id = $1 FOR UPDATE) "
        "UPDATE api_keys k SET revoked_at = coalesce(k.revoked_at, now()) FROM known "
        "WHERE k.key_id = known.key_id "
        "RETURNING k.factory_id, known.revoked_at IS NOT NULL AS before",
        key_id,
    )
    return None if row is None else Revoked(**row)


async def factory_of_key(connection: Connection, key_hash: bytes, now: datetime) -> KeyOwner | None:
    """Whose key has this hash and whether it is valid at `now`; None for an unknown one."""
    row = await connection.fetchrow(
        "SELECT factory_id, key_id, expires_at, revoked_at FROM api_keys WHERE key_hash = $1",
        key_hash,
    )
    if row is None:
        return None
    if row["revoked_at"] is not None:
        return KeyOwner(row["factory_id"], row["key_id"], "revoked")
    expired = row["expires_at"] is not None and row["expires_at"] <= now
    return KeyOwner(row["factory_id"], row["key_id"], "expired" if expired else "valid")
