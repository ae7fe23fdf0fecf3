"""What the clients have in common: one service's address, connections, attempts and time."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Self, TypeVar
from urllib.parse import quote
from uuid import UUID

import aiohttp
import msgspec

from voketag.client.errors import ApiError, ProblemError, TransportError, UnexpectedAnswer
from voketag.client.retries import Backoff, Patience, may_repeat, retry_after_s

TIMEOUT_S = 30.0
ATTEMPT_TIMEOUT_S = 10.0
LEAST_S = 0.05
USER_AGENT = "voketag-python"
SHOWN_OF_AN_ERROR = 200  # characters of an answer that is no problem of ours
Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class Call:
    """One request. `repeatable`: it is done once, however often it is sent."""

    method: str
    path: str
    repeatable: bool = True
    body: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer that is no error."""

    asked: str
    status: int
    body: bytes

    def as_a(self, kind: type[Value]) -> Value:
        """The body as a value. Raises UnexpectedAnswer where it is none of this type."""
        try:
            return msgspec.json.decode(self.body, type=kind)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            name = getattr(kind, "__name__", str(kind))
            raise UnexpectedAnswer(f"{self.asked}: not a {name}: {error}") from error


class HttpClient:
    """A client of one service: an async context manager, or closed by `close`.

    - `timeout_s` bounds a call with all its attempts, `attempt_timeout_s` each of them.
    - `retries` False: each call is one attempt.
    - `session` is one to share, which stays open; without it the client has its own.
    - `user_agent` names your program. Who scans for people gives their app's: a program that
      scans is a mild reason for suspicion.
    """

    def __init__(
        self,
        url: str,
        key: str | None = None,
        *,
        timeout_s: float = TIMEOUT_S,
        attempt_timeout_s: float = ATTEMPT_TIMEOUT_S,
        retries: bool = True,
        backoff: Backoff | None = None,
        user_agent: str = USER_AGENT,
        session: aiohttp.ClientSession | None = None,
    ) -> None:
        self.url = url.rstrip("/")
        self._headers = {"User-Agent": user_agent}
        if key is not None:
            self._headers["Authorization"] = f"Bearer {key}"
        self._timeout_s = timeout_s
        self._attempt_timeout_s = attempt_timeout_s
        self._retries = retries
        self._backoff = backoff or Backoff()
        self._session = session
        self._own_session = session is None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections, if they are the client's own."""
        if self._own_session and self._session is not None:
            await self._session.close()
            self._session = None

    async def ready(self) -> None:
        """Ask once whether the service's own servers answer; raises ApiError where not."""
        await self._attempt(Call("GET", "/readyz"), self._attempt_timeout_s)

    async def ask(self, call: Call) -> Answer:
        """The answer to a request, sent again where that may help: for what has no method of its
        own. Raises ApiError.
        """

        async def attempt(timeout_s: float) -> Answer:
            return await self._attempt(call, timeout_s)

        return await self._retried(call, self._patience(), attempt)

    # ------------------------------------------------------------------ attempts

    def _patience(self) -> Patience:
        return Patience(self._timeout_s, self._backoff)

    async def _retried(
        self, call: Call, patience: Patience, attempt: Callable[[float], Awaitable[Value]]
    ) -> Value:
        """What `attempt` gives in the end; it is told how many seconds it has."""
        while True:
            try:
                return await attempt(min(patience.left_s, self._attempt_timeout_s))
            except ApiError as error:
                await self._pause(call, patience, error)

    async def _pause(self, call: Call, patience: Patience, error: ApiError) -> None:
        """Wait before another attempt; raises the error where there is to be none."""
        wait_s = None
        if self._retries and may_repeat(error, repeatable=call.repeatable):
            wait_s = patience.wait_s(error)
        if wait_s is None:
            raise error
        await asyncio.sleep(wait_s)

    async def _attempt(self, call: Call, timeout_s: float) -> Answer:
        within = aiohttp.ClientTimeout(total=max(timeout_s, LEAST_S))  # 0 would be for ever
        async with self._sent(call, within) as response:
            asked = f"{call.method} {self.url}{call.path}"
            return Answer(asked, response.status, await response.read())

    @contextlib.asynccontextmanager
    async def _sent(
        self, call: Call, within: aiohttp.ClientTimeout
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """Send a request once; gives the answer while its body is still to be read.

        Raises ProblemError for one that is an error, and TransportError where it does not come,
        or its body is cut off.
        """
        asked = f"{call.method} {self.url}{call.path}"
        if self._session is None:
            self._session = aiohttp.ClientSession()
        headers = {**self._headers, **call.headers}
        if call.body is not None:
            headers["Content-Type"] = "application/json"
        try:
            async with self._session.request(
                call.method,
                self.url + call.path,
                data=call.body,
                headers=headers,
                params=call.query,
                timeout=within,
                allow_redirects=False,  # a key must not be told to another server
            ) as response:
                if response.status >= 300:
                    raise _problem(asked, response, await response.read())
                yield response
        except aiohttp.ClientConnectorError as error:
            raise TransportError(asked, error, sent=False) from error
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise TransportError(asked, error, sent=True) from error


def segment(value: UUID | str) -> str:
    """A value as one segment of a path."""
    return quote(str(value), safe="")


def encoded(body: Mapping[str, Any]) -> bytes:
    """The JSON of a body, without what is None."""
    return msgspec.json.encode({name: value for name, value in body.items() if value is not None})


def _problem(asked: str, response: aiohttp.ClientResponse, body: bytes) -> ProblemError:
    """The error that an answer stands for; one that is no problem of ours is shown as it came."""
    try:
        told = msgspec.json.decode(body, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError):
        told = {}
    shown = body[:SHOWN_OF_AN_ERROR].decode(errors="replace").strip()
    return ProblemError(
        asked,
        response.status,
        str(told.get("code", "")),
        str(told.get("detail", shown)),
        field=told.get("field"),
        request_id=response.headers.get("X-Request-Id"),
        retry_after_s=retry_after_s(response.headers.get("Retry-After"), datetime.now(UTC)),
    )
