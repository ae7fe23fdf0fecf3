"""The heartbeat of a consumer process: a connection of its own, for a thread of its own.

It blocks, so it is never called in the event loop; and nothing that the event loop does, or fails
to do, holds it up.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from voketag import topology
from voketag.errors import Unavailable
from voketag.redis import leases
from voketag.redis.blocking import Call, open_blocking
from voketag.redis.connection import means_wait

FIGURES_LEASES = 3  # for so many leases the metrics of a process that died can still be read


@dataclass(frozen=True, slots=True)
class Beat:
    """What a heartbeat learnt: how many processes of the group live, itself among them, and which
    of the streams it named are not, or no longer, this process's. None: the server of a cluster
    that counts them is away.
    """

    alive: int | None
    lost: frozenset[str]


class Heartbeat:
    """Renews the leases of one process and says that it is alive."""

    def __init__(self, url: str, boot_id: str, group: str, lease_ms: int) -> None:
        self.boot_id = boot_id
        self.group = group
        self.lease_ms = lease_ms
        # A connection that fell silent is given up early enough to renew in time on another.
        self._redis = open_blocking(url, lease_ms / 2000)

    def beat(self, streams: Collection[str], figures: bytes | None = None) -> Beat:
        """Renew the leases of these streams. Raises Unavailable.

        `figures` are the process's metrics, left for ops to serve while it lives.
        """
        held = list(streams)
        mine = (self.boot_id, self.lease_ms)
        calls: list[Call] = [
            (leases.RENEW, leases.owner_key(stream, self.group), mine) for stream in held
        ]
        if figures is not None:
            left = topology.metrics_key(self.group, self.boot_id)
            kept_ms = FIGURES_LEASES * self.lease_ms
            calls.append((leases.LEAVE_FIGURES, left, (figures, kept_ms)))
        calls.append((leases.BEAT, topology.members_key(self.group), mine))
        try:
            replies = self._redis.evaluate(calls)
        except Exception as error:
            if means_wait(error):
                raise Unavailable(f"redis: {error}") from error
            raise
        # A lease whose server is away, as one of a cluster may be, is not said to be lost.
        lost = (stream for stream, renewed in zip(held, replies, strict=False) if renewed == 0)
        return Beat(replies[-1], frozenset(lost))

    def close(self) -> None:
        """Close the connection."""
        self._redis.close()
