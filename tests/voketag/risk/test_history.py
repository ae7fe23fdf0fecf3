"""History as a fold: what it counts, what it forgets, and what a late scan may change."""

from __future__ import annotations

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from tests.voketag.risk.scenes import DAY, SAO_PAULO, START_MS, TOKYO, history_of, scan
from voketag import identifiers
from voketag.events import HistorySummary, Scan
from voketag.risk.history import (
    EMPTY,
    REMEMBERED_COUNTRIES,
    REMEMBERED_DAYS,
    REMEMBERED_DEVICES,
    REMEMBERED_TIMES,
    History,
    sighting,
)

DAY_MS = 86_400_000
scans_at = st.builds(
    scan,
    at_min=st.integers(min_value=0, max_value=30 * DAY),
    device=st.sampled_from("abcdefgh"),
    country=st.none() | st.sampled_from(["BR", "AR", "JP", "DE"]),
)


def at_ms(one: Scan) -> int:
    return identifiers.at_ms(one.scan_id)


@given(st.lists(scans_at, min_size=1, max_size=90))
def test_the_facts_of_a_fold(scans: list[Scan]) -> None:
    history = history_of(scans)
    times = [at_ms(one) for one in scans]
    assert history.scans == len(scans)
    assert (history.first_at_ms, history.last_at_ms) == (min(times), max(times))
    assert history.times_ms == tuple(times[-REMEMBERED_TIMES:])
    assert set(history.countries) == {one.country for one in scans if one.country}
    assert 1 <= len(history.devices) <= len({one.fingerprint_hash for one in scans})
    newest_days = sorted({time // DAY_MS for time in times})[-REMEMBERED_DAYS:]
    assert history.days == tuple(newest_days)


@given(st.lists(scans_at.filter(lambda one: at_ms(one) < START_MS + 9 * DAY_MS), min_size=1))
def test_devices_of_one_month_add_up(scans: list[Scan]) -> None:
    expected = {sighting(one).device for one in scans}
    for order in (scans, scans[::-1]):
        assert set(history_of(order).devices) == expected


@given(st.lists(scans_at, max_size=30), st.randoms())
def test_order_changes_only_what_is_kept_in_order(scans: list[Scan], random: object) -> None:
    shuffled = list(scans)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    one, other = history_of(scans), history_of(shuffled)
    assert (one.scans, one.first_at_ms, one.last_at_ms) == (
        other.scans,
        other.first_at_ms,
        other.last_at_ms,
    )
    assert one.days == other.days
    assert one.placed_at_ms == other.placed_at_ms
    assert set(one.countries) == set(other.countries)
    assert sorted(one.times_ms) == sorted(other.times_ms)


@given(st.lists(scans_at, max_size=12))
def test_it_survives_its_own_json(scans: list[Scan]) -> None:
    history = history_of(scans)
    assert msgspec.json.decode(msgspec.json.encode(history), type=History) == history


def test_a_fold_leaves_the_old_history_as_it_was() -> None:
    before = history_of([scan(0)])
    kept = msgspec.structs.asdict(before)
    before.after(sighting(scan(1, device="other", country="JP")))
    assert msgspec.structs.asdict(before) == kept


def test_countries_keep_the_order_of_their_first_appearance() -> None:
    seen = [scan(i, country=code) for i, code in enumerate(["JP", "BR", None, "JP", "AR"])]
    assert history_of(seen).countries == ("JP", "BR", "AR")


def test_a_late_scan_moves_the_first_and_never_the_last_nor_the_place() -> None:
    before = history_of([scan(DAY, country="BR", location=SAO_PAULO)])
    history = before.after(sighting(scan(0, country="JP", location=TOKYO)))
    assert history.first_at_ms == START_MS
    assert history.last_at_ms == START_MS + DAY_MS
    assert (history.placed_country, history.placed_location) == ("BR", SAO_PAULO)
    assert history.placed_at_ms == START_MS + DAY_MS
    assert history.countries == ("BR", "JP")


def test_a_scan_from_nowhere_known_leaves_the_place_alone() -> None:
    before = history_of([scan(0, country="BR")])
    history = before.after(sighting(scan(5, country=None)))
    assert (history.placed_country, history.placed_at_ms) == ("BR", START_MS)
    history = history.after(sighting(scan(6, country=None, location=TOKYO)))
    assert (history.placed_country, history.placed_location) == (None, TOKYO)


def test_memory_is_bounded() -> None:
    codes = [f"{a}{b}" for a in "ABCDEFGHI" for b in "ABCDEFGHI"]  # 81 of them
    history = history_of(
        scan(min(i, 20) * DAY + i, device=f"{i}", country=codes[i % len(codes)]) for i in range(300)
    )
    assert history.scans == 300
    assert len(history.devices) == REMEMBERED_DEVICES
    assert len(history.countries) == REMEMBERED_COUNTRIES
    assert len(history.times_ms) == REMEMBERED_TIMES
    assert len(history.days) == REMEMBERED_DAYS
    assert len(msgspec.json.encode(history)) < 4096


def test_the_first_scan_of_a_day_is_recognised_even_a_week_late() -> None:
    today = sighting(scan(0))
    assert not EMPTY.has_day_of(today)
    history = EMPTY.after(today)
    assert history.has_day_of(sighting(scan(1)))
    assert not history.has_day_of(sighting(scan(DAY)))
    busy = history_of(scan(i * DAY) for i in range(40))
    assert busy.has_day_of(sighting(scan(32 * DAY)))  # seven days before the newest
    gap = history_of(scan(i * DAY) for i in range(40) if i != 34)
    late = sighting(scan(34 * DAY))
    assert not gap.has_day_of(late)
    assert gap.after(late).has_day_of(late)


def test_the_summary_is_what_people_are_told() -> None:
    first, second = sighting(scan(0)), sighting(scan(5, country="AR"))
    assert EMPTY.summary_with(first) == HistorySummary(1, START_MS, ("BR",))
    told = EMPTY.after(first).summary_with(second)
    assert told == HistorySummary(2, START_MS, ("BR", "AR"))
    late = EMPTY.after(second).summary_with(first)
    assert late == HistorySummary(2, START_MS, ("AR", "BR"))


def test_the_one_phone_of_an_owner_does_not_become_a_crowd() -> None:
    """Its hash is another one each month; see addresses.PersonalHash."""
    history = EMPTY
    for month in range(24):
        one = scan(month * 31 * 24 * 60, device=f"owner in month {month}")
        assert history.distinct_devices(sighting(one).device, at_ms(one)) == 1
        history = history.after(sighting(one))
    assert len(history.devices) == 1


def test_the_most_devices_of_a_month_are_remembered() -> None:
    history = EMPTY
    for number in range(7):
        history = history.after(sighting(scan(number, device=f"copy {number}")))
    later = scan(40 * 24 * 60, device="someone else")
    history = history.after(sighting(later))
    assert len(history.devices) == 1
    assert history.distinct_devices(sighting(later).device, at_ms(later)) == 7
