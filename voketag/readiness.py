"""Telling whoever started this process that it is ready, as sd_notify(3) says."""

from __future__ import annotations

import os
import socket

import structlog

READY = b"READY=1"
log = structlog.get_logger()


def tell_ready() -> None:
    """Send READY=1 to the datagram socket that NOTIFY_SOCKET names, where one is named.

    A name that begins with `@` is one of Linux's abstract sockets (unix(7)).
    """
    name = os.environ.get("NOTIFY_SOCKET")
    if not name:
        return
    address = f"\0{name[1:]}" if name.startswith("@") else name
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.setblocking(False)
            sender.sendto(READY, address)
    except OSError as error:  # whoever waited for it has gone; the work goes on
        log.warning("nobody was told that this process is ready", error=str(error))
