"""Asking a chain, without the code under audit."""

from __future__ import annotations

from typing import Any

import aiohttp

TIMEOUT_S = 10.0


async def call(url: str, method: str, *parameters: object) -> Any:
    """The result of one JSON-RPC call. Raises OSError where nobody answers, ValueError for an
    error in the answer.
    """
    request = {"jsonrpc": "2.0", "id": 1, "method": method, "params": list(parameters)}
    timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.post(url, json=request) as response,
        ):
            answer = await response.json()
    except (aiohttp.ClientError, TimeoutError) as error:
        raise OSError(f"{method}: {type(error).__name__}: {error}") from error
    if "error" in answer:
        raise ValueError(f"{method}: {answer['error']}")
    return answer["result"]
