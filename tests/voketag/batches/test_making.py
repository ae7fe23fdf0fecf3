"""Derived products: the fast way gives the same bytes as the plain definitions."""

from __future__ import annotations

from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from voketag import identifiers
from voketag.batches.making import DERIVED_SERIAL_CHARACTERS, Maker
from voketag.proofs import Content
from voketag.tokens import ALPHABET

any_text = st.text(st.characters(exclude_categories=["Cs"]), min_size=1)


@given(
    batch_id=st.uuids(),
    factory_id=st.uuids(),
    sku=any_text,
    manufactured_at=st.none() | st.datetimes().map(lambda at: at.isoformat() + "Z"),
    serials=st.none() | st.lists(any_text, min_size=1, max_size=5),
    start=st.integers(0, 999_990),
)
def test_ids_and_leaves_are_the_defined_ones(
    batch_id: UUID,
    factory_id: UUID,
    sku: str,
    manufactured_at: str | None,
    serials: list[str] | None,
    start: int,
) -> None:
    stop = start + (3 if serials is None else len(serials))
    chunk = Maker(batch_id, factory_id, sku, manufactured_at).chunk(start, stop, serials)
    expected = [identifiers.product_id(batch_id, index) for index in range(start, stop)]
    assert chunk.product_ids == [product_id.bytes for product_id in expected]
    assert serials is None or chunk.serials == serials
    for product_id, serial, leaf in zip(expected, chunk.serials, chunk.leaves, strict=True):
        content = Content(
            batch_id=str(batch_id),
            factory_id=str(factory_id),
            manufactured_at=manufactured_at,
            product_id=str(product_id),
            serial=serial,
            sku=sku,
        )
        assert leaf == content.leaf()


def test_derived_serials_are_distinct_and_fit_gs1() -> None:
    maker = Maker(identifiers.new_id(), identifiers.new_id(), "SHOE-42", None)
    serials = maker.chunk(0, 5000).serials
    assert len(set(serials)) == 5000
    for serial in serials:
        assert len(serial) == DERIVED_SERIAL_CHARACTERS <= 20
        assert set(serial) <= set(ALPHABET)


def test_a_derived_serial_is_the_random_bits_of_its_product_id() -> None:
    chunk = Maker(identifiers.new_id(), identifiers.new_id(), "SHOE-42", None).chunk(0, 100)
    for raw, serial in zip(chunk.product_ids, chunk.serials, strict=True):
        number = 0
        for letter in serial:
            number = number * 32 + ALPHABET.index(letter)
        bits = int.from_bytes(raw, "big")
        assert number == (bits >> 64 & 0xFFF) << 62 | bits & (1 << 62) - 1


def test_chunks_of_any_size_give_the_same_products() -> None:
    maker = Maker(identifiers.new_id(), identifiers.new_id(), "SHOE-42", None)
    whole = maker.chunk(0, 100)
    parts = [maker.chunk(start, start + 10) for start in range(0, 100, 10)]
    assert [leaf for part in parts for leaf in part.leaves] == whole.leaves
    assert [serial for part in parts for serial in part.serials] == list(whole.serials)
