"""A terminal's second screen: drawn anew as often as wanted, and the first left as it was."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import termios
from collections.abc import Iterator, Mapping
from typing import Any, TextIO

# xterm's control sequences, which terminals have agreed on: the alternate screen, the cursor.
_ENTER = "\x1b[?1049h\x1b[?25l"
_LEAVE = "\x1b[?25h\x1b[?1049l"
_HOME, _END_OF_LINE, _REST = "\x1b[H", "\x1b[K", "\x1b[J"
_LOCAL_FLAGS = 3  # their place in what termios gives


def is_capable(out: TextIO, environ: Mapping[str, str]) -> bool:
    """Whether this is a terminal that can be drawn on."""
    return out.isatty() and environ.get("TERM", "dumb") != "dumb"


def wants_colour(environ: Mapping[str, str]) -> bool:
    """Whether colours are welcome (no-color.org)."""
    return not environ.get("NO_COLOR")


class Screen:
    """The second screen, while it is shown.

    `changed` is set when its size may be another, and when it is to end; `ended` then as well.
    """

    def __init__(self, out: TextIO, keys: TextIO) -> None:
        self._out = out
        self._keys = keys.fileno() if keys.isatty() else None
        self._usual: list[Any] = [] if self._keys is None else termios.tcgetattr(self._keys)
        self.changed = asyncio.Event()
        self.ended = False

    @property
    def size(self) -> tuple[int, int]:
        """Columns and lines."""
        try:
            found = os.get_terminal_size(self._out.fileno())
        except OSError:
            return 80, 24
        return found.columns, found.lines

    def draw(self, text: str) -> None:
        """Show this text and nothing else, without a flicker."""
        self.changed.clear()
        drawn = text.replace("\n", f"{_END_OF_LINE}\n")
        self._write(f"{_HOME}{drawn}{_END_OF_LINE}{_REST}")

    def enter(self) -> None:
        """Show the second screen; what is typed is not shown on it."""
        if self._keys is not None:
            quiet = termios.tcgetattr(self._keys)
            quiet[_LOCAL_FLAGS] &= ~(termios.ECHO | termios.ICANON)
            termios.tcsetattr(self._keys, termios.TCSADRAIN, quiet)
            asyncio.get_running_loop().add_reader(self._keys, self._typed)
        self._write(_ENTER)
        self.changed.set()

    def leave(self) -> None:
        """Show the first one as it was. What was typed meanwhile is forgotten."""
        if self._keys is not None:
            asyncio.get_running_loop().remove_reader(self._keys)
        with contextlib.suppress(OSError, termios.error):  # the terminal is gone
            if self._keys is not None:
                termios.tcsetattr(self._keys, termios.TCSAFLUSH, self._usual)
            self._write(_LEAVE)

    def suspend(self) -> None:
        """What Ctrl-Z asks for: the shell comes back on its own screen."""
        self.leave()
        os.kill(os.getpid(), signal.SIGSTOP)
        self.enter()  # continued

    def _typed(self) -> None:
        assert self._keys is not None
        typed = os.read(self._keys, 1024)
        if not typed or b"q" in typed:
            self.ended = True
            self.changed.set()

    def _write(self, text: str) -> None:
        self._out.write(text)
        self._out.flush()


@contextlib.contextmanager
def shown() -> Iterator[Screen]:
    """The second screen on standard output, for as long as the context lasts and however it ends,
    but by SIGKILL.
    """
    screen = Screen(sys.stdout, sys.stdin)
    loop = asyncio.get_running_loop()

    def die(number: signal.Signals) -> None:
        screen.leave()
        loop.remove_signal_handler(number)
        os.kill(os.getpid(), number)

    loop.add_signal_handler(signal.SIGWINCH, screen.changed.set)
    loop.add_signal_handler(signal.SIGTSTP, screen.suspend)
    for number in (signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, die, number)
    screen.enter()
    try:
        yield screen
    finally:
        screen.leave()
        for number in (signal.SIGWINCH, signal.SIGTSTP, signal.SIGTERM, signal.SIGHUP):
            loop.remove_signal_handler(number)
