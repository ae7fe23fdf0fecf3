"""docs/integrations: the code of its pages does what the pages say, against real services. Kotlin
and Swift are not run here: no compiler of theirs is among what the tests need.
"""

from __future__ import annotations

import asyncio
import csv
import json
import os
import re
import shutil
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from consumers import notify, register
from tests.command import Finished, run
from tests.cutting_proxy import cutting_proxy
from tests.erp import Erp, Service, serving
from tests.examples_of import blocks
from tests.factory_floor import running, store_product, token_of
from tests.phones import Phone, phone_on, scan_id_at
from tests.source import REPOSITORY

PAGES = REPOSITORY / "docs" / "integrations"
WEEK_MS = 7 * 86_400_000
TIMEOUT_S = 60.0
# What stands before the page's second block: an app that has imported the first.
IMPORTING = """
import { newScanId, postScan, scanPatiently } from "./scan.mjs";
const { SCAN_URL, TOKEN, SCAN_ID } = process.env;
"""


@pytest.fixture
async def phone(redis_url: str, database_url: str) -> AsyncIterator[Phone]:
    async with phone_on(redis_url, database_url) as opened:
        yield opened


@pytest.fixture
async def service(redis_url: str, database_url: str) -> AsyncIterator[Service]:
    async with serving(redis_url, database_url, BATCH_RATE_LIMIT="0") as opened:
        yield opened


@pytest.fixture
async def erp(service: Service) -> Erp:
    return await service.erp()


async def token_on(phone: Phone) -> str:
    return token_of(phone.wires, (await store_product(phone.wires)).product_id)


# ---------------------------------------------------------------------- JavaScript


async def javascript(folder: Path, program: str, **variables: str) -> Finished:
    """A program beside the module of the page."""
    module, _ = blocks("integrations/javascript.md", "js")
    (folder / "scan.mjs").write_text(module)
    (folder / "main.mjs").write_text(IMPORTING + program)
    node = shutil.which("node") or str(Path(sys.executable).with_name("node"))
    return await run(node, "main.mjs", environ={**os.environ, **variables}, folder=folder)


async def test_a_scan_from_javascript_counts_once_on_a_bad_network(
    phone: Phone, tmp_path: Path
) -> None:
    token, (_, program) = await token_on(phone), blocks("integrations/javascript.md", "js")
    async with cutting_proxy(phone.url) as (proxy, through):
        proxy.lose_reply_to = b"POST /v1/scans"
        done = await javascript(tmp_path, program, SCAN_URL=through, TOKEN=token)
        assert proxy.cuts == 1
    assert (done.err, done.status) == ("", 0)
    verdict, *rest = done.out.splitlines()[0].split()
    assert verdict in ("authentic", "suspicious")  # a program scanned, and says so
    assert rest == ["Running", "shoe", "1"]


async def test_what_javascript_is_refused_is_not_sent_again(phone: Phone, tmp_path: Path) -> None:
    program = """
    try {
      await scanPatiently(SCAN_URL, { token: TOKEN, scan_id: SCAN_ID });
    } catch (error) {
      console.log(error.status, error.code, error.retry, Boolean(error.requestId));
    }
    """
    late = scan_id_at(int(time.time() * 1000) - WEEK_MS - 60_000)
    done = await javascript(tmp_path, program, SCAN_URL=phone.url, TOKEN="NONE", SCAN_ID=late)
    assert (done.err, done.out) == ("", "422 scan_time_out_of_range false true\n")


async def test_an_offline_scan_keeps_its_time(phone: Phone, tmp_path: Path) -> None:
    program = """
    const scan = { token: TOKEN, scan_id: newScanId(Date.now() - 6 * 86400000) };
    console.log((await postScan(SCAN_URL, scan)).history.first_scanned_at);
    """
    token = await token_on(phone)
    done = await javascript(tmp_path, program, SCAN_URL=phone.url, TOKEN=token)
    assert done.err == ""
    seen = time.strptime(done.out[:19], "%Y-%m-%dT%H:%M:%S")
    age_s = time.time() - (time.mktime(seen) - time.timezone)
    assert 5.5 * 86_400 < age_s < 6.5 * 86_400


# ---------------------------------------------------------------------- curl


async def test_a_batch_is_pushed_and_recalled_with_curl(
    service: Service, erp: Erp, tmp_path: Path
) -> None:
    if shutil.which("curl") is None:
        assert "CI" not in os.environ, "curl is not installed"
        pytest.skip("NO CURL: docs/integrations/curl.md was not run")
    script = "set -eu\n" + "\n".join(blocks("integrations/curl.md", "sh"))
    async with (
        cutting_proxy(service.url) as (proxy, through),
        running(erp.wires, register.build(erp.wires)),
    ):
        proxy.lose_reply_to = b"POST /v1/batches"
        variables = {"FACTORY_URL": through, "FACTORY_KEY": erp.key}
        done = await run("sh", "-c", script, environ={**os.environ, **variables}, folder=tmp_path)
        assert done.status == 0, done.err
        assert proxy.cuts == 1
    recalled = json.loads((tmp_path / "recalled.json").read_text())
    assert recalled["recall_reason"].startswith("The glue")
    listed = (await erp.get("/v1/batches")).body["batches"]
    assert [one["batch_id"] for one in listed] == [recalled["batch_id"]]
    with (tmp_path / "products.csv").open(newline="") as file:
        assert len(list(csv.DictReader(file))) == 100


# ---------------------------------------------------------------------- Python


async def python(folder: Path, program: str, **variables: str) -> Finished:
    environ = {**os.environ, **variables}
    return await run(sys.executable, "-c", program, environ=environ, folder=folder)


async def test_a_batch_is_pushed_from_python(service: Service, erp: Erp, tmp_path: Path) -> None:
    order, _, _ = blocks("integrations/python.md", "python")
    async with running(erp.wires, register.build(erp.wires)):
        for _ in range(2):  # the same order again is the same batch
            done = await python(tmp_path, order, FACTORY_URL=service.url, FACTORY_KEY=erp.key)
            assert (done.err, done.status) == ("", 0)
            with (tmp_path / "labels.csv").open(newline="") as file:
                rows = list(csv.reader(file))
            assert len(rows) == 100
            assert all(re.search(r"/r/[0-9A-Z]{47}$", url) for _, url in rows)
    assert len((await erp.get("/v1/batches")).body["batches"]) == 1
    refused = await python(tmp_path, order, FACTORY_URL=service.url, FACTORY_KEY="vt_wrong")
    assert (refused.status, refused.err.split(":")[0]) == (1, "unauthorised")


async def test_what_happens_to_batches_is_heard_from_python(
    service: Service, erp: Erp, tmp_path: Path
) -> None:
    _, program, _ = blocks("integrations/python.md", "python")
    variables = {"FACTORY_URL": service.url, "FACTORY_KEY": erp.key}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", program),
        cwd=tmp_path,
        env={**os.environ, **variables},
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    try:
        async with (
            asyncio.timeout(TIMEOUT_S),
            running(erp.wires, register.build(erp.wires), notify.build(erp.wires)),
        ):
            hearing = asyncio.create_task(process.stdout.readline())
            while not hearing.done():  # who listens may not be heard yet
                await erp.create(product_count=1)
                await asyncio.wait([hearing], timeout=0.5)
        assert hearing.result().split()[1] == b"batch.processing"
    finally:
        process.kill()
        await process.wait()


async def test_a_server_scans_from_python(phone: Phone, tmp_path: Path) -> None:
    _, _, program = blocks("integrations/python.md", "python")
    token = await token_on(phone)
    done = await python(tmp_path, program, SCAN_URL=phone.url, TOKEN=token)
    assert (done.err, done.out) == ("", "authentic Running shoe\n")


# ---------------------------------------------------------------------- every page


def test_every_page_is_listed_and_speaks_of_what_there_is() -> None:
    index = (PAGES / "README.md").read_text()
    pages = {path.name for path in PAGES.glob("*.md")} - {"README.md"}
    assert pages == set(re.findall(r"\]\((\w+\.md)\)", index))
    # What Kotlin and Swift read and send has the names that the API has.
    for page in ("kotlin.md", "swift.md", "javascript.md"):
        text = (PAGES / page).read_text()
        assert "v1/scans" in text
        for header in ("Retry-After", "X-Request-Id", "Content-Type"):
            assert header in text, (page, header)
        assert "429, 502, 503, 504" in text
