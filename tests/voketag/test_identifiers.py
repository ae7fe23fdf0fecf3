"""UUIDv7: the ids, and the times that lie in them."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta, timezone
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voketag import identifiers
from voketag.identifiers import is_uuid7, product_id, rfc3339

moments = st.integers(0, 253_402_300_799_999)  # to the end of the year 9999
indexes = st.integers(0, 999_999)


def batch_at(unix_ms: int) -> UUID:
    """A UUIDv7 of a moment."""
    return UUID(int=unix_ms << 80 | 0x7 << 76 | 0x2 << 62 | 12345)


def test_fresh_ids_are_uuid7_in_order_with_the_time_in_them() -> None:
    before_ms = time.time_ns() // 1_000_000
    made = [identifiers.new_id() for _ in range(1000)]
    after_ms = time.time_ns() // 1_000_000
    assert made == sorted(made)
    assert len(set(made)) == len(made)
    for one in made:
        assert one.version == 7
        assert is_uuid7(str(one))
        assert before_ms <= identifiers.at_ms(one) <= after_ms + 1


@given(moments)
def test_the_time_of_an_id_is_exact(unix_ms: int) -> None:
    moment = identifiers.at_time(batch_at(unix_ms))
    assert moment == datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=unix_ms)
    assert moment.utcoffset() == timedelta(0)


@given(moments, indexes)
def test_a_product_id_is_a_uuid7_of_its_batchs_time(unix_ms: int, index: int) -> None:
    batch_id = batch_at(unix_ms)
    made = product_id(batch_id, index)
    assert is_uuid7(str(made))
    assert identifiers.at_ms(made) == unix_ms
    assert product_id(batch_id, index) == made


def test_product_ids_are_distinct_and_in_no_order() -> None:
    batch_id, other = identifiers.new_id(), identifiers.new_id()
    made = [product_id(batch_id, index) for index in range(5000)]
    assert len(set(made) | {product_id(other, index) for index in range(5000)}) == 10_000
    assert made != sorted(made)


@given(moments, indexes)
def test_uuid7_is_told_in_either_case(unix_ms: int, index: int) -> None:
    one = product_id(batch_at(unix_ms), index)
    assert is_uuid7(str(one))
    assert is_uuid7(str(one).upper())


@pytest.mark.parametrize(
    "text",
    [
        "",
        "00000000-0000-4000-8000-000000000000",
        "00000000-0000-7000-0000-000000000000",
        "00000000000070008000000000000000",
        "{00000000-0000-7000-8000-000000000000}",
        "00000000-0000-7000-8000-000000000000 ",
        "00000000-0000-7000-8000-000000000000\n",
        "00000000-0000-7000-8000-00000000000g",
    ],
)
def test_what_is_no_uuid7_is_told(text: str) -> None:
    assert not is_uuid7(text)


def test_rfc3339_ends_in_z() -> None:
    two_hours_ahead = timezone(timedelta(hours=2))
    assert rfc3339(datetime(2026, 1, 31, 8, tzinfo=UTC)) == "2026-01-31T08:00:00Z"
    assert rfc3339(datetime(2026, 1, 31, 8, tzinfo=two_hours_ahead)) == "2026-01-31T06:00:00Z"
    with_fraction = datetime(2026, 1, 31, 8, 0, 0, 120_000, tzinfo=UTC)
    assert rfc3339(with_fraction) == "2026-01-31T08:00:00.120000Z"
