"""What people may do in ops: each role may all that the ones before it may."""

from __future__ import annotations

from typing import Literal, get_args
from uuid import UUID

import msgspec

Role = Literal["viewer", "analyst", "admin"]
ROLES: tuple[Role, ...] = get_args(Role)
MEANINGS: dict[Role, str] = {
    "viewer": "reads what leads to no person",
    "analyst": "also reads and changes reports",
    "admin": "does everything",
}


class Actor(msgspec.Struct, frozen=True):
    """Who does something; without `operator_id` it is no operator: the holder of the admin key, or
    whoever has the command line.
    """

    name: str
    role: Role
    operator_id: UUID | None = None


ADMIN = Actor("admin", "admin")
COMMAND_LINE = Actor("cli", "admin")


def allows(role: Role, needed: Role) -> bool:
    """Whether `role` may do what needs the role `needed`."""
    return ROLES.index(role) >= ROLES.index(needed)
