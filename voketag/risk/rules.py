"""The rules: each a pure function of what is seen now and what is remembered from before.

A rule is given the product's history BEFORE this scan, and speaks of it with this scan included.
What a rule is worth stands in POINTS alone; docs/risk.md prints that table with the reasons for it.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import msgspec

from voketag.events import Product, Reason, Scan, Signals
from voketag.risk.countries import COUNTRIES
from voketag.risk.history import (
    DEVICE_CHARACTERS,
    REMEMBERED_COUNTRIES,
    REMEMBERED_DEVICES,
    REMEMBERED_TIMES,
    History,
)

Step = tuple[int, int]
"""From this many on (of whatever the rule counts), this many points."""

BY_COUNTRY, BY_LOCATION = 1, 2  # how well impossible travel is known
POINTS: dict[str, tuple[Step, ...]] = {
    "scan_velocity": ((5, 10), (10, 25), (30, 40)),
    "repeat_scans": ((5, 5), (10, 10), (25, 15), (100, 25)),
    "many_devices": ((3, 5), (4, 15), (5, 20), (6, 30), (10, 40), (25, 50)),
    "many_countries": ((2, 10), (3, 20), (4, 40), (6, 50)),
    "impossible_travel": ((BY_COUNTRY, 30), (BY_LOCATION, 40)),
    "outside_destination": ((1, 20),),
    "automated_client": ((1, 10),),
    "datacenter_address": ((1, 15),),
    "probing_device": ((3, 10), (10, 20)),
    "probing_address": ((10, 10), (50, 20)),
    "reported": ((1, 15), (3, 30), (10, 45)),
}

_FEWEST = {code: steps[0][0] for code, steps in POINTS.items()}

VELOCITY_WINDOW_MS = 60_000
MAX_SPEED_KMH = 900.0  # an airliner's cruise
MIN_TRAVEL_KM = 100.0  # below it, errors of positions and clocks make any speed
FORGIVEN_AT_MOST = 3  # so that an old product is not a blind one
_YEAR_MS = 365 * 86_400_000
_HOUR_MS = 3_600_000
_EARTH_RADIUS_KM = 6371.0088  # mean radius R1 (GRS 80)


class Observation(msgspec.Struct, frozen=True):
    """A scan of a known product, with what was known beside its history at that moment."""

    scan: Scan
    product: Product
    signals: Signals
    at_ms: int  # when the scan was made, since the epoch


Rule = Callable[[Observation, History], Reason | None]


def scan_velocity(seen: Observation, history: History) -> Reason | None:
    """Scans less than a minute from this one, before it or (where this one comes late) after."""
    at_ms = seen.at_ms
    if at_ms - history.last_at_ms >= VELOCITY_WINDOW_MS:  # nearly always: nothing to count
        return None
    near = 1
    for other_ms in history.times_ms:
        near += -VELOCITY_WINDOW_MS < at_ms - other_ms < VELOCITY_WINDOW_MS
    return _reason("scan_velocity", near, "Scanned {} times within a minute.", REMEMBERED_TIMES)


def repeat_scans(_seen: Observation, history: History) -> Reason | None:
    """All scans of this product, whoever made them."""
    return _reason("repeat_scans", history.scans + 1, "Scanned {} times in all.")


def many_devices(seen: Observation, history: History) -> Reason | None:
    """The most devices of one month; each full year since the first scan forgives one (see
    `_forgiven`).
    """
    device = seen.scan.fingerprint_hash[:DEVICE_CHARACTERS]
    devices = history.distinct_devices(device, seen.at_ms)
    sentence = "Scanned by {} different devices."
    return _reason("many_devices", devices, sentence, REMEMBERED_DEVICES, _forgiven(seen, history))


def many_countries(seen: Observation, history: History) -> Reason | None:
    """Distinct countries; each full year since the first scan forgives one (see `_forgiven`)."""
    here = seen.scan.country
    countries = len(history.countries) + (here is not None and here not in history.countries)
    sentence = "Scanned in {} different countries."
    forgiven = _forgiven(seen, history)
    return _reason("many_countries", countries, sentence, REMEMBERED_COUNTRIES, forgiven)


def impossible_travel(seen: Observation, history: History) -> Reason | None:
    """Faster than an airliner between here and where the product was seen last.

    Two exact locations decide where both are known; else the least distance two countries allow.
    The country of a data-centre address is where a tunnel ends, so it proves no travel.
    """
    then, now = history.placed_location, seen.scan.location
    if then is not None and now is not None:
        known, km = BY_LOCATION, distance_km(then.lat, then.lon, now.lat, now.lon)
    elif seen.scan.datacenter:
        return None
    else:
        known, km = BY_COUNTRY, apart_km(history.placed_country, seen.scan.country)
    if km <= MIN_TRAVEL_KM:
        return None
    elapsed_ms = abs(seen.at_ms - history.placed_at_ms)
    if km * _HOUR_MS <= MAX_SPEED_KMH * elapsed_ms:
        return None
    # Hundreds of kilometres: an exact distance would help to find the person of the last scan.
    minutes = max(1, -(-elapsed_ms // 60_000))
    sentence = f"Scanned over {km // 100 * 100:,.0f} km from its last scan within {minutes} min."
    return _reason("impossible_travel", known, sentence)


def outside_destination(seen: Observation, _history: History) -> Reason | None:
    """A country the batch was not made for; silent where either is unknown."""
    here, meant_for = seen.scan.country, seen.product.destination_countries
    if here is None or not meant_for or here in meant_for:
        return None
    return _reason("outside_destination", 1, f"Scanned in {here}, where it was not to be sold.")


def automated_client(seen: Observation, _history: History) -> Reason | None:
    """A program's user agent (risk/clients.py tells it at ingress)."""
    return _reason("automated_client", int(seen.scan.automated), "Scanned by a program.")


def datacenter_address(seen: Observation, _history: History) -> Reason | None:
    """An address of a data centre or anonymiser (the ranges file tells it at ingress)."""
    sentence = "Scanned through a data centre or an anonymising network."
    return _reason("datacenter_address", int(seen.scan.datacenter), sentence)


def probing(seen: Observation, _history: History) -> Reason | None:
    """Invalid codes tried of late by this device or this address: the weightier, never both.

    An address may be a whole network of people, so it takes more of them.
    """
    device, address = seen.signals.device_bad_tokens, seen.signals.address_bad_tokens
    if not device and not address:  # nearly always
        return None
    if points_for("probing_address", address) > points_for("probing_device", device):
        sentence = "{} invalid codes were tried of late from this network."
        return _reason("probing_address", address, sentence)
    return _reason("probing_device", device, "This device tried {} invalid codes of late.")


def reported(seen: Observation, _history: History) -> Reason | None:
    """People, counted by address, who reported this product."""
    reporters = seen.signals.reporters
    sentence = "Reported by one person." if reporters == 1 else "Reported by {} people."
    return _reason("reported", reporters, sentence)


RULES: tuple[Rule, ...] = (
    scan_velocity,
    repeat_scans,
    many_devices,
    many_countries,
    impossible_travel,
    outside_destination,
    automated_client,
    datacenter_address,
    probing,
    reported,
)


def distance_km(lat_a: float, lon_a: float, lat_b: float, lon_b: float) -> float:
    """Great-circle distance of two points in degrees, by the haversine formula (Sinnott 1984)."""
    phi_a, phi_b = math.radians(lat_a), math.radians(lat_b)
    across = math.sin((phi_b - phi_a) / 2) ** 2
    along = math.sin(math.radians(lon_b - lon_a) / 2) ** 2
    # Rounding may lift antipodes above 1, which asin refuses.
    return (
        2
        * _EARTH_RADIUS_KM
        * math.asin(min(1.0, math.sqrt(across + math.cos(phi_a) * math.cos(phi_b) * along)))
    )


def apart_km(code_a: str | None, code_b: str | None) -> float:
    """The least distance between two countries; 0 for neighbours and where one is not known."""
    if code_a is None or code_b is None or code_a == code_b:
        return 0.0
    a, b = COUNTRIES.get(code_a), COUNTRIES.get(code_b)
    if a is None or b is None:
        return 0.0
    return max(0.0, distance_km(a.lat, a.lon, b.lat, b.lon) - a.reach_km - b.reach_km)


def points_for(code: str, count: int) -> int:
    """What `count` is worth in POINTS; 0 below the first step."""
    points = 0
    for at_least, worth in POINTS[code]:
        if count < at_least:
            break
        points = worth
    return points


def _reason(
    code: str, count: int, sentence: str, remembered: int | None = None, forgiven: int = 0
) -> Reason | None:
    """The reason for `count`, which its sentence tells in full, where it is worth any points.

    History remembers no more than `remembered` of some things; from there the count is a floor.
    """
    if count - forgiven < _FEWEST[code]:  # nearly always
        return None
    points = points_for(code, count - forgiven)
    if remembered is not None and count >= remembered:
        return Reason(code, points, sentence.format(f"at least {remembered}"))
    return Reason(code, points, sentence.format(count))


def _forgiven(seen: Observation, history: History) -> int:
    """One device and one country for each full year: things are sold on, given away and moved.

    A copied code spreads in days. An allowance keeps the tenth year of an honest product quiet
    without having to remember when each device was seen.
    """
    if not history.scans or seen.at_ms - history.first_at_ms < _YEAR_MS:
        return 0
    years = (seen.at_ms - history.first_at_ms) // _YEAR_MS
    return min(FORGIVEN_AT_MOST, max(0, years))
