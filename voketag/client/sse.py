"""Server-Sent Events as a client reads them (WHATWG HTML, section 9.2.6)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ServerEvent:
    """One event: its name, its id ("" where it has none) and its data."""

    name: str
    event_id: str
    data: str


class EventReader:
    """Reads a stream line by line; `last_id` is the last id that was sent."""

    def __init__(self) -> None:
        self.last_id = ""
        self._name = ""
        self._data: list[str] = []

    def line(self, raw: bytes) -> ServerEvent | None:
        """Take one line, with or without its end; gives the event that it completes."""
        text = raw.decode(errors="replace").rstrip("\r\n")
        if not text:
            return self._completed()
        name, _, value = text.partition(":")
        value = value.removeprefix(" ")
        if name == "event":
            self._name = value
        elif name == "data":
            self._data.append(value)
        elif name == "id" and "\x00" not in value:
            self.last_id = value
        return None

    def _completed(self) -> ServerEvent | None:
        name, data = self._name, self._data
        self._name, self._data = "", []
        if not data:
            return None
        return ServerEvent(name or "message", self.last_id, "\n".join(data))
