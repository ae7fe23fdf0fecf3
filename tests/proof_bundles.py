"""Proof bundles as the factory API hands them out, made by the tests, and a chain that has them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec

from tests.servers import eventually
from voketag import identifiers, merkle
from voketag.anchoring import registry
from voketag.chain import fees
from voketag.chain.client import Chain
from voketag.chain.signing import DEVELOPMENT_KEY, Sender
from voketag.proofs import FORMAT, Content

SOMEWHERE = "0x" + "5f" * 20
Bundle = dict[str, Any]


def hex_of(value: bytes) -> str:
    return "0x" + value.hex()


def make_bundle(products: int = 5, batches: int = 3, **content: Any) -> Bundle:
    """The bundle of a product in one of several batches; `content` says more of the product."""
    batch_id = identifiers.new_id()
    contents = [
        Content(
            batch_id=str(batch_id),
            factory_id=str(identifiers.new_id()),
            manufactured_at=None,
            product_id=str(identifiers.product_id(batch_id, index)),
            serial=f"S-{index}",
            sku="SHOE-42",
        )
        for index in range(products)
    ]
    contents[0] = msgspec.structs.replace(contents[0], **content)
    leaves = [one.leaf() for one in contents]
    tree = merkle.build(leaves)
    below = merkle.path(tree, _place(tree, leaves[0]))
    root_tree = merkle.build([tree[:32], *(bytes([n]) * 32 for n in range(1, batches))])
    above = merkle.path(root_tree, _place(root_tree, tree[:32]))
    return {
        "format": FORMAT,
        "content": {name: getattr(contents[0], name) for name in contents[0].__struct_fields__},
        "leaf": hex_of(leaves[0]),
        "path": [hex_of(item) for item in (*below, *above)],
        "batch_root": hex_of(tree[:32]),
        "root": hex_of(root_tree[:32]),
        "chain_id": 31337,
        "contract": SOMEWHERE,
        "tx_hash": "0x" + "11" * 32,
        "block_number": 1,
        "block_hash": "0x" + "22" * 32,
        "anchored_at": "2026-01-01T00:00:00Z",
    }


def _place(tree: bytes, leaf: bytes) -> int:
    return next(at for at in range(len(tree) // 32) if merkle.node(tree, at) == leaf)


async def anchored_on(chain_url: str, bundle: Bundle) -> Bundle:
    """The bundle, once a registry on the chain has anchored its root."""
    chain = Chain(chain_url)
    try:
        sender = Sender(DEVELOPMENT_KEY, await chain.chain_id())
        contract = await registry.deploy(chain, sender)
        root = bytes.fromhex(bundle["root"][2:])
        nonce = await chain.transaction_count(sender.address, "latest")
        offered = fees.first(await chain.market())
        signed = sender.anchor(root, contract, nonce=nonce, fees=offered, gas_limit=100_000)
        await chain.send_raw(signed.raw)

        async def mined() -> bool:
            return await chain.receipt(signed.tx_hash) is not None

        await eventually(mined)
        receipt = await chain.receipt(signed.tx_hash)
        assert receipt is not None
        assert receipt.succeeded
        at_s = await chain.anchored_at(contract, root)
    finally:
        await chain.close()
    return bundle | {
        "contract": hex_of(contract),
        "tx_hash": hex_of(receipt.tx_hash),
        "block_number": receipt.block_number,
        "block_hash": hex_of(receipt.block_hash),
        "anchored_at": identifiers.rfc3339(datetime.fromtimestamp(at_s, UTC)),
    }
