"""What a peer is to the benchmark that runs it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

Programs = Mapping[str, Sequence[str]]


class Missing(Exception):
    """A peer cannot be built on this machine; the text says what to install."""


@dataclass(frozen=True)
class Peer:
    """A system that VokeTag is measured against.

    Its programs are started in the repository's root, all with the same environment: PEER_HOST,
    PEER_PORT, REDIS_URL, DATABASE_URL, TOKEN_KEYS (`id:hex,id:hex`), HASH_KEY (hexadecimal),
    RATE_LIMIT (scans a minute for one address, 60 where it is not set, 0 for none) and CHAIN_URL
    (the factory only; without it nothing is anchored). The one that listens on PEER_PORT answers
    GET /healthz with 200 once all of them can work. SIGTERM ends each of them.
    """

    name: str
    schema: Path
    """SQL to apply to an empty database."""
    build: Callable[[Path], None] | None
    """Makes what is run into an empty folder. Raises Missing."""
    programs: Callable[[Path], Programs]
    """The command lines by name, given that folder."""
    redis: Mapping[str, str] = field(default_factory=dict)
    """The directives its Redis runs with: the fastest that its own promises allow."""
