"""Factories: what their names and e-mail addresses may be, and making one from the command line."""

from __future__ import annotations

import re
from collections.abc import Mapping
from uuid import UUID

from voketag.errors import InvalidField
from voketag.ops import instance
from voketag.printable import is_printable
from voketag.records import audit, factories
from voketag.records.database import Connection, Database
from voketag.roles import COMMAND_LINE, Actor

NAME_MAX_CHARACTERS = 255
EMAIL_MAX_CHARACTERS = 254
# One @ and a domain with a dot, in printable ASCII without spaces. Whether mail arrives there is
# not our question.
EMAIL_PATTERN = r"^[!-?A-~]{1,64}@[!-\-/-?A-~]+(\.[!-\-/-?A-~]+)+(?!\n)$"
_EMAIL = re.compile(EMAIL_PATTERN)


def check(name: str, email: str) -> None:
    """Raises InvalidField for a name or an e-mail address that a factory cannot have."""
    if not 1 <= len(name) <= NAME_MAX_CHARACTERS or not is_printable(name):
        raise InvalidField("name", "A name of 1 to 255 printable characters is accepted.")
    if len(email) > EMAIL_MAX_CHARACTERS or not _EMAIL.match(email):
        raise InvalidField("email", "An e-mail address such as erp@factory.example is accepted.")


async def create(environ: Mapping[str, str], name: str, email: str) -> tuple[UUID, str]:
    """A new factory in the database of the instance that the environment means; gives its id and
    its first key. Raises InvalidField, and Conflict where the address is used.
    """
    check(name, email)
    database = await Database.open(instance.find(environ).database_url, most=1)
    try:
        async with database.transaction() as connection:
            return await add(connection, COMMAND_LINE, name, email)
    finally:
        await database.close()


async def add(connection: Connection, actor: Actor, name: str, email: str) -> tuple[UUID, str]:
    """A new factory, made by `actor`; gives its id and its first key. Raises Conflict."""
    factory_id, key = await factories.create_factory(connection, name, email)
    await audit.note(connection, actor, "factory.create", factory_id, {"name": name})
    return factory_id, key
