"""The load generator counts what the server saw, and a latency from when its scan was due."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import AsyncIterator, Callable
from uuid import UUID

import pytest
from aiohttp import web

from benchmarks.load import running, scans
from benchmarks.load.driving import LoadFailed, drive
from benchmarks.load.orders import Load

TOKENS = [f"TOKEN-{number:03}" for number in range(40)]
PAUSE_S = 0.2


class Server:
    """Answers scans, and keeps what they said."""

    def __init__(self) -> None:
        self.url = ""
        self.bodies: list[dict[str, object]] = []
        self.seen = 0
        self.status: Callable[[int], int] = lambda _: 200
        self.pause_at = -1  # the request at which the whole server stalls

    async def post(self, request: web.Request) -> web.StreamResponse:
        number, self.seen = self.seen, self.seen + 1
        self.bodies.append(await request.json())
        if number == self.pause_at:
            time.sleep(PAUSE_S)  # noqa: ASYNC251  # no other request is answered meanwhile
        status = self.status(number)
        if status == 0:
            assert request.transport is not None
            request.transport.abort()
        return web.json_response({"verdict": "authentic"}, status=status or 500)


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    server = Server()
    app = web.Application()
    app.router.add_post("/v1/scans", server.post)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0]
    server.url = f"http://{host}:{port}/v1/scans"
    yield server
    await runner.cleanup()


async def test_a_closed_load_counts_what_the_server_saw(server: Server) -> None:
    load = Load(url=server.url, tokens=TOKENS, connections=8, for_s=0.5)
    measured = await drive(load)
    assert measured.sent == measured.ok == server.seen > 100
    assert (measured.broken, measured.unanswered, measured.failed) == (0, 0, 0)
    assert 0 < measured.p50_ms <= measured.p95_ms <= measured.p99_ms <= measured.max_ms
    assert measured.duration_s == pytest.approx(0.5, abs=0.4)
    assert measured.per_s == pytest.approx(measured.ok / measured.duration_s)
    assert measured.cpu_s > 0


async def test_a_closed_load_is_bounded_by_count_and_scans_each_product_as_often(
    server: Server,
) -> None:
    load = Load(
        url=server.url, tokens=TOKENS, connections=5, for_s=30, requests_max=2 * len(TOKENS)
    )
    measured = await drive(load)
    assert measured.sent == server.seen == 2 * len(TOKENS)
    tokens = sorted(str(body["token"]) for body in server.bodies)
    assert tokens == sorted(2 * TOKENS)
    devices = {json.dumps(body["device"]) for body in server.bodies}
    assert len(devices) > len(TOKENS)


async def test_an_open_load_sends_what_is_due_and_no_more(server: Server) -> None:
    load = Load(url=server.url, tokens=TOKENS, connections=8, for_s=0.5, per_s=400)
    measured = await drive(load)
    assert measured.sent == measured.ok == server.seen == 200
    assert measured.duration_s >= 199 / 400


async def test_an_open_load_counts_the_scans_that_a_stall_kept_waiting(server: Server) -> None:
    server.pause_at = 100
    # Two connections: two scans are in flight during the stall, and a hundred more are due.
    load = Load(url=server.url, tokens=TOKENS, connections=2, for_s=1.0, per_s=500)
    measured = await drive(load)
    assert measured.sent == measured.ok == 500
    assert measured.max_ms >= 1000 * PAUSE_S
    assert measured.p99_ms >= 800 * PAUSE_S
    assert measured.p95_ms >= 500 * PAUSE_S


async def test_answers_are_counted_by_status_and_broken_ones_apart(server: Server) -> None:
    server.status = lambda number: (200, 503, 0)[number % 3]
    load = Load(url=server.url, tokens=TOKENS, connections=1, for_s=10, requests_max=30)
    measured = await drive(load)
    assert measured.statuses == {"200": 10, "503": 10}
    assert (measured.broken, measured.unanswered) == (10, 0)
    assert (measured.ok, measured.failed) == (10, 20)


@pytest.mark.parametrize("per_s", [None, 50.0])
async def test_what_is_never_answered_is_counted(per_s: float | None) -> None:
    # The kernel accepts connections for it, and nobody ever reads from them.
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        load = Load(
            url=f"http://127.0.0.1:{port}/v1/scans",
            tokens=TOKENS,
            connections=3,
            for_s=0.2,
            per_s=per_s,
            answer_within_s=0.3,
        )
        measured = await running.run(load, scans.requests(load))
    assert measured.sent == 3
    assert measured.unanswered == (3 if per_s is None else 10)
    assert measured.statuses == {}


async def test_a_share_of_the_scans_names_its_id(server: Server) -> None:
    load = Load(
        url=server.url,
        tokens=TOKENS,
        connections=4,
        for_s=30,
        requests_max=600,
        named_share=0.3,
        distinct=200,
    )
    measured = await drive(load)
    assert measured.ok == 600
    named = [UUID(str(body["scan_id"])) for body in server.bodies if "scan_id" in body]
    assert 100 < len(named) < 260
    assert len(set(named)) == len(named)
    assert {scan_id.version for scan_id in named} == {7}


async def test_where_nothing_listens_the_load_fails() -> None:
    load = Load(url="http://127.0.0.1:9/v1/scans", tokens=TOKENS, connections=1, for_s=1)
    with pytest.raises(LoadFailed, match="ConnectionRefusedError"):
        await drive(load)


async def test_where_nothing_is_answered_with_200_the_load_fails(server: Server) -> None:
    server.status = lambda _: 503
    load = Load(url=server.url, tokens=TOKENS, connections=1, for_s=1, requests_max=3)
    with pytest.raises(LoadFailed, match="none of 3 scans was answered with 200"):
        await drive(load)
