"""Who is calling: the client's address, and the keyed hashes that are kept in its place.

Addresses and devices are personal data. Nothing but an HMAC-SHA256 of them leaves the process, and
its key is derived anew for each calendar month (UTC), so that hashes of different months cannot be
linked by anyone who does not hold the secret.
"""

from __future__ import annotations

import functools
import hmac
import ipaddress
from collections.abc import Iterable, Sequence

from voketag import identifiers
from voketag.settings import Network

HASH_BYTES = 16
Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class PersonalHash:
    """Keyed hashes of personal data under the key of the month a moment lies in."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret
        self._month_key = functools.lru_cache(maxsize=8)(self._derive)

    def _derive(self, month: str) -> bytes:
        return hmac.digest(self._secret, b"voketag-personal-v1\x00" + month.encode(), "sha256")

    def __call__(self, kind: str, value: str, at_ms: int) -> str:
        """The hash of a `value` of some `kind` ("address", "device"): 32 hexadecimal digits."""
        key = self._month_key(_month(at_ms // 86_400_000))
        message = kind.encode() + b"\x00" + value.encode("utf-8", "surrogatepass")
        return hmac.digest(key, message, "sha256")[:HASH_BYTES].hex()


@functools.lru_cache(maxsize=64)
def _month(day: int) -> str:
    return identifiers.time_of_ms(day * 86_400_000).strftime("%Y-%m")


def client_address(
    peer: str | None, forwarded: Iterable[str], trusted: Sequence[Network]
) -> Address | None:
    """The address a request comes from. `forwarded` are its X-Forwarded-For headers, in order.

    They are one list (RFC 9110, section 5.3): some proxies add a header of their own below the
    client's. It is read from its right end, and only as far as the hops are proxies that the
    settings trust; whatever stands left of that is the client's own claim.
    """
    address = _parse(peer or "")
    if not trusted or address is None or not _within(address, trusted):
        return address
    for hop in reversed(",".join(forwarded).split(",")):
        candidate = _parse(hop.strip())
        if candidate is None:
            return address
        address = candidate
        if not _within(address, trusted):
            break
    return address


def _within(address: Address, networks: Sequence[Network]) -> bool:
    return any(address in network for network in networks)


def limited_unit(address: Address | None) -> str:
    """What a limit counts: an IPv4 address, or an IPv6 /64, which is one subscriber's."""
    if address is None:
        return "unknown"
    if address.version == 6:
        return str(ipaddress.ip_network((address, 64), strict=False).network_address)
    return str(address)


def _parse(text: str) -> Address | None:
    try:
        address = ipaddress.ip_address(text.strip("[]"))
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
        return address.ipv4_mapped
    return address
