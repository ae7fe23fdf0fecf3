"""What to offer for a transaction, first and again: EIP-1559 fees, in wei for one unit of gas."""

from __future__ import annotations

import msgspec

# A replacement that raises tip and cap by an eighth is accepted by every node we know of; most ask
# for a tenth.
RAISE_NUMERATOR, RAISE_DENOMINATOR = 9, 8
# What we never offer more than, whatever the market or a lying server says: 500 gwei. With the gas
# of one anchor that is about 0.023 ether.
CAP_LIMIT = 500 * 10**9


class Market(msgspec.Struct, frozen=True):
    """What the chain asks for now: the base fee of the next block and the usual tip, in wei."""

    base_fee: int
    tip: int


class Fees(msgspec.Struct, frozen=True):
    """What a transaction offers, in wei: `cap` in all (max fee), of which `tip` to the producer."""

    cap: int
    tip: int


def first(market: Market) -> Fees:
    """Fees that stay acceptable while the base fee doubles, which takes six full blocks at least.

    They are cut at CAP_LIMIT; where the market is above it, the transaction waits for it to fall.
    """
    cap = min(2 * market.base_fee + market.tip, CAP_LIMIT)
    return Fees(cap, min(market.tip, cap))


def replacement(previous: Fees, market: Market) -> Fees | None:
    """Fees that replace `previous` in every node's pool and suit the market; None past CAP_LIMIT.

    Both tip and cap go up by an eighth at least: a node that compares either one accepts it.
    """
    fresh = first(market)
    tip = max(_raised(previous.tip), fresh.tip)
    cap = max(_raised(previous.cap), fresh.cap, tip)
    return Fees(cap, tip) if cap <= CAP_LIMIT else None


def _raised(fee: int) -> int:
    return max(-(-fee * RAISE_NUMERATOR // RAISE_DENOMINATOR), fee + 1)
