"""Who is held back before work is done for them: addresses that guess keys, factories that post
without end, and whose word is believed about an address.
"""

from __future__ import annotations

import aiohttp
import pytest

from tests.administration import admin_on
from tests.erp import SHOE, Erp, serving
from tests.servers import Servers
from voketag import keys
from voketag.records import factories

PROXY = {"TRUSTED_PROXIES": "127.0.0.1/32"}
FEW = {"KEY_GUESS_LIMIT": "3"}


async def status(erp: Erp, key: str, **headers: str) -> int:
    return (await erp.get("/v1/batches", Authorization=f"Bearer {key}", **headers)).status


async def test_whoever_guesses_keys_waits_and_is_not_looked_up(
    redis_url: str, database_url: str, servers: Servers
) -> None:
    async with serving(redis_url, database_url, **FEW) as service:
        erp = await service.erp()
        for guess in (keys.mint(), "vt_" + "0" * 38, keys.mint()):
            assert await status(erp, guess) == 401
        await servers.stop("postgres")  # from here on nothing may ask it
        answer = await erp.get("/v1/batches", Authorization=f"Bearer {keys.mint()}")
        assert answer.problem == (429, "too_many_wrong_keys")
        assert 1 <= int(answer.headers["Retry-After"]) <= 60
        assert await status(erp, erp.key) == 429  # a right guess is told nothing else
        assert (await erp.get("/healthz", Authorization=None)).status == 200
        assert (await erp.get("/v1/batches", Authorization=None)).status == 401
        await servers.start("postgres")


async def test_an_old_key_is_no_guess(redis_url: str, database_url: str) -> None:
    """One ERP that was not told of its new key locks out nobody behind the same address."""
    async with serving(redis_url, database_url, **FEW) as service:
        erp = await service.erp()
        async with service.wires.database.connection() as connection:
            old = await factories.add_key(connection, erp.factory_id)
            assert old is not None
            await factories.revoke_key(connection, old[0])
        for _ in range(5):
            assert await status(erp, old[1]) == 401
        assert await status(erp, erp.key) == 200


async def test_addresses_are_told_apart_by_what_a_trusted_proxy_says(
    redis_url: str, database_url: str
) -> None:
    async with serving(redis_url, database_url, **FEW, **PROXY) as service:
        erp = await service.erp()
        for _ in range(4):
            await status(erp, keys.mint(), X_Forwarded_For="198.51.100.1")
        assert await status(erp, erp.key, X_Forwarded_For="198.51.100.1") == 429
        assert await status(erp, erp.key, X_Forwarded_For="198.51.100.2") == 200
        # What the client itself claims stands further left and is not believed.
        lie = "198.51.100.2, 198.51.100.1"
        assert await status(erp, erp.key, X_Forwarded_For=lie) == 429


async def test_what_nobody_trusted_says_of_an_address_is_not_believed(
    redis_url: str, database_url: str
) -> None:
    async with serving(redis_url, database_url, **FEW) as service:
        erp = await service.erp()
        for number in range(3):
            await status(erp, keys.mint(), X_Forwarded_For=f"198.51.100.{number}")
        assert await status(erp, keys.mint(), X_Forwarded_For="198.51.100.9") == 429


async def test_whoever_guesses_the_admin_key_waits(redis_url: str, database_url: str) -> None:
    async with admin_on(redis_url, database_url, **FEW, **PROXY) as admin:
        guess = {"Authorization": "Bearer vta_GUESS", "X-Forwarded-For": "198.51.100.1"}
        for _ in range(3):
            await admin.ask("GET", "/v1/stats", expected=401, headers=guess)
        refused = await admin.ask("GET", "/v1/stats", expected=429, headers=guess)
        assert refused["code"] == "too_many_wrong_keys"
        right = {**guess, **admin.headers}
        await admin.ask("GET", "/v1/stats", expected=429, headers=right)
        await admin.ask("GET", "/v1/stats")


async def test_a_factory_posts_so_many_batches_a_minute(redis_url: str, database_url: str) -> None:
    async with serving(redis_url, database_url, BATCH_RATE_LIMIT="2") as service:
        erp, other = await service.erp(), await service.erp()
        for _ in range(2):
            await erp.create(product_count=1)
        async with service.wires.database.connection() as connection:
            second = await factories.add_key(connection, erp.factory_id)
        assert second is not None
        for key in (erp.key, second[1]):  # whichever of its keys
            answer = await erp.post(
                "/v1/batches", SHOE | {"product_count": 1}, Authorization=f"Bearer {key}"
            )
            assert answer.problem == (429, "too_many_batches")
            assert 1 <= int(answer.headers["Retry-After"]) <= 60
        assert await status(erp, erp.key) == 200
        await other.create(product_count=1)


@pytest.mark.parametrize("given", [["Bearer a", "Bearer b"], ["Bearer"], ["Basic YTpi"]])
async def test_one_credential_is_read_and_no_other(
    redis_url: str, database_url: str, given: list[str]
) -> None:
    async with admin_on(redis_url, database_url) as admin:
        right = admin.headers["Authorization"]
        headers = [("Authorization", value) for value in (right, *given)]
        url = f"http://127.0.0.1:{admin.port}/v1/stats"
        async with aiohttp.request("GET", url, headers=headers) as response:
            assert response.status == 401
