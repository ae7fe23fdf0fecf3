"""Traces that are made and sent: the wire to whoever collects them, by OpenTelemetry's OTLP/HTTP.

Spans are handed to a thread of their own through a queue with an end: a collector that is slow or
away costs spans, which are counted, and never a scan. No span holds a token, an address or anything
of a person.

Names and attributes follow OpenTelemetry's conventions for HTTP and messaging. A group handles many
entries at once: each traced one has a span in its own trace, and the batch has a span, in a trace
of its own, that is linked to all of them and they to it.
"""

from __future__ import annotations

import contextlib
import random
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager

from opentelemetry import context as contexts
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    Span,
    SpanContext,
    SpanKind,
    StatusCode,
    TraceFlags,
    set_span_in_context,
)
from opentelemetry.trace import Tracer as Maker

from voketag import traces
from voketag.errors import InvalidField
from voketag.traces import FIELD, UNTRACED, Carrier, Handling, Parent, RequestSpan
from voketag.tracing.span_queue import SpanQueue

GIVEN_MAX_PER_S = 100  # traces that strangers may ask for, of one process
SYSTEM = "redis"


class Traces:
    """What all tracers of a process share."""

    def __init__(self, url: str, ratio: float, boot_id: str) -> None:
        self._queue = SpanQueue(url)
        self._ratio = ratio
        self._boot_id = boot_id

    def tracer(self, process: str) -> Tracer:
        """The tracer of the process called so in the Procfile."""
        told = {"service.name": f"voketag-{process}", "service.instance.id": self._boot_id}
        provider = TracerProvider(
            sampler=ALWAYS_ON, resource=Resource.create(told), shutdown_on_exit=False
        )
        provider.add_span_processor(self._queue)
        return Tracer(provider.get_tracer("voketag"), self._ratio)

    def close(self) -> None:
        """Send what is there, within bounds."""
        self._queue.shutdown()


class Tracer(traces.Tracer):
    """Makes the spans of one process."""

    on = True

    def __init__(self, maker: Maker, ratio: float) -> None:
        self._maker = maker
        self._ratio = ratio
        self._given = _Allowance(GIVEN_MAX_PER_S)

    def request(self, method: str, route: str, traceparent: str | None) -> RequestSpan | None:
        """The span of a request: below the caller's own where that is kept, else one of a few."""
        parent = traces.parse(traceparent)
        if parent is None:
            if random.random() >= self._ratio:
                return None
        elif not parent.sampled or not self._given.takes_one():
            return None
        span = self._maker.start_span(
            f"{method} {route}",
            context=_below(parent),
            kind=SpanKind.SERVER,
            attributes={"http.request.method": method, "http.route": route},
        )
        return _Request(self._maker, span)

    def handling(self, group: str, entries: Sequence[Carrier]) -> AbstractContextManager[Handling]:
        """The spans of those entries that are traced, and one of the batch."""
        parents = {
            at: parent for at, entry in enumerate(entries) if (parent := _parent(entry)) is not None
        }
        if not parents:
            return contextlib.nullcontext(UNTRACED)
        return self._handling(group, entries, parents)

    @contextlib.contextmanager
    def _handling(
        self, group: str, entries: Sequence[Carrier], parents: Mapping[int, Parent]
    ) -> Iterator[Handling]:
        stream = entries[0].stream
        attributes = _of_messages("process", stream) | {"messaging.consumer.group.name": group}
        batch = self._maker.start_span(
            f"process {stream}",
            context=_below(None),
            kind=SpanKind.CONSUMER,
            links=[Link(_context(parent)) for parent in parents.values()],
            attributes=attributes | {"messaging.batch.message_count": len(entries)},
        )
        spans = {
            at: self._maker.start_span(
                f"process {stream}",
                context=_below(parent),
                kind=SpanKind.CONSUMER,
                links=[Link(batch.get_span_context())],
                attributes=attributes | {"messaging.message.id": entries[at].entry_id},
            )
            for at, parent in parents.items()
        }
        with _ending(batch, *spans.values()):
            yield _Handling(self._maker, spans, len(entries))


class _Request:
    """See traces.RequestSpan."""

    def __init__(self, maker: Maker, span: Span) -> None:
        self._maker = maker
        self._span = span

    def __enter__(self) -> _Request:
        return self

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        if error is not None:
            _note(self._span, error)
        self._span.end()

    @contextlib.contextmanager
    def sending(self, stream: str) -> Iterator[str]:
        span = self._maker.start_span(
            f"send {stream}",
            context=set_span_in_context(self._span, contexts.Context()),
            kind=SpanKind.PRODUCER,
            attributes=_of_messages("send", stream),
        )
        with _ending(span):
            yield _traceparent(span)


class _Handling(Handling):
    def __init__(self, maker: Maker, spans: Mapping[int, Span], count: int) -> None:
        self._maker = maker
        self._spans = spans
        self.onward = [
            traces.carried(_traceparent(spans[at])) if at in spans else {} for at in range(count)
        ]

    @contextlib.contextmanager
    def step(self, name: str, attributes: Mapping[str, str]) -> Iterator[None]:
        steps = [
            self._maker.start_span(
                name,
                context=set_span_in_context(span, contexts.Context()),
                kind=SpanKind.CLIENT,
                attributes=attributes,
            )
            for span in self._spans.values()
        ]
        with _ending(*steps):
            yield


class _Allowance:
    """So many a second, counted by the seconds of the clock."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._second, self._taken = 0, 0

    def takes_one(self) -> bool:
        second = int(time.monotonic())
        if second != self._second:
            self._second, self._taken = second, 0
        self._taken += 1
        return self._taken <= self._most


@contextlib.contextmanager
def _ending(*spans: Span) -> Iterator[None]:
    """End these spans, with the kind of error that ended the work."""
    try:
        yield
    except BaseException as error:
        for span in spans:
            _note(span, error)
        raise
    finally:
        for span in spans:
            span.end()


def _note(span: Span, error: BaseException) -> None:
    """What kind of error it was: its words could hold what somebody sent. A caller's own fault is
    no error of ours.
    """
    span.set_attribute("error.type", type(error).__name__)
    if not isinstance(error, InvalidField) and getattr(error, "status", 500) >= 500:
        span.set_status(StatusCode.ERROR)


def _of_messages(operation: str, stream: str) -> dict[str, str | int]:
    return {
        "messaging.system": SYSTEM,
        "messaging.operation.name": operation,
        "messaging.operation.type": operation,
        "messaging.destination.name": stream,
    }


def _parent(entry: Carrier) -> Parent | None:
    """The kept trace that an entry belongs to."""
    value = (entry.fields or {}).get(FIELD)
    parent = traces.parse(value.decode(errors="replace")) if value is not None else None
    return parent if parent is not None and parent.sampled else None


def _context(parent: Parent) -> SpanContext:
    flags = TraceFlags(TraceFlags.SAMPLED)
    return SpanContext(parent.trace_id, parent.span_id, is_remote=True, trace_flags=flags)


def _below(parent: Parent | None) -> contexts.Context:
    """A context with this span as the parent, or with none."""
    if parent is None:
        return contexts.Context()
    return set_span_in_context(NonRecordingSpan(_context(parent)), contexts.Context())


def _traceparent(span: Span) -> str:
    known = span.get_span_context()
    return f"00-{known.trace_id:032x}-{known.span_id:016x}-01"
