"""Settings: one frozen value read from the environment, every fault reported at once."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

from voketag.errors import SettingsError
from voketag.tokens import KeyRing, TokenKey
from voketag.topology import PROCESSES

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Value = TypeVar("Value")
COPIES_MAX = 64
_REDIS = ("redis", "rediss", "unix", "redis+cluster", "rediss+cluster")
_POSTGRES = ("postgres", "postgresql")
_CURVE_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141  # secp256k1


@dataclass(frozen=True)
class Settings:
    """Everything that can be set from outside. docs/settings.md describes each variable."""

    home: Path
    host: str
    redis_url: str = field(repr=False)
    database_url: str = field(repr=False)
    database_read_url: str | None = field(repr=False)
    chain_url: str = field(repr=False)
    scan_port: int
    factory_port: int
    ops_port: int
    admin_key: str = field(repr=False)
    token_keys: KeyRing = field(repr=False)
    hash_key: bytes = field(repr=False)
    anchor_window_s: float
    confirmations: int | None
    chain_id: int | None
    chain_key: str | None = field(repr=False)
    contract: str | None
    public_url: str
    scan_rate_limit: int
    batch_rate_limit: int
    key_guess_limit: int
    session_s: int
    connections_max: int
    trusted_proxies: tuple[Network, ...]
    shards: int
    formation: Mapping[str, int]
    retention_months: int
    geo_database: Path | None
    datacenter_ranges: Path | None
    redis_may_lose: bool
    database_may_lose: bool
    redis_replicas: int | None
    redis_max_memory_mib: int | None
    shed_after_s: int
    log_level: str
    traces_url: str | None = field(repr=False)
    traces_ratio: float


def load(environ: Mapping[str, str]) -> Settings:
    """Read and check every VOKETAG_ variable. Raises SettingsError naming all that is wrong."""
    reader = _Reader(environ)
    settings = _places(reader) | _ways(reader)
    if reader.faults:
        raise SettingsError(reader.faults)
    return Settings(**settings)  # type: ignore[arg-type]  # each reader checked its own


def _places(reader: _Reader) -> dict[str, object]:
    """Where things are."""
    return {
        "home": Path(reader.text("HOME", ".voketag")),
        "host": reader.text("HOST", "127.0.0.1"),
        "redis_url": reader.url("REDIS_URL", _REDIS),
        "database_url": reader.url("DATABASE_URL", _POSTGRES),
        "database_read_url": reader.optional("DATABASE_READ_URL", _url(_POSTGRES)),
        "chain_url": reader.url("CHAIN_URL", ("http", "https")),
        "scan_port": (scan_port := reader.number("SCAN_PORT", "8080", 0, 65535)),
        "factory_port": reader.number("FACTORY_PORT", "8081", 0, 65535),
        "ops_port": reader.number("OPS_PORT", "8082", 0, 65535),
        "public_url": reader.url("PUBLIC_URL", ("http", "https"), f"http://localhost:{scan_port}"),
        "connections_max": reader.number("CONNECTIONS_MAX", "4096", 16, 1_000_000),
        "trusted_proxies": reader.checked("TRUSTED_PROXIES", "", _networks),
    }


def _ways(reader: _Reader) -> dict[str, object]:
    """How they are done."""
    return {
        "admin_key": reader.checked("ADMIN_KEY", None, _admin_key),
        "token_keys": reader.checked("TOKEN_KEYS", None, _token_keys),
        "hash_key": reader.checked("HASH_KEY", None, _hash_key),
        "anchor_window_s": reader.checked("ANCHOR_WINDOW_S", "2", _seconds),
        "confirmations": reader.optional("CONFIRMATIONS", _whole(1, 10_000)),
        "chain_id": reader.optional("CHAIN_ID", _whole(1, 2**63 - 1)),
        "chain_key": reader.optional("CHAIN_KEY", _chain_key),
        "contract": reader.optional("CONTRACT", _address),
        "scan_rate_limit": reader.number("SCAN_RATE_LIMIT", "60", 0, 10_000_000),
        "batch_rate_limit": reader.number("BATCH_RATE_LIMIT", "1200", 0, 10_000_000),
        "key_guess_limit": reader.number("KEY_GUESS_LIMIT", "600", 0, 10_000_000),
        "session_s": reader.number("SESSION_S", "28800", 60, 604_800),
        "shards": reader.number("SHARDS", "2", 1, 256),
        "formation": reader.checked("FORMATION", "", read_formation),
        "retention_months": reader.number("RETENTION_MONTHS", "13", 1, 1200),
        "geo_database": reader.optional("GEO_DATABASE", _existing_file),
        "datacenter_ranges": reader.optional("DATACENTER_RANGES", _existing_file),
        "redis_may_lose": reader.choice("REDIS_MAY_LOSE", "no", ("no", "yes")) == "yes",
        "database_may_lose": reader.choice("DATABASE_MAY_LOSE", "no", ("no", "yes")) == "yes",
        "redis_replicas": reader.optional("REDIS_REPLICAS", _whole(0, 16)),
        "redis_max_memory_mib": reader.optional("REDIS_MAX_MEMORY_MIB", _whole(16, 16_777_216)),
        "shed_after_s": reader.number("SHED_AFTER_S", "21600", 1, 604_800),
        "log_level": reader.choice("LOG_LEVEL", "info", ("debug", "info", "warning", "error")),
        "traces_url": reader.optional("TRACES_URL", _url(("http", "https"))),
        "traces_ratio": reader.checked("TRACES_RATIO", "0.001", _share),
    }


class _Reader:
    """Reads VOKETAG_ variables and gathers the faults instead of stopping at the first."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self.environ = environ
        self.faults: list[str] = []

    def checked(
        self, name: str, default: str | None, parse: Callable[[str], Value]
    ) -> Value | None:
        """The parsed variable, or its parsed default; a fault where it is missing or unusable."""
        variable = f"VOKETAG_{name}"
        text = self.environ.get(variable) or default
        if text is None:
            self.faults.append(f"{variable} is not set; `voketag run` sets it for its processes")
            return None
        try:
            return parse(text)
        except ValueError as error:
            self.faults.append(f"{variable}: {error}")
            return None

    def optional(self, name: str, parse: Callable[[str], Value]) -> Value | None:
        """The parsed variable, or None where it is unset or empty."""
        return self.checked(name, None, parse) if self.environ.get(f"VOKETAG_{name}") else None

    def text(self, name: str, default: str) -> str:
        return self.checked(name, default, str) or default

    def number(self, name: str, default: str, low: int, high: int) -> int | None:
        return self.checked(name, default, _whole(low, high))

    def choice(self, name: str, default: str, accepted: tuple[str, ...]) -> str | None:
        def parse(text: str) -> str:
            if text not in accepted:
                raise ValueError(f"{text!r} is not one of {', '.join(accepted)}")
            return text

        return self.checked(name, default, parse)

    def url(self, name: str, schemes: tuple[str, ...], default: str | None = None) -> str | None:
        return self.checked(name, default, _url(schemes))


def _url(schemes: tuple[str, ...]) -> Callable[[str], str]:
    def parse(text: str) -> str:
        # The value itself is not repeated: a URL may hold a password.
        parts = urlsplit(text)
        if parts.scheme not in schemes:
            raise ValueError(f"not a URL that starts with {':// or '.join(schemes)}://")
        if any(map(str.isspace, text)) or ("http" in schemes and not parts.hostname):
            raise ValueError("a URL names a host and holds no white space")
        return text.rstrip("/")

    return parse


def _whole(low: int, high: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if not (text.isascii() and text.isdigit() and low <= int(text) <= high):
            raise ValueError(f"{text!r} is not a whole number from {low} to {high}")
        return int(text)

    return parse


def _admin_key(text: str) -> str:
    if len(text) < 16 or not all("!" <= character <= "~" for character in text):
        raise ValueError("an admin key has at least 16 characters, visible ASCII all of them")
    return text


def _hexadecimal(text: str, what: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError:
        raise ValueError(f"{what} is not hexadecimal") from None


def _token_keys(text: str) -> KeyRing:
    keys = []
    for item in text.split(","):
        key_id, colon, secret = item.strip().partition(":")
        if not colon or not (key_id.isascii() and key_id.isdigit()):
            raise ValueError("keys are written id:hex,id:hex with ids from 0 to 255")
        keys.append(TokenKey(int(key_id), _hexadecimal(secret, f"the secret of key {key_id}")))
    return KeyRing(tuple(keys))


def _hash_key(text: str) -> bytes:
    key = _hexadecimal(text, "the key")
    if len(key) < 16:
        raise ValueError("the key has at least 16 bytes (32 hexadecimal digits)")
    return key


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        raise ValueError(f"{text!r} is not a number of seconds") from None
    if not 0 <= value <= 86_400:
        raise ValueError("a number of seconds from 0 to 86400 is accepted")
    return value


def _share(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        raise ValueError(f"{text!r} is not a number") from None
    if not 0 <= value <= 1:
        raise ValueError("a share from 0 to 1 is accepted")
    return value


def _chain_key(text: str) -> str:
    key = _hexadecimal(text.removeprefix("0x"), "the private key")
    if len(key) != 32:
        raise ValueError("a private key has 32 bytes (64 hexadecimal digits)")
    if not 0 < int.from_bytes(key, "big") < _CURVE_ORDER:
        raise ValueError("the private key is not one of secp256k1: it is 0 or too large")
    return text


def _address(text: str) -> str:
    if not text.startswith("0x") or len(_hexadecimal(text[2:], "the address")) != 20:
        raise ValueError("an address is 0x and 40 hexadecimal digits")
    return text


def _networks(text: str) -> tuple[Network, ...]:
    items = [item.strip() for item in text.split(",") if item.strip()]
    try:
        return tuple(ipaddress.ip_network(item) for item in items)
    except ValueError as error:
        raise ValueError(f"{error}; CIDRs separated by commas are accepted") from None


def read_formation(text: str) -> Mapping[str, int]:
    """How many copies of which processes are asked for. Raises ValueError, saying what can be."""
    copies: dict[str, int] = {}
    for item in filter(None, map(str.strip, text.split(","))):
        name, _, count = item.partition("=")
        if name not in PROCESSES:
            raise ValueError(f"there is no process {name!r}, but {', '.join(PROCESSES)}")
        if name in copies:
            raise ValueError(f"{name} is there twice")
        try:
            copies[name] = _whole(1, COPIES_MAX)(count)
        except ValueError as error:
            raise ValueError(f"{item!r}: {error}; scan=2,score=2 is accepted") from None
    return copies


def _existing_file(text: str) -> Path:
    path = Path(text)
    if not path.is_file():
        raise ValueError(f"there is no file {text}")
    return path
