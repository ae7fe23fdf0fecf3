"""Addresses: who is calling behind which proxies, and hashes that cannot be linked over months."""

from __future__ import annotations

import ipaddress

import pytest

from voketag.addresses import PersonalHash, client_address, limited_unit
from voketag.settings import Network

PROXIES: tuple[Network, ...] = (
    ipaddress.ip_network("10.0.0.0/8"),
    ipaddress.ip_network("2001:db8::/32"),
)


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        ("203.0.113.9", None, "203.0.113.9"),
        ("203.0.113.9", "198.51.100.1", "203.0.113.9"),  # no proxy of ours: its claim is nothing
        ("10.0.0.1", None, "10.0.0.1"),
        ("10.0.0.1", "", "10.0.0.1"),
        ("10.0.0.1", "198.51.100.1", "198.51.100.1"),
        ("10.0.0.1", "6.6.6.6, 198.51.100.1", "198.51.100.1"),  # the left was sent by the client
        ("10.0.0.1", "198.51.100.1, 10.0.0.2", "198.51.100.1"),
        ("10.0.0.1", "10.0.0.3, 10.0.0.2", "10.0.0.3"),
        ("10.0.0.1", "6.6.6.6, nonsense, 10.0.0.2", "10.0.0.2"),
        ("10.0.0.1", "198.51.100.1,", "10.0.0.1"),
        ("10.0.0.1", "[2001:4860::8]", "2001:4860::8"),
        ("2001:db8::1", "2001:4860::8", "2001:4860::8"),
        ("::ffff:10.0.0.1", "::ffff:198.51.100.1", "198.51.100.1"),
    ],
)
def test_the_client_is_the_first_hop_that_no_proxy_of_ours_is(
    peer: str, forwarded: str | None, client: str
) -> None:
    headers = () if forwarded is None else (forwarded,)
    assert client_address(peer, headers, PROXIES) == ipaddress.ip_address(client)


def test_the_header_that_a_proxy_adds_below_the_clients_own_counts() -> None:
    """HAProxy adds a header where others append to the one there is."""
    headers = ("6.6.6.6", "198.51.100.1, 10.0.0.2")
    assert client_address("10.0.0.1", headers, PROXIES) == ipaddress.ip_address("198.51.100.1")


def test_without_trusted_proxies_nothing_is_believed() -> None:
    assert client_address("10.0.0.1", ("198.51.100.1",), ()) == ipaddress.ip_address("10.0.0.1")


@pytest.mark.parametrize("peer", [None, "", "unix:", "1.2.3"])
def test_a_peer_without_an_address_is_unknown(peer: str | None) -> None:
    assert client_address(peer, ("198.51.100.1",), PROXIES) is None
    assert limited_unit(None) == "unknown"


def test_a_limit_counts_an_ipv4_address_or_an_ipv6_subscriber() -> None:
    one, same, other = (
        limited_unit(ipaddress.ip_address(text))
        for text in ("2001:db8:1:2::1", "2001:db8:1:2:ffff::9", "2001:db8:1:3::1")
    )
    assert one == same != other
    assert limited_unit(ipaddress.ip_address("198.51.100.1")) == "198.51.100.1"


MAY_MS, JUNE_MS = 1_780_271_999_999, 1_780_272_000_000  # 2026-05-31 and -06-01 at midnight


def test_a_hash_is_the_same_within_a_month_and_another_in_the_next() -> None:
    hashed = PersonalHash(b"secret" * 4)
    first = hashed("address", "198.51.100.1", MAY_MS)
    assert first == hashed("address", "198.51.100.1", MAY_MS - 30 * 86_400_000)
    assert first != hashed("address", "198.51.100.1", JUNE_MS)
    assert len(bytes.fromhex(first)) == 16


def test_a_hash_depends_on_its_kind_its_value_and_the_secret() -> None:
    hashed = PersonalHash(b"secret" * 4)
    same = hashed("address", "a", MAY_MS)
    assert same == PersonalHash(b"secret" * 4)("address", "a", MAY_MS)
    others = {
        hashed("device", "a", MAY_MS),
        hashed("address", "b", MAY_MS),
        hashed("addres", "s\x00a", MAY_MS),
        PersonalHash(b"another" * 4)("address", "a", MAY_MS),
    }
    assert same not in others
    assert len(others) == 4


def test_what_cannot_be_encoded_is_hashed_all_the_same() -> None:
    assert PersonalHash(b"secret" * 4)("device", "\ud800", MAY_MS)
