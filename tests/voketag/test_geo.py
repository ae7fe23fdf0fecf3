"""Countries and ranges of addresses, against the library's own reader and the standard library."""

from __future__ import annotations

import random
import subprocess
import sys
from collections.abc import Callable
from importlib import import_module
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voketag.errors import SettingsError
from voketag.geo import AddressRanges, Geo
from voketag.risk.countries import is_country


@pytest.fixture(scope="module")
def packaged() -> Geo:
    return Geo.open(None)


ODD = (
    *("", " ", "x", "1", "1.2.3", "256.1.1.1", "1.2.3.4:80", "[::1]", "8.8.8.8/32", "\0", "é"),
    *(" 8.8.8.8", "8.8.8.8\n", "::g", "9" * 5000, "unknown", None),
)


@pytest.mark.parametrize(
    ("address", "country"),
    [
        ("200.160.2.3", "BR"),  # registro.br
        ("2001:12ff::10", "BR"),
        ("133.11.0.1", "JP"),  # the University of Tokyo
        ("2001:200::1", "JP"),  # WIDE
        ("193.0.6.139", "NL"),  # RIPE NCC
        ("8.8.8.8", "US"),
        (IPv4Address("8.8.8.8"), "US"),
        ("::ffff:200.160.2.3", "BR"),
        (IPv6Address("::ffff:200.160.2.3"), "BR"),
    ],
)
def test_known_addresses(packaged: Geo, address: str, country: str) -> None:
    assert packaged.country(address) == country


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "10.1.2.3", "172.16.9.9", "192.168.1.1", "169.254.1.1", "100.64.0.1"),
        *("0.0.0.0", "224.0.0.1", "240.0.0.1", "255.255.255.255", "192.0.2.1", "198.51.100.7"),
        *("::", "::1", "fe80::1", "fe80::1%eth0", "fc00::1", "ff02::1", "2001:db8::1"),
        *("::ffff:10.0.0.1", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
        *ODD,
    ],
)
def test_private_unknown_and_odd_addresses_are_nowhere(packaged: Geo, address: str | None) -> None:
    assert packaged.country(address) is None


@given(st.text() | st.ip_addresses() | st.ip_addresses().map(str))
def test_no_input_raises(packaged: Geo, address: str | IPv4Address | IPv6Address) -> None:
    country = packaged.country(address)
    assert country is None or is_country(country)


def test_it_agrees_with_the_librarys_own_reader(packaged: Geo) -> None:
    theirs = import_module("geoip2fast").GeoIP2Fast(geoip2fast_data_file="geoip2fast-ipv6.dat.gz")
    chance = random.Random(7)
    addresses = [str(IPv4Address(chance.getrandbits(32))) for _ in range(4000)]
    # Where IPv6 is in use: 2000::/12 to 2a00::/12.
    tops = [0x2001, 0x2400, 0x2600, 0x2804, 0x2A00]
    addresses += [
        str(IPv6Address(chance.choice(tops) << 112 | chance.getrandbits(48) << 64))
        for _ in range(4000)
    ]
    known = 0
    for address in addresses:
        code = theirs.lookup(address).country_code
        expected = code if is_country(code) else None
        assert packaged.country(address) == expected, address
        known += expected is not None
    assert known > 3000


def test_every_country_of_the_data_is_in_our_table() -> None:
    library = import_module("geoip2fast.geoip2fast")
    library.GeoIP2Fast(geoip2fast_data_file="geoip2fast-ipv6.dat.gz")
    codes = {name.partition(":")[0] for name in library.mainListNamesCountry}
    strangers = {code for code in codes if not is_country(code) and not code.isdigit()}
    assert strangers == {"ASIA", "EU"}  # regions, not countries


def test_the_library_itself_is_never_loaded() -> None:
    # Its own reader would take ten times the memory, and prints.
    code = (
        "import sys; from voketag.geo import Geo; Geo.open(None).country('8.8.8.8');"
        "sys.exit('geoip2fast' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


# A MaxMind database, written as its specification says (MaxMind DB File Format 2.0).


def _encoded(value: object) -> bytes:
    if isinstance(value, bytes):  # encoded already
        return value
    if isinstance(value, str):
        text = value.encode()
        return bytes([2 << 5 | len(text)]) + text
    if isinstance(value, dict):
        items = b"".join(_encoded(key) + _encoded(item) for key, item in value.items())
        return bytes([7 << 5 | len(value)]) + items
    raise TypeError(value)


def _uint16(value: int) -> bytes:
    return b"\xa2" + value.to_bytes(2, "big")


def _maxmind(networks: dict[str, dict[str, object]], ip_version: int) -> bytes:
    """A database of these networks; IPv4 ones lie below ::/96 in one of version 6."""
    root: list[Any] = [None, None]
    for text, record in networks.items():
        network = ip_network(text)
        bits = f"{int(network.network_address):0{network.max_prefixlen}b}"[: network.prefixlen]
        if ip_version == 6 and network.version == 4:
            bits = "0" * 96 + bits
        node = root
        for bit in bits[:-1]:
            if node[int(bit)] is None:
                node[int(bit)] = [None, None]
            node = node[int(bit)]
        node[int(bits[-1])] = _encoded(record)
    nodes = [root]
    for node in nodes:
        nodes += [below for below in node if isinstance(below, list)]
    numbers = {id(node): number for number, node in enumerate(nodes)}
    tree, data = b"", b""
    for node in nodes:
        for below in node:
            target = len(nodes)
            if isinstance(below, list):
                target = numbers[id(below)]
            elif isinstance(below, bytes):
                target = len(nodes) + 16 + len(data)
                data += below
            tree += target.to_bytes(3, "big")
    metadata = {
        "binary_format_major_version": _uint16(2),
        "binary_format_minor_version": _uint16(0),
        "build_epoch": b"\x01\x02\x01",  # uint64 of one byte: 1
        "database_type": "Test",
        "description": {"en": "Test"},
        "ip_version": _uint16(ip_version),
        "languages": b"\x01\x04" + _encoded("en"),  # array of one
        "node_count": b"\xc4" + len(nodes).to_bytes(4, "big"),  # uint32
        "record_size": _uint16(24),
    }
    return tree + b"\0" * 16 + data + b"\xab\xcd\xefMaxMind.com" + _encoded(metadata)


@pytest.fixture
def maxmind(tmp_path: Path) -> Callable[..., Geo]:
    def make(networks: dict[str, dict[str, object]], ip_version: int = 6) -> Geo:
        path = tmp_path / "test.mmdb"
        path.write_bytes(_maxmind(networks, ip_version))
        return Geo.open(path)

    return make


def test_a_maxmind_database_is_used_when_given(maxmind: Callable[..., Geo]) -> None:
    geo = maxmind(
        {
            "203.0.113.0/24": {"country": {"iso_code": "BR"}},
            "198.51.100.0/25": {"registered_country": {"iso_code": "US"}},
            "198.51.100.128/25": {"country": {"iso_code": "EU"}},
            "2001:db8::/32": {"country": {"iso_code": "JP"}},
        }
    )
    assert geo.country("203.0.113.9") == "BR"
    assert geo.country("::ffff:203.0.113.9") == "BR"
    assert geo.country(IPv6Address("2001:db8::1")) == "JP"
    for address in ("198.51.100.1", "198.51.100.129", "8.8.8.8", "2001:db9::1", *ODD):
        assert geo.country(address) is None
    geo.close()


def test_a_maxmind_database_of_ipv4_knows_no_ipv6(maxmind: Callable[..., Geo]) -> None:
    geo = maxmind({"203.0.113.0/24": {"country": {"iso_code": "BR"}}}, ip_version=4)
    assert geo.country("203.0.113.9") == "BR"
    assert geo.country("2001:db8::1") is None
    geo.close()


def test_a_file_that_is_no_database_is_a_fault_of_the_settings(tmp_path: Path) -> None:
    path = tmp_path / "notes.mmdb"
    path.write_text("not a database")
    with pytest.raises(SettingsError, match=r"VOKETAG_GEO_DATABASE: .*notes\.mmdb"):
        Geo.open(path)
    with pytest.raises(SettingsError, match="VOKETAG_GEO_DATABASE"):
        Geo.open(tmp_path / "missing.mmdb")


# Ranges.


def test_ranges_are_read_with_comments(tmp_path: Path) -> None:
    path = tmp_path / "ranges.txt"
    path.write_text(
        "# data centres\n\n192.0.2.0/25\n192.0.2.128/25  # the other half\r\n"
        "198.51.100.7\n 2001:db8::/32 \n"
    )
    ranges = AddressRanges.read(path)
    for inside in ("192.0.2.0", "192.0.2.127", "192.0.2.128", "192.0.2.255", "198.51.100.7"):
        assert ranges.contains(inside)
        assert ranges.contains(f"::ffff:{inside}")
    assert ranges.contains(IPv6Address("2001:db8:ffff::"))
    outside = ("192.0.1.255", "192.0.3.0", "198.51.100.6", "198.51.100.8", "2001:db9::", "0.0.0.0")
    for address in (*outside, *ODD):
        assert not ranges.contains(address)


def test_no_file_is_the_empty_set() -> None:
    assert not AddressRanges.read(None).contains("8.8.8.8")
    assert AddressRanges(["0.0.0.0/0"]).contains("255.255.255.255")
    assert not AddressRanges(["0.0.0.0/0"]).contains("::1")
    assert AddressRanges(["::/0"]).contains("ffff::")


def test_every_unusable_line_is_named(tmp_path: Path) -> None:
    path = tmp_path / "ranges.txt"
    path.write_bytes(b"10.0.0.0/8\nexample.com\n# fine\n10.0.0.1/8\n\xff\xfe\n")
    with pytest.raises(SettingsError) as caught:
        AddressRanges.read(path)
    assert len(caught.value.faults) == 3
    for fault, number in zip(caught.value.faults, (2, 4, 5), strict=True):
        assert fault.startswith(f"VOKETAG_DATACENTER_RANGES: {path}, line {number}: ")
    with pytest.raises(SettingsError, match="VOKETAG_DATACENTER_RANGES"):
        AddressRanges.read(tmp_path / "missing.txt")


# Small blocks close together, so that they touch, overlap and hold one another.
networks = st.builds(
    lambda number, length: str(ip_network((number << (32 - length) & 0xFFFFFFFF, length))),
    st.integers(min_value=0, max_value=64),
    st.integers(min_value=24, max_value=32),
)


@given(st.lists(networks, max_size=12), st.integers(min_value=0, max_value=70_000))
def test_ranges_hold_what_any_of_their_networks_holds(texts: list[str], number: int) -> None:
    address = ip_address(number)
    expected = any(address in ip_network(text) for text in texts)
    assert AddressRanges(texts).contains(address) == expected
