"""Products through the factory's HTTP door: exported, proven."""

from __future__ import annotations

import csv
import io
import json
from typing import Any
from uuid import UUID

import aiohttp
import msgspec
import pytest

from tests.erp import SHOE, Erp, Service, anchor, serving
from tests.servers import Servers
from voketag import identifiers, proofs
from voketag.proofs import Proof
from voketag.records import batches

# ---------------------------------------------------------------------- export


async def exported(erp: Erp, batch_id: UUID) -> list[dict[str, Any]]:
    answer = await erp.get(f"/v1/batches/{batch_id}/products")
    assert answer.status == 200, answer.body
    assert answer.headers["Content-Type"] == "application/x-ndjson"
    return [json.loads(line) for line in answer.raw.splitlines()]


async def test_every_product_is_exported_in_order_with_its_token(erp: Erp) -> None:
    batch_id = await erp.create_stored(product_count=2345)
    lines = await exported(erp, batch_id)
    ids = [str(identifiers.product_id(batch_id, index)) for index in range(2345)]
    assert [line["product_id"] for line in lines] == ids
    ring, url = erp.wires.settings.token_keys, erp.wires.settings.public_url
    for line in lines:
        assert ring.verify(line["token"]) == UUID(line["product_id"])
        assert line["verification_url"] == f"{url}/r/{line['token']}"
    assert len({line["serial"] for line in lines}) == 2345


async def test_given_serials_keep_their_order(erp: Erp) -> None:
    serials = [f"S{(number * 7919) % 6007}" for number in range(6007)]
    batch_id = await erp.create_stored(serials=serials)
    assert [line["serial"] for line in await exported(erp, batch_id)] == serials


async def test_csv_where_it_is_asked_for(erp: Erp) -> None:
    batch_id = await erp.create_stored(serials=['a"b', "c,d", "=1+1", "~"])
    answer = await erp.get(f"/v1/batches/{batch_id}/products", Accept="text/csv")
    assert answer.headers["Content-Type"] == "text/csv"
    assert f"{batch_id}.csv" in answer.headers["Content-Disposition"]
    rows = list(csv.DictReader(io.StringIO(answer.raw.decode(), newline="")))
    assert [row["serial"] for row in rows] == ['a"b', "c,d", "'=1+1", "~"]
    lines = await exported(erp, batch_id)
    assert [row["token"] for row in rows] == [line["token"] for line in lines]


async def test_another_format_is_not_acceptable(erp: Erp) -> None:
    batch_id = await erp.create_stored(product_count=1)
    answer = await erp.get(f"/v1/batches/{batch_id}/products", Accept="application/json")
    assert answer.problem == (406, "not_acceptable")
    assert "text/csv" in answer.body["detail"]


async def test_what_has_no_products_is_not_exported(erp: Erp) -> None:
    batch_id = await erp.create(product_count=1)
    path = f"/v1/batches/{batch_id}/products"
    assert (await erp.get(path)).problem == (409, "not_ready")
    async with erp.wires.database.connection() as connection:
        await batches.mark_failed(connection, batch_id, "because")
    assert (await erp.get(path)).problem == (409, "batch_failed")


async def test_tokens_outlive_the_rotation_of_keys_but_not_the_loss(
    redis_url: str, database_url: str
) -> None:
    old, new = "1:" + "11" * 32, "2:" + "22" * 32
    async with serving(redis_url, database_url, TOKEN_KEYS=old) as service:
        erp = await service.erp()
        batch_id = await erp.create_stored(product_count=2)
        before = await exported(erp, batch_id)
    path, authorization = f"/v1/batches/{batch_id}/products", f"Bearer {erp.key}"
    async with serving(redis_url, database_url, TOKEN_KEYS=f"{new},{old}") as service:
        other = await service.erp()
        answer = await other.get(path, Authorization=authorization)
        assert [json.loads(line) for line in answer.raw.splitlines()] == before
    async with serving(redis_url, database_url, TOKEN_KEYS=new) as service:
        other = await service.erp()
        answer = await other.get(path, Authorization=authorization)
        assert answer.problem == (409, "token_key_retired")


async def test_an_export_that_breaks_off_is_seen_to(erp: Erp, servers: Servers) -> None:
    batch_id = await erp.create_stored(product_count=60_000)
    headers = {"Authorization": f"Bearer {erp.key}"}
    path = f"/v1/batches/{batch_id}/products"
    async with erp.session.get(path, headers=headers) as response:
        assert response.status == 200
        await response.content.readline()
        await servers.stop("postgres")
        with pytest.raises(aiohttp.ClientPayloadError):
            await response.read()


# ---------------------------------------------------------------------- proof


@pytest.mark.parametrize("count", [1, 2, 1500])
async def test_a_proof_holds_offline(erp: Erp, count: int) -> None:
    batch_id = await erp.create_stored(product_count=count, manufactured_at="2026-01-31")
    top = await anchor(erp.wires, batch_id)
    shown = await erp.batch(batch_id)
    lines = await exported(erp, batch_id)
    for line in (lines[0], lines[count // 2], lines[-1]):
        answer = await erp.get(f"/v1/products/{line['product_id']}/proof")
        assert answer.status == 200, answer.body
        proof = msgspec.json.decode(answer.raw, type=Proof)
        assert proofs.check(proof) == top
        assert proof.content.serial == line["serial"]
        assert proof.content.sku == SHOE["sku"]
        assert proof.content.manufactured_at == "2026-01-31T00:00:00Z"
        assert proof.content.factory_id == str(erp.factory_id)
        assert proof.batch_root == shown["merkle_root"]
        assert proof.root == shown["anchor"]["root"]
        assert (proof.chain_id, proof.block_number) == (31337, 7)
        assert proof.contract == "0x" + "11" * 20
        assert proof.anchored_at == "2026-11-01T00:00:00Z"


async def test_content_with_every_kind_of_letter_is_proven(erp: Erp) -> None:
    sku, serial = 'a"\\/b é☃\U0001f600', '"\\/~<>&'
    batch_id = await erp.create_stored(sku=sku, serials=[serial, "other"])
    top = await anchor(erp.wires, batch_id)
    (line, _) = await exported(erp, batch_id)
    answer = await erp.get(f"/v1/products/{line['product_id']}/proof")
    proof = msgspec.json.decode(answer.raw, type=Proof)
    assert proofs.check(proof) == top
    assert (proof.content.sku, proof.content.serial) == (sku, serial)


async def test_there_is_no_proof_before_the_root_is_on_the_chain(erp: Erp) -> None:
    batch_id = await erp.create_stored(product_count=1)
    path = f"/v1/products/{identifiers.product_id(batch_id, 0)}/proof"
    assert (await erp.get(path)).problem == (409, "not_anchored_yet")
    await anchor(erp.wires, batch_id, "submitted")
    assert (await erp.get(path)).problem == (409, "not_anchored_yet")
    async with erp.wires.database.connection() as connection:
        await connection.execute("UPDATE anchors SET status = 'orphaned'")
    assert (await erp.get(path)).problem == (409, "not_anchored_yet")
    async with erp.wires.database.connection() as connection:
        await connection.execute("UPDATE anchors SET status = 'final'")
    assert (await erp.get(path)).status == 200


async def test_another_factorys_product_is_not_there(erp: Erp, service: Service) -> None:
    batch_id = await erp.create_stored(product_count=1)
    await anchor(erp.wires, batch_id)
    path = f"/v1/products/{identifiers.product_id(batch_id, 0)}/proof"
    assert (await erp.get(path)).status == 200
    assert (await (await service.erp()).get(path)).problem == (404, "not_found")
    outside = f"/v1/products/{identifiers.product_id(batch_id, 1)}/proof"
    assert (await erp.get(outside)).problem == (404, "not_found")
