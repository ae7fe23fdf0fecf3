"""Examples for the OpenAPI document: batches to push, and a proof that holds. Nobody has them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from msgspec import Meta

from voketag import proofs
from voketag.proofs import Proof

NEW_BATCHES: Mapping[str, Any] = {
    "By count": {
        "product_count": 1000,
        "sku": "SHOE-42",
        "name": "Running shoe",
        "manufactured_at": "2026-03-01",
        "destination_countries": ["BR", "PT"],
        "attributes": {"line": 7},
    },
    "With serials of your own": {
        "serials": ["A-000417", "A-000418"],
        "sku": "SHOE-43",
        "name": "Running shoe",
    },
}
# Of a batch of two that was anchored with another batch; no chain has it.
PROOF: Mapping[str, Any] = {
    "format": proofs.FORMAT,
    "content": {
        "batch_id": "0199c8f1-6f00-7a4b-9d3e-5f1c2b7a8e90",
        "factory_id": "0199c8f0-1c00-7d21-8f6a-2b9c4e7d1a35",
        "manufactured_at": "2026-03-01T00:00:00Z",
        "product_id": "0199c8f1-6f00-7c15-a1b2-c3d4e5f60718",
        "serial": "A-000417",
        "sku": "SHOE-42",
    },
    "leaf": "0xdd7b1b35e7e0db5123a0d7d11ef5274f6c8ef8784c5adf08a274a28dda7c01fc",
    "path": [
        "0x6bf165db5c4da0dbd29b8080755116a6d735a10d7f4b8e2f85ee0267e83129f6",
        "0xb13d9b8ba62788a6be6f9508e1297c17bb422520812890df157d64f813bafbdb",
    ],
    "batch_root": "0x529af642367d809033ccdba92793a878d256465276914a215a828821de22f9f5",
    "root": "0xba152aa4acacb3b883620eb353c9fa00307149108928c40b2b17fd7e906661a0",
    "chain_id": 31_337,
    "contract": "0x" + "2d" * 20,
    "tx_hash": "0x" + "5e" * 32,
    "block_number": 48_213,
    "block_hash": "0x" + "b7" * 32,
    "anchored_at": "2026-03-01T08:00:07Z",
}
ProofAnswer = Annotated[Proof, Meta(examples=[PROOF])]
