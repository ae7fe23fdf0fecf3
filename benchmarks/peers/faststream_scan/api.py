"""The API: answers a scan from the history in Redis, and publishes it."""

from __future__ import annotations

import contextlib
import hmac
import os
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import UUID

import asyncpg
import orjson
import uvicorn
from fastapi import FastAPI, Request, Response
from faststream.redis import RedisBroker
from pydantic import BaseModel, Field, ValidationError
from redis.asyncio import Redis
from redis.exceptions import ResponseError

from benchmarks.peers.faststream_scan.intake import Intake
from benchmarks.peers.faststream_scan.products import Products
from benchmarks.peers.faststream_scan.scoring import (
    DEVICE_CHARACTERS,
    Assessment,
    History,
    assess,
)
from benchmarks.peers.faststream_scan.wire import (
    CONSUMER_READY,
    GROUP,
    STREAM,
    Event,
)
from benchmarks.peers.garbage import collect_seldom
from benchmarks.peers.identifiers import read_keys, uuid7s
from benchmarks.peers.pools import open_pool
from voketag.tokens import TOKEN_MAX_CHARACTERS

BODY_MAX_BYTES = 8 * 1024
LIMIT_WINDOW_S = 60
LOOKUP_POOL_SIZE = 4

Text = Annotated[str, Field(max_length=200)]


class Device(BaseModel):
    """What an app knows of its device."""

    install_id: Text | None = None
    model: Text | None = None
    screen: Text | None = None
    timezone: Text | None = None


class ScanRequest(BaseModel):
    """The body of POST /v1/scans."""

    token: Annotated[str, Field(min_length=1, max_length=TOKEN_MAX_CHARACTERS)]
    country: Annotated[str, Field(pattern="^[A-Z]{2}$")] | None = None
    device: Device | None = None


class Scanning:
    """Answers scans over the connections of this process."""

    def __init__(self, broker: RedisBroker, redis: Redis, database: asyncpg.Pool) -> None:
        self._intake = Intake(broker, redis)
        self._redis = redis
        self._products = Products(database, redis)
        self._tokens = read_keys(os.environ["TOKEN_KEYS"])
        self._secret = bytes.fromhex(os.environ["HASH_KEY"])
        self._limit = int(os.environ.get("RATE_LIMIT", "60"))

    async def answer(self, request: Request, asked: ScanRequest) -> Response:
        """Check, limit, look up, read the history and publish in one round trip, score."""
        scan_id, at_ms = uuid7s(1)[0], time.time_ns() // 1_000_000
        product_id = self._tokens.verify(asked.token)
        if product_id is None:
            return _not_recognised(scan_id)
        ip_hash, fingerprint = self._hashes(request, asked.device)
        if self._limit and await self._limited(ip_hash, scan_id, at_ms):
            return _json({"detail": "Too many scans."}, 429, {"Retry-After": str(LIMIT_WINDOW_S)})
        product = await self._products.find(asked.token)
        if product is None:
            return _not_recognised(scan_id)
        event: Event = {
            "scan_id": str(scan_id),
            "product_id": str(product_id),
            "ip_hash": ip_hash,
            "fingerprint_hash": fingerprint,
            "country": asked.country,
            "at_ms": at_ms,
        }
        history = History.of(await self._intake.publish(event))
        device = fingerprint[:DEVICE_CHARACTERS]
        assessment = assess(history, asked.country, device, at_ms)
        history.add(asked.country, device, at_ms)
        return _json(_body(scan_id, product, assessment, history))

    async def _limited(self, ip_hash: str, scan_id: UUID, at_ms: int) -> bool:
        """A sliding window over the scans of an address."""
        key = f"rate:ip:{ip_hash}"
        pipeline = self._redis.pipeline(transaction=False)
        pipeline.zremrangebyscore(key, 0, at_ms - LIMIT_WINDOW_S * 1000)
        pipeline.zadd(key, {scan_id.bytes: at_ms})
        pipeline.expire(key, LIMIT_WINDOW_S)
        pipeline.zcard(key)
        *_, count = await pipeline.execute()
        return bool(count > self._limit)

    def _hashes(self, request: Request, device: Device | None) -> tuple[str, str]:
        host = request.client.host if request.client else "unknown"
        if device is not None and device.install_id:
            told = f"install\x00{device.install_id}"
        else:
            known = (device.model, device.screen, device.timezone) if device else ()
            agent = request.headers.get("user-agent", "")
            told = "\x00".join(part or "" for part in (*known, agent, host))
        address = hmac.digest(self._secret, b"address\x00" + host.encode(), "sha256")
        return address.hex(), hmac.digest(
            self._secret, b"device\x00" + told.encode(), "sha256"
        ).hex()


@contextlib.asynccontextmanager
async def opened(app: FastAPI) -> AsyncIterator[None]:
    """Connect, and see to it that the group misses no scan that is published before it reads."""
    broker = RedisBroker(os.environ["REDIS_URL"])
    redis = await broker.connect()
    try:
        await redis.xgroup_create(STREAM, GROUP, id="0", mkstream=True)
    except ResponseError as error:
        if "BUSYGROUP" not in str(error):
            raise
    async with open_pool(os.environ["DATABASE_URL"], LOOKUP_POOL_SIZE) as database:
        collect_seldom()
        app.state.redis = redis
        app.state.scanning = Scanning(broker, redis, database)
        yield
    await broker.stop()


app = FastAPI(title="Scan", lifespan=opened)


async def post_scan(request: Request) -> Response:
    """Answer one scan."""
    body = await request.body()
    if len(body) > BODY_MAX_BYTES:
        return _json({"detail": "8 KiB are accepted."}, 413)
    try:
        asked = ScanRequest.model_validate_json(body)
    except ValidationError as error:
        malformed = any(one["type"] == "json_invalid" for one in error.errors())
        return _json({"detail": str(error)}, 400 if malformed else 422)
    scanning: Scanning = app.state.scanning
    return await scanning.answer(request, asked)


# Starlette's way, which costs less: nothing is injected, and pydantic itself reads the body.
app.add_route("/v1/scans", post_scan, methods=["POST"])


@app.get("/healthz")
async def healthz() -> Response:
    """200 once scans are answered and stored."""
    ready = await app.state.redis.exists(CONSUMER_READY)
    return _json({"status": "ok"}) if ready else _json({"status": "waiting"}, 503)


def _body(scan_id: UUID, product: bytes, said: Assessment, history: History) -> dict[str, Any]:
    first = datetime.fromtimestamp(history.first_at_ms / 1000, UTC)
    return {
        "scan_id": str(scan_id),  # asyncpg's type, which orjson does not know
        "verdict": said.verdict,
        "product": orjson.Fragment(product),
        "risk": {"score": said.score, "level": said.level, "reasons": said.reasons},
        "history": {
            "scans": history.scans,
            "first_scanned_at": first,
            "countries": history.countries,
        },
    }


def _not_recognised(scan_id: UUID) -> Response:
    nothing = {"product": None, "risk": None, "history": None}
    return _json({"scan_id": str(scan_id), "verdict": "not_recognised", **nothing})


def _json(body: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(orjson.dumps(body), status, headers, "application/json")


if __name__ == "__main__":
    uvicorn.run(
        app,
        host=os.environ["PEER_HOST"],
        port=int(os.environ["PEER_PORT"]),
        loop="uvloop",
        http="httptools",
        access_log=False,
        proxy_headers=False,
        server_header=False,
        log_level="warning",
    )
