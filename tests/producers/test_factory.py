"""The factory service: its keys, its health, its end."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from tests.erp import Erp, Service
from tests.servers import Servers
from voketag import identifiers, keys
from voketag.records import factories

PATHS = ("/v1/batches", f"/v1/batches/{identifiers.new_id()}", "/v1/events")


async def test_without_a_key_there_is_no_entry(erp: Erp) -> None:
    credentials = (
        None,
        "",
        "Bearer",
        "Bearer ",
        "Basic dXNlcjpwYXNz",
        "Bearer secret",
        f"Key {erp.key}",
    )
    for path in PATHS:
        for authorization in credentials:
            answer = await erp.get(path, Authorization=authorization)
            assert answer.problem == (401, "unauthorised"), authorization
            assert answer.headers["WWW-Authenticate"] == "Bearer"


async def test_each_refused_key_is_told_why(erp: Erp, service: Service) -> None:
    now = datetime.now(UTC)
    async with service.wires.database.connection() as connection:
        revoked = await factories.add_key(connection, erp.factory_id)
        expired = await factories.add_key(connection, erp.factory_id, now - timedelta(seconds=1))
        expiring = await factories.add_key(connection, erp.factory_id, now + timedelta(days=1))
        assert revoked
        assert expired
        assert expiring
        assert (await erp.get("/v1/batches", Authorization=f"Bearer {revoked[1]}")).status == 200
        assert await factories.revoke_key(connection, revoked[0])

    async def detail(key: str) -> str:
        answer = await erp.get("/v1/batches", Authorization=f"Bearer {key}")
        assert answer.problem == (401, "unauthorised")
        return str(answer.body["detail"])

    assert await detail(revoked[1]) == "This API key is revoked."
    assert await detail(expired[1]) == "This API key is expired."
    assert await detail(keys.mint()) == "This API key is unknown."
    assert "no API key" in await detail(erp.key[:-1] + ("0" if erp.key[-1] != "0" else "1"))
    assert (await erp.get("/v1/batches", Authorization=f"bearer {expiring[1]}")).status == 200
    assert (await erp.get("/v1/batches", Authorization=f"Bearer {erp.key.lower()}")).status == 200


async def test_a_key_that_was_never_minted_is_refused_without_postgres(
    erp: Erp, servers: Servers
) -> None:
    await servers.stop("postgres")
    answer = await erp.get("/v1/batches", Authorization="Bearer vt_" + "0" * 38)
    assert answer.problem == (401, "unauthorised")
    answer = await erp.get("/v1/batches")
    assert answer.problem == (503, "unavailable")
    assert answer.headers["Retry-After"]
    assert (await erp.get("/readyz")).problem == (503, "unavailable")
    assert (await erp.get("/healthz")).status == 200
    await servers.start("postgres")
    assert (await erp.get("/v1/batches")).status == 200


async def test_ready_means_that_both_servers_answer(erp: Erp, servers: Servers) -> None:
    assert (await erp.get("/readyz")).status == 200
    await servers.stop("redis")
    assert (await erp.get("/readyz")).problem == (503, "unavailable")
    await servers.start("redis")
    assert (await erp.get("/readyz")).status == 200


async def test_what_is_not_there_says_so(erp: Erp) -> None:
    assert (await erp.get("/v1/nothing")).problem == (404, "not_found")
    answer = await erp.call("DELETE", "/v1/batches")
    assert answer.problem == (405, "method_not_allowed")
    for path in ("/v1/batches/x", "/v1/batches/x/products", "/v1/products/x/proof"):
        assert (await erp.get(path)).problem == (404, "not_found")
        unknown = path.replace("x", str(identifiers.new_id()))
        assert (await erp.get(unknown)).problem == (404, "not_found")


async def test_the_document_lists_every_route(erp: Erp) -> None:
    document = (await erp.get("/openapi.json", Authorization=None)).body
    assert set(document["paths"]) >= {
        "/v1/batches",
        "/v1/batches/{id}",
        "/v1/batches/{id}/products",
        "/v1/batches/{id}/recall",
        "/v1/products/{id}/proof",
        "/v1/events",
    }
