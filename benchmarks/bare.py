"""`python -m benchmarks.bare PORT`: the ceiling of an aiohttp process, which reads a body and
answers 200 and does nothing else.
"""

from __future__ import annotations

import sys

import uvloop
from aiohttp import web

ANSWER = b'{"scan_id":"00000000-0000-7000-8000-000000000000","verdict":"authentic"}'


async def _post(request: web.Request) -> web.Response:
    await request.read()
    return web.Response(body=ANSWER, content_type="application/json")


def main() -> None:
    """Serve on a loopback port until SIGTERM."""
    app = web.Application()
    app.router.add_post("/v1/scans", _post)
    loop = uvloop.new_event_loop()
    web.run_app(
        app, host="127.0.0.1", port=int(sys.argv[1]), print=None, access_log=None, loop=loop
    )


if __name__ == "__main__":
    main()
