"""Scripts carried out without an event loop, for the thread of the heartbeat: on one Redis all of
them in one round trip, on a cluster in one round trip to each server that is meant.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any, Protocol

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import (
    AskError,
    ClusterDownError,
    ConnectionError,
    MovedError,
    TimeoutError,
)
from redis.retry import Retry

from voketag.redis.slots import is_cluster, server_urls, serving, slot_of, url_at

_FAILS = (OSError, ConnectionError, TimeoutError)
_PASSING = (*_FAILS, AskError, ClusterDownError)  # and MovedError

# A script, the one key that it touches, and its arguments.
Call = tuple[str, str, Sequence[str | bytes | int]]


class Evaluating(Protocol):
    """One Redis, or a cluster."""

    def evaluate(self, calls: Sequence[Call]) -> list[Any]:
        """The replies of scripts, in their order; None for one whose server does not answer while
        others of its cluster do.
        """

    def close(self) -> None:
        """Close the connections."""


def open_blocking(url: str, timeout_s: float) -> Evaluating:
    """What the URL means; nothing is connected yet, and nothing is ever sent twice."""
    return _Cluster(url, timeout_s) if is_cluster(url) else _One(url, timeout_s)


class _One:
    def __init__(self, url: str, timeout_s: float) -> None:
        self._redis = Redis.from_url(
            url,
            protocol=2,
            retry=Retry(NoBackoff(), 0),
            socket_timeout=timeout_s,
            socket_connect_timeout=timeout_s,
            socket_keepalive=True,
        )

    def evaluate(self, calls: Sequence[Call]) -> list[Any]:
        return self.replies(calls, raise_on_error=True)

    def replies(self, calls: Sequence[Call], *, raise_on_error: bool) -> list[Any]:
        with self._redis.pipeline(transaction=False) as pipeline:
            for script, key, arguments in calls:
                pipeline.eval(script, 1, key, *arguments)
            return list(pipeline.execute(raise_on_error=raise_on_error))

    def slots(self) -> Any:
        return self._redis.execute_command("CLUSTER", "SLOTS")  # type: ignore[no-untyped-call]

    def close(self) -> None:
        self._redis.close()


class _Cluster:
    """Servers that failed are asked last: one that has fallen silent holds up no other."""

    def __init__(self, url: str, timeout_s: float) -> None:
        self._timeout_s = timeout_s
        self._servers = {named: _One(named, timeout_s) for named in server_urls(url)}
        self._table: list[str | None] = []
        self._failed: set[str] = set()

    def evaluate(self, calls: Sequence[Call]) -> list[Any]:
        if not self._table or self._failed:
            self._look()
        parts: dict[str | None, list[int]] = defaultdict(list)
        for at, (_, key, _) in enumerate(calls):
            parts[self._table[slot_of(key)]].append(at)
        replies: list[Any] = [None] * len(calls)
        for url in sorted(filter(None, parts), key=self._failed.__contains__):
            part = [calls[at] for at in parts[url]]
            for at, reply in zip(parts[url], self._told(url, part), strict=True):
                replies[at] = reply
        if self._failed and all(reply is None for reply in replies):
            self._look()  # raises where not even another server answers
        for reply in replies:
            if isinstance(reply, Exception):
                raise reply
        return replies

    def _told(self, url: str, calls: Sequence[Call]) -> list[Any]:
        """What one server says; None for what it cannot do now."""
        try:
            told = self._server(url).replies(calls, raise_on_error=False)
        except _FAILS:
            self._failed.add(url)
            return [None] * len(calls)
        self._failed.discard(url)
        for reply in told:
            if isinstance(reply, MovedError):  # the next heartbeat goes there
                self._table[reply.slot_id] = url_at(url, reply.host, reply.port)
        return [None if isinstance(reply, _PASSING) else reply for reply in told]

    def close(self) -> None:
        for server in self._servers.values():
            server.close()

    def _server(self, url: str) -> _One:
        if url not in self._servers:
            self._servers[url] = _One(url, self._timeout_s)
        return self._servers[url]

    def _look(self) -> None:
        """Ask one server after another who serves what, until one knows."""
        error: Exception = ConnectionError("no server of the cluster answers")
        for url in sorted(self._servers, key=self._failed.__contains__):
            try:
                reply = self._servers[url].slots()
            except _FAILS as failed:
                error = failed
            else:
                if reply:
                    self._table = serving(reply, url)
                    return
        raise error
