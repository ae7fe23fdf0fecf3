"""The chain wire against a server that is down, slow, or lies, and the words of nodes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from aiohttp import web

from tests.servers import rpc
from voketag.chain.answers import Sent, understand
from voketag.chain.client import ANCHORED_TOPIC, Chain
from voketag.errors import Unavailable
from voketag.merkle import keccak256

HASH = "0x" + "ab" * 32
BLOCK = {"number": "0x5", "hash": HASH, "timestamp": "0x64", "baseFeePerGas": "0x1"}
RECEIPT = {
    "transactionHash": HASH,
    "blockNumber": "0x5",
    "blockHash": HASH,
    "status": "0x1",
    "gasUsed": "0x5208",
    "logs": [],
}


class Liar:
    """A JSON-RPC server that answers each method as it was told to."""

    def __init__(self) -> None:
        self.url = ""
        self.results: dict[str, Any] = {"eth_chainId": "0x1"}
        self.errors: dict[str, tuple[int, str]] = {}
        self.status = 200
        self.body: bytes | None = None
        self.shift_id = 0
        self.stalled = asyncio.Event()
        self.stalled.set()

    async def answer(self, request: web.Request) -> web.Response:
        call = await request.json()
        await self.stalled.wait()
        if self.body is not None:
            return web.Response(body=self.body, status=self.status)
        reply: dict[str, Any] = {"jsonrpc": "2.0", "id": call["id"] + self.shift_id}
        method = call["method"]
        if method in self.errors:
            code, message = self.errors[method]
            reply["error"] = {"code": code, "message": message}
        elif method in self.results:
            reply["result"] = self.results[method]
        return web.json_response(reply, status=self.status)


@pytest.fixture
async def liar() -> AsyncIterator[Liar]:
    liar = Liar()
    app = web.Application()
    app.router.add_post("/", liar.answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    liar.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield liar
    liar.stalled.set()
    await runner.cleanup()


@pytest.fixture
async def chain(liar: Liar) -> AsyncIterator[Chain]:
    opened = Chain(liar.url, timeout_s=0.5)
    yield opened
    await opened.close()


Break = Callable[[Liar], None]


def put(**values: Any) -> Break:
    def apply(liar: Liar) -> None:
        for name, value in values.items():
            setattr(liar, name, value)

    return apply


def stall(liar: Liar) -> None:
    liar.stalled.clear()


BREAKS: dict[str, Break] = {
    "slow": stall,
    "500 with a page": put(status=500, body=b"<html>"),
    "503 with JSON": put(status=503),
    "429": put(status=429, errors={"eth_chainId": (-1, "too many requests")}),
    "not JSON": put(body=b"{"),
    "not UTF-8": put(body=b'{"id": 1, "result": "\xff"}'),
    "another shape": put(body=b"[]"),
    "a number for a hash": put(results={"eth_chainId": 5}),
    "not a number": put(results={"eth_chainId": "0xzz"}),
    "null": put(results={"eth_chainId": None}),
    "neither result nor error": put(results={}),
    "the answer to another call": put(shift_id=1),
    "limit exceeded": put(errors={"eth_chainId": (-32005, "limit exceeded")}),
    "refused": put(errors={"eth_chainId": (-32601, "no such method")}),
}


@pytest.mark.parametrize("how", BREAKS)
async def test_f43_whatever_is_no_answer_is_unavailable(liar: Liar, chain: Chain, how: str) -> None:
    assert await chain.chain_id() == 1
    BREAKS[how](liar)
    with pytest.raises(Unavailable):
        await chain.chain_id()


async def test_f43_down() -> None:
    server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()
    chain = Chain(f"http://127.0.0.1:{port}/with-a-secret-key", timeout_s=0.5)
    with pytest.raises(Unavailable) as raised:
        await chain.head()
    assert "secret" not in str(raised.value)
    await chain.close()


async def test_f43_another_chain_id_in_the_middle(liar: Liar, chain: Chain) -> None:
    liar.results["eth_getBlockByNumber"] = BLOCK
    assert (await chain.head()).number == 5
    liar.results["eth_chainId"] = "0x2"
    with pytest.raises(Unavailable, match="answers for chain 2 now; it was chain 1"):
        await chain.head()
    liar.results["eth_chainId"] = "0x1"
    assert (await chain.head()).number == 5


Ask = Callable[[Chain], Awaitable[object]]
LIES: dict[str, tuple[str, object, Ask]] = {
    "a receipt without a block": (
        "eth_getTransactionReceipt",
        RECEIPT | {"blockNumber": None, "blockHash": None},
        lambda chain: chain.receipt(bytes.fromhex(HASH[2:])),
    ),
    "a receipt without a block hash": (
        "eth_getTransactionReceipt",
        {name: value for name, value in RECEIPT.items() if name != "blockHash"},
        lambda chain: chain.receipt(bytes.fromhex(HASH[2:])),
    ),
    "the receipt of another transaction": (
        "eth_getTransactionReceipt",
        RECEIPT,
        lambda chain: chain.receipt(bytes(32)),
    ),
    "another block": ("eth_getBlockByNumber", BLOCK, lambda chain: chain.block_by_number(6)),
    "a block with half a hash": (
        "eth_getBlockByNumber",
        BLOCK | {"hash": "0xab"},
        lambda chain: chain.block_by_number(5),
    ),
    "no latest block": ("eth_getBlockByNumber", None, lambda chain: chain.head()),
    "the hash of another transaction": (
        "eth_sendRawTransaction",
        HASH,
        lambda chain: chain.send_raw(b"raw"),
    ),
    "no base fee": ("eth_feeHistory", {"baseFeePerGas": []}, lambda chain: chain.market()),
    "an empty word": ("eth_call", "0x", lambda chain: chain.anchored_at(bytes(20), bytes(32))),
}


@pytest.mark.parametrize("lie", LIES)
async def test_f43_lies_are_unavailable(liar: Liar, chain: Chain, lie: str) -> None:
    method, result, ask = LIES[lie]
    liar.results |= {"eth_maxPriorityFeePerGas": "0x1", method: result}
    with pytest.raises(Unavailable):
        await ask(chain)


async def test_what_is_not_there_is_none(liar: Liar, chain: Chain) -> None:
    liar.results |= {"eth_getTransactionReceipt": None, "eth_getBlockByNumber": None}
    assert await chain.receipt(bytes(32)) is None
    assert await chain.block_by_number(7) is None


async def test_a_receipt_tells_what_was_anchored(liar: Liar, chain: Chain) -> None:
    contract, root = b"\x01" * 20, b"\x02" * 32
    ours = {
        "address": "0x" + contract.hex(),
        "topics": ["0x" + ANCHORED_TOPIC.hex(), "0x" + root.hex()],
        "transactionHash": HASH,
    }
    others = [ours | {"topics": [HASH, HASH]}, ours | {"topics": []}]
    liar.results["eth_getTransactionReceipt"] = RECEIPT | {"logs": [*others, ours]}
    receipt = await chain.receipt(bytes.fromhex(HASH[2:]))
    assert receipt is not None
    assert receipt.anchored == ((contract, root),)


async def test_answers_to_a_raw_transaction(liar: Liar, chain: Chain) -> None:
    liar.results["eth_sendRawTransaction"] = "0x" + keccak256(b"raw").hex()
    assert (await chain.send_raw(b"raw")).sent is Sent.ACCEPTED
    liar.errors["eth_sendRawTransaction"] = (-32000, "already known")
    assert (await chain.send_raw(b"raw")).sent is Sent.ALREADY_KNOWN
    liar.errors["eth_sendRawTransaction"] = (-32000, "insufficient funds for gas * price + value")
    answer = await chain.send_raw(b"raw")
    assert (answer.sent, answer.text) == (
        Sent.NO_FUNDS,
        "insufficient funds for gas * price + value",
    )
    liar.errors["eth_sendRawTransaction"] = (-32603, "internal error")
    with pytest.raises(Unavailable):
        await chain.send_raw(b"raw")


@pytest.mark.parametrize(
    ("text", "sent"),
    [
        ("already known", Sent.ALREADY_KNOWN),  # geth
        ("ALREADY_EXISTS: already known", Sent.ALREADY_KNOWN),  # erigon
        ("AlreadyKnown", Sent.ALREADY_KNOWN),  # nethermind
        ("transaction already imported", Sent.ALREADY_KNOWN),  # anvil
        ("Known transaction: 0xabc", Sent.ALREADY_KNOWN),  # geth before 1.9.20
        ("nonce too low: next nonce 5, tx nonce 4", Sent.NONCE_TOO_LOW),  # geth
        ("OldNonce", Sent.NONCE_TOO_LOW),  # nethermind
        ("Nonce too low", Sent.NONCE_TOO_LOW),  # besu
        ("replacement transaction underpriced", Sent.UNDERPRICED),  # geth
        ("max fee per gas less than block base fee: address 0x", Sent.UNDERPRICED),  # geth
        ("FeeTooLow", Sent.UNDERPRICED),  # nethermind
        ("Gas price below configured minimum gas price", Sent.UNDERPRICED),  # besu
        ("unknown transaction type", Sent.REJECTED),
        ("insufficient funds for gas * price + value: balance 0", Sent.NO_FUNDS),  # geth
        ("InsufficientFunds, Account balance is 0", Sent.NO_FUNDS),  # nethermind
        ("Upfront cost exceeds account balance", Sent.NO_FUNDS),  # besu
        ("exceeds block gas limit", Sent.REJECTED),
    ],
)
def test_f42_the_words_of_nodes(text: str, sent: Sent) -> None:
    assert understand(text).sent is sent


async def test_a_real_chain(chain_url: str) -> None:
    chain = Chain(chain_url)
    assert await chain.chain_id() == 31337
    head = await chain.head()
    assert head.number == 0
    assert await chain.block_by_number(0) == head
    assert await chain.block_by_number(1) is None
    await rpc(chain_url, "evm_mine")
    assert (await chain.head()).number == 1
    market = await chain.market()
    assert market.base_fee > 0
    assert market.tip > 0
    assert await chain.receipt(bytes(32)) is None
    await chain.close()
