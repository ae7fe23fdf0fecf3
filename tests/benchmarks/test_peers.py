"""The systems VokeTag is measured against do their work; those not installed are skipped."""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import UUID

import aiohttp
import asyncpg
import pytest

from benchmarks.peers import (
    FASTSTREAM_SCAN,
    PEERS,
    SEED_FACTORY,
    SEED_SCAN,
    SEED_SCAN_ALONE,
    Missing,
    Peer,
)
from benchmarks.peers.identifiers import read_keys, uuid7s
from benchmarks.peers.seed_factory import products
from tests.servers import Servers, database_named, eventually
from voketag import merkle, proofs
from voketag.stack.home import choose_port, make_home, make_private
from voketag.stack.program import Program
from voketag.stack.supervise import Supervisor

KEYS = "7:" + "ab" * 32
RING = read_keys(KEYS)
SCANS = 40
PRODUCT_COLUMNS = ("id", "batch_id", "token", "sku", "name", "serial")


def name(peer: Peer) -> str:
    return peer.name


@pytest.fixture
async def empty_database_url(servers: Servers) -> AsyncIterator[str]:
    await servers.whole_again()
    url = database_named(servers.database_url, "peer")
    connection = await asyncpg.connect(servers.database_url)
    await connection.execute("CREATE DATABASE peer TEMPLATE template0")
    yield url
    await connection.execute("DROP DATABASE peer WITH (FORCE)")
    await connection.close()


class Running:
    """A peer that runs, and what reaches it."""

    def __init__(self, url: str, database: asyncpg.Connection) -> None:
        self.url = url
        self.database = database

    async def post(self, path: str, body: Any) -> tuple[int, Any]:
        async with (
            aiohttp.ClientSession() as session,
            session.post(self.url + path, json=body) as response,
        ):
            return response.status, await response.json()

    async def get(self, path: str) -> tuple[int, Any]:
        async with aiohttp.ClientSession() as session, session.get(self.url + path) as response:
            return response.status, await response.json()


async def answers(url: str) -> bool:
    try:
        async with aiohttp.ClientSession() as session, session.get(f"{url}/healthz") as response:
            return response.status == 200
    except aiohttp.ClientError:
        return False


@pytest.fixture
async def running(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    redis_url: str,
    chain_url: str,
    empty_database_url: str,
) -> AsyncIterator[Running]:
    peer: Peer = request.param
    folder = tmp_path / "built"
    folder.mkdir()
    try:
        if peer.build is not None:
            peer.build(folder)
    except Missing as missing:
        pytest.skip(str(missing))
    home = make_home(tmp_path / "peer_home")
    make_private(home / "logs")
    port = choose_port(home, "scan")
    environ = {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "PEER_HOST": "127.0.0.1",
        "PEER_PORT": str(port),
        "REDIS_URL": redis_url,
        "DATABASE_URL": empty_database_url,
        "CHAIN_URL": chain_url,
        "TOKEN_KEYS": KEYS,
        "HASH_KEY": "cd" * 32,
        "RATE_LIMIT": "0",
    }
    supervisor = Supervisor(home, environ)
    connection = await asyncpg.connect(empty_database_url)
    await connection.execute(peer.schema.read_text())
    url = f"http://127.0.0.1:{port}"
    for program, argv in peer.programs(folder).items():
        log = home / "logs" / f"{program}.log"
        await supervisor.start(Program(program, tuple(argv), log=log))
    await eventually(lambda: answers(url), timeout_s=60)
    yield Running(url, connection)
    await supervisor.stop()
    await connection.close()


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    "running", [SEED_SCAN, SEED_SCAN_ALONE, FASTSTREAM_SCAN], indirect=True, ids=name
)
async def test_a_scan_is_answered_and_stored(running: Running) -> None:
    product_id, batch_id = uuid7s(2)
    token = RING.mint(product_id)
    await running.database.copy_records_to_table(
        "products",
        records=[(product_id, batch_id, token, "HAT-1", 'A "hat"', "S1")],
        columns=PRODUCT_COLUMNS,
    )
    body = {"token": token, "country": "BR", "device": {"install_id": "one"}}
    answered = await asyncio.gather(*(running.post("/v1/scans", body) for _ in range(SCANS)))
    assert {status for status, _ in answered} == {200}
    first = answered[0][1]
    assert first["product"]["product_id"] == str(product_id)
    assert first["product"]["name"] == 'A "hat"'
    assert set(first) == {"scan_id", "verdict", "product", "risk", "history"}

    async def stored() -> bool:
        rows = await running.database.fetch("SELECT id, product_id FROM scan_events")
        ids = {str(row["id"]) for row in rows if row["product_id"] == product_id}
        return ids == {answer["scan_id"] for _, answer in answered}

    await eventually(stored)

    async def remembered() -> bool:
        _, last = await running.post("/v1/scans", body | {"country": "PT"})
        return bool(last["history"]["scans"] > SCANS + 1)  # it knew of a scan in PT before

    await eventually(remembered)
    _, last = await running.post("/v1/scans", body | {"country": "JP"})
    codes = {reason["code"] for reason in last["risk"]["reasons"]}
    assert codes == {"repeat_scans", "many_countries", "impossible_travel"}
    assert (last["verdict"], last["risk"]["score"]) == ("suspicious", 15 + 20 + 30)


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    "running", [SEED_SCAN, SEED_SCAN_ALONE, FASTSTREAM_SCAN], indirect=True, ids=name
)
async def test_what_is_not_ours_is_not_recognised(running: Running) -> None:
    known = RING.mint(uuid7s(1)[0])
    forged = known[:-2] + ("00" if known[-2:] != "00" else "10")
    for token in (known, forged, "x"):
        status, answer = await running.post("/v1/scans", {"token": token})
        assert status == 200
        del answer["scan_id"]
        nothing = {"product": None, "risk": None, "history": None}
        assert answer == {"verdict": "not_recognised"} | nothing
    assert (await running.post("/v1/scans", {"token": known, "country": "bra"}))[0] == 422
    assert (await running.post("/v1/scans", {"token": "x" * 9000}))[0] == 413
    assert await running.database.fetchval("SELECT count(*) FROM scan_events") == 0


@pytest.mark.timeout(300)
@pytest.mark.parametrize("running", [SEED_FACTORY], indirect=True, ids=name)
async def test_batches_are_made_and_anchored(running: Running) -> None:
    body = {"product_count": 100, "sku": "HAT-1", "name": "Hat"}
    accepted = await asyncio.gather(*(running.post("/v1/batches", body) for _ in range(8)))
    assert {status for status, _ in accepted} == {202}
    for _, receipt in accepted:
        path = f"/v1/batches/{receipt['batch_id']}"

        async def completed(path: str = path) -> bool:
            return bool((await running.get(path))[1]["status"] == "completed")

        await eventually(completed, timeout_s=60)
        _, batch = await running.get(path)
        assert len(batch["merkle_root"]) == 66
        assert batch["anchor"]["block_number"] > 0
    rows = await running.database.fetch("SELECT id, token FROM products")
    assert len(rows) == 800
    assert all(RING.verify(row["token"]) == row["id"] for row in rows)
    tasks = await running.database.fetch("SELECT DISTINCT status FROM celery_tasks")
    assert [task["status"] for task in tasks] == ["success"]


def test_the_factory_peer_makes_our_tokens_and_the_standard_tree() -> None:
    (batch_id,) = uuid7s(1)
    made = products.make(batch_id, 'A "hat"', 7, RING.signing)
    leaves = []
    for product_id, _, token, _, serial in made.rows:
        assert token == RING.mint(product_id)
        content = (
            f'{{"batch_id":"{batch_id}","product_id":"{product_id}",'
            f'"serial":"{serial}","sku":"A \\"hat\\""}}'
        )
        digest = hashlib.sha256(content.encode()).digest()
        leaves.append(proofs.leaf(UUID(bytes=product_id.bytes), digest))
    assert made.root == merkle.node(merkle.build(leaves), 0)


@pytest.mark.parametrize("peer", PEERS, ids=name)
def test_what_is_not_installed_is_missing(
    peer: Peer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("benchmarks.peers._PYTHON", str(tmp_path / "python"))
    assert peer.build is not None
    with pytest.raises(Missing, match=r"apt-get install golang-go|make peers"):
        peer.build(tmp_path)
