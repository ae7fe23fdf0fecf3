"""What nodes say to a raw transaction. They have no common codes for it, only words."""

from __future__ import annotations

import enum

import msgspec


class Sent(enum.Enum):
    """What an answer to a raw transaction means."""

    ACCEPTED = "accepted"
    ALREADY_KNOWN = "already known"
    NONCE_TOO_LOW = "nonce too low"
    UNDERPRICED = "underpriced"
    NO_FUNDS = "no funds"
    REJECTED = "rejected"


class Answer(msgspec.Struct, frozen=True):
    """A node's answer to a raw transaction, with its own words."""

    sent: Sent
    text: str = ""


# The words of geth and its kin, erigon, nethermind, besu, openethereum and anvil, in lower case,
# looked for in this order.
_WORDS = {
    "underpriced": Sent.UNDERPRICED,
    "fee too low": Sent.UNDERPRICED,
    "feetoolow": Sent.UNDERPRICED,
    "price too low": Sent.UNDERPRICED,
    "price below": Sent.UNDERPRICED,
    "fee below": Sent.UNDERPRICED,
    "less than block base fee": Sent.UNDERPRICED,
    "below base fee": Sent.UNDERPRICED,
    "gas price supplied is too low": Sent.UNDERPRICED,
    "insufficient funds": Sent.NO_FUNDS,
    "insufficientfunds": Sent.NO_FUNDS,
    "exceeds account balance": Sent.NO_FUNDS,
    "nonce too low": Sent.NONCE_TOO_LOW,
    "nonce is too low": Sent.NONCE_TOO_LOW,
    "nonce_too_low": Sent.NONCE_TOO_LOW,
    "oldnonce": Sent.NONCE_TOO_LOW,
    "old nonce": Sent.NONCE_TOO_LOW,
    "nonce has already been used": Sent.NONCE_TOO_LOW,
    "already known": Sent.ALREADY_KNOWN,
    "alreadyknown": Sent.ALREADY_KNOWN,
    "already imported": Sent.ALREADY_KNOWN,
    "already exists": Sent.ALREADY_KNOWN,
    "tx with same hash": Sent.ALREADY_KNOWN,
    "transaction already in": Sent.ALREADY_KNOWN,
    "known transaction:": Sent.ALREADY_KNOWN,
}


def understand(text: str) -> Answer:
    """The meaning of a refusal; what is in none of the lists is REJECTED."""
    lowered = text.lower()
    meant = (sent for words, sent in _WORDS.items() if words in lowered)
    return Answer(next(meant, Sent.REJECTED), text)
