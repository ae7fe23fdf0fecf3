"""The ops service through its HTTP door, on real servers: who may, metrics, outages."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.administration import UNKNOWN, Admin, admin_on
from tests.factory_floor import until
from tests.servers import Servers


@pytest.fixture
async def admin(redis_url: str, database_url: str) -> AsyncIterator[Admin]:
    async with admin_on(redis_url, database_url) as opened:
        yield opened


async def test_everything_but_health_metrics_and_signing_in_needs_a_key(
    admin: Admin,
) -> None:
    document = await admin.ask("GET", "/openapi.json", headers={})
    open_to_all = {
        (method.upper(), path)
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
        if "security" not in operation
    }
    signing = {("POST", "/v1/session"), ("DELETE", "/v1/session")}
    assert open_to_all == signing | {("GET", path) for path in ("/healthz", "/readyz", "/metrics")}
    wrong: tuple[dict[str, str], ...] = (
        {},
        {"Authorization": "Bearer " + "x" * 34},
        {"Authorization": f"Bearer {admin.wires.settings.admin_key}x"},
        {"Authorization": f"Basic {admin.wires.settings.admin_key}"},
        {"Authorization": "Bearer \u00e9\u00e8"},
    )
    for path, operations in document["paths"].items():
        asked = path.format(id=UNKNOWN, stream="roots", entry_id="1-1")
        for method in map(str.upper, operations):
            for headers in wrong if (method, path) not in open_to_all else ():
                answer = await admin.ask(method, asked, None, 401, headers=headers)
                assert answer["code"] == "unauthorised"


async def test_without_postgres_streams_and_metrics_still_answer(
    servers: Servers, redis_url: str, database_url: str
) -> None:
    async with admin_on(redis_url, database_url) as admin:
        await servers.stop("postgres")
        async with admin.session.get("/v1/stats", headers=admin.headers) as response:
            assert response.status == 503
            assert response.headers["Retry-After"]
            assert (await response.json())["code"] == "unavailable"
        await admin.ask("GET", "/readyz", None, 503)
        assert (await admin.ask("GET", "/v1/streams"))["streams"]
        await servers.start("postgres")

        async def answers() -> bool:
            async with admin.session.get("/v1/stats", headers=admin.headers) as response:
                return response.status == 200

        await until(answers, "statistics after Postgres is back")


async def test_without_redis_metrics_still_answer(
    servers: Servers, redis_url: str, database_url: str
) -> None:
    async with admin_on(redis_url, database_url) as admin:
        await servers.stop("redis")
        async with admin.session.get("/metrics") as response:
            assert response.status == 200
            assert "voketag_http_requests_total" in await response.text()
        await admin.ask("GET", "/v1/streams", None, 503)
        await servers.start("redis")
