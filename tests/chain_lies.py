"""The faults of a chain's server that look like honest answers, entered into FAULTS."""

from __future__ import annotations

from collections.abc import Callable

from aiohttp import web

from tests.chain_faults import FAULTS, Exchange, Reply, fault
from voketag.chain.client import ANCHORED_TOPIC
from voketag.merkle import keccak256

STRANGE_HASH = "0x" + "ee" * 32


# ---------------------------------------------------------------------- lies about the chain


@fault("another chain", "eth_chainId")
async def _another_chain(exchange: Exchange) -> web.StreamResponse:
    return exchange.result("0xaa36a7")


@fault("head backwards", "eth_getBlockByNumber")
async def _head_backwards(exchange: Exchange) -> web.StreamResponse:
    """Asked for the latest block, an older one is given."""
    if exchange.call["params"][0] != "latest":
        return exchange.answer(await exchange.honest())
    head = int(await exchange.proxy.ask("eth_blockNumber"), 16)
    number = hex(max(head - exchange.proxy.lag_blocks, 0))
    return exchange.result(await exchange.proxy.ask("eth_getBlockByNumber", number, False))


@fault("head in the future", "eth_getBlockByNumber")
async def _head_in_the_future(exchange: Exchange) -> web.StreamResponse:
    reply = await exchange.honest()
    if exchange.call["params"][0] == "latest":
        number = int(reply["result"]["number"], 16) + 1_000_000
        reply["result"] |= {"number": hex(number), "hash": STRANGE_HASH}
    return exchange.answer(reply)


@fault("another block", "eth_getBlockByNumber")
async def _another_block(exchange: Exchange) -> web.StreamResponse:
    reply = await exchange.honest()
    if reply["result"] is not None:
        reply["result"]["hash"] = STRANGE_HASH
    return exchange.answer(reply)


@fault(
    "lagging",
    *("eth_getBlockByNumber", "eth_getTransactionReceipt", "eth_getTransactionCount"),
    *("eth_call", "eth_getCode"),
)
async def _lagging(exchange: Exchange) -> web.StreamResponse:
    """What a server that is `lag_blocks` behind would say."""
    head = int(await exchange.proxy.ask("eth_blockNumber"), 16)
    seen = max(head - exchange.proxy.lag_blocks, 0)
    if exchange.method == "eth_getTransactionReceipt":
        reply = await exchange.honest()
        found = reply["result"]
        ahead = found is not None and int(found["blockNumber"], 16) > seen
        return exchange.answer({**reply, "result": None} if ahead else reply)
    parameters = list(exchange.call["params"])
    place = 0 if exchange.method == "eth_getBlockByNumber" else 1
    if parameters[place] in ("latest", "pending"):
        parameters[place] = hex(seen)
    elif int(parameters[place], 16) > seen:
        return exchange.result(None)
    call = {**exchange.call, "params": parameters}
    return exchange.answer(await exchange.proxy.forward(call))


# ---------------------------------------------------------------------- lies about the account


@fault("nonce too low", "eth_getTransactionCount")
async def _count_too_low(exchange: Exchange) -> web.StreamResponse:
    count = int((await exchange.honest())["result"], 16)
    return exchange.result(hex(max(count - 3, 0)))


@fault("nonce too high", "eth_getTransactionCount")
async def _count_too_high(exchange: Exchange) -> web.StreamResponse:
    count = int((await exchange.honest())["result"], 16)
    return exchange.result(hex(count + 1_000_000_000))


@fault("fees beyond reason", "eth_feeHistory", "eth_maxPriorityFeePerGas", "eth_estimateGas")
async def _fees_beyond_reason(exchange: Exchange) -> web.StreamResponse:
    most = hex(2**62)
    fees = {"baseFeePerGas": [most, most], "oldestBlock": "0x0", "gasUsedRatio": [0.5]}
    return exchange.result(fees if exchange.method == "eth_feeHistory" else most)


# ---------------------------------------------------------------------- lies about a receipt


def _receipt_lie(name: str, change: Callable[[Reply], Reply]) -> None:
    @fault(name, "eth_getTransactionReceipt")
    async def lie(exchange: Exchange) -> web.StreamResponse:
        reply = await exchange.honest()
        if reply["result"] is not None:
            reply["result"] = change(reply["result"])
        return exchange.answer(reply)


_receipt_lie("no block hash", lambda receipt: receipt | {"blockHash": None})
_receipt_lie("another block's receipt", lambda receipt: receipt | {"blockHash": STRANGE_HASH})
_receipt_lie("another's receipt", lambda receipt: receipt | {"transactionHash": STRANGE_HASH})
_receipt_lie("reverted", lambda receipt: receipt | {"status": "0x0", "logs": []})
_receipt_lie("no event", lambda receipt: receipt | {"logs": []})


@fault("made-up receipt", "eth_getTransactionReceipt")
async def _made_up_receipt(exchange: Exchange) -> web.StreamResponse:
    """For a call of `anchor(root)` that is in no block: it took effect in the latest one."""
    reply = await exchange.honest()
    if reply["result"] is None:
        tx_hash = exchange.call["params"][0]
        sent = await exchange.proxy.ask("eth_getTransactionByHash", tx_hash)
        block = await exchange.proxy.ask("eth_getBlockByNumber", "latest", False)
        if sent is not None:
            topics = ["0x" + ANCHORED_TOPIC.hex(), "0x" + sent["input"][10:]]
            event = {"address": sent["to"], "topics": topics, "transactionHash": tx_hash}
            reply["result"] = {
                "transactionHash": tx_hash,
                "blockNumber": block["number"],
                "blockHash": block["hash"],
                "status": "0x1",
                "gasUsed": "0xb14b",
                "logs": [event],
            }
    return exchange.answer(reply)


@fault("no receipt", "eth_getTransactionReceipt")
async def _no_receipt(exchange: Exchange) -> web.StreamResponse:
    return exchange.result(None)


# ---------------------------------------------------------------------- lies about a broadcast


def _broadcast_lie(name: str, message: str, *, passed_on: bool) -> None:
    @fault(name, "eth_sendRawTransaction")
    async def lie(exchange: Exchange) -> web.StreamResponse:
        if passed_on:
            await exchange.honest()
        return exchange.refuse(message)


_broadcast_lie("already known, but not", "already known", passed_on=False)
_broadcast_lie("nonce too low, but taken", "nonce too low", passed_on=True)
_broadcast_lie("nonce too low, but not", "nonce too low", passed_on=False)
_broadcast_lie("underpriced", "replacement transaction underpriced", passed_on=False)
_broadcast_lie("underpriced, but taken", "transaction underpriced", passed_on=True)
_broadcast_lie("no funds", "insufficient funds for gas * price + value", passed_on=False)
_broadcast_lie("refused, but taken", "execution reverted", passed_on=True)


@fault("taken, but not", "eth_sendRawTransaction")
async def _taken_but_not(exchange: Exchange) -> web.StreamResponse:
    """A node that loses what it was given, having said its hash."""
    raw = bytes.fromhex(exchange.call["params"][0][2:])
    return exchange.result("0x" + keccak256(raw).hex())


LIES = tuple(name for name, entered in FAULTS.items() if entered.methods)
