"""Errors, named for what the caller does next.

The consumer loop and the HTTP layer decide by these types alone; anything else that is raised is
taken for a bug in our own code.
"""

from __future__ import annotations


class VokeTagError(Exception):
    """The root of every error this project raises on purpose."""


class Rejected(VokeTagError):
    """This input can never be processed: bury it, with the reason, and go on."""


class Unavailable(VokeTagError):
    """A server we depend on does not answer: keep everything, wait, try again for ever."""


class Overloaded(VokeTagError):
    """More waits here than is good: nothing was done; refuse it, and say when to come back."""


class Conflict(VokeTagError):
    """The state is not the one the caller assumed: read it again, then decide."""


class Fenced(VokeTagError):
    """Another process owns this stream now: stop working on it and forget what is in hand."""


class InvalidField(VokeTagError):
    """A value given by a caller is not acceptable.

    `field` names it and `detail` is a sentence that says what is accepted.
    """

    def __init__(self, field: str, detail: str, code: str = "invalid_field") -> None:
        super().__init__(f"{field}: {detail}")
        self.field = field
        self.detail = detail
        self.code = code


class SettingsError(VokeTagError):
    """The environment holds one or more unusable settings; every fault is in the message."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__("settings:\n" + "\n".join(f"  - {fault}" for fault in faults))
        self.faults = faults
