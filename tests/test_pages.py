"""What a browser makes of our answers: pages that run their own script alone, and data that is not
rendered, framed, sniffed, stored or told on, whatever names a factory chose.
"""

from __future__ import annotations

import base64
import contextlib
import csv
import hashlib
import io
import re
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote

import aiohttp
import pytest

from producers import scan
from tests.administration import Admin, admin_on
from tests.erp import Erp, Service, serving
from tests.factory_floor import settings_for
from voketag import process
from voketag.http import bounds, sse
from voketag.http.protection import HEADERS
from voketag.http.server import listening

HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "'-alert(1)-'",
    "javascript:alert(1)",
    "${alert(1)}{{alert(1)}}",
    "</title></style></script><svg onload=alert(1)>",
    "=HYPERLINK(\"http://evil.example\",\"x\")",
)  # fmt: skip
# Beside what every page may: its form is posted to this server, which has its icon and manifest.
OF_A_CODE = {"form_action": "'self'", "img_src": "'self'", "manifest_src": "'self'"}
POLICY = re.compile(r"(script|style)-src '(sha256-[^']+)'")


@contextlib.asynccontextmanager
async def phone(redis_url: str, database_url: str) -> AsyncIterator[aiohttp.ClientSession]:
    settings = settings_for(redis_url, database_url)
    async with (
        process.open_wires(settings, database=True) as wires,
        scan.opened(wires) as app,
        listening(app, settings, 0) as port,
        aiohttp.ClientSession(f"http://127.0.0.1:{port}") as session,
    ):
        yield session


@pytest.fixture
async def admin(redis_url: str, database_url: str) -> AsyncIterator[Admin]:
    async with admin_on(redis_url, database_url) as opened:
        yield opened


def check_page(text: str, headers: Any, **more: str) -> None:
    """Exactly the style and the script of the page may run, and no handler stands in its markup.
    `more` are directives of its policy beside those that every page has.
    """
    policy = headers["Content-Security-Policy"]
    directives = dict(line.strip().split(" ", 1) for line in policy.split(";"))
    assert directives.pop("script-src") == "'" + _digest(text, "script") + "'"
    assert directives.pop("style-src") == "'" + _digest(text, "style") + "'"
    assert directives == {
        "default-src": "'none'",
        "connect-src": "'self'",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
    } | {name.replace("_", "-"): sources for name, sources in more.items()}
    for name in set(HEADERS) - {"Content-Security-Policy", "Cache-Control"}:
        assert headers[name] == HEADERS[name], name
    for sink in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval("):
        assert sink not in text
    assert not re.search(r"\son\w+\s*=", text)


def _digest(page: str, tag: str) -> str:
    (content,) = re.findall(f'<{tag}(?: type="module")?>(.*?)</{tag}>', page, re.DOTALL)
    return "sha256-" + base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()


async def test_the_page_of_a_code_runs_its_own_script_alone(
    redis_url: str, database_url: str
) -> None:
    async with phone(redis_url, database_url) as session:
        pages = set()
        for token in ("NONE", *HOSTILE):
            async with session.get(f"/r/{quote(token, safe='')}") as response:
                text = await response.text()
                if response.status == 404:  # no token has braces, and no route takes them
                    assert "alert" not in text
                    continue
                assert response.status == 200
                check_page(text, response.headers, **OF_A_CODE)
                pages.add(re.sub(r'(name="scan_id" value=)"[0-9a-f-]{36}"', r"\1", text))
        assert len(pages) == 1  # nothing of the URL stands in it


async def test_every_answer_is_protected(admin: Admin) -> None:
    """Right ones, wrong ones, those that aiohttp gives, and those before there is a request."""
    for path, status in (
        ("/v1/stats", 200),
        ("/metrics", 200),
        ("/nothing", 404),
        ("/v1/live", 200),
    ):
        async with admin.session.get(path, headers=admin.headers) as response:
            assert response.status == status
            for name, value in HEADERS.items():
                assert response.headers[name] == value, (path, name)
    async with admin.session.get("/healthz", headers={"Host": "a b"}) as response:
        assert response.status == 400
        assert HEADERS.items() <= dict(response.headers).items()
    unread = bounds.refusal(503, "too_many_connections", "Full.").decode()
    assert all(f"\r\n{name}: {value}\r\n" in unread for name, value in HEADERS.items())


# ---------------------------------------------------------------------- names from factories


@pytest.fixture
async def service(redis_url: str, database_url: str) -> AsyncIterator[Service]:
    async with serving(redis_url, database_url) as running:
        yield running


@pytest.mark.parametrize("name", HOSTILE)
async def test_a_hostile_name_is_data_wherever_it_is_shown(service: Service, name: str) -> None:
    erp: Erp = await service.erp()
    batch_id = await erp.create_stored(sku=name, name=name, serials=[name])
    shown = await erp.get(f"/v1/batches/{batch_id}")
    assert shown.body["name"] == name
    assert shown.headers["Content-Type"].startswith("application/json")
    exported = await erp.get(f"/v1/batches/{batch_id}/products", Accept="text/csv")
    (row,) = csv.DictReader(io.StringIO(exported.raw.decode(), newline=""))
    assert row["serial"] == ("'" + name if name.startswith("=") else name)
    assert exported.headers["Content-Disposition"].startswith("attachment;")
    assert exported.headers["Cache-Control"] == "no-store"  # it holds every token


@pytest.mark.parametrize("name", ["a\nb", "a\rb", "a\u2028b", "a\x00b", "a\x1b[31mb"])
async def test_a_name_is_one_line_of_printable_text(service: Service, name: str) -> None:
    erp = await service.erp()
    for field in ("sku", "name"):
        body = {"sku": "S", "name": "N", "product_count": 1} | {field: name}
        assert (await erp.post("/v1/batches", body)).status == 422


def test_an_event_cannot_end_in_the_middle_of_its_data() -> None:
    """Whatever stands in it, each line of the data is a line of `data:`."""
    hostile = b"a\n\nevent: batch.completed\ndata: {}\r\n\r\rid: 1"
    sent = sse.event(hostile, name="beat")
    assert sent.startswith(b"event: beat\n")
    lines = sent.removeprefix(b"event: beat\n").removesuffix(b"\n\n").split(b"\n")
    assert all(line.startswith(b"data: ") for line in lines)
    assert b"\r" not in sent
