"""API keys: what was minted is parsed, and nothing else."""

from __future__ import annotations

import hashlib

from hypothesis import given
from hypothesis import strategies as st

from voketag import keys
from voketag.tokens import ALPHABET


def test_a_key_has_its_shape_and_is_never_the_same() -> None:
    minted = {keys.mint() for _ in range(1000)}
    assert len(minted) == 1000
    for key in minted:
        assert len(key) == 41
        assert key.startswith("vt_")
        assert set(key[3:]) <= set(ALPHABET)


def test_a_key_is_parsed_in_either_case() -> None:
    key = keys.mint()
    assert keys.parse(key) == key
    assert keys.parse(key.lower()) == key
    assert keys.parse(key.upper()) == key


@given(place=st.integers(0, 40), letter=st.characters())
def test_every_changed_character_is_noticed(place: int, letter: str) -> None:
    key = keys.mint()
    changed = key[:place] + letter + key[place + 1 :]
    if changed.isascii() and changed.lower() == key.lower():
        assert keys.parse(changed) == key
    else:
        assert keys.parse(changed) is None


@given(st.text())
def test_what_was_never_minted_is_refused(text: str) -> None:
    assert keys.parse(text) is None


def test_nothing_but_case_is_forgiven() -> None:
    key = keys.mint()
    assert keys.parse(f" {key}") is None
    assert keys.parse(key + "0") is None
    assert keys.parse(key[:-1]) is None
    assert keys.parse(key.replace("vt_", "vt-")) is None


def test_only_the_hash_and_a_prefix_of_a_key_are_kept() -> None:
    key = keys.mint()
    assert keys.digest(key) == hashlib.sha256(key.encode()).digest()
    assert keys.prefix(key) == key[:11]
