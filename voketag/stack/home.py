"""The data directory: its lock, the secrets made for it, the ports its servers had last time."""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import socket
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from voketag.errors import VokeTagError
from voketag.tokens import ALPHABET

# Below what Linux (32768) and macOS (49152) hand out to outgoing connections, so that a client's
# socket never sits on a server's port.
PORTS = range(26_000, 32_000)  # of the embedded servers


class StackError(VokeTagError):
    """The servers cannot be started; the message is a sentence for the person who tried."""


@dataclass(frozen=True)
class Secrets:
    """What is generated once for a data directory.

    `token_keys` is in the form `id:hex`, `hash_key` in hexadecimal; `created` says whether these
    were made by this very call, so that the admin key is shown once.
    """

    admin_key: str
    token_keys: str
    hash_key: str
    redis_password: str
    postgres_password: str
    created: bool = False


def make_home(home: Path) -> Path:
    """Create the data directory if it is missing, for its owner alone. Its absolute path."""
    home = home.expanduser().absolute()
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise StackError(f"the data directory {home} cannot be made: {error.strerror}") from error
    return home


@contextmanager
def locked(home: Path) -> Iterator[None]:
    """Hold the data directory for this process; the kernel lets go of it however we end."""
    try:
        descriptor = os.open(home / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise StackError(f"the data directory {home} is not usable: {error.strerror}") from error
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(descriptor, 20, 0).decode(errors="replace").strip() or "unknown"
            raise StackError(
                f"{home} is in use by another VokeTag (pid {holder}); stop that one first, or set "
                "VOKETAG_HOME to another directory."
            ) from None
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(descriptor)


def holder(home: Path) -> int | None:
    """The process id of whoever holds this data directory, None where nobody does."""
    try:
        descriptor = os.open(home / "lock", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        written = os.pread(descriptor, 20, 0).decode(errors="replace").strip()
        return int(written) if written.isdigit() else None
    else:
        return None
    finally:
        os.close(descriptor)


def load_or_create_secrets(home: Path) -> Secrets:
    """The secrets of this data directory; whoever comes first makes them, all others read them."""
    home = make_home(home)
    path = home / "secrets.json"
    if not path.exists():
        fresh = _new_secrets()
        if _write_once(path, json.dumps(asdict(fresh) | {"created": False}, indent=2) + "\n"):
            return Secrets(**asdict(fresh) | {"created": True})
    try:
        return Secrets(**json.loads(path.read_text()))
    except PermissionError as error:
        raise StackError(f"{path} belongs to another user and cannot be read.") from error
    except (ValueError, TypeError) as error:
        raise StackError(
            f"{path} is damaged: put a copy back. Without it printed tokens cannot be verified."
        ) from error


def _new_secrets() -> Secrets:
    return Secrets(
        admin_key="vta_" + "".join(secrets.choice(ALPHABET) for _ in range(32)),
        token_keys=f"1:{secrets.token_hex(32)}",
        hash_key=secrets.token_hex(32),
        redis_password=secrets.token_hex(24),
        postgres_password=secrets.token_hex(24),
    )


def _write_once(path: Path, text: str) -> bool:
    """Write a private file that is either whole or absent. False if another was there first."""
    temporary = path.with_name(f"{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    write_private(temporary, text)
    try:
        # Unlike a rename, a link never replaces what another process has just put there.
        os.link(temporary, path)
    except FileExistsError:
        return False
    finally:
        temporary.unlink()
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
    return True


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner reads (0600 from its first byte on), durably."""
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def make_private(directory: Path) -> Path:
    """Create a directory for its owner alone, if it is missing."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    return directory


def choose_port(home: Path, name: str, taken: Collection[int] = ()) -> int:
    """The port this server had last time if nobody has it now, else a free one, remembered; none
    of those that are `taken` by programs which are yet to start.
    """
    record = home / "ports.json"
    try:
        ports = dict(json.loads(record.read_text()))
    except (OSError, ValueError, TypeError):
        ports = {}
    last = ports.get(name)
    if isinstance(last, int) and last not in taken and port_is_free(last):
        return last
    known = {*ports.values(), *taken}
    while (port := secrets.choice(PORTS)) in known or not port_is_free(port):
        pass
    write_private(record, json.dumps(ports | {name: port}) + "\n")
    return port


def port_is_free(port: int) -> bool:
    """Whether a server could listen on this loopback port now."""
    with socket.socket() as probe:
        # Servers set it too; without it a port is held back for a minute after a crash.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True
