"""What an ERP may ask for, and the sentence for everything else."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from voketag.batches import listing, submission
from voketag.batches.submission import CheckedBatch, NewBatch
from voketag.errors import InvalidField
from voketag.printable import PRINTABLE_PATTERN

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
PLAIN: dict[str, Any] = {"sku": "SHOE-42", "name": "Running shoe", "product_count": 3}


def checked(**changed: Any) -> CheckedBatch:
    body = {name: value for name, value in (PLAIN | changed).items() if value is not ...}
    return submission.check(msgspec.convert(body, NewBatch), NOW)


def refused(**changed: Any) -> InvalidField:
    with pytest.raises(InvalidField) as caught:
        checked(**changed)
    return caught.value


def test_a_plain_batch() -> None:
    assert checked() == CheckedBatch("SHOE-42", "Running shoe", 3, None, None, (), None)
    with_serials = checked(product_count=..., serials=["A", "B"])
    assert with_serials.product_count == 2
    assert with_serials.serials == ["A", "B"]


def test_exactly_one_of_count_and_serials() -> None:
    for fault in (refused(serials=["A"]), refused(product_count=...)):
        assert fault.detail == "Exactly one of product_count and serials is needed."


@pytest.mark.parametrize("letter", ["\x00", "\x1f", "\n", "\x7f", "\x85", "\u2028"])
def test_control_characters_are_refused(letter: str) -> None:
    assert refused(sku=f"a{letter}").field == "sku"
    assert refused(name=f"{letter}a").field == "name"
    fault = refused(product_count=..., serials=["A"] * 20_000 + [f"B{letter}"])
    assert fault.field == "serials"
    assert "serials[20000]" in fault.detail


@given(st.text(min_size=1, max_size=20))
def test_the_schemas_pattern_says_what_is_checked(text: str) -> None:
    fits = re.search(PRINTABLE_PATTERN, text) is not None
    try:
        checked(name=text)
    except InvalidField:
        assert not fits
    else:
        assert fits


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-01-31", datetime(2026, 1, 31, tzinfo=UTC)),
        ("2026-01-31T08:00:00Z", datetime(2026, 1, 31, 8, tzinfo=UTC)),
        ("2026-01-31T08:00:00.5+02:00", datetime(2026, 1, 31, 6, 0, 0, 500_000, tzinfo=UTC)),
        ("2026-06-02T11:59:59Z", datetime(2026, 6, 2, 11, 59, 59, tzinfo=UTC)),
        (None, None),
    ],
)
def test_times_of_manufacture(text: str | None, expected: datetime | None) -> None:
    moment = checked(manufactured_at=text).manufactured_at
    assert moment == expected
    assert moment is None or moment.utcoffset() == timedelta(0)


@pytest.mark.parametrize(
    "text",
    [
        "yesterday",
        "",
        "20260131",
        "2026-02-30",
        "2026-01-31T08:00:00",
        "0001-01-01T00:00:00+23:00",
        "9999-12-31T23:59:59-23:00",
        "2026-06-02T12:00:01Z",
    ],
)
def test_other_times_of_manufacture_are_refused(text: str) -> None:
    assert refused(manufactured_at=text).field == "manufactured_at"


def test_destinations_are_countries_each_once() -> None:
    assert checked(destination_countries=["BR", "PT", "BR"]).destination_countries == ("BR", "PT")
    for code in ("br", "ZZ", "BRA", ""):
        assert "ISO 3166-1" in refused(destination_countries=[code]).detail


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ({"a": "b\x00"}, "NUL"),
        ({"a\x00": 1}, "NUL"),
        ({"a": [{"b": ["\x00"]}]}, "NUL"),
        ({"a": 2**64}, "64 bits"),
        ({"a": -(2**63) - 1}, "64 bits"),
        ({"a": "x" * 16_384}, "at most 16384 bytes"),
    ],
)
def test_attributes_that_cannot_be_kept_are_refused(
    attributes: dict[str, Any], message: str
) -> None:
    assert message in refused(attributes=attributes).detail


def test_attributes_nested_too_deeply_are_refused() -> None:
    deep: Any = 1
    for _ in range(31):
        deep = [deep]
    assert checked(attributes={"a": deep}).attributes == {"a": deep}
    assert "levels deep" in refused(attributes={"a": [deep]}).detail


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=9), inner),
    max_leaves=20,
)


@given(st.dictionaries(st.text(max_size=9), json_values, max_size=5))
def test_attributes_are_refused_for_nul_alone(attributes: dict[str, Any]) -> None:
    has_nul = "\\u0000" in msgspec.json.encode(attributes).decode().replace("\\\\", "")
    try:
        checked(attributes=attributes)
    except InvalidField:
        assert has_nul
    else:
        assert not has_nul


@given(st.lists(st.sampled_from([f"S{number}" for number in range(30)])))
def test_duplicates_are_named(serials: list[str]) -> None:
    twice = {serial for serial in serials if serials.count(serial) > 1}
    named = submission.duplicates(serials)
    assert len(named) == min(len(twice), submission.NAMED_MAX)
    assert set(named) <= twice


@pytest.mark.parametrize("value", ["k", "a" * 255, "!~", None])
def test_idempotency_keys(value: str | None) -> None:
    assert submission.check_idempotency_key(value) == value


@pytest.mark.parametrize("value", ["", "a" * 256, "two words", "é", "a\n"])
def test_other_idempotency_keys_are_refused(value: str) -> None:
    with pytest.raises(InvalidField, match="1 to 255 visible ASCII"):
        submission.check_idempotency_key(value)


def test_lists_begin_after_a_time() -> None:
    assert listing.read_created_after(None) is None
    assert listing.read_created_after("2026-01-31T08:00:00+02:00") == datetime(
        2026, 1, 31, 6, tzinfo=UTC
    )
    for text in ("12345", "", "2026-01-31T08:00:00 02:00", "0001-01-01T00:00:00+23:00"):
        with pytest.raises(InvalidField, match="%2B"):
            listing.read_created_after(text)
