"""Who may use which route of ops: a route names the least role that it needs."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import replace

from aiohttp import web

from voketag.errors import Unavailable
from voketag.http.problems import Problem
from voketag.http.routes import Handler, Route
from voketag.ops.callers import Caller, Callers
from voketag.roles import Actor, Role, allows
from voketag.tasks import end

RECHECK_EVERY_S = 5.0
CALLER = web.RequestKey("caller", Caller)


def guarded(route: Route, callers: Callers) -> Route:
    """The same route, open to those alone who have the role that it needs."""
    if route.security is None or route.security == "factory":
        return route
    endless = "text/event-stream" in route.answers.values()
    return replace(route, handler=_checked(route.handler, callers, route.security, endless))


def actor_of(request: web.Request) -> Actor:
    """Who sent a request to a guarded route."""
    return request[CALLER].actor


def _checked(handler: Handler, callers: Callers, needed: Role, endless: bool) -> Handler:
    async def checked(request: web.Request) -> web.StreamResponse:
        caller = request[CALLER] = await callers.identify(request)
        if not allows(caller.actor.role, needed):
            detail = f"This needs the role {needed}; {caller.actor.name} is {caller.actor.role}."
            raise Problem(403, "forbidden", detail)
        if not endless:
            return await handler(request)
        async with _rechecked(request, callers):
            return await handler(request)

    return checked


@contextlib.asynccontextmanager
async def _rechecked(request: web.Request, callers: Callers) -> AsyncIterator[None]:
    """Ends the connection of an answer without an end once its key or session is none any more."""
    checking = asyncio.create_task(_end_without_access(request, callers))
    try:
        yield
    finally:
        await end(checking)


async def _end_without_access(request: web.Request, callers: Callers) -> None:
    while True:
        await asyncio.sleep(RECHECK_EVERY_S)
        try:
            await callers.identify(request)
        except Problem as error:
            if error.status == 401:
                if request.transport is not None:
                    request.transport.close()
                return
        except Unavailable:
            continue  # an outage is no reason
