"""Traces, as far as everybody needs them: what a request and a stream entry carry (W3C Trace
Context), and the tracer of a process that makes none.

The one that makes them stands in tracing/, which is loaded where VOKETAG_TRACES_URL is set.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Protocol

import msgspec

FIELD = "traceparent"  # of an entry, and the header of a request
_VERSION_0 = "00"
# Later versions may say more behind what is known; ff is none (section 3.2.2 there).
_TRACEPARENT = re.compile(r"(?!ff)([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")


class Parent(msgspec.Struct, frozen=True):
    """The span that something belongs below, and whether its trace is kept."""

    trace_id: int
    span_id: int
    sampled: bool


def parse(text: str | None) -> Parent | None:
    """What a traceparent says; None for one that cannot be read, as for none at all."""
    found = _TRACEPARENT.fullmatch(text or "")
    if found is None or (found[1] == _VERSION_0 and found[5]):
        return None
    trace_id, span_id = int(found[2], 16), int(found[3], 16)
    if not (trace_id and span_id):
        return None
    return Parent(trace_id, span_id, sampled=bool(int(found[4], 16) & 1))


def carried(traceparent: str) -> dict[str, bytes]:
    """The field that an entry carries it in, beside those of its event."""
    return {FIELD: traceparent.encode()}


class Carrier(Protocol):
    """A stream entry."""

    @property
    def stream(self) -> str: ...
    @property
    def entry_id(self) -> str: ...
    @property
    def fields(self) -> Mapping[str, bytes] | None: ...


class Handling:
    """A batch of entries while it is handled.

    `onward` is what an entry that follows from the one at this place has to carry; None where
    nothing is traced.
    """

    onward: Sequence[dict[str, bytes]] | None = None

    def step(self, _name: str, _attributes: Mapping[str, str]) -> AbstractContextManager[None]:
        """A part of the work, done for all entries at once."""
        return contextlib.nullcontext()


class RequestSpan(Protocol):
    """A traced request while it is answered; a context that ends with the answer."""

    def __enter__(self) -> RequestSpan: ...
    def __exit__(self, _: object, error: BaseException | None, __: object) -> None: ...

    def sending(self, stream: str) -> AbstractContextManager[str]:
        """An entry is sent meanwhile; gives the traceparent that it carries."""
        ...


class Tracer:
    """Traces nothing: tracing is off."""

    on = False

    def request(self, _method: str, _route: str, _traceparent: str | None) -> RequestSpan | None:
        """The span of a request; None where it is not traced."""
        return None

    def handling(
        self, _group: str, _entries: Sequence[Carrier]
    ) -> AbstractContextManager[Handling]:
        """The spans of entries of one stream, for as long as a group handles them."""
        return contextlib.nullcontext(UNTRACED)


UNTRACED = Handling()
OFF = Tracer()
