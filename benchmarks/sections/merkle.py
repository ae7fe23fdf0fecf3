"""How much of the time that a Merkle tree takes is the hashing that it cannot do without."""

from __future__ import annotations

import secrets
import time

import sha3

from benchmarks.garbage_rest import collected_seldom
from benchmarks.section import Bench, Figure, Found, Section, Target
from voketag import merkle

LEAVES = 100_000
LEAVES_LEAST = 100


async def measure(bench: Bench) -> Found:
    """Rates in inner nodes a second: of the whole tree, and of keccak alone."""
    count = max(LEAVES_LEAST, round(LEAVES * bench.scale))
    leaves = [secrets.token_bytes(merkle.HASH_BYTES) for _ in range(count)]
    built, hashed = [], []
    with collected_seldom():
        for number in range(bench.rounds):
            hashed.append(_hash_pairs(count - 1))
            built.append(_build(leaves))
            bench.say(f"round {number + 1}: {built[-1]:,.0f} of {hashed[-1]:,.0f} nodes/s")
    tree = Figure(f"tree of {count:,} leaves", "VokeTag", "inner nodes/s", tuple(built))
    raw = Figure("keccak-256 of 64 bytes", "safe-pysha3", "hashes/s", tuple(hashed))
    target = Target("Merkle tree / keccak alone", tree, raw, at_least=0.5, aim=0.8)
    return Found((tree, raw), (target,))


def _hash_pairs(count: int) -> float:
    """Keccak of 64 bytes, so many times: a second's worth."""
    keccak, pair = sha3.keccak_256, secrets.token_bytes(2 * merkle.HASH_BYTES)
    began_s = time.perf_counter()
    for _ in range(count):
        keccak(pair).digest()
    return count / (time.perf_counter() - began_s)


def _build(leaves: list[bytes]) -> float:
    """The tree of these leaves: a second's worth of inner nodes."""
    began_s = time.perf_counter()
    merkle.build(leaves)
    return (len(leaves) - 1) / (time.perf_counter() - began_s)


SECTION = Section("merkle", "Merkle trees against raw hashing", measure)
