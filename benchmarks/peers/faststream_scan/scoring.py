"""The risk score, by the rules of seed_scan/risk.go, over a history kept as JSON. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field

import orjson

Steps = tuple[tuple[int, int], ...]
"""From this many on, this many points; those of voketag/risk/rules.py."""

REPEAT_SCANS: Steps = ((5, 5), (10, 10), (25, 15), (100, 25))
MANY_DEVICES: Steps = ((3, 5), (4, 15), (5, 20), (6, 30), (10, 40), (25, 50))
MANY_COUNTRIES: Steps = ((2, 10), (3, 20), (4, 40), (6, 50))
TRAVEL_POINTS = 30
TRAVEL_WITHIN_MS = 3_600_000
MEDIUM_FROM, HIGH_FROM, HIGHEST = 40, 70, 100
DEVICE_CHARACTERS = 16
REMEMBERED = 64


@dataclass(slots=True)
class History:
    """What is remembered of a product's scans. Times in milliseconds since the epoch."""

    scans: int = 0
    first_at_ms: int = 0
    last_at_ms: int = 0
    last_country: str | None = None
    countries: list[str] = field(default_factory=list)
    devices: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, data: bytes | None) -> History:
        """From the JSON that Redis holds; the empty one where it holds none."""
        return cls() if data is None else cls(**orjson.loads(data))

    def add(self, country: str | None, device: str, at_ms: int) -> None:
        """Count a scan."""
        self.first_at_ms = min(self.first_at_ms, at_ms) if self.scans else at_ms
        self.scans += 1
        self.last_at_ms = max(self.last_at_ms, at_ms)
        if country is not None:
            self.last_country = country
            if country not in self.countries and len(self.countries) < REMEMBERED:
                self.countries.append(country)
        if device not in self.devices and len(self.devices) < REMEMBERED:
            self.devices.append(device)


@dataclass(frozen=True, slots=True)
class Reason:
    """A rule that fired."""

    code: str
    points: int
    detail: str


@dataclass(frozen=True, slots=True)
class Assessment:
    """What is said of a scan."""

    score: int
    level: str
    verdict: str
    reasons: list[Reason]


def assess(history: History, country: str | None, device: str, at_ms: int) -> Assessment:
    """The score of a scan, given the product's history before it."""
    devices = len(history.devices) + (device not in history.devices)
    countries = len(history.countries) + (country is not None and country not in history.countries)
    counted = (
        ("repeat_scans", REPEAT_SCANS, history.scans + 1, "Scanned {} times in all."),
        ("many_devices", MANY_DEVICES, devices, "Scanned by {} different devices."),
        ("many_countries", MANY_COUNTRIES, countries, "Scanned in {} different countries."),
    )
    reasons = [
        Reason(code, points, sentence.format(count))
        for code, steps, count, sentence in counted
        if count >= steps[0][0] and (points := _points(steps, count))
    ]
    moved = None not in (country, history.last_country) and country != history.last_country
    if moved and at_ms - history.last_at_ms < TRAVEL_WITHIN_MS:
        detail = "Scanned in two countries within an hour."
        reasons.append(Reason("impossible_travel", TRAVEL_POINTS, detail))
    score = min(HIGHEST, sum(reason.points for reason in reasons))
    if score >= HIGH_FROM:
        return Assessment(score, "high", "high_risk", reasons)
    if score >= MEDIUM_FROM:
        return Assessment(score, "medium", "suspicious", reasons)
    return Assessment(score, "low", "authentic", reasons)


def _points(steps: Steps, count: int) -> int:
    points = 0
    for start, worth in steps:
        if count < start:
            break
        points = worth
    return points
