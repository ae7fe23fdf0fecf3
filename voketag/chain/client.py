"""The chain wire: Ethereum JSON-RPC, typed, with every fault of the server as Unavailable.

A server may be down, slow, behind, or lie: whatever does not look like an honest answer of the
chain that was seen first is Unavailable, so that the caller waits and asks again.
"""

from __future__ import annotations

import asyncio
import re
from typing import Literal

import msgspec

from voketag.chain.answers import Answer, Sent, understand
from voketag.chain.fees import Market
from voketag.chain.rpc import BUSY_CODES, JsonRpc, RpcError
from voketag.errors import Unavailable
from voketag.merkle import keccak256

DEVELOPMENT_CHAIN_ID = 31337
TIMEOUT_S = 10.0
ANCHORED_TOPIC = bytes.fromhex("fde54488b5523b3abf19b99976dd0e2c531fbcd233d0eb682c96c3a18cf6b3c1")
ANCHORED_AT_SELECTOR = bytes.fromhex("9591a610")  # anchoredAt(bytes32)
OWNER_SELECTOR = bytes.fromhex("8da5cb5b")  # owner()
_NOWHERE = keccak256(b"voketag: no contract stands here")[12:]
_LARGEST = 2**63 - 1  # what Postgres holds; no block, nonce, fee or amount of gas comes near it
_LAST_SECOND = 253_402_300_799  # of the year 9999
_QUANTITY = re.compile(r"0x[0-9a-fA-F]{1,64}")

Quantity = Literal["latest", "pending"] | int


class Block(msgspec.Struct, frozen=True):
    """A block: `timestamp` in Unix seconds."""

    number: int
    hash: bytes
    timestamp: int


class Receipt(msgspec.Struct, frozen=True):
    """What a transaction did. `anchored` holds (contract, root) of each Anchored event in it."""

    tx_hash: bytes
    block_number: int
    block_hash: bytes
    succeeded: bool
    gas_used: int
    anchored: tuple[tuple[bytes, bytes], ...]


class _Block(msgspec.Struct, rename="camel"):
    number: str
    hash: str
    timestamp: str


class _Log(msgspec.Struct, rename="camel"):
    address: str
    topics: list[str]
    transaction_hash: str


class _Receipt(msgspec.Struct, rename="camel"):
    transaction_hash: str
    block_number: str
    block_hash: str
    status: str
    gas_used: str
    logs: list[_Log]


class _FeeHistory(msgspec.Struct, rename="camel"):
    base_fee_per_gas: list[str]


class Chain:
    """One JSON-RPC server. Raises Unavailable for whatever is the server's fault."""

    def __init__(self, url: str, timeout_s: float = TIMEOUT_S) -> None:
        self._rpc = JsonRpc(url, timeout_s)
        self._chain_id: int | None = None

    async def close(self) -> None:
        """Close the connections."""
        await self._rpc.close()

    async def chain_id(self) -> int:
        """The chain's id. Unavailable where the server answered for another chain before.

        The first time it is asked twice: what is believed then is believed for good.
        """
        chain_id = _number(await self._rpc.ask(str, "eth_chainId"))
        if self._chain_id is None:
            again = _number(await self._rpc.ask(str, "eth_chainId"))
            if again != chain_id:
                raise Unavailable(f"chain: the server answers for chains {chain_id} and {again}")
            self._chain_id = chain_id
        if chain_id != self._chain_id:
            raise Unavailable(
                f"chain: the server answers for chain {chain_id} now; it was chain {self._chain_id}"
            )
        return chain_id

    async def head(self) -> Block:
        """The latest block, of the chain that was seen first."""
        _, block = await asyncio.gather(self.chain_id(), self.block_by_number("latest"))
        if block is None:
            raise Unavailable("chain: the server has no latest block")
        return block

    async def block_by_number(self, number: Quantity) -> Block | None:
        """A canonical block, None where the chain does not reach that far."""
        found = await self._rpc.ask(_Block | None, "eth_getBlockByNumber", _tag(number), False)
        if found is None:
            return None
        block = Block(_number(found.number), _hash(found.hash), _number(found.timestamp))
        if block.timestamp > _LAST_SECOND:
            raise Unavailable("chain: the server gives a block from after the year 9999")
        if isinstance(number, int) and block.number != number:
            raise Unavailable(f"chain: block {block.number} given for block {number}")
        return block

    async def receipt(self, tx_hash: bytes) -> Receipt | None:
        """What an included transaction did, None while it is in no block."""
        asked = _hex(tx_hash)
        found = await self._rpc.ask(_Receipt | None, "eth_getTransactionReceipt", asked)
        if found is None:
            return None
        if found.transaction_hash.lower() != asked:
            raise Unavailable("chain: the receipt of another transaction was given")
        events = [(_bytes(log.address, 20), *map(_hash, log.topics)) for log in found.logs]
        return Receipt(
            tx_hash=tx_hash,
            block_number=_number(found.block_number),
            block_hash=_hash(found.block_hash),
            succeeded=_number(found.status) == 1,
            gas_used=_number(found.gas_used),
            anchored=tuple(
                (event[0], event[2])
                for event in events
                if len(event) == 3 and event[1] == ANCHORED_TOPIC
            ),
        )

    async def send_raw(self, raw: bytes) -> Answer:
        """Hand a signed transaction to the node. After Unavailable it may have it or not."""
        try:
            tx_hash = await self._rpc.call(str, "eth_sendRawTransaction", _hex(raw))
        except RpcError as error:
            answer = understand(str(error))
            if answer.sent is Sent.REJECTED and error.code in BUSY_CODES:
                raise Unavailable(f"chain: {error}") from None
            return answer
        if _hash(tx_hash) != keccak256(raw):
            raise Unavailable("chain: the hash of another transaction was given")
        return Answer(Sent.ACCEPTED)

    async def transaction_count(self, address: bytes, at: Quantity) -> int:
        """How many nonces of `address` are used up at a block ("pending": with the node's pool)."""
        asked = (_hex(address), _tag(at))
        return _number(await self._rpc.ask(str, "eth_getTransactionCount", *asked))

    async def market(self) -> Market:
        """The base fee of the next block and the usual tip, in wei."""
        history, tip = await asyncio.gather(
            self._rpc.ask(_FeeHistory, "eth_feeHistory", "0x1", "latest", []),
            self._rpc.ask(str, "eth_maxPriorityFeePerGas"),
        )
        if not history.base_fee_per_gas:
            raise Unavailable("chain: no base fee; chains before EIP-1559 are not supported")
        return Market(_number(history.base_fee_per_gas[-1]), _number(tip))

    async def gas_estimate(self, sender: bytes, to: bytes, data: bytes) -> int | None:
        """Gas that a call takes, None where it would revert."""
        call = {"from": _hex(sender), "to": _hex(to), "data": _hex(data)}
        try:
            return _number(await self._rpc.call(str, "eth_estimateGas", call))
        except RpcError as error:
            if "revert" in str(error).lower():
                return None
            raise Unavailable(f"chain: eth_estimateGas: {error}") from None

    async def anchored_at(self, contract: bytes, root: bytes) -> int:
        """Unix seconds at which the registry anchored a root, 0 if it never did."""
        word = await self._word(contract, ANCHORED_AT_SELECTOR + root)
        return int.from_bytes(word, "big")

    async def owner(self, contract: bytes) -> bytes | None:
        """The address that may anchor, None where the contract knows no owner."""
        call = {"to": _hex(contract), "data": _hex(OWNER_SELECTOR)}
        try:
            word = await self._rpc.call(str, "eth_call", call, "latest")
        except RpcError as error:
            if "revert" in str(error).lower():
                return None
            raise Unavailable(f"chain: eth_call: {error}") from None
        return None if word == "0x" else _bytes(word, 32)[12:]

    async def anchored_by(self, contract: bytes, root: bytes) -> bytes | None:
        """The hash of the transaction that anchored a root, whoever sent it."""
        query = {
            "address": _hex(contract),
            "topics": [_hex(ANCHORED_TOPIC), _hex(root)],
            "fromBlock": "earliest",
            "toBlock": "latest",
        }
        logs = await self._rpc.ask(list[_Log], "eth_getLogs", query)
        return _hash(logs[0].transaction_hash) if logs else None

    async def run_code(self, code: bytes, data: bytes) -> bytes:
        """The 32 bytes that a contract of this code answers to a call; it stands nowhere."""
        call = {"to": _hex(_NOWHERE), "data": _hex(data)}
        placed = {_hex(_NOWHERE): {"code": _hex(code)}}
        return _bytes(await self._rpc.ask(str, "eth_call", call, "latest", placed), 32)

    async def has_code(self, address: bytes) -> bool:
        """Whether a contract stands at `address`."""
        return await self._rpc.ask(str, "eth_getCode", _hex(address), "latest") not in ("0x", "0x0")

    async def _word(self, contract: bytes, data: bytes) -> bytes:
        call = {"to": _hex(contract), "data": _hex(data)}
        return _bytes(await self._rpc.ask(str, "eth_call", call, "latest"), 32)


def _hex(value: bytes) -> str:
    return "0x" + value.hex()


def _tag(at: Quantity) -> str:
    return at if isinstance(at, str) else hex(at)


def _number(text: str) -> int:
    number = int(text, 16) if _QUANTITY.fullmatch(text) else _LARGEST + 1
    if number > _LARGEST:
        raise Unavailable("chain: the server gives something that is no number, or too large a one")
    return number


def _bytes(text: str, length: int) -> bytes:
    try:
        value = bytes.fromhex(text.removeprefix("0x"))
    except ValueError:
        value = b""
    if len(value) != length:
        raise Unavailable(f"chain: the server gives something that is not {length} bytes")
    return value


def _hash(text: str) -> bytes:
    return _bytes(text, 32)
