"""Offers: acceptable while the base fee doubles, raised by an eighth, never past the limit."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from voketag.chain import fees
from voketag.chain.fees import CAP_LIMIT, Fees, Market

WEI = st.integers(0, 4 * CAP_LIMIT)


@given(WEI, WEI)
def test_a_first_offer_is_valid_and_bounded(base_fee: int, tip: int) -> None:
    offer = fees.first(Market(base_fee, tip))
    assert 0 <= offer.tip <= offer.cap <= CAP_LIMIT
    assert offer.cap == min(2 * base_fee + tip, CAP_LIMIT)


@given(st.integers(0, CAP_LIMIT), st.integers(0, CAP_LIMIT), WEI, WEI)
def test_f40_a_replacement_raises_both_by_an_eighth(
    cap: int, tip: int, base_fee: int, market_tip: int
) -> None:
    before = Fees(max(cap, tip), min(cap, tip))
    offer = fees.replacement(before, Market(base_fee, market_tip))
    if offer is None:
        assert before.cap * 9 > CAP_LIMIT * 8 - 8
        return
    assert offer.cap * 8 >= before.cap * 9
    assert offer.tip * 8 >= before.tip * 9
    assert before.cap < offer.cap <= CAP_LIMIT
    assert before.tip < offer.tip <= offer.cap


def test_f40_a_replacement_follows_the_market() -> None:
    offer = fees.replacement(Fees(cap=3 * 10**9, tip=10**9), Market(50 * 10**9, 2 * 10**9))
    assert offer == Fees(cap=102 * 10**9, tip=2 * 10**9)


def test_f40_past_the_limit_there_is_none() -> None:
    assert fees.replacement(Fees(cap=450 * 10**9, tip=10**9), Market(1, 1)) is None
