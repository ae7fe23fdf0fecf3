"""Who is calling ops: the holder of the admin key, an operator with a key, or either in a session.

Keys and sessions are looked up for each request, so that what is revoked stops working at once.
While Postgres does not answer, what was right when it last did goes on reading: an outage is when
the dashboard is needed most. Who signs in with the admin key meanwhile is remembered in this
process alone.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import hmac
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import NoReturn, TypeVar
from uuid import UUID

import msgspec
import structlog
from aiohttp import hdrs, web

from voketag import keys
from voketag.errors import Unavailable
from voketag.http.guesses import GUESSES
from voketag.http.problems import unauthorised
from voketag.http.requests import bearer
from voketag.ops import session_cookie
from voketag.process import Wires
from voketag.records import audit, operators, sessions
from voketag.records.database import Connection
from voketag.roles import ADMIN, Actor

SAFE_METHODS = (hdrs.METH_GET, hdrs.METH_HEAD)
TIMEOUT_S = 2.0
REMEMBERED_MOST = 1000
WITHOUT_POSTGRES = timedelta(minutes=15)
Found = TypeVar("Found")
log = structlog.get_logger()


class Caller(msgspec.Struct, frozen=True):
    """Who is calling. `expires_at` is the end of a session, None with a key; `session_id` is None
    with a key too, and for a session that only this process knows of.
    """

    actor: Actor
    expires_at: datetime | None = None
    session_id: UUID | None = None


class Callers:
    """Tells who is calling, over the wires of one process."""

    def __init__(self, wires: Wires) -> None:
        self._database = wires.database
        self._admin_key = wires.settings.admin_key.encode()
        self._lifetime = timedelta(seconds=wires.settings.session_s)
        # By digest of key or token: whose it was when Postgres said so, and until when that holds.
        self._remembered: OrderedDict[bytes, tuple[Caller, datetime]] = OrderedDict()

    async def identify(self, request: web.Request) -> Caller:
        """Who sent a request. Raises Problem 401, Problem 429 where its address has guessed keys
        too often, Problem 403 for a change that another site asked for in a session's name, and
        Unavailable.
        """
        if hdrs.AUTHORIZATION in request.headers:
            return await self.of_key(request, bearer(request))
        token = session_cookie.read(request)
        if token is None:
            raise unauthorised("Sign in, or send Authorization: Bearer <key>.")
        caller = await self._of_session(request, token)
        if request.method not in SAFE_METHODS:
            session_cookie.refuse_forged(request)
        return caller

    async def of_key(self, request: web.Request, given: str) -> Caller:
        """Whose key it is. Raises as `identify` does."""
        request.app[GUESSES].refuse(request)
        if hmac.compare_digest(given.encode("utf-8", "surrogateescape"), self._admin_key):
            return Caller(ADMIN)
        key = keys.parse(given, keys.OPERATOR)
        if key is None:
            self._refuse_guess(request, "This is neither the admin key nor an operator's key.")
        digest = keys.digest(key)
        operator = await self._look_up(request, digest, operators.operator_of_key)
        if isinstance(operator, Caller):
            return operator
        if operator is None:
            self._refuse_guess(request, "This operator's key is unknown.")
        if operator.revoked_at is not None:
            raise self._forgotten(digest, "This operator's key is revoked.")
        return self._remember(digest, Caller(operator.actor))

    async def _of_session(self, request: web.Request, given: str) -> Caller:
        request.app[GUESSES].refuse(request)
        token = keys.parse(given, keys.SESSION)
        if token is None:
            self._refuse_guess(request, "This is no session: sign in.")
        digest = keys.digest(token)
        session = await self._look_up(request, digest, sessions.find_session)
        if isinstance(session, Caller):
            return session
        if session is None:
            if self._remembered.pop(digest, None) is None:
                request.app[GUESSES].note(request)
            raise unauthorised("This session is unknown: sign in.")
        actor = self._actor_of(session, token)
        if actor is None or session.over or session.expires_at <= datetime.now(UTC):
            raise self._forgotten(digest, "This session is over: sign in again.")
        return self._remember(digest, Caller(actor, session.expires_at, session.session_id))

    def _actor_of(self, session: sessions.Session, token: str) -> Actor | None:
        if session.admin_proof is None:
            return session.actor
        same = hmac.compare_digest(session.admin_proof, self._admin_proof(token))
        return ADMIN if same else None

    # ------------------------------------------------------------------ signing in and out

    async def sign_in(self, request: web.Request, key: str) -> tuple[Caller, str]:
        """Open a session for whose key it is; gives it and its token. Raises as `identify` does."""
        owner = await self.of_key(request, key)
        token, now = keys.mint(keys.SESSION), datetime.now(UTC)
        expires_at, operator_id = now + self._lifetime, owner.actor.operator_id
        proof = self._admin_proof(token) if operator_id is None else None
        digest = keys.digest(token)
        try:
            async with _in_time(), self._database.transaction() as connection:
                session_id = await sessions.open_session(
                    connection, digest, operator_id, proof, expires_at
                )
                await audit.note(connection, owner.actor, "session.sign_in", session_id)
        except Unavailable as error:
            if operator_id is not None:
                raise
            log.warning("signed in without Postgres", actor=ADMIN.name, error=str(error))
            expires_at = min(expires_at, now + WITHOUT_POSTGRES)
            return self._remember(digest, Caller(ADMIN, expires_at)), token
        return self._remember(digest, Caller(owner.actor, expires_at, session_id)), token

    async def sign_out(self, request: web.Request) -> None:
        """End the session of a request, if it is in one. Raises Problem 403, Problem 429, and
        Unavailable.
        """
        given = session_cookie.read(request)
        token = None if given is None else keys.parse(given, keys.SESSION)
        if token is None:
            return
        session_cookie.refuse_forged(request)
        request.app[GUESSES].refuse(request)
        digest = keys.digest(token)
        self._remembered.pop(digest, None)
        async with _in_time(), self._database.transaction() as connection:
            session = await sessions.find_session(connection, digest)
            actor = None if session is None else self._actor_of(session, token)
            if session is None or actor is None:
                return
            if await sessions.end_session(connection, session.session_id):
                await audit.note(connection, actor, "session.sign_out", session.session_id)

    def _admin_proof(self, token: str) -> bytes:
        return hmac.digest(token.encode(), self._admin_key, hashlib.sha256)

    # ------------------------------------------------------------------ looking up

    async def _look_up(
        self,
        request: web.Request,
        digest: bytes,
        ask: Callable[[Connection, bytes], Awaitable[Found]],
    ) -> Found | Caller:
        """What Postgres says of a digest, or who it was when it last said so."""
        try:
            async with _in_time(), self._database.connection() as connection:
                return await ask(connection, digest)
        except Unavailable:
            caller, until = self._remembered.get(digest, (None, datetime.now(UTC)))
            if caller is None or until <= datetime.now(UTC) or request.method not in SAFE_METHODS:
                raise
            return caller

    def _remember(self, digest: bytes, caller: Caller) -> Caller:
        until = caller.expires_at or datetime.now(UTC) + self._lifetime
        self._remembered[digest] = (caller, until)
        self._remembered.move_to_end(digest)
        if len(self._remembered) > REMEMBERED_MOST:
            self._remembered.popitem(last=False)
        return caller

    def _forgotten(self, digest: bytes, detail: str) -> Exception:
        self._remembered.pop(digest, None)
        return unauthorised(detail)

    def _refuse_guess(self, request: web.Request, detail: str) -> NoReturn:
        request.app[GUESSES].note(request)
        raise unauthorised(detail)


@contextlib.asynccontextmanager
async def _in_time() -> AsyncIterator[None]:
    """Somebody waits in front of a screen. Raises Unavailable."""
    try:
        async with asyncio.timeout(TIMEOUT_S):
            yield
    except TimeoutError:
        raise Unavailable(f"postgres: no answer in {TIMEOUT_S:g} s") from None
