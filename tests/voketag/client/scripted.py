"""A service that answers as it is told, for answers that no service of ours gives at will."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field

from aiohttp import web


@dataclass
class Scripted:
    """Answers each request with the next of `answers` (status, headers, body), and counts."""

    answers: list[tuple[int, Mapping[str, str], bytes]]
    url: str = ""
    seen: list[tuple[str, str]] = field(default_factory=list)

    async def answer(self, request: web.Request) -> web.Response:
        await request.read()
        self.seen.append((request.method, request.path))
        status, headers, body = self.answers.pop(0)
        return web.Response(status=status, headers=headers, body=body)


@contextlib.asynccontextmanager
async def scripted(*answers: tuple[int, Mapping[str, str], bytes]) -> AsyncIterator[Scripted]:
    service = Scripted(list(answers))
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", service.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        service.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        yield service
    finally:
        await runner.cleanup()
