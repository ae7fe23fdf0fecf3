"""Merkle trees of batches, stored in chunks of 1,024 nodes; a proof reads a few hashes of one."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from voketag.merkle import HASH_BYTES, Nodes
from voketag.records.binary_copy import copy_rows, field, head
from voketag.records.database import Connection

CHUNK_NODES = 1024
CHUNK_BYTES = CHUNK_NODES * HASH_BYTES
_CHUNKS_AT_ONCE = 32
_COLUMNS = ("batch_id", "chunk", "nodes")


async def add_tree(connection: Connection, batch_id: UUID, tree: Nodes) -> None:
    """Store the whole tree of a batch."""
    view, batch = memoryview(tree), field(batch_id.bytes)
    count = -(-len(tree) // CHUNK_BYTES)
    for first in range(0, count, _CHUNKS_AT_ONCE):
        rows = [
            head(len(_COLUMNS))
            + batch
            + field(chunk.to_bytes(4, "big"))
            + field(bytes(view[chunk * CHUNK_BYTES : (chunk + 1) * CHUNK_BYTES]))
            for chunk in range(first, min(first + _CHUNKS_AT_ONCE, count))
        ]
        await copy_rows(connection, "batch_trees", _COLUMNS, rows)


async def place_of_leaf(
    connection: Connection, batch_id: UUID, leaf_count: int, leaf: bytes
) -> int | None:
    """The place of a leaf in its batch's tree, None where it is not in it.

    Leaves are hashes in descending order: where one lies can be guessed from its value to within a
    chunk or so, and each chunk that is read makes the next guess better. Two reads are usual.
    """
    low, high = leaf_count - 1, 2 * leaf_count - 2  # the places it may be at
    low_value, high_value = 1 << 256, -1  # beyond what lies just outside of them
    value = int.from_bytes(leaf, "big")
    while low <= high:
        guess = low + (high - low) * (low_value - value) // (low_value - high_value)
        chunk = min(max(guess, low), high) // CHUNK_NODES
        nodes = await _chunk(connection, batch_id, chunk)
        first = max(low, chunk * CHUNK_NODES)
        last = min(high, chunk * CHUNK_NODES + len(nodes) // HASH_BYTES - 1)
        if last < first:
            return None  # the tree is not there
        values = [_value(nodes, place % CHUNK_NODES) for place in range(first, last + 1)]
        if value > values[0]:
            high, high_value = first - 1, values[0]
        elif value < values[-1]:
            low, low_value = last + 1, values[-1]
        else:
            return first + values.index(value) if value in values else None
    return None


def _value(nodes: bytes, place: int) -> int:
    return int.from_bytes(nodes[place * HASH_BYTES : (place + 1) * HASH_BYTES], "big")


async def _chunk(connection: Connection, batch_id: UUID, chunk: int) -> bytes:
    nodes: bytes | None = await connection.fetchval(
        "SELECT nodes FROM batch_trees WHERE batch_id = $1 AND chunk = $2", batch_id, chunk
    )
    return nodes or b""


async def nodes_at(
    connection: Connection, batch_id: UUID, places: Sequence[int]
) -> list[bytes] | None:
    """The nodes at some places of a tree, in that order, None where one is missing.

    Chunks are stored uncompressed and out of line, so that substring reads a page or two of each
    and not its 32 KiB.
    """
    nodes = await connection.fetch(
        "SELECT substring(nodes FROM place % $3 * $4 + 1 FOR $4) AS node "
        "FROM unnest($2::integer[]) WITH ORDINALITY AS wanted (place, number) "
        "JOIN batch_trees ON batch_id = $1 AND chunk = place / $3 ORDER BY number",
        batch_id,
        places,
        CHUNK_NODES,
        HASH_BYTES,
    )
    found: list[bytes] = [row["node"] for row in nodes]
    return found if len(found) == len(places) else None
