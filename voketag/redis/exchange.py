"""Commands and their replies over one connection, without a coroutine for each reply.

The library connects, encrypts and signs in; from then on its connection speaks with this protocol.
Its own way of reading takes as long for a reply as the server takes for a scan.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

import hiredis
from redis.asyncio import Connection
from redis.exceptions import ConnectionError, TimeoutError

from voketag.redis.connection import COMMAND_TIMEOUT_S, reply_error

# What is called with the replies of a pipeline, an error in place of each that failed, or with the
# one error that befell the connection meanwhile.
Replies = Callable[[list[Any] | Exception], None]


class Exchange(asyncio.Protocol):
    """Sends pipelines over a connection that is open, and gives each its replies.

    A pipeline that is not answered in time ends the connection, and so does whatever else happens
    to it: all that were sent and not answered hear of that then, and may have been carried out.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        writer = connection._writer
        assert writer is not None
        self._transport = writer.transport
        self._before = self._transport.get_protocol()
        self._reader = hiredis.Reader(replyError=reply_error)
        self._sent: deque[tuple[int, Replies, asyncio.TimerHandle]] = deque()
        self._replies: list[Any] = []
        self._error: Exception | None = None
        self._transport.set_protocol(self)

    @property
    def open(self) -> bool:
        """Whether more can be sent."""
        return self._error is None and not self._transport.is_closing()

    def send(self, commands: Sequence[bytes], tell: Replies) -> None:
        """Send packed commands; `tell` is called once, and not before this returns."""
        timer = asyncio.get_running_loop().call_later(COMMAND_TIMEOUT_S, self._give_up)
        self._sent.append((len(commands), tell, timer))
        self._transport.write(b"".join(commands))

    def close(self) -> None:
        """End the connection."""
        self._transport.abort()

    def data_received(self, data: bytes) -> None:
        """Replies, or parts of them."""
        self._reader.feed(data)
        while self._sent:
            wanted, tell, timer = self._sent[0]
            while len(self._replies) < wanted:
                reply = self._reader.gets()
                if reply is False:  # the rest has not come yet; no reply of RESP2 is False
                    return
                self._replies.append(reply)
            self._sent.popleft()
            timer.cancel()
            replies, self._replies = self._replies, []
            tell(replies)

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection has ended, by whomever."""
        error = self._error or ConnectionError(f"the connection ended: {exc or 'closed'}")
        self._error = error
        sent, self._sent = self._sent, deque()
        for _, tell, timer in sent:
            timer.cancel()
            tell(error)
        if isinstance(self._before, asyncio.Protocol):
            self._before.connection_lost(exc)  # the library waits to hear of it

    def _give_up(self) -> None:
        self._error = TimeoutError(f"no answer within {COMMAND_TIMEOUT_S:g} s")
        self._transport.abort()
