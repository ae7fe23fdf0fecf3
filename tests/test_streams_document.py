"""docs/asyncapi.json and docs/streams.md say what passes through the streams: held against the
types, the specification, and entries as they are written.
"""

from __future__ import annotations

import asyncio
import json
import os
import shlex
import sys
from collections.abc import Iterator
from typing import Any

import jsonschema_rs
import pytest
from redis.asyncio import Redis
from redis.exceptions import NoPermissionError

from consumers import score
from tests.administration import admin_on
from tests.command import voketag
from tests.examples_of import blocks
from tests.factory_floor import running, settings_for, store_product, token_of, until
from tests.phones import phone_on
from tests.source import REPOSITORY
from voketag import asyncapi, events, topology
from voketag.http.assets import packaged
from voketag.redis.streams import Entry, Streams

DOCUMENT = REPOSITORY / "docs" / "asyncapi.json"
TIMEOUT_S = 30.0


# ---------------------------------------------------------------------- the document


async def test_the_file_the_command_and_ops_give_the_same(
    redis_url: str, database_url: str
) -> None:
    written = DOCUMENT.read_text()
    assert written == asyncapi.as_json().decode(), "voketag asyncapi > docs/asyncapi.json"
    assert (await voketag("asyncapi", environ=dict(os.environ))).out == written
    async with (
        admin_on(redis_url, database_url) as admin,
        admin.session.get("/asyncapi.json") as response,
    ):
        assert await response.text() == written
        assert response.content_type == "application/json"


def test_it_is_what_the_specification_asks_for() -> None:
    specification = packaged("@asyncapi", "specs", "schemas", "3.0.0-without-$id.json")
    validator = jsonschema_rs.validator_for(json.loads(specification.read_text()))
    document = json.loads(DOCUMENT.read_text())
    assert [str(error) for error in validator.iter_errors(document)] == []
    document["channels"]["scans"]["address"] = 7
    assert not validator.is_valid(document)


def test_every_stream_is_in_it_and_every_reference_leads_somewhere() -> None:
    document = asyncapi.document()
    addresses = {channel["address"] for channel in document["channels"].values()}
    named = {name.replace("{0}", asyncapi.SHARD) for name in events.all_streams(1)}
    assert addresses == named | {name + events.DEAD_SUFFIX for name in named}
    references = list(_references(document))
    assert references
    for reference in references:
        found = document
        for part in reference.removeprefix("#/").split("/"):
            found = found[part]


def _references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if "$ref" in value:
            yield value["$ref"]
        value = list(value.values())
    if isinstance(value, list):
        for inner in value:
            yield from _references(inner)


# ---------------------------------------------------------------------- entries as they are


async def test_entries_have_the_fields_that_it_says(redis_url: str, database_url: str) -> None:
    document = asyncapi.document()
    schemas = {"components": document["components"]}

    def check(message: str, raw: dict[bytes, bytes]) -> None:
        told = document["components"]["messages"][message]
        headers = {name.decode(): value.decode() for name, value in raw.items()}
        payload = json.loads(headers.pop("event"))
        assert set(headers) == set(told["headers"]["properties"])
        for schema, value in ((told["headers"], headers), (told["payload"], payload)):
            validator = jsonschema_rs.validator_for({**schema, **schemas})
            assert [str(error) for error in validator.iter_errors(value)] == []

    redis: Any = Redis.from_url(redis_url)
    async with phone_on(redis_url, database_url) as phone, redis:
        token = token_of(phone.wires, (await store_product(phone.wires)).product_id)
        for country in ("BR", "JP"):
            place = {"lat": 1.5, "lon": 2.5}
            await phone.scan(token, country=country, location=place)
        shards = range(phone.wires.settings.shards)
        async with running(phone.wires, score.build(phone.wires)):
            await until(lambda: _has(redis, map(events.scored, shards), 2), "scored")
        for kind, message in ((events.scans, "Scan"), (events.scored, "ScoredScan")):
            entries = [one for shard in shards for one in await redis.xrange(kind(shard))]
            assert len(entries) == 2
            for _, raw in entries:
                check(message, raw)
        (stream,) = [events.scans(n) for n in shards if await redis.xlen(events.scans(n))]
        check("ScanDead", await _buried(phone.wires.streams, redis, stream))


async def _has(redis: Any, streams: Iterator[str], count: int) -> bool:
    lengths: list[int] = [await redis.xlen(stream) for stream in streams]
    return sum(lengths) == count


async def _buried(streams: Streams, redis: Any, stream: str) -> dict[bytes, bytes]:
    """The dead letter that an entry becomes."""
    (group,) = topology.groups_of(2)[stream]
    await streams.own(stream, group, 10_000)
    entry_id, raw = (await redis.xrange(stream, count=1))[0]
    await redis.xgroup_setid(stream, group, "0")
    await streams.read(stream, group, pending=False, count=1)
    fields = {name.decode(): value for name, value in raw.items()}
    await streams.bury(group, Entry(stream, entry_id.decode(), fields), "a reason", 5)
    ((_, dead),) = await redis.xrange(stream + events.DEAD_SUFFIX)
    return dict(dead)


# ---------------------------------------------------------------------- the page


def test_the_page_describes_every_field() -> None:
    page = (REPOSITORY / "docs" / "streams.md").read_text()
    _, _, described = page.partition("## Events, field by field\n")
    assert described.partition("### ")[2] == "\n".join(tables()).partition("### ")[2]
    for stream in asyncapi.STREAMS:
        for name in (stream.name, *stream.fields, *asyncapi.DEAD_FIELDS):
            assert f"`{name}" in page, name


def tables() -> Iterator[str]:
    """Every event as the page shows it, line by line."""
    for name, schema in asyncapi.document()["components"]["schemas"].items():
        yield from (f"### {name}", "", schema["description"], "", "| field | type | |")
        yield "|---|---|---|"
        for field, inner in schema["properties"].items():
            absent = "" if field in schema.get("required", ()) else " (may be absent)"
            yield f"| `{field}`{absent} | {_kind(inner)} | {inner['description']} |"
        yield ""


def _kind(schema: dict[str, Any]) -> str:
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    if "anyOf" in schema:
        return " or ".join(_kind(one) for one in schema["anyOf"])
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    if schema["type"] == "array":
        return f"list of {_kind(schema['items'])}"
    return str(schema.get("format", schema["type"]))


async def test_its_commands_do_what_it_says(redis_url: str) -> None:
    """Each line as redis-cli would send it: its words are the words of the command."""
    redis: Any = Redis.from_url(redis_url)
    async with redis:
        await redis.xadd(events.scored(0), {"v": "1", "event": "{}"})
        await redis.xgroup_create(events.scored(0), "persist", "0")
        lines = [line for block in blocks("streams.md", "sh") for line in block.splitlines()]
        for line in lines:
            words = shlex.split(line)
            assert words[:3] == ["redis-cli", "-u", "$REDIS"]
            await redis.execute_command(*words[3:])
        try:
            url = redis_url.rpartition("@")[2]
            async with Redis.from_url(f"redis://reader:a-long-password@{url}") as reader:
                assert await reader.xread({events.scored(0): "0"})
                with pytest.raises(NoPermissionError):
                    await reader.xack(events.scored(0), "persist", "1-1")
                with pytest.raises(NoPermissionError):
                    await reader.xrange("product:1")
        finally:
            await redis.execute_command("ACL", "DELUSER", "reader")


async def test_its_program_prints_what_scores_high(redis_url: str, database_url: str) -> None:
    (program,) = blocks("streams.md", "python")
    settings = settings_for(redis_url, database_url)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", program),
        env={**os.environ, "REDIS": redis_url, "VOKETAG_SHARDS": str(settings.shards)},
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(TIMEOUT_S), phone_on(redis_url, database_url) as phone:
            assert (await process.stdout.readline()).startswith(b"reading scored:{0}")
            token = token_of(phone.wires, (await store_product(phone.wires)).product_id)
            async with running(phone.wires, score.build(phone.wires)):
                for country in ("BR", "JP", "DE", "US", "ZA"):
                    device = {"install_id": country}
                    answer = await phone.scan(token, country=country, device=device)
                assert answer["verdict"] == "high_risk"
                printed = [(await process.stdout.readline()).decode().split()]
                while printed[-1][0] != answer["scan_id"]:
                    printed.append((await process.stdout.readline()).decode().split())
        assert int(printed[-1][1]) == answer["risk"]["score"]
    finally:
        process.kill()
        await process.wait()
