"""The newest scored scans as people see them, and what they are a sample of."""

from __future__ import annotations

import contextlib
from collections import Counter, deque
from typing import Annotated
from uuid import UUID

import msgspec
from msgspec import Meta
from redis.asyncio import Redis

from voketag import events
from voketag.errors import Rejected
from voketag.events import ScoredScan, Verdict
from voketag.identifiers import rfc3339, time_of_ms
from voketag.redis.stream_status import newest

SAMPLED_FROM_EACH = 100
HASH_CHARACTERS = 8
MIX_S = 300.0
MIX_MAX_BEATS = 300


class ShownScan(msgspec.Struct, frozen=True):
    """A scored scan without personal data: the device is the beginning of its keyed hash."""

    scan_id: UUID
    at: str
    verdict: str
    score: int | None
    reasons: tuple[str, ...]
    country: str | None
    device: str
    product_id: UUID | None
    sku: str | None


class LiveQuery(msgspec.Struct, frozen=True):
    """The query of GET /v1/live: which of the sampled scans are told; of all where it is empty."""

    verdict: Verdict | None = None
    country: Annotated[str, Meta(pattern="^[A-Z]{2}$", description="Such as BR.")] | None = None
    text: (
        Annotated[
            str,
            Meta(
                max_length=100,
                description="Found in the scan's or product's id, SKU, device or reasons.",
            ),
        ]
        | None
    ) = None


class Mix(msgspec.Struct, frozen=True):
    """Verdicts and countries ("" where it is not known) of the scans scored in the last minutes:
    how many of each, estimated from those that were looked at. Where all were, they are exact.
    """

    window_s: float
    scans: int
    looked_at: int
    verdicts: dict[str, int]
    countries: dict[str, int]


def shown(scored: ScoredScan) -> ShownScan:
    """What may be told of a scored scan."""
    scan, product, assessment = scored.scan, scored.product, scored.assessment
    return ShownScan(
        scan_id=scan.scan_id,
        at=rfc3339(time_of_ms(scan.received_at_ms)),
        verdict=assessment.verdict,
        score=assessment.score,
        reasons=tuple(reason.code for reason in assessment.reasons),
        country=scan.country,
        device=scan.fingerprint_hash[:HASH_CHARACTERS],
        product_id=None if product is None else product.product_id,
        sku=None if product is None else product.sku,
    )


def is_wanted(scan: ShownScan, query: LiveQuery) -> bool:
    """Whether a filter lets a scan through."""
    if query.verdict is not None and scan.verdict != query.verdict:
        return False
    if query.country is not None and scan.country != query.country:
        return False
    if query.text is None:
        return True
    said = (scan.scan_id, scan.product_id, scan.sku, scan.device, *scan.reasons)
    return query.text.casefold() in " ".join(str(word) for word in said if word).casefold()


class Sample:
    """Takes the newest scored scans of each shard since it last did; of many, a part."""

    def __init__(self, redis: Redis, streams: list[str]) -> None:
        self._redis = redis
        self._streams = streams
        self._last: dict[str, str] = {}
        self._begun = False
        self.is_part = False  # whether more came than were taken

    async def take(self) -> list[ScoredScan]:
        """Those that came since the last time, the oldest first; at first, none. Raises
        Unavailable.
        """
        most = SAMPLED_FROM_EACH if self._begun else 1
        found = await newest(self._redis, self._streams, most, self._last)
        taken: list[ScoredScan] = []
        for stream, entries in found.items():
            if entries:
                self._last[stream] = entries[-1][0]
            for _, fields in entries if self._begun else ():
                with contextlib.suppress(Rejected):  # persist buries it, with the reason
                    taken.append(events.decode(fields, ScoredScan))
        self.is_part = self._begun and any(len(entries) == most for entries in found.values())
        self._begun = True
        return sorted(taken, key=lambda scan: scan.scan.received_at_ms)


class MixWindow:
    """What the sampled scans of the last minutes say of all that were scored."""

    def __init__(self) -> None:
        self._beats: deque[tuple[float, int, int, Counter[str], Counter[str]]] = deque(
            maxlen=MIX_MAX_BEATS
        )

    def note(self, at_s: float, scans: list[ShownScan], scored: int | None) -> None:
        """Keep what was taken at the monotonic time `at_s`: a part of `scored` scans, or, where
        that is None, all of them.
        """
        verdicts = Counter(scan.verdict for scan in scans)
        countries = Counter(scan.country or "" for scan in scans)
        self._beats.append((at_s, max(scored or 0, len(scans)), len(scans), verdicts, countries))

    def mix(self, at_s: float) -> Mix:
        """The mix at the monotonic time `at_s`."""
        verdicts: dict[str, float] = {}
        countries: dict[str, float] = {}
        recent = [beat for beat in self._beats if beat[0] > at_s - MIX_S]
        for _, scans, looked_at, of_verdict, of_country in recent:
            for counted, totals in ((of_verdict, verdicts), (of_country, countries)):
                for name, count in counted.items():
                    totals[name] = totals.get(name, 0.0) + count * scans / looked_at
        return Mix(
            MIX_S,
            sum(beat[1] for beat in recent),
            sum(beat[2] for beat in recent),
            {name: round(count) for name, count in verdicts.items()},
            {name: round(count) for name, count in countries.items()},
        )
