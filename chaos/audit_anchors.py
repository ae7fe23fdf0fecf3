"""The anchors against the chain's own events: one effective transaction for every root."""

from __future__ import annotations

from collections import Counter

import asyncpg
import sha3

from chaos.chain_rpc import call
from chaos.findings import Audit

ANCHORED = "0x" + sha3.keccak_256(b"Anchored(bytes32,uint256)").hexdigest()


async def check(result: Audit, connection: asyncpg.Connection, chain_url: str) -> None:
    """Every root that the rows call final is anchored once, by the transaction they name; every
    event is of a root of ours; every batch's path leads to the root it was anchored under.
    """
    anchors = await connection.fetch("SELECT * FROM anchors")
    roots = await connection.fetch(
        "SELECT anchor_roots.root, path, anchors.root AS anchored FROM anchor_roots "
        "LEFT JOIN anchors USING (anchor_id)"
    )
    logs = []
    for contract in {row["contract"] for row in anchors}:
        asked = {"address": "0x" + contract.hex(), "fromBlock": "0x0", "topics": [ANCHORED]}
        logs += await call(chain_url, "eth_getLogs", asked)
    effective = Counter(log["topics"][1] for log in logs)
    where = {log["topics"][1]: (log["transactionHash"], log["blockHash"]) for log in logs}
    wrong = []
    for row in anchors:
        root = "0x" + row["root"].hex()
        if row["status"] != "final":
            wrong.append(f"anchor {root} is {row['status']}")
        elif effective[root] != 1:
            wrong.append(f"anchor {root} has {effective[root]} effective transactions")
        elif where[root] != ("0x" + row["tx_hash"].hex(), "0x" + row["block_hash"].hex()):
            wrong.append(f"anchor {root} is not in the block that its row names")
    if strangers := set(effective) - {"0x" + row["root"].hex() for row in anchors}:
        wrong.append(f"{len(strangers)} roots on the chain are no anchor of ours")
    for row in roots:
        if row["anchored"] is None or _top(row["root"], row["path"] or b"") != row["anchored"]:
            wrong.append(f"the path of {row['root'].hex()} leads to no anchored root")
    result.conclude(
        f"{len(roots)} batch roots under {len(anchors)} anchored roots, each by exactly one "
        "effective transaction",
        wrong,
    )


def _top(node: bytes, path: bytes) -> bytes:
    """Where a path leads: keccak-256 of the sorted pair, hash by hash."""
    for at in range(0, len(path), 32):
        pair = sorted((node, path[at : at + 32]))
        node = sha3.keccak_256(b"".join(pair)).digest()
    return node
