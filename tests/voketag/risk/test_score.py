"""What people are told: the analyst's scenarios, and laws that hold for every scan."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.voketag.risk.scenes import (
    DAY,
    PRODUCT,
    SAO_PAULO,
    TOKYO,
    YEAR,
    history_of,
    scan,
)
from voketag.events import Assessment, Location, Product, Scan, Signals
from voketag.risk.countries import COUNTRIES
from voketag.risk.history import EMPTY, History
from voketag.risk.score import assess, level

QUIET = Signals()
FOR_BRAZIL = msgspec.structs.replace(PRODUCT, destination_countries=("BR",))


def last(
    scans: list[Scan], signals: Signals = QUIET, product: Product | None = PRODUCT
) -> Assessment:
    """What is said of the last of these scans."""
    return assess(scans[-1], product, history_of(scans[:-1]), signals)


def score(scans: list[Scan], signals: Signals = QUIET, product: Product = PRODUCT) -> int:
    found = last(scans, signals, product).score
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("value", "expected"),
    [(0, "low"), (39, "low"), (40, "medium"), (69, "medium"), (70, "high"), (100, "high")],
)
def test_levels(value: int, expected: str) -> None:
    assert level(value) == expected


def test_a_first_scan_is_authentic_and_has_no_reasons() -> None:
    assert last([scan()]) == Assessment("authentic", 0, ())
    assert last([scan(country=None)]) == Assessment("authentic", 0, ())


def test_nothing_is_said_of_a_token_that_is_not_recognised() -> None:
    loud = Signals(reporters=9, recalled=True, device_bad_tokens=99)
    assert last([scan(automated=True)], loud, None) == Assessment("not_recognised")


def test_a_recall_outranks_the_level_and_hides_nothing() -> None:
    recalled = Signals(recalled=True)
    assert last([scan()], recalled) == Assessment("recalled", 0, ())
    found = last([scan(automated=True)], recalled)
    assert (found.verdict, found.score, found.reasons[0].code) == (
        "recalled",
        10,
        "automated_client",
    )


def test_reasons_come_heaviest_first_then_by_code() -> None:
    signals = Signals(reporters=1, device_bad_tokens=3)
    found = last([scan(country="JP", automated=True, datacenter=True)], signals, FOR_BRAZIL)
    assert [(reason.points, reason.code) for reason in found.reasons] == [
        (20, "outside_destination"),
        (15, "datacenter_address"),
        (15, "reported"),
        (10, "automated_client"),
        (10, "probing_device"),
    ]
    assert found.score == 70


# Honest people, of whom false alarms would be the first complaint.


def test_one_owner_scanning_again_stays_authentic() -> None:
    scans: list[Scan] = []
    for i in range(12):
        scans.append(scan(i * 0.08))  # twelve times within a minute
        assert last(scans).verdict == "authentic"


def test_an_owner_scanning_every_day_of_a_year_stays_authentic() -> None:
    assert last([scan(i * DAY) for i in range(366)]).verdict == "authentic"


def test_a_resale_on_another_continent_is_mild() -> None:
    for years in (1, 2, 5):
        assert score([scan(0), scan(years * YEAR, device="buyer", country="DE")]) <= 10
    assert score([scan(0), scan(YEAR - DAY, device="buyer", country="DE")]) == 10


def test_a_watch_that_changes_hands_each_year_stays_authentic() -> None:
    owners = ("CH", "US", "JP", "GB", "AE")
    scans = [scan(i * YEAR, device=code, country=code) for i, code in enumerate(owners)]
    for known in range(1, len(scans) + 1):
        assert last(scans[:known]).verdict == "authentic"


def test_a_family_at_home_and_a_shop_shelf_stay_authentic() -> None:
    assert last([scan(i, device=f"{i}") for i in range(4)]).verdict == "authentic"
    assert last([scan(i * DAY, device=f"{i}") for i in range(6)]).verdict == "authentic"


def test_a_traveller_stays_authentic() -> None:
    trip = [scan(0), scan(DAY, country="PT"), scan(3 * DAY, country="ES"), scan(9 * DAY)]
    for known in range(1, len(trip) + 1):
        assert last(trip[:known]).verdict == "authentic"


def test_a_tunnel_from_the_same_phone_stays_authentic() -> None:
    assert last([scan(0), scan(1, country="US", datacenter=True)]).verdict == "authentic"


@pytest.mark.parametrize(
    ("now", "signals"),
    [
        (scan(automated=True), QUIET),
        (scan(automated=True, country="JP"), QUIET),
        (scan(automated=True, datacenter=True), QUIET),
        (scan(automated=True), Signals(reporters=1)),
        (scan(automated=True), Signals(device_bad_tokens=500, address_bad_tokens=500)),
    ],
)
def test_a_program_with_one_more_mild_sign_is_not_suspicious_at_first(
    now: Scan, signals: Signals
) -> None:
    assert last([now], signals, FOR_BRAZIL).verdict == "authentic"


# Copied codes.


def test_a_clone_spreading_over_days_is_found_out() -> None:
    places = ("BR", "BR", "US", "JP", "BR", "ZA")
    scans = [
        scan(i * 1.5 * DAY, device=f"phone {i}", country=code) for i, code in enumerate(places)
    ]
    assert last(scans[:1]).verdict == "authentic"
    assert last(scans[:4]).verdict != "high_risk"  # four phones, three countries
    found = last(scans)  # the sixth device and the fourth country
    assert found.verdict == "high_risk"
    assert {"many_devices", "many_countries"} <= {reason.code for reason in found.reasons}


def test_two_places_at_once_are_suspicious_at_the_second_scan() -> None:
    by_country = last([scan(0), scan(1, device="other", country="JP")])
    assert (by_country.verdict, by_country.score) == ("suspicious", 40)
    exact = last([scan(0, location=SAO_PAULO), scan(1, device="other", location=TOKYO)])
    assert (exact.verdict, exact.score) == ("suspicious", 40)


def test_a_clone_scanned_everywhere_at_once_is_high_risk_by_the_fourth_country() -> None:
    places = ("BR", "JP", "ZA", "GB")
    assert score([scan(i, device=code, country=code) for i, code in enumerate(places)]) >= 70


def test_a_hundred_phones_in_one_country_are_high_risk() -> None:
    assert score([scan(i * 60, device=f"{i}") for i in range(100)]) >= 70


def test_a_script_hammering_one_code_is_suspicious() -> None:
    assert last([scan(i * 0.01) for i in range(40)]).verdict == "suspicious"


def test_many_reports_are_suspicious_but_never_high_risk_alone() -> None:
    assert last([scan()], Signals(reporters=10_000)).verdict == "suspicious"


# Laws.

minutes = st.floats(min_value=-7 * DAY, max_value=5 * YEAR, allow_nan=False)
locations = st.builds(
    Location,
    lat=st.floats(min_value=-90, max_value=90),
    lon=st.floats(min_value=-180, max_value=180),
)
scans_at = st.builds(
    scan,
    at_min=minutes,
    device=st.sampled_from([f"phone {i}" for i in range(12)]),
    country=st.none() | st.sampled_from(sorted(COUNTRIES)) | st.sampled_from(["ZZ", "BR"]),
    location=st.none() | locations,
    automated=st.booleans(),
    datacenter=st.booleans(),
)
counts = st.integers(min_value=0, max_value=10_000)
signals_of = st.builds(
    Signals,
    reporters=counts,
    recalled=st.booleans(),
    address_bad_tokens=counts,
    device_bad_tokens=counts,
)
histories = st.lists(scans_at, max_size=40).map(history_of)


@given(scans_at, histories, signals_of)
def test_a_score_is_the_bounded_sum_of_reasons_and_always_the_same(
    now: Scan, history: History, signals: Signals
) -> None:
    found = assess(now, FOR_BRAZIL, history, signals)
    assert found == assess(now, FOR_BRAZIL, history, signals)
    assert found.score == min(100, sum(reason.points for reason in found.reasons))
    assert len({reason.code for reason in found.reasons}) == len(found.reasons)
    verdicts = {"low": "authentic", "medium": "suspicious", "high": "high_risk"}
    assert found.verdict == ("recalled" if signals.recalled else verdicts[level(found.score)])


@given(scans_at, histories, signals_of)
def test_no_detail_holds_personal_data(now: Scan, history: History, signals: Signals) -> None:
    for reason in assess(now, FOR_BRAZIL, history, signals).reasons:
        assert reason.detail.endswith(".")
        assert "{" not in reason.detail
        for private in (now.ip_hash, now.fingerprint_hash[:16], str(now.scan_id)):
            assert private not in reason.detail


def _more(history: History, **changes: Any) -> History:
    return msgspec.structs.replace(history, **changes)


@given(scans_at, histories, signals_of, st.integers(min_value=1, max_value=80))
def test_more_devices_countries_or_scans_never_lower_a_score(
    now: Scan, history: History, signals: Signals, extra: int
) -> None:
    found = assess(now, FOR_BRAZIL, history, signals).score
    assert found is not None
    devices = (*history.devices, *(f"{i:016x}" for i in range(extra)))[:64]
    unseen = [code for code in sorted(COUNTRIES) if code not in history.countries]
    countries = (*history.countries, *unseen[:extra])[:64]
    for more in (
        _more(history, devices=devices),
        _more(history, countries=countries),
        _more(history, scans=history.scans + extra, first_at_ms=history.first_at_ms)
        if history.scans
        else history,
    ):
        raised = assess(now, FOR_BRAZIL, more, signals).score
        assert raised is not None
        assert raised >= found


@given(scans_at, histories, signals_of, counts)
def test_more_signals_never_lower_a_score(
    now: Scan, history: History, signals: Signals, extra: int
) -> None:
    found = assess(now, FOR_BRAZIL, history, signals).score
    assert found is not None
    for name in ("reporters", "address_bad_tokens", "device_bad_tokens"):
        changed = {name: getattr(signals, name) + extra}
        raised = assess(now, FOR_BRAZIL, history, msgspec.structs.replace(signals, **changed)).score
        assert raised is not None
        assert raised >= found


def test_an_empty_history_needs_no_special_care() -> None:
    assert assess(scan(-7 * DAY, location=TOKYO), PRODUCT, EMPTY, QUIET).score == 0
