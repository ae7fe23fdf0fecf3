"""Which instance a command talks to: the servers named by the environment, else those of the
VokeTag that runs on this data directory, which leaves their URLs there.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from voketag.errors import VokeTagError
from voketag.stack.home import write_private

PREFIX = "VOKETAG_"
FILE = "environment.json"
DEFAULT_HOME = ".voketag"
DEFAULT_SHARDS = "2"
SHARDS_MAX = 256


class NoInstance(VokeTagError):
    """There is nothing to talk to; the message says what to start or to set."""


@dataclass(frozen=True)
class Instance:
    """The VOKETAG_ variables of an instance, those of the caller before those it was started with.

    `running` says whether a VokeTag runs on the data directory.
    """

    home: Path
    variables: Mapping[str, str] = field(repr=False)
    running: bool

    def url(self, name: str) -> str:
        """The URL in variable `name`. Raises NoInstance where there is none."""
        value = self.variables.get(name)
        if not value:
            raise NoInstance(
                f"No VokeTag runs on {self.home} and {name} is not set: start one with "
                "`voketag run`, set VOKETAG_HOME to the directory of one that runs, or set "
                f"{name}."
            )
        return value

    @property
    def redis_url(self) -> str:
        """The URL of Redis."""
        return self.url("VOKETAG_REDIS_URL")

    @property
    def database_url(self) -> str:
        """The URL of Postgres."""
        return self.url("VOKETAG_DATABASE_URL")

    @property
    def shards(self) -> int:
        """How many shards the streams are divided into."""
        text = self.variables.get("VOKETAG_SHARDS") or DEFAULT_SHARDS
        if not (text.isascii() and text.isdigit() and 1 <= int(text) <= SHARDS_MAX):
            raise NoInstance(
                f"VOKETAG_SHARDS: {text!r} is not a whole number from 1 to {SHARDS_MAX}"
            )
        return int(text)


def home_of(environ: Mapping[str, str]) -> Path:
    """The data directory that the environment names, absolute."""
    return Path(environ.get("VOKETAG_HOME") or DEFAULT_HOME).expanduser().absolute()


def find(environ: Mapping[str, str]) -> Instance:
    """The instance that the environment means."""
    home = home_of(environ)
    left = _read(home / FILE)
    given = {name: value for name, value in environ.items() if name.startswith(PREFIX) and value}
    return Instance(home, {**left, **given}, running=bool(left))


def _read(path: Path) -> dict[str, str]:
    try:
        return dict(json.loads(path.read_text()))
    except FileNotFoundError:
        return {}
    except PermissionError as error:
        raise NoInstance(f"{path} belongs to another user and cannot be read.") from error
    except (ValueError, TypeError) as error:
        raise NoInstance(f"{path} is damaged; starting VokeTag again writes it anew.") from error


def announce(home: Path, environ: Mapping[str, str], environment: Mapping[str, str]) -> str:
    """Leave the variables of an instance that starts, readable for its owner alone; gives the text
    of the file, for `withdraw`.
    """
    given = {name: value for name, value in environ.items() if name.startswith(PREFIX)}
    text = json.dumps({**given, **environment}, indent=2) + "\n"
    write_private(home / FILE, text)
    return text


def withdraw(home: Path, text: str) -> None:
    """Take the file away again, unless the next instance has put its own there already."""
    path = home / FILE
    with contextlib.suppress(FileNotFoundError):
        if path.read_text() == text:
            path.unlink()
