"""The account that anchors, and the transactions it signs. No I/O: bytes in, bytes out."""

from __future__ import annotations

import sys
from typing import Any

import msgspec

from voketag.chain.fees import Fees
from voketag.merkle import keccak256

# The first account of every development chain that anvil or Hardhat starts, published with them.
# Whoever has it owns nothing.
DEVELOPMENT_KEY = "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80"
ANCHOR_SELECTOR = bytes.fromhex("eecdf927")  # anchor(bytes32)
# The contract that creates contracts at an address which depends on their code alone (EIP-1014).
# It stands at the same place on nearly every chain, and on anvil from the first block.
CREATOR = bytes.fromhex("4e59b44847b379578588920ca78fbf26c0b4956c")
CREATION_SALT = keccak256(b"voketag registry 1")
TRANSFER_GAS = 21_000
CREATION_GAS = 1_000_000


class Signed(msgspec.Struct, frozen=True):
    """A signed transaction: its hash is known before anyone has seen it."""

    tx_hash: bytes
    raw: bytes
    fees: Fees


class Sender:
    """A private key and what it may sign on one chain."""

    def __init__(self, private_key: str, chain_id: int) -> None:
        """`private_key` is 64 hexadecimal digits, with or without 0x."""
        self._account = _account(private_key)
        self.chain_id = chain_id
        self.address = bytes.fromhex(self._account.address[2:])

    def anchor(
        self, root: bytes, contract: bytes, *, nonce: int, fees: Fees, gas_limit: int
    ) -> Signed:
        """The transaction that anchors `root`."""
        return self._sign(contract, anchor_call(root), nonce, fees, gas_limit)

    def no_op(self, *, nonce: int, fees: Fees) -> Signed:
        """A transaction that does nothing but use up a nonce."""
        return self._sign(self.address, b"", nonce, fees, TRANSFER_GAS)

    def creation(self, code: bytes, *, nonce: int, fees: Fees) -> Signed:
        """The transaction that creates a contract at `created_address(code)`."""
        return self._sign(CREATOR, CREATION_SALT + code, nonce, fees, CREATION_GAS)

    def _sign(self, to: bytes, data: bytes, nonce: int, fees: Fees, gas_limit: int) -> Signed:
        signed = self._account.sign_transaction(
            {
                "type": 2,
                "chainId": self.chain_id,
                "nonce": nonce,
                "to": to,
                "value": 0,
                "data": data,
                "gas": gas_limit,
                "maxFeePerGas": fees.cap,
                "maxPriorityFeePerGas": fees.tip,
            }
        )
        return Signed(bytes(signed.hash), bytes(signed.raw_transaction), fees)


def _account(private_key: str) -> Any:
    """The eth_account of a key. Loaded here, for its library is large, and lifts the recursion
    limit to 100,000, at which deeply nested input overflows the C stack: that is undone.
    """
    limit = sys.getrecursionlimit()
    from eth_account import Account

    sys.setrecursionlimit(limit)
    return Account.from_key(private_key)


def anchor_call(root: bytes) -> bytes:
    """The call data of `anchor(root)`."""
    return ANCHOR_SELECTOR + root


def creation_code(bytecode: bytes, owner: bytes) -> bytes:
    """The registry's code with its one constructor argument, ABI encoded."""
    return bytecode + owner.rjust(32, b"\0")


def created_address(code: bytes) -> bytes:
    """Where `CREATOR` puts the contract of this code (EIP-1014)."""
    return keccak256(b"\xff" + CREATOR + CREATION_SALT + keccak256(code))[12:]
