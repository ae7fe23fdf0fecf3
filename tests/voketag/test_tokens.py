"""Tokens: what was minted is verified, and nothing else."""

from __future__ import annotations

import base64
import hmac
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voketag.tokens import (
    ALPHABET,
    TOKEN_CHARACTERS,
    TOKEN_MAX_CHARACTERS,
    KeyRing,
    TokenKey,
    encode_base32,
)

RING = KeyRing((TokenKey(7, b"7" * 32), TokenKey(3, b"3" * 32)))
TYPED_FOR = {"0": "Oo", "1": "IiLl"}
products = st.uuids()
places = st.integers(0, TOKEN_CHARACTERS - 1)


@given(products, st.sampled_from([None, 3, 7]))
def test_a_minted_token_is_verified(product_id: UUID, key_id: int | None) -> None:
    token = RING.mint(product_id, key_id)
    assert RING.verify(token) == product_id
    assert RING.verify(token.lower()) == product_id
    assert len(token) == TOKEN_CHARACTERS <= TOKEN_MAX_CHARACTERS
    assert set(token) <= set(ALPHABET)


@given(products)
def test_letters_typed_for_digits_are_accepted(product_id: UUID) -> None:
    token = RING.mint(product_id)
    for digit, letters in TYPED_FOR.items():
        for letter in letters:
            assert RING.verify(token.replace(digit, letter)) == product_id


@given(products, places, st.characters())
def test_every_changed_character_is_rejected(product_id: UUID, place: int, letter: str) -> None:
    token = RING.mint(product_id)
    meant = token[place]
    same = letter in (meant, meant.lower()) or letter in TYPED_FOR.get(meant, "")
    changed = token[:place] + letter + token[place + 1 :]
    assert RING.verify(changed) == (product_id if same else None)


@given(products)
def test_a_token_of_another_length_is_rejected(product_id: UUID) -> None:
    token = RING.mint(product_id)
    assert RING.verify(token[:-1]) is None
    assert RING.verify(token + "0") is None
    assert RING.verify(f" {token[1:]}") is None
    assert RING.verify("") is None


@given(st.text(max_size=100))
def test_other_text_is_rejected(text: str) -> None:
    assert RING.verify(text) is None


@given(st.text(alphabet=ALPHABET, min_size=TOKEN_CHARACTERS, max_size=TOKEN_CHARACTERS))
def test_text_of_the_right_letters_is_rejected(text: str) -> None:
    assert RING.verify(text) is None


@given(products, products)
def test_a_product_and_key_have_one_token(one: UUID, other: UUID) -> None:
    assert RING.mint(one) == RING.mint(one, 7)
    assert RING.mint(one, 3) != RING.mint(one, 7)
    assert (RING.mint(one) == RING.mint(other)) == (one == other)


@given(products)
def test_rotation_keeps_old_tokens_good_until_their_key_goes(product_id: UUID) -> None:
    old, new = TokenKey(1, b"old key, 16 bytes or more"), TokenKey(2, b"new key, 16 bytes too")
    token = KeyRing((old,)).mint(product_id)
    rotated = KeyRing((new, old))
    assert rotated.signing is new
    assert rotated.mint(product_id) != token
    assert rotated.mint(product_id, old.key_id) == token
    assert rotated.verify(token) == product_id
    assert KeyRing((new,)).verify(token) is None
    assert KeyRing((TokenKey(1, b"another secret with id 1"),)).verify(token) is None


@given(products)
def test_the_layout_is_the_documented_one(product_id: UUID) -> None:
    """Read with code that is not ours: RFC 4648 base32 in Crockford's letters."""
    token = RING.mint(product_id)
    other_letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
    text = token.translate(str.maketrans(ALPHABET, other_letters))
    raw = base64.b32decode(text + "=" * (-len(text) % 8))
    body = b"\x07" + product_id.bytes
    mac = hmac.new(b"7" * 32, b"voketag-token-v1\x00" + body, "sha256").digest()
    assert raw == body + mac[:12]


@given(st.binary(max_size=64))
def test_base32_is_crockfords(data: bytes) -> None:
    text = encode_base32(data)
    standard = base64.b32encode(data).decode().rstrip("=")
    assert text == standard.translate(str.maketrans("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", ALPHABET))


def test_a_ring_says_which_keys_it_holds() -> None:
    assert RING.holds(3)
    assert not RING.holds(4)
    with pytest.raises(KeyError):
        RING.mint(UUID(int=0), 4)


@pytest.mark.parametrize(
    ("ring", "message"),
    [
        ((), "at least one"),
        ((TokenKey(1, b"1" * 16), TokenKey(1, b"2" * 16)), "id of its own"),
        ((TokenKey(256, b"1" * 16),), "from 0 to 255"),
        ((TokenKey(-1, b"1" * 16),), "from 0 to 255"),
        ((TokenKey(1, b"1" * 15),), "at least 16 bytes"),
    ],
)
def test_an_unusable_ring_says_why(ring: tuple[TokenKey, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        KeyRing(ring)
