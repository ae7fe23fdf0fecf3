"""The examples of each process's OpenAPI document: they are of the shape that it describes, and a
process takes them as they are.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import aiohttp
import jsonschema_rs
import msgspec
import pytest

from tests.administration import admin_on
from tests.erp import serving
from tests.phones import phone_on
from voketag import proofs
from voketag.batches.examples import PROOF
from voketag.proofs import Proof
from voketag.tokens import EXAMPLE_TOKEN, KeyRing, TokenKey

# What the examples of a body may be answered: done, or nobody has such an id or token.
TAKEN = {200, 201, 202, 404}
Operation = tuple[str, str, dict[str, Any]]


def operations(document: dict[str, Any]) -> Iterator[Operation]:
    for path, item in document["paths"].items():
        for method, operation in item.items():
            yield method, path, operation


def examples_of(content: dict[str, Any]) -> list[Any]:
    if "example" in content:
        return [content["example"]]
    return [example["value"] for example in content.get("examples", {}).values()]


def check_shapes(document: dict[str, Any]) -> None:
    """Every JSON body and answer has examples, and each is valid for its schema."""
    schemas = document["components"]["schemas"]
    for method, path, operation in operations(document):
        told = [(f"{status}", answer) for status, answer in operation["responses"].items()]
        for what, one in [("body", operation.get("requestBody", {})), *told]:
            for kind, content in one.get("content", {}).items():
                if "json" not in kind or kind == "application/x-ndjson":
                    continue
                schema = {**content["schema"], "components": {"schemas": schemas}}
                examples = examples_of(content)
                assert examples, (method, path, what)
                for example in examples:
                    validator = jsonschema_rs.validator_for(schema, validate_formats=True)
                    errors = [str(error) for error in validator.iter_errors(example)]
                    assert errors == [], (method, path, what)


async def check_bodies(url: str, key: str | None, document: dict[str, Any]) -> int:
    """Send every example of a body; gives how many there were."""
    sent = 0
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    async with aiohttp.ClientSession(url, headers=headers) as session:
        for method, path, operation in operations(document):
            place = path
            for parameter in operation["parameters"]:
                if parameter["in"] == "path":
                    place = place.replace(f"{{{parameter['name']}}}", parameter["example"])
            body = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
            for example in examples_of(body):
                sent += 1
                async with session.request(method, place, json=example) as response:
                    # A key that nobody has is refused as such.
                    taken = {401} if path == "/v1/session" else TAKEN
                    assert response.status in taken, (path, example, await response.text())
    return sent


async def document_of(url: str) -> dict[str, Any]:
    async with aiohttp.ClientSession() as session, session.get(f"{url}/openapi.json") as response:
        return dict(await response.json())


async def test_scan(redis_url: str, database_url: str) -> None:
    async with phone_on(redis_url, database_url) as phone:
        document = await document_of(phone.url)
        check_shapes(document)
        assert await check_bodies(phone.url, None, document) == 5


async def test_factory(redis_url: str, database_url: str) -> None:
    async with serving(redis_url, database_url) as service:
        document = await document_of(service.url)
        check_shapes(document)
        assert await check_bodies(service.url, (await service.erp()).key, document) == 3


async def test_ops(redis_url: str, database_url: str) -> None:
    async with admin_on(redis_url, database_url) as admin:
        url = f"http://127.0.0.1:{admin.port}"
        document = await document_of(url)
        check_shapes(document)
        assert await check_bodies(url, admin.wires.settings.admin_key, document) >= 7


def test_the_proof_that_is_shown_holds() -> None:
    bundle = msgspec.convert(PROOF, Proof)
    assert proofs.check(bundle).hex() == PROOF["root"].removeprefix("0x")


@pytest.mark.parametrize("key_id", [0, 1])
def test_the_token_that_is_shown_is_nobodys(key_id: int) -> None:
    ring = KeyRing((TokenKey(key_id, bytes(32)),))
    assert ring.verify(EXAMPLE_TOKEN) is None
