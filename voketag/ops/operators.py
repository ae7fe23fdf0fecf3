"""Operators: what they may be called, and making one from the command line."""

from __future__ import annotations

from collections.abc import Mapping
from uuid import UUID

from voketag.errors import InvalidField
from voketag.ops import instance
from voketag.printable import is_printable
from voketag.records import audit, operators
from voketag.records.database import Connection, Database
from voketag.roles import ADMIN, COMMAND_LINE, Actor, Role

NAME_MAX_CHARACTERS = 100
_RESERVED = {ADMIN.name, COMMAND_LINE.name}  # in the audit log a name is one's own


def check(name: str) -> None:
    """Raises InvalidField for a name that an operator cannot have."""
    if not 1 <= len(name) <= NAME_MAX_CHARACTERS or not is_printable(name) or name != name.strip():
        detail = f"A name of 1 to {NAME_MAX_CHARACTERS} printable characters is accepted."
        raise InvalidField("name", detail)
    if name.casefold() in _RESERVED:
        detail = f"{' and '.join(sorted(_RESERVED))} stand for others in the audit log."
        raise InvalidField("name", detail)


async def create(environ: Mapping[str, str], name: str, role: Role) -> tuple[UUID, str]:
    """A new operator in the database of the instance that the environment means; gives the id and
    the key. Raises InvalidField, and Conflict where the name is used.
    """
    check(name)
    database = await Database.open(instance.find(environ).database_url, most=1)
    try:
        async with database.transaction() as connection:
            return await add(connection, COMMAND_LINE, name, role)
    finally:
        await database.close()


async def add(connection: Connection, actor: Actor, name: str, role: Role) -> tuple[UUID, str]:
    """A new operator, made by `actor`; gives the id and the key. Raises Conflict."""
    operator_id, key = await operators.create_operator(connection, name, role)
    detail = {"name": name, "role": role}
    await audit.note(connection, actor, "operator.create", operator_id, detail)
    return operator_id, key
