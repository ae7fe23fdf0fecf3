"""One transaction a batch: the root as the data of a transaction to ourselves."""

from __future__ import annotations

import http.client
import itertools
import json
import time
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import redis
from eth_account import Account

# The first account of every development chain, published with them; it owns nothing of worth.
DEVELOPMENT_KEY = "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80"
GAS = 30_000  # 22,280 are used
TIMEOUT_S = 30.0
POLL_FROM_S, POLL_TO_S = 0.005, 1.0
LOCK, LOCK_POLL_S = "lock:nonce", 0.002


class ChainError(Exception):
    """The node refused, or a transaction failed."""


@dataclass(frozen=True, slots=True)
class Anchor:
    """A transaction that is in a block."""

    tx_hash: str
    block_number: int


class Chain:
    """A node and the account that pays. The lock gives a nonce to one worker at a time."""

    def __init__(self, url: str, locks: redis.Redis) -> None:
        parts = urlsplit(url)
        self._path = parts.path or "/"
        self._http = http.client.HTTPConnection(parts.netloc, timeout=TIMEOUT_S)
        self._numbers = itertools.count(1)
        self._account = Account.from_key(DEVELOPMENT_KEY)
        self._locks = locks
        self._chain_id: int | None = None

    def anchor(self, root: bytes) -> Anchor:
        """Send `root` and wait until it is in a block. Raises ChainError, OSError, TimeoutError."""
        with self._locks.lock(LOCK, timeout=TIMEOUT_S, sleep=LOCK_POLL_S):
            tx_hash = self._send(root)
        deadline, delay_s = time.monotonic() + TIMEOUT_S, POLL_FROM_S
        while (receipt := self._ask(("eth_getTransactionReceipt", [tx_hash]))[0]) is None:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{tx_hash} is in no block after {TIMEOUT_S:g} s")
            time.sleep(delay_s)
            delay_s = min(2 * delay_s, POLL_TO_S)
        if int(receipt["status"], 16) != 1:
            raise ChainError(f"{tx_hash} failed")
        return Anchor(tx_hash, int(receipt["blockNumber"], 16))

    def _send(self, root: bytes) -> str:
        address = self._account.address
        if self._chain_id is None:
            self._chain_id = int(self._ask(("eth_chainId", []))[0], 16)
        nonce, price = self._ask(
            ("eth_getTransactionCount", [address, "pending"]), ("eth_gasPrice", [])
        )
        signed = self._account.sign_transaction(
            {
                "type": 2,
                "chainId": self._chain_id,
                "nonce": int(nonce, 16),
                "to": address,
                "value": 0,
                "data": root,
                "gas": GAS,
                "maxFeePerGas": 2 * int(price, 16),
                "maxPriorityFeePerGas": min(10**9, int(price, 16)),
            }
        )
        raw = "0x" + bytes(signed.raw_transaction).hex()
        return str(self._ask(("eth_sendRawTransaction", [raw]))[0])

    def _ask(self, *calls: tuple[str, list[Any]]) -> list[Any]:
        """The results of these calls, in one request. Raises ChainError."""
        numbered = list(zip(self._numbers, calls, strict=False))
        body = json.dumps(
            [
                {"jsonrpc": "2.0", "id": number, "method": method, "params": parameters}
                for number, (method, parameters) in numbered
            ]
        )
        try:
            self._http.request("POST", self._path, body, {"Content-Type": "application/json"})
            answers = json.loads(self._http.getresponse().read())
        except (OSError, http.client.HTTPException, ValueError):
            self._http.close()  # the next request connects anew
            raise
        results = {answer.get("id"): answer for answer in answers}
        if failed := [answer["error"] for answer in answers if "error" in answer]:
            raise ChainError(str(failed[0]))
        return [results[number]["result"] for number, _ in numbered]
