"""JSON-RPC 2.0 over HTTP, typed, with every fault of the server as Unavailable.

The server's URL often holds a key: it is in no error of ours, and nobody else is sent it.
"""

from __future__ import annotations

import itertools
from typing import Any, Generic, Literal, TypeVar
from urllib.parse import parse_qsl, urlsplit

import aiohttp
import msgspec

from voketag.errors import Unavailable

MOST_BYTES = 8 * 2**20  # of one answer; the hashes of a block's transactions take the most
BUSY_CODES = (-32005, -32603)  # limit exceeded, internal error: about the server, not about us
_MOST_WORDS = 500  # characters of a server's own words that are repeated

Result = TypeVar("Result")


class RpcError(Exception):
    """The server understood and refused; not seen outside the wire."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


class _Error(msgspec.Struct):
    code: int
    message: str


class _Reply(msgspec.Struct, Generic[Result]):
    jsonrpc: Literal["2.0"]
    id: int
    result: Result | msgspec.UnsetType = msgspec.UNSET
    error: _Error | None = None


class JsonRpc:
    """One server. Raises Unavailable for whatever is its fault."""

    def __init__(self, url: str, timeout_s: float) -> None:
        """`timeout_s` is for a whole call, from connecting to the last byte of the answer."""
        self._url = url
        self._secrets = _secrets(url)
        # Compressed answers are not asked for, nor understood: a small one may unfold without end.
        self._session = aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(total=timeout_s),
            headers={"Accept-Encoding": "identity"},
            auto_decompress=False,
        )
        self._ids = itertools.count(1)

    async def close(self) -> None:
        """Close the connections."""
        await self._session.close()

    async def ask(self, kind: Any, method: str, *parameters: Any) -> Any:
        """As `call`, where a refusal means that the server cannot serve us."""
        try:
            return await self.call(kind, method, *parameters)
        except RpcError as error:
            raise Unavailable(f"chain: {method}: {error}") from None

    async def call(self, kind: Any, method: str, *parameters: Any) -> Any:
        """The result of one call, of type `kind`. Raises RpcError where the server refuses.

        A library's error may repeat the URL, so it is not kept as a cause; and a redirect is not
        followed: whatever it leads to is not the server that was set.
        """
        call_id = next(self._ids)
        body = {"jsonrpc": "2.0", "id": call_id, "method": method, "params": parameters}
        try:
            async with self._session.post(self._url, json=body, allow_redirects=False) as response:
                data, status = await _read(response), response.status
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise Unavailable(f"chain: {method}: {type(error).__name__}") from None
        try:
            reply = msgspec.json.decode(data, type=_Reply[kind])
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            fault = self._without_secrets(str(error))
            raise Unavailable(f"chain: {method}: HTTP {status}, not an answer: {fault}") from None
        if reply.id != call_id:
            raise Unavailable(f"chain: {method}: HTTP {status}, an answer to something else")
        if reply.error is not None:
            words = self._without_secrets(reply.error.message)
            if status in (401, 403, 429) or status >= 500 or reply.error.code == BUSY_CODES[0]:
                raise Unavailable(f"chain: {method}: HTTP {status}, {words}")
            raise RpcError(reply.error.code, words)
        if reply.result is msgspec.UNSET or status != 200:
            raise Unavailable(f"chain: {method}: HTTP {status} without a result")
        return reply.result

    def _without_secrets(self, words: str) -> str:
        """A server's own words, cut, and without what of the URL it may have put into them."""
        for secret in self._secrets:
            words = words.replace(secret, "[withheld]")
        return words[:_MOST_WORDS]


async def _read(response: aiohttp.ClientResponse) -> bytes:
    """The body, as far as it is of a size that an answer has."""
    data = bytearray()
    async for chunk in response.content.iter_any():
        data += chunk
        if len(data) > MOST_BYTES:
            raise Unavailable(f"chain: an answer of more than {MOST_BYTES} bytes")
    return bytes(data)


def _secrets(url: str) -> list[str]:
    """What a server could repeat of a URL that nobody else is to know: all but scheme and host.

    The longest first: one may be a part of another.
    """
    parts = urlsplit(url)
    found = {parts.password, parts.username, parts.path, parts.query, parts.fragment}
    found |= {*parts.path.split("/"), *(value for _, value in parse_qsl(parts.query))}
    return sorted((text for text in found if text and len(text) > 3), key=len, reverse=True)
