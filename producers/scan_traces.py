"""Scans that are traced: each round trip to Redis is a span, which the stream entry belongs to."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Protocol

from voketag.events import Scan
from voketag.redis.intake import Found, Intake, Outcome
from voketag.traces import RequestSpan


class Offer(Protocol):
    """What offers a scan: `Intake.offer`, or this around it."""

    def __call__(self, scan: Scan, found: Found | None = None) -> Awaitable[Outcome]: ...


def traced_offer(intake: Intake, stream: str, span: RequestSpan) -> Offer:
    """Offers scans whose entries belong to the trace of this request."""

    async def offer(scan: Scan, found: Found | None = None) -> Outcome:
        with span.sending(stream) as traceparent:
            return await intake.offer_traced(scan, found, traceparent)

    return offer
