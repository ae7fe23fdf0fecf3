"""What a person is told once everything runs: where it is, and lines to paste that try it.

On the first start a demo factory and a small batch are made through the real HTTP API; what it
takes to use them stays in `demo.json` of the data directory, so that later starts say it again.
"""

from __future__ import annotations

import contextlib
import json
import secrets
import shlex
import time
from pathlib import Path

import msgspec

from voketag.client import FactoryClient, ProblemError
from voketag.ops.clients import Clients, Urls
from voketag.ops.steps import spelled
from voketag.settings import Settings
from voketag.stack.home import load_or_create_secrets, write_private

FILE = "demo.json"
PRODUCTS = 5
STORED_TIMEOUT_S = 30.0
POLL_EVERY_S = 0.01


class Demo(msgspec.Struct, frozen=True):
    """A demo factory with one batch, and the token of a product in it."""

    factory_id: str
    api_key: str
    batch_id: str
    token: str


async def welcome(
    settings: Settings, api: Clients, *, first: bool, with_demo: bool, started_s: float
) -> None:
    """Print what a person needs. `started_s` is the monotonic time at which we were called."""
    path = settings.home / FILE
    known = demo = _read(path)
    if with_demo and (demo is None or not await _is_there(api, demo)):
        demo = await _make(api)
        write_private(path, msgspec.json.encode(demo).decode() + "\n")
    # A first start that did not come this far has not shown it.
    show_admin_key = first or (with_demo and known is None)
    lines = message(settings, api.where, demo, show_admin_key=show_admin_key)
    took = spelled(time.monotonic() - started_s)
    print(f"\nVokeTag is ready after {took}. Ctrl-C stops it; its data stay in {settings.home}")
    print("\n".join(lines), flush=True)


def _read(path: Path) -> Demo | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Demo)
    except (FileNotFoundError, msgspec.DecodeError):
        return None


async def _is_there(api: Clients, demo: Demo) -> bool:
    """Whether the demo factory's key is valid and its batch has products."""
    try:
        return bool(await _first_token(api.factory(demo.api_key), demo.batch_id))
    except ProblemError as error:
        if error.status in (401, 404, 409):
            return False
        raise


async def _make(api: Clients) -> Demo:
    email = f"demo-{secrets.token_hex(4)}@example.com"
    made = await api.ops.create_factory("Demo factory", email)
    factory = api.factory(made.api_key)
    batch = await factory.create_batch(
        product_count=PRODUCTS, sku="DEMO-1", name="Demo product", attributes={"demo": True}
    )
    await factory.wait_for(
        batch.batch_id, "processing", timeout_s=STORED_TIMEOUT_S, every_s=POLL_EVERY_S
    )
    token = await _first_token(factory, str(batch.batch_id))
    return Demo(str(made.factory_id), made.api_key, str(batch.batch_id), token)


async def _first_token(factory: FactoryClient, batch_id: str) -> str:
    async with contextlib.aclosing(factory.products(batch_id)) as products:
        return (await anext(products)).token


def message(
    settings: Settings, where: Urls, demo: Demo | None, *, show_admin_key: bool
) -> list[str]:
    """The lines to print. Every `curl` line works as it stands."""
    kept = settings.home / "secrets.json"
    again = _admin_key_again(kept, settings.admin_key)
    shown = settings.admin_key if show_admin_key else f"as before; it is kept in {kept}"
    admin = f"'Authorization: Bearer {settings.admin_key}'" if show_admin_key else again
    lines = [
        "",
        f"  scan     {where.scan}   (phones; a QR code opens /r/<token>)",
        f"  factory  {where.factory}   (ERPs)",
        f"  ops      {where.ops}   (the dashboard; it asks for the admin key)",
        f"  API      {where.scan}/docs, and the same on the others",
        "",
        f"  admin key         {shown}",
    ]
    if demo is not None:
        lines += [f"  demo factory key  {demo.api_key}", f"  demo token        {demo.token}"]
    lines += ["", "Paste into another terminal:", ""]
    if demo is not None:
        lines += _lines_of_demo(where, demo)
    return [
        *lines,
        "# the streams: what waits, who works, what was given up",
        f"curl -s {where.ops}/v1/streams -H {admin}",
        "",
    ]


def _lines_of_demo(where: Urls, demo: Demo) -> list[str]:
    json_type = "-H 'Content-Type: application/json'"
    key = f"-H 'Authorization: Bearer {demo.api_key}'"
    new_batch = json.dumps({"product_count": 1000, "sku": "SHOE-42", "name": "Running shoe"})
    scan = json.dumps({"token": demo.token})
    batches = f"{where.factory}/v1/batches"
    return [
        "# scan the demo token",
        f"curl -s {where.scan}/v1/scans {json_type} -d '{scan}'",
        "# push a batch of 1,000 products",
        f"curl -s {batches} {key} {json_type} -d '{new_batch}'",
        "# look at the demo batch: its Merkle root, and its anchor on the chain",
        f"curl -s {batches}/{demo.batch_id} {key}",
        "# the tokens of its products",
        f"curl -s {batches}/{demo.batch_id}/products {key}",
    ]


def _admin_key_again(kept: Path, admin_key: str) -> str:
    """How a shell gets at the admin key without our showing it a second time."""
    if load_or_create_secrets(kept.parent).admin_key == admin_key:
        find = r"""sed -n 's/.*"admin_key": "\([^"]*\)".*/\1/p' """ + shlex.quote(str(kept))
        return f'"Authorization: Bearer $({find})"'
    return '"Authorization: Bearer $VOKETAG_ADMIN_KEY"'
