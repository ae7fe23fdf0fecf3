"""`voketag verify`: what a bundle shows by itself, and what a chain says of it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.command import Finished, environment, voketag
from tests.proof_bundles import SOMEWHERE, Bundle, anchored_on, make_bundle
from voketag.ops import verify

REPOSITORY = Path(__file__).parents[3]


async def check(tmp_path: Path, bundle: Bundle, *arguments: str) -> Finished:
    file = tmp_path / "proof.json"
    file.write_text(json.dumps(bundle))
    return await voketag("verify", str(file), *arguments, environ=environment(tmp_path / "none"))


# ---------------------------------------------------------------------- offline


async def test_a_bundle_that_holds(tmp_path: Path) -> None:
    found = await check(tmp_path, make_bundle())
    assert found.status == 0
    assert [line[0] for line in found.out.splitlines()] == ["✓", "✓"]
    assert "--rpc" in found.err  # it says what was not checked
    assert not (tmp_path / "none").exists()


async def test_standard_input(tmp_path: Path) -> None:
    data = json.dumps(make_bundle(products=1, batches=1)).encode()
    found = await voketag("verify", "-", environ=environment(tmp_path), stdin=data)
    assert (found.status, found.out.count("✓")) == (0, 2)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"content": {"serial": "S-9"}}, "content was changed"),
        ({"content": {"product_id": "nonsense"}}, "not a UUID"),
        ({"leaf": "0x" + "00" * 32}, "content was changed"),
        ({"root": "0x" + "00" * 32}, "does not lead"),
        ({"path": []}, "does not lead"),
        ({"path": ["0x12"]}, "32"),
        ({"batch_root": "0x" + "00" * 32}, "batch root"),
        ({"format": "voketag-proof-v2"}, "voketag-proof-v1"),
    ],
)
async def test_a_bundle_that_was_changed(tmp_path: Path, change: Bundle, said: str) -> None:
    bundle = make_bundle()
    content = {**bundle["content"], **change.get("content", {})}
    found = await check(tmp_path, {**bundle, **change, "content": content})
    assert found.status == 1
    assert found.out.startswith("✗")
    assert said in found.out


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b'{"format": 1}', b"\xff\xfe", b"{}"])
async def test_what_is_no_bundle(tmp_path: Path, data: bytes) -> None:
    found = await voketag("verify", "-", environ=environment(tmp_path), stdin=data)
    assert found.status == 1
    assert "not a proof bundle" in found.err
    assert "Traceback" not in found.err


def test_offline_loads_no_client() -> None:
    """The check itself is arithmetic: whoever audits it has no network code to read."""
    code = (
        "import sys, voketag.ops.verify; "
        "print({'aiohttp', 'redis', 'asyncpg', 'eth_account'} & set(sys.modules))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert found.stdout.strip() == b"set()"


# ---------------------------------------------------------------------- against a chain


@pytest.fixture
async def anchored(chain_url: str) -> tuple[str, Bundle]:
    """A chain that holds a bundle's root, and the bundle."""
    return chain_url, await anchored_on(chain_url, make_bundle())


async def test_a_root_that_the_chain_holds(tmp_path: Path, anchored: tuple[str, Bundle]) -> None:
    url, bundle = anchored
    found = await check(tmp_path, bundle, "--rpc", url)
    assert found.status == 0, found.out
    assert found.out.count("✓") == 5
    assert "own claim" in found.err  # the contract's address was not given from elsewhere
    found = await check(tmp_path, bundle, "--rpc", url, "--contract", bundle["contract"])
    assert (found.status, found.err) == (0, "")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"chain_id": 1}, "this is chain 31337"),
        ({"contract": SOMEWHERE}, "no contract stands"),
        ({"contract": "0x12"}, "40 hexadecimal"),
        ({"tx_hash": "0x" + "11" * 32}, "does not hold it"),
        ({"block_number": 77}, "the proof says block 77"),
        ({"block_hash": "0x" + "22" * 32}, "the proof says block"),
        ({"anchored_at": "2020-01-01T00:00:00Z"}, "the proof says '2020"),
    ],
)
async def test_a_claim_that_the_chain_denies(
    tmp_path: Path, anchored: tuple[str, Bundle], change: Bundle, said: str
) -> None:
    url, bundle = anchored
    found = await check(tmp_path, bundle | change, "--rpc", url)
    assert found.status == 1
    assert said in found.out


async def test_a_root_that_was_never_anchored(tmp_path: Path, anchored: tuple[str, Bundle]) -> None:
    url, bundle = anchored
    found = await check(tmp_path, make_bundle() | {"contract": bundle["contract"]}, "--rpc", url)
    assert found.status == 1
    assert "it never anchored this root" in found.out


async def test_another_contract_than_the_bundle_claims(
    tmp_path: Path, anchored: tuple[str, Bundle]
) -> None:
    url, bundle = anchored
    found = await check(tmp_path, bundle, "--rpc", url, "--contract", SOMEWHERE)
    assert found.status == 1
    assert "no contract stands" in found.out


async def test_a_chain_that_does_not_answer(tmp_path: Path) -> None:
    found = await check(tmp_path, make_bundle(), "--rpc", "http://127.0.0.1:1")
    assert found.status == 1
    assert "could not be asked" in found.out


# ---------------------------------------------------------------------- by a contract


async def test_a_contract_follows_the_path(anchored: tuple[str, Bundle]) -> None:
    url, bundle = anchored
    checks = await verify.by_contract(verify.read(json.dumps(bundle).encode()), url)
    assert [found.holds for found in checks] == [True, True]


async def test_a_contract_refuses_another_path(anchored: tuple[str, Bundle]) -> None:
    url, bundle = anchored
    changed = bundle | {"path": bundle["path"][1:]}
    checks = await verify.by_contract(verify.read(json.dumps(changed).encode()), url)
    assert [found.holds for found in checks] == [False]


def test_the_verifier_is_what_its_source_compiles_to() -> None:
    artifact = json.loads(verify.VERIFIER.read_text())
    source = verify.VERIFIER.parent / artifact["contract"]
    compiler = (sys.executable, "-W", "ignore", "-m", "vyper.cli.vyper_compile")
    options = ("-f", "bytecode_runtime", "--evm-version", artifact["settings"]["evm_version"])
    found = subprocess.run(
        [*compiler, *options, str(source)], capture_output=True, check=True, text=True
    )
    assert found.stdout.strip() == artifact["runtime"]
