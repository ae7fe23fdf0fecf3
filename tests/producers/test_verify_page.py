"""The page that checks a proof bundle in the browser: its hashes, its steps, a chain, a copy."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import rfc8785
from playwright.async_api import Page

from producers.page_words import LANGUAGES
from producers.verify_page import SCRIPTS, SOURCES
from tests.browser import DESKTOP, PHONE, chromium, violations_in_both_schemes
from tests.page_scripts import in_node
from tests.proof_bundles import SOMEWHERE, Bundle, anchored_on, make_bundle
from tests.test_pages import HOSTILE, check_page
from tests.visitors import Place, faults_of, place_on, visitor
from voketag import merkle, proofs
from voketag.ops import verify

STEPS = ["bundle", "leaf", "path", "batch", "chain", "address", "registry", "transaction"]
KECCAK_VECTORS = {  # of the Keccak team and of Ethereum
    "": "c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470",
    "616263": "4e03657aea45a94fc7d47ba826c8d667c0d1e6e33a64a036ec44f58fa12d6c45",
    "cc": "eead6dbfc7340a56caedc044696a168870549a6a7f6f56961e84a54bd9970b8a",
}
TEXTS = (
    *HOSTILE,
    "",
    "é ü ñ ç 漢字 \U0001f45f",
    "\x00\x1f\x7f\u0080\u2028\u2029\ufeff\uffff",
    '"\\/\b\f\n\r\t',
)


@pytest.fixture
async def place(redis_url: str, database_url: str) -> AsyncIterator[Place]:
    async with place_on(redis_url, database_url) as opened:
        yield opened


# ---------------------------------------------------------------------- the arithmetic


def test_the_hashes_are_those_of_python(tmp_path: Path) -> None:
    chance = random.Random(29)
    data = [bytes.fromhex(text) for text in KECCAK_VECTORS]
    data += [chance.randbytes(length) for length in (*range(150), 271, 272, 273, 1000, 5000)]
    expression = (
        "given.data.map((text) => Uint8Array.from(Buffer.from(text, 'hex')))"
        ".map((bytes) => [keccak256(bytes), sha256(bytes)].map((hash) => hexOf(hash).slice(2)))"
    )
    given = {"data": [one.hex() for one in data]}
    found = in_node(tmp_path, ("hashes", "proof"), expression, given)
    assert [one for one, _ in found[: len(KECCAK_VECTORS)]] == list(KECCAK_VECTORS.values())
    assert found == [[merkle.keccak256(one).hex(), hashlib.sha256(one).hexdigest()] for one in data]


def test_the_canonical_json_and_the_leaf_are_those_of_python(tmp_path: Path) -> None:
    contents = [
        make_bundle(1, 1, serial=text, sku=text[::-1], manufactured_at=made)["content"]
        for text in TEXTS
        for made in (None, "2026-11-01T00:00:00Z")
    ]
    contents.append(contents[0] | {"product_id": contents[0]["product_id"].replace("-", "")})
    contents.append(contents[0] | {"product_id": UUID(contents[0]["product_id"]).urn})
    expression = (
        "given.contents.map((content) => [Buffer.from(canonical(content)).toString(),"
        " hexOf(leafOf(content))])"
    )
    found = in_node(tmp_path, ("hashes", "proof"), expression, {"contents": contents})
    assert found == [
        [rfc8785.dumps(content).decode(), "0x" + proofs.Content(**content).leaf().hex()]
        for content in contents
    ]


# ---------------------------------------------------------------------- bundles


def verified(folder: Path, bundles: list[Any]) -> list[list[str]]:
    """What Node finds of bundles, or of texts, by themselves: the state of each step."""
    given = {"bundles": [one if isinstance(one, str) else json.dumps(one) for one in bundles]}
    expression = (
        "await Promise.all(given.bundles.map(async (text) => { const found = []; "
        "for await (const one of verify(text, '', '')) found.push(one.state); return found; }))"
    )
    scripts = [name for name in SCRIPTS if name not in ("words", "verify")]
    states: list[list[str]] = in_node(folder, scripts, expression, given)
    return states


def passes(text: str) -> bool:
    """Whether Python holds a bundle to be right by itself."""
    try:
        return all(check.holds for check in verify.offline(verify.read(text.encode())))
    except proofs.ProofFault:
        return False


def test_bundles_of_every_shape_hold(tmp_path: Path) -> None:
    shapes = [(products, batches) for products in (1, 2, 3, 7, 64) for batches in (1, 2, 5)]
    bundles = [make_bundle(*shape) for shape in shapes]
    bundles += [make_bundle(3, 2, serial=text) for text in TEXTS]
    bundles.append(bundles[0] | {"more": 1, "leaf": "0x" + bundles[0]["leaf"][2:].upper()})
    for states in verified(tmp_path, bundles):
        assert states == ["passed"] * 4 + ["unchecked"] * 4


def tampered(bundle: Bundle) -> list[tuple[str, Any]]:
    """The bundle changed in each of its members, and the step at which that has to show."""
    content, path, zero = bundle["content"], bundle["path"], "0x" + "00" * 32
    made: list[tuple[str, Any]] = [
        ("leaf", bundle | {"content": content | {name: "another"}}) for name in content
    ]
    made += [("leaf", bundle | {"content": content | {"manufactured_at": ""}})]
    made += [("leaf", bundle | {"leaf": leaf}) for leaf in (zero, "0x12", bundle["leaf"][2:], "")]
    made += [
        ("path", bundle | {"path": changed})
        for changed in ([], path[1:], path[:-1], [*path, zero], path[::-1], [zero, *path[1:]])
    ]
    made += [("path", bundle | {"path": [*path[:-1], path[-1] + "00"]})]
    made += [("path", bundle | {"root": root}) for root in (zero, bundle["batch_root"], "0xzz")]
    made += [("batch", bundle | {"batch_root": root}) for root in (zero, "", "0x")]
    made += [("bundle", bundle | {"format": "voketag-proof-v2"})]
    made += [("bundle", {name: bundle[name] for name in bundle if name != left}) for left in bundle]
    made += [("bundle", bundle | {name: 1.5}) for name in bundle]
    made += [("bundle", bundle | {name: None}) for name in bundle]
    made += [("bundle", bundle | {"content": content | {"serial": None}})]
    made += [("bundle", json.dumps(bundle).replace('"S-0"', '"\\ud800"'))]
    made += [("bundle", text) for text in ("", "{", "[]", "null", "1", '"x"', "{}")]
    return made


def test_a_bundle_that_was_changed_fails_where_python_fails_it(tmp_path: Path) -> None:
    cases = tampered(make_bundle())
    for (step, bundle), states in zip(
        cases, verified(tmp_path, [bundle for _, bundle in cases]), strict=True
    ):
        text = bundle if isinstance(bundle, str) else json.dumps(bundle)
        assert not passes(text), bundle
        failed = STEPS.index(step)
        rest = ["unchecked"] * (len(STEPS) - failed - 1)
        assert states == ["passed"] * failed + ["failed"] + rest, bundle


# ---------------------------------------------------------------------- in the browser


async def check(page: Page, bundle: Any, rpc: str = "", registry: str = "") -> dict[str, str]:
    """Let the page check a bundle; the state of each step."""
    await page.fill("#bundle", bundle if isinstance(bundle, str) else json.dumps(bundle))
    await page.fill("#rpc", rpc)
    await page.fill("#registry", registry)
    await page.click("#verify button")
    await page.locator("#found[data-outcome=working]").wait_for(state="detached")
    items = await page.locator("#steps li").all()
    assert await page.evaluate("document.activeElement.id") == "outcome"
    return {
        str(await item.get_attribute("data-step")): str(await item.get_attribute("data-state"))
        for item in items
    }


@pytest.mark.timeout(240)
async def test_a_bundle_against_a_chain(place: Place, chain_url: str) -> None:
    bundle = await anchored_on(chain_url, make_bundle())
    registry = bundle["contract"]
    never = make_bundle() | {"contract": registry}
    cases: list[tuple[str, Bundle, str]] = [
        ("chain", bundle | {"chain_id": 1}, registry),
        ("address", bundle, "0x12"),
        ("address", bundle | {"contract": "nonsense"}, ""),
        ("registry", bundle, SOMEWHERE),
        ("registry", bundle | {"contract": SOMEWHERE}, ""),
        ("registry", never, registry),
        ("registry", bundle | {"anchored_at": "2020-01-01T00:00:00Z"}, registry),
        ("transaction", bundle | {"tx_hash": "0x" + "11" * 32}, registry),
        ("transaction", bundle | {"tx_hash": "0x11"}, registry),
        ("transaction", bundle | {"block_number": 77}, registry),
        ("transaction", bundle | {"block_hash": "0x" + "22" * 32}, registry),
    ]
    async with chromium() as browser, visitor(browser, **DESKTOP) as context:
        page = await context.new_page()
        faults = faults_of(page)
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        await page.goto(f"{place.url}/verify")
        assert set((await check(page, bundle, chain_url, registry)).values()) == {"passed"}
        assert await page.locator("#found").get_attribute("data-outcome") == "passed"
        claimed = await check(page, bundle, chain_url)
        assert claimed == dict.fromkeys(STEPS, "passed") | {"address": "unchecked"}
        assert await page.locator("#found").get_attribute("data-outcome") == "unchecked"
        for step, changed, named in cases:
            states = await check(page, changed, chain_url, named)
            at = STEPS.index(step)
            assert states[step] == "failed", (step, changed, states)
            assert "failed" not in [states[one] for one in STEPS[:at]]
            assert {states[one] for one in STEPS[at + 1 :]} <= {"unchecked"}
            assert await page.locator("#found").get_attribute("data-outcome") == "failed"
            told = verify.read(json.dumps(changed).encode())
            checks = await verify.on_chain(told, chain_url, named or None)
            assert not all(one.holds for one in checks), changed  # so does the command
        own = [url for url in asked if not url.startswith(chain_url)]
        assert own == [f"{place.url}/verify"]  # the page, and then nobody else, not even us
        assert len(asked) > len(own)
        assert faults == []


async def test_a_server_that_cannot_be_asked_is_no_fault_of_the_bundle(place: Place) -> None:
    async with chromium() as browser, visitor(browser, **DESKTOP) as context:
        page = await context.new_page()
        await page.goto(f"{place.url}/verify")
        for url in ("http://127.0.0.1:1", f"{place.url}/v1/scans"):
            states = await check(page, make_bundle(), url)
            assert list(states.values()) == ["passed"] * 4 + ["unchecked"] * 4
            assert "eth_chainId" in await page.inner_text("[data-step=chain] .detail")


async def test_a_saved_copy_works_from_the_disk(place: Place, tmp_path: Path) -> None:
    saved, proof = tmp_path / "verify.html", tmp_path / "proof.json"
    async with place.phone.session.get("/verify?lang=pt") as response:
        saved.write_bytes(await response.read())
    proof.write_text(json.dumps(make_bundle()))
    async with chromium() as browser, visitor(browser, **DESKTOP) as context:
        page = await context.new_page()
        faults = faults_of(page)
        await page.goto(saved.as_uri())
        assert not await page.locator("nav").is_visible()
        await page.set_input_files("#file", proof)
        await page.locator("#verify button").click()
        await page.locator("#steps li:nth-child(8)").wait_for()
        assert await page.locator("#steps [data-state=passed]").count() == 4
        assert faults == []


async def test_hostile_bundles_are_shown_as_text(place: Place) -> None:
    async with chromium() as browser, visitor(browser, **DESKTOP) as context:
        page = await context.new_page()
        faults = faults_of(page)
        page.on("dialog", lambda dialog: faults.append(dialog.message))
        await page.goto(f"{place.url}/verify")
        for name in HOSTILE:
            states = await check(page, make_bundle(1, 1, serial=name, sku=name))
            assert states["leaf"] == "passed"
            assert name in await page.inner_text("[data-step=leaf] .detail")
        assert faults == []


@pytest.mark.parametrize("language", LANGUAGES)
async def test_everybody_can_use_it(place: Place, language: str) -> None:
    async with chromium() as browser:
        for size in (PHONE, DESKTOP):
            async with visitor(browser, **size) as context:
                page = await context.new_page()
                await page.goto(f"{place.url}/verify?lang={language}")
                assert await violations_in_both_schemes(page) == []
                changed = make_bundle() | {"batch_root": "0x" + "00" * 32}
                assert "failed" in (await check(page, changed)).values()
                assert await violations_in_both_schemes(page) == []
                width = "document.documentElement.scrollWidth <= innerWidth"
                assert await page.evaluate(width)


async def test_it_may_ask_any_server_and_nothing_else(place: Place) -> None:
    async with place.phone.session.get("/verify") as response:
        text = await response.text()
        assert response.headers["Vary"] == "Accept-Language, Accept-Encoding"
    check_page(text, response.headers, **SOURCES)
