"""Each rule at its boundaries: the last case in which it is silent, the first of each step."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path

import msgspec
import pytest

from tests.voketag.risk.scenes import (
    DAY,
    PRODUCT,
    RIO,
    SAO_PAULO,
    TOKYO,
    YEAR,
    history_of,
    scan,
)
from voketag import identifiers
from voketag.events import Reason, Scan, Signals
from voketag.risk import rules
from voketag.risk.history import EMPTY, REMEMBERED_DEVICES, History
from voketag.risk.rules import POINTS, RULES, Observation

DOCS = Path(__file__).parents[3] / "docs" / "risk.md"
# Capitals of countries that are not neighbours and lie far apart.
FAR_APART = ("BR", "JP", "ZA", "GB", "AU", "IN", "MX")


def reason(
    rule: rules.Rule,
    now: Scan,
    history: History = EMPTY,
    signals: Signals = Signals(),  # noqa: B008  # frozen
    destinations: tuple[str, ...] = (),
) -> Reason | None:
    product = msgspec.structs.replace(PRODUCT, destination_countries=destinations)
    return rule(Observation(now, product, signals, identifiers.at_ms(now.scan_id)), history)


def points(*arguments: object, **named: object) -> int:
    found = reason(*arguments, **named)  # type: ignore[arg-type]
    return found.points if found else 0


@pytest.mark.parametrize(
    ("scans", "expected"), [(1, 0), (4, 0), (5, 10), (9, 10), (10, 25), (29, 25), (30, 40)]
)
def test_velocity_counts_the_scans_within_a_minute(scans: int, expected: int) -> None:
    before = history_of(scan(i * 0.01) for i in range(scans - 1))
    assert points(rules.scan_velocity, scan(0.99), before) == expected


def test_velocity_forgets_after_a_minute() -> None:
    before = history_of(scan(0) for _ in range(20))
    assert points(rules.scan_velocity, scan(0.999), before) == 25
    assert points(rules.scan_velocity, scan(1), before) == 0


def test_velocity_sees_the_neighbours_of_a_late_scan_too() -> None:
    before = history_of([*(scan(0.1) for _ in range(9)), scan(DAY)])
    assert points(rules.scan_velocity, scan(0), before) == 25
    assert points(rules.scan_velocity, scan(-DAY), before) == 0


@pytest.mark.parametrize(
    ("scans", "expected"),
    [(1, 0), (4, 0), (5, 5), (9, 5), (10, 10), (24, 10), (25, 15), (99, 15), (100, 25)],
)
def test_repeats_count_every_scan(scans: int, expected: int) -> None:
    before = history_of(scan(i * DAY) for i in range(scans - 1))
    found = reason(rules.repeat_scans, scan(YEAR), before)
    assert (found.points if found else 0) == expected
    assert found is None or found.detail == f"Scanned {scans} times in all."


@pytest.mark.parametrize(
    ("devices", "expected"),
    [(1, 0), (2, 0), (3, 5), (4, 15), (5, 20), (6, 30), (9, 30), (10, 40), (24, 40), (25, 50)],
)
def test_devices_are_counted_once_each(devices: int, expected: int) -> None:
    before = history_of(scan(i, device=f"phone {i}") for i in range(devices - 1))
    now = scan(DAY, device="the last one")
    found = reason(rules.many_devices, now, before)
    assert (found.points if found else 0) == expected
    assert found is None or found.detail == f"Scanned by {devices} different devices."
    again = reason(rules.many_devices, scan(DAY), history_of([scan(0), scan(1), scan(2)]))
    assert again is None


def test_a_full_memory_says_at_least() -> None:
    before = history_of(scan(i, device=f"phone {i}") for i in range(REMEMBERED_DEVICES + 9))
    found = reason(rules.many_devices, scan(DAY, device="another"), before)
    assert found == Reason("many_devices", 50, "Scanned by at least 64 different devices.")


@pytest.mark.parametrize(
    ("countries", "expected"), [(1, 0), (2, 10), (3, 20), (4, 40), (5, 40), (6, 50), (7, 50)]
)
def test_countries_are_counted_once_each(countries: int, expected: int) -> None:
    seen = FAR_APART[: countries - 1]
    before = history_of(scan(i * DAY, country=code) for i, code in enumerate(seen))
    now = scan(9 * DAY, country=FAR_APART[countries - 1])
    found = reason(rules.many_countries, now, before)
    assert (found.points if found else 0) == expected
    assert found is None or found.detail == f"Scanned in {countries} different countries."


def test_an_unknown_country_is_no_country() -> None:
    assert points(rules.many_countries, scan(DAY, country=None), history_of([scan(0)])) == 0


@pytest.mark.parametrize(
    ("years", "devices", "countries"), [(0, 30, 40), (1, 15, 20), (2, 5, 10), (3, 0, 0), (9, 0, 0)]
)
def test_each_full_year_forgives_one_device_and_one_country_up_to_three(
    years: int, devices: int, countries: int
) -> None:
    places = ("BR", "JP", "ZA", "BR", "BR")
    before = history_of(scan(i, device=f"{i}", country=code) for i, code in enumerate(places))
    now = scan(years * YEAR + 1, device="new", country="GB")
    assert points(rules.many_devices, now, before) == devices
    assert points(rules.many_countries, now, before) == countries


@pytest.mark.parametrize(
    ("minutes", "expected"), [(0, 40), (23, 40), (24.2, 0), (DAY, 0), (-23, 40), (-24.2, 0)]
)
def test_exact_travel_fires_above_an_airliners_speed(minutes: float, expected: int) -> None:
    # 360 km take 24 minutes at 900 km/h.
    before = history_of([scan(0, location=SAO_PAULO)])
    assert points(rules.impossible_travel, scan(minutes, location=RIO), before) == expected


@pytest.mark.parametrize(("degrees", "expected"), [(0.89, 0), (0.91, 40)])
def test_exact_travel_needs_a_hundred_kilometres(degrees: float, expected: int) -> None:
    there = msgspec.structs.replace(SAO_PAULO, lat=SAO_PAULO.lat + degrees)
    before = history_of([scan(0, location=SAO_PAULO)])
    assert points(rules.impossible_travel, scan(0, location=there), before) == expected


def test_exact_locations_decide_over_countries() -> None:
    border = history_of([scan(0, country="BR", location=SAO_PAULO)])
    now = scan(1, country="JP", location=SAO_PAULO)  # the address came out somewhere else
    assert points(rules.impossible_travel, now, border) == 0


@pytest.mark.parametrize(
    ("before", "after", "hours", "expected"),
    [
        ("BR", "JP", 1, 30),
        ("BR", "JP", 13, 30),
        ("BR", "JP", 14, 0),
        ("BR", "PT", 2, 30),
        ("BR", "US", 1, 30),
        ("US", "DE", 3, 30),
        ("BR", "PT", 9, 0),  # a real flight takes that long
        ("BR", "AR", 0, 0),
        ("RU", "CN", 0, 0),
        ("US", "CA", 0, 0),
        ("DE", "FR", 0, 0),
        ("BR", "BR", 0, 0),
        ("BR", None, 0, 0),
        (None, "JP", 0, 0),
        ("BR", "ZZ", 0, 0),
    ],
)
def test_travel_by_country_leaves_room_for_borders_and_flights(
    before: str | None, after: str | None, hours: float, expected: int
) -> None:
    history = history_of([scan(0, country=before)])
    now = scan(hours * 60, country=after)
    assert points(rules.impossible_travel, now, history) == expected


def test_the_country_of_a_data_centre_proves_no_travel_but_a_location_does() -> None:
    before = history_of([scan(0, country="BR", location=SAO_PAULO)])
    by_tunnel = scan(1, country="JP", datacenter=True)
    assert points(rules.impossible_travel, by_tunnel, before) == 0
    by_satellite = scan(1, country="JP", location=TOKYO, datacenter=True)
    assert points(rules.impossible_travel, by_satellite, before) == 40


def test_travel_is_told_with_its_facts() -> None:
    history = history_of([scan(0, country="BR", location=SAO_PAULO)])
    exact = reason(rules.impossible_travel, scan(4.5, country="JP", location=TOKYO), history)
    assert exact is not None
    assert exact.detail == "Scanned over 18,500 km from its last scan within 5 min."
    rough = reason(rules.impossible_travel, scan(0, country="JP"), history)
    assert rough is not None
    assert rough.detail == "Scanned over 12,100 km from its last scan within 1 min."


@pytest.mark.parametrize(
    ("country", "destinations", "expected"),
    [
        ("BR", ("BR", "AR"), 0),
        ("AR", ("BR", "AR"), 0),
        ("JP", ("BR", "AR"), 20),
        ("JP", (), 0),
        (None, ("BR",), 0),
    ],
)
def test_a_country_outside_the_destinations(
    country: str | None, destinations: tuple[str, ...], expected: int
) -> None:
    now = scan(country=country)
    assert points(rules.outside_destination, now, destinations=destinations) == expected


def test_a_program_and_a_data_centre_are_told_apart() -> None:
    assert points(rules.automated_client, scan(automated=True)) == 10
    assert points(rules.automated_client, scan(datacenter=True)) == 0
    assert points(rules.datacenter_address, scan(datacenter=True)) == 15
    assert points(rules.datacenter_address, scan(automated=True)) == 0


@pytest.mark.parametrize(
    ("device", "address", "expected"),
    [
        (0, 0, None),
        (2, 9, None),
        (3, 0, ("probing_device", 10)),
        (10, 0, ("probing_device", 20)),
        (0, 10, ("probing_address", 10)),
        (0, 50, ("probing_address", 20)),
        (3, 50, ("probing_address", 20)),
        (12, 12, ("probing_device", 20)),
        (99, 99, ("probing_device", 20)),
    ],
)
def test_probing_counts_the_device_or_the_address_never_both(
    device: int, address: int, expected: tuple[str, int] | None
) -> None:
    signals = Signals(device_bad_tokens=device, address_bad_tokens=address)
    found = reason(rules.probing, scan(), signals=signals)
    assert (found and (found.code, found.points)) == expected


@pytest.mark.parametrize(
    ("reporters", "expected"), [(0, 0), (1, 15), (2, 15), (3, 30), (9, 30), (10, 45)]
)
def test_reports(reporters: int, expected: int) -> None:
    found = reason(rules.reported, scan(), signals=Signals(reporters=reporters))
    assert (found.points if found else 0) == expected
    if found:
        assert ("one person" in found.detail) == (reporters == 1)


def test_distance_is_the_great_circle() -> None:
    # The usual worked example: the airports of Nashville and Los Angeles.
    assert rules.distance_km(36.12, -86.67, 33.94, -118.40) == pytest.approx(2886.4, abs=0.5)
    assert rules.distance_km(0, 179.5, 0, -179.5) == pytest.approx(111.2, abs=0.1)
    assert rules.distance_km(0, 0, 0, 180) == pytest.approx(20_015.1, abs=0.1)
    assert rules.distance_km(90, 0, 90, 77) == pytest.approx(0, abs=1e-6)


def test_steps_rise_and_codes_are_snake_case() -> None:
    for code, steps in POINTS.items():
        assert re.fullmatch("[a-z]+(_[a-z]+)*", code)
        for (count, worth), (next_count, next_worth) in pairwise(steps):
            assert 0 < count < next_count, code
            assert 0 < worth < next_worth, code


def test_every_rule_has_a_sentence_of_its_own() -> None:
    assert len(set(RULES)) == len(RULES)
    assert all(rule.__doc__ for rule in RULES)


def test_the_table_in_the_docs_is_the_table_in_the_code() -> None:
    rows = re.findall(r"^\| `(\w+)` \|[^|]*\| ([^|]*) \|", DOCS.read_text(), re.MULTILINE)
    written = {
        code: tuple((int(count), int(worth)) for count, worth in re.findall(r"(\d+)→(\d+)", steps))
        for code, steps in rows
    }
    assert written == POINTS
