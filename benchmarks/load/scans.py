"""The requests of a load, rendered before it begins."""

from __future__ import annotations

import itertools
import json
import random
from collections.abc import Callable
from urllib.parse import urlsplit

import uuid_utils

from benchmarks.load.orders import Load

USER_AGENT = "VokeTagApp/1.0 (Android 15)"
# Most products are scanned where they are sold.
_COUNTRIES = ("BR",) * 17 + ("PT", "US", "AR")
_ID_PLACE = "?" * 36  # stands where the scan id will, until a scan is sent

NextRequest = Callable[[], bytes]


def requests(load: Load) -> NextRequest:
    """Gives the next request each time it is called, round and round."""
    chance = random.Random(load.seed)
    turns = [_render(load, token, chance) for token in _in_turn(load, chance)]
    if not load.named_share:
        return itertools.cycle([b"".join(parts) for parts in turns]).__next__
    turn = itertools.cycle(turns).__next__

    def request() -> bytes:
        parts = turn()
        if len(parts) == 1:
            return parts[0]
        return str(uuid_utils.uuid7()).encode().join(parts)

    return request


def _in_turn(load: Load, chance: random.Random) -> list[str]:
    """Every product once in an order by chance, then all of them again in another."""
    tokens: list[str] = []
    while len(tokens) < load.distinct:
        tokens += chance.sample(load.tokens, len(load.tokens))
    return tokens[: load.distinct]


def _render(load: Load, token: str, chance: random.Random) -> list[bytes]:
    """A request in one part, or in the two between which its scan id belongs."""
    phone = chance.randrange(load.phones)
    body: dict[str, object] = {
        "token": token,
        "country": chance.choice(_COUNTRIES),
        "device": {"install_id": f"phone-{phone:09}", "model": "Pixel 9"},
    }
    if chance.random() < load.named_share:
        body["scan_id"] = _ID_PLACE
    text = json.dumps(body, separators=(",", ":"))
    where = urlsplit(load.url)
    head = (
        f"POST {where.path} HTTP/1.1\r\nHost: {where.netloc}\r\nUser-Agent: {USER_AGENT}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(text)}\r\n\r\n"
    )
    return [part.encode() for part in (head + text).split(_ID_PLACE)]
