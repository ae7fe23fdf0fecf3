"""Listening sockets that outlive the processes that accept from them, handed over as
sd_listen_fds(3) says.

Whoever holds such a socket keeps its queue: while a process is replaced or down, new connections
wait there, and a predecessor and its successor take them from the same one.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping

FIRST_DESCRIPTOR = 3  # SD_LISTEN_FDS_START
BACKLOG = 1024


def opened(host: str, port: int, *, shared: bool = False) -> socket.socket:
    """A socket that listens there, for handing over. Raises OSError where the address is taken.

    Of several `shared` ones on one address each gets its part of the new connections.
    """
    family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
    listener = socket.create_server((host, port), family=family, backlog=BACKLOG, reuse_port=shared)
    listener.setblocking(False)
    return listener


def handed_over(environ: Mapping[str, str]) -> list[socket.socket]:
    """The sockets that this process was handed; none where LISTEN_PID names another process, for
    which they were meant.
    """
    own = str(os.getpid())
    count = environ.get("LISTEN_FDS", "")
    if environ.get("LISTEN_PID", own) != own or not (count.isascii() and count.isdigit()):
        return []
    listeners = []
    for descriptor in range(FIRST_DESCRIPTOR, FIRST_DESCRIPTOR + int(count)):
        os.set_inheritable(descriptor, False)
        listeners.append(socket.socket(fileno=descriptor))
    return listeners
