"""The contracts, and the trees they are to agree with: checked by code that is not ours."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import UUID

import msgspec
import pytest

from tests.anchoring import World, open_world
from tests.servers import eventually
from voketag import merkle, proofs
from voketag.anchoring import registry
from voketag.chain import fees, signing
from voketag.chain.client import (
    ANCHORED_AT_SELECTOR,
    ANCHORED_TOPIC,
    OWNER_SELECTOR,
    Chain,
    Receipt,
)
from voketag.chain.signing import Sender
from voketag.identifiers import new_id, product_id

ROOT = Path(__file__).parents[3]
VERIFIER = ROOT / "tests" / "contracts" / "ProofVerifier.vy"
STRANGER = "0x59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d"
GAS_OF_AN_ANCHOR = 45_387  # of a root without zero bytes; each zero byte saves 12


@pytest.fixture
async def chain(chain_url: str) -> AsyncIterator[Chain]:
    opened = Chain(chain_url)
    yield opened
    await opened.close()


def vyper(what: str, source: Path) -> str:
    """What the compiler says of a source."""
    command = [str(Path(sys.executable).with_name("vyper")), "-f", what, str(source)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def test_the_committed_contract_is_what_the_compiler_makes_of_the_source() -> None:
    artifact = json.loads(registry.ARTIFACT.read_text())
    source = ROOT / "contracts" / artifact["contract"]
    assert vyper("bytecode", source) == artifact["bytecode"]
    assert json.loads(vyper("abi", source)) == artifact["abi"]
    version = subprocess.run(
        [str(Path(sys.executable).with_name("vyper")), "--version"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout.strip()
    assert artifact["compiler"] == f"vyper {version}"
    text = source.read_text()
    for name, value in artifact["settings"].items():
        assert f"# pragma {name.replace('_', '-')} {value}" in text


def test_the_constants_are_those_of_the_abi() -> None:
    abi = json.loads(registry.ARTIFACT.read_text())["abi"]
    hashes = {
        entry["name"]: merkle.keccak256(
            f"{entry['name']}({','.join(item['type'] for item in entry['inputs'])})".encode()
        )
        for entry in abi
        if "name" in entry
    }
    assert hashes["Anchored"] == ANCHORED_TOPIC
    assert hashes["anchor"][:4] == signing.ANCHOR_SELECTOR
    assert hashes["anchoredAt"][:4] == ANCHORED_AT_SELECTOR
    assert hashes["owner"][:4] == OWNER_SELECTOR


async def send(
    chain: Chain, sender: Sender, contract: bytes, root: bytes, gas_limit: int = 200_000
) -> Receipt:
    nonce = await chain.transaction_count(sender.address, "pending")
    offer = fees.first(await chain.market())
    signed = sender.anchor(root, contract, nonce=nonce, fees=offer, gas_limit=gas_limit)
    await chain.send_raw(signed.raw)
    return await receipt_of(chain, signed.tx_hash)


async def receipt_of(chain: Chain, tx_hash: bytes) -> Receipt:
    async def included() -> bool:
        return await chain.receipt(tx_hash) is not None

    await eventually(included)
    receipt = await chain.receipt(tx_hash)
    assert receipt is not None
    return receipt


async def test_an_anchor_and_its_gas(chain: Chain) -> None:
    sender = Sender(signing.DEVELOPMENT_KEY, await chain.chain_id())
    contract = await registry.deploy(chain, sender)
    root = bytes(range(1, 33))
    assert await chain.anchored_at(contract, root) == 0
    receipt = await send(chain, sender, contract, root)
    block = await chain.block_by_number(receipt.block_number)
    assert block is not None
    assert receipt.succeeded
    assert receipt.anchored == ((contract, root),)
    assert await chain.anchored_at(contract, root) == block.timestamp
    assert await chain.anchored_by(contract, root) == receipt.tx_hash
    assert receipt.gas_used == GAS_OF_AN_ANCHOR


async def test_f44_the_contract_refuses_a_root_it_has(chain: Chain) -> None:
    sender = Sender(signing.DEVELOPMENT_KEY, await chain.chain_id())
    contract = await registry.deploy(chain, sender)
    root = os.urandom(32)
    first = await send(chain, sender, contract, root)
    at = await chain.anchored_at(contract, root)
    again = await send(chain, sender, contract, root)
    assert (first.succeeded, again.succeeded, again.anchored) == (True, False, ())
    assert await chain.anchored_at(contract, root) == at
    assert await chain.gas_estimate(sender.address, contract, signing.anchor_call(root)) is None


async def test_only_the_owner_anchors(chain: Chain) -> None:
    chain_id = await chain.chain_id()
    contract = await registry.deploy(chain, Sender(signing.DEVELOPMENT_KEY, chain_id))
    root = os.urandom(32)
    receipt = await send(chain, Sender(STRANGER, chain_id), contract, root)
    assert not receipt.succeeded
    assert await chain.anchored_at(contract, root) == 0


def open_zeppelin(trees: list[list[bytes]]) -> list[tuple[bytes, list[list[bytes]]]]:
    """Root and proofs of each list of leaves, by @openzeppelin/merkle-tree."""
    node = shutil.which("node") or str(Path(sys.executable).with_name("node"))
    given = json.dumps([["0x" + leaf.hex() for leaf in leaves] for leaves in trees])
    done = subprocess.run(
        [node, "tests/merkle_tree.mjs"],
        cwd=ROOT,
        input=given,
        capture_output=True,
        text=True,
        check=True,
    )
    return [
        (
            bytes.fromhex(tree["root"][2:]),
            [[bytes.fromhex(item[2:]) for item in proof] for proof in tree["proofs"]],
        )
        for tree in json.loads(done.stdout)
    ]


def test_trees_are_those_of_open_zeppelin() -> None:
    trees = [[os.urandom(32) for _ in range(size)] for size in (1, 2, 3, 4, 5, 7, 8, 31, 100, 1000)]
    for leaves, (root, paths) in zip(trees, open_zeppelin(trees), strict=True):
        tree = merkle.build(leaves)
        assert merkle.node(tree, 0) == root
        ordered = sorted(leaves)
        for leaf, path in zip(leaves, paths, strict=True):
            place = 2 * len(leaves) - 2 - ordered.index(leaf)
            assert merkle.path(tree, place) == path


def test_the_tree_of_the_check_value() -> None:
    """StandardMerkleTree of ["bytes32"] leaves 0x01 repeated, 0x02 repeated, 0x03 repeated."""
    leaves = [merkle.keccak256(merkle.keccak256(bytes([number]) * 32)) for number in (1, 2, 3)]
    root = "d0721d2dc79379fabc8f9fedaf82df1f99c98be5da4b6affa7ff9a42314b4e1c"
    assert merkle.node(merkle.build(leaves), 0).hex() == root


async def deploy_verifier(world: World) -> str:
    """Put the verifier on the chain. Its address."""
    sender = Sender(signing.DEVELOPMENT_KEY, 31337)
    code = bytes.fromhex(vyper("bytecode", VERIFIER)[2:])
    nonce = await world.chain.transaction_count(sender.address, "pending")
    offer = fees.first(await world.chain.market())
    signed = sender.creation(code, nonce=nonce, fees=offer)
    await world.chain.send_raw(signed.raw)
    assert (await receipt_of(world.chain, signed.tx_hash)).succeeded
    return "0x" + signing.created_address(code).hex()


async def verify(world: World, verifier: str, path: list[bytes], root: bytes, leaf: bytes) -> bool:
    """MerkleProof.verify(path, root, leaf) on the chain."""
    words = [(96).to_bytes(32, "big"), root, leaf, len(path).to_bytes(32, "big"), *path]
    selector = merkle.keccak256(b"verify(bytes32[],bytes32,bytes32)")[:4]
    call = {"to": verifier, "data": "0x" + (selector + b"".join(words)).hex()}
    return await world.number("eth_call", call, "latest") == 1


async def test_a_product_is_proven_on_the_chain_from_leaf_to_anchor(
    database_url: str, chain_url: str
) -> None:
    async with open_world(database_url, chain_url) as world:
        batches = [(new_id(), size) for size in (1, 2, 9, 33, 100)]
        leaves = {batch_id: product_leaves(batch_id, size) for batch_id, size in batches}
        trees = {batch_id: merkle.build(of_batch) for batch_id, of_batch in leaves.items()}
        anchored = [await world.batch(merkle.node(tree, 0)) for tree in trees.values()]
        await world.until_quiet()
        await world.check_all_final(*anchored)
        verifier = await deploy_verifier(world)
        for (batch_id, tree), stored in zip(trees.items(), anchored, strict=True):
            record = await world.record(stored)
            assert record.root is not None
            ordered = sorted(leaves[batch_id])
            for index in {0, len(ordered) // 2, len(ordered) - 1}:
                place = 2 * len(ordered) - 2 - index
                path = [*merkle.path(tree, place), *record.path]
                leaf = ordered[index]
                assert await verify(world, verifier, path, record.root, leaf)
                assert not await verify(world, verifier, path, record.root, os.urandom(32))
                assert not await verify(world, verifier, path[1:], record.root, leaf)


def product_leaves(batch_id: UUID, size: int) -> list[bytes]:
    """The leaves of a batch as `proofs` makes them."""
    leaves = []
    for index in range(size):
        product = product_id(batch_id, index)
        content = proofs.Content(
            batch_id=str(batch_id),
            factory_id=str(new_id()),
            manufactured_at=None,
            product_id=str(product),
            serial=str(index),
            sku="SKU",
        )
        digest = hashlib.sha256(msgspec.json.encode(content, order="sorted")).digest()
        assert content.leaf() == proofs.leaf(product, digest)
        leaves.append(content.leaf())
    return leaves
