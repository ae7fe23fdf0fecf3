"""The country of an address, and whether it lies in a data centre: both offline, both in memory.

The country comes from geoip2fast's own data (GeoLite2 Country of MaxMind, IPv4 and IPv6) or from
a MaxMind database file. Nothing here raises on an odd address: it is simply from nowhere known.
"""

from __future__ import annotations

import ctypes
import gzip
import pickle
from array import array
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator
from importlib.util import find_spec
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from pathlib import Path
from typing import Any

import maxminddb

from voketag.errors import SettingsError
from voketag.risk.countries import is_country

Address = IPv4Address | IPv6Address
Find = Callable[[Address], str | None]

_PACKAGED = "geoip2fast-ipv6.dat.gz"
_PACKAGED_VERSION = 120
_END_OF_IPV4 = 1 << 32


class Geo:
    """Tells the country of an address. Open one per process; it answers in microseconds."""

    def __init__(self, find: Find, close: Callable[[], None]) -> None:
        self._find = find
        self.close = close

    @classmethod
    def open(cls, database: Path | None) -> Geo:
        """Open a MaxMind .mmdb file, or for None the data packaged with geoip2fast.

        Raises SettingsError where the file is not a MaxMind database.
        """
        if database is None:
            return cls(_Packaged.load().find, lambda: None)
        try:
            reader = maxminddb.open_database(database)
        except (maxminddb.InvalidDatabaseError, OSError) as error:
            raise SettingsError([f"VOKETAG_GEO_DATABASE: {database}: {error}"]) from error
        return cls(lambda address: _in_maxmind(reader, address), reader.close)

    def country(self, address: str | Address | None) -> str | None:
        """ISO 3166-1 alpha-2 code; None for a private or unknown address and for anything else."""
        parsed = _parse(address)
        return None if parsed is None else self._find(parsed)


class AddressRanges:
    """A set of address ranges that is asked in O(log n): merged, sorted, bisected."""

    def __init__(self, networks: Iterable[str] = ()) -> None:
        parsed = [ip_network(network) for network in networks]
        self._bounds = {
            version: _merged(
                (int(network.network_address), int(network.broadcast_address) + 1)
                for network in parsed
                if network.version == version
            )
            for version in (4, 6)
        }

    @classmethod
    def read(cls, path: Path | None) -> AddressRanges:
        """Read CIDRs, one a line, with # comments; None is the empty set.

        Raises SettingsError naming every line that is not a CIDR.
        """
        if path is None:
            return cls()
        networks: list[str] = []
        faults: list[str] = []
        try:
            lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError as error:
            raise SettingsError([f"VOKETAG_DATACENTER_RANGES: {error}"]) from error
        for number, line in enumerate(lines, start=1):
            network = line.partition("#")[0].strip()
            if not network:
                continue
            try:
                ip_network(network)
            except ValueError as error:
                faults.append(f"VOKETAG_DATACENTER_RANGES: {path}, line {number}: {error}")
            else:
                networks.append(network)
        if faults:
            raise SettingsError(faults)
        return cls(networks)

    def contains(self, address: str | Address | None) -> bool:
        """Whether the address lies in one of the ranges; False for what is no address."""
        parsed = _parse(address)
        # Bounds are start, end, start, end ...: an odd number of them at or below is inside.
        return parsed is not None and bool(
            bisect_right(self._bounds[parsed.version], int(parsed)) & 1
        )


class _Packaged:
    """geoip2fast's country data, kept as three flat arrays.

    The package's own reader holds the same data as 2.4 million Python integers in module globals:
    58 MB in every process that asks, against 6 MB here. We read the file it ships, and only that:
    the package is never imported.
    """

    def __init__(self, codes: list[str | None]) -> None:
        self._codes = codes
        # IPv4 addresses, and the upper halves of IPv6 ones: a /64 is one subscriber.
        self._starts = {4: array("I"), 6: array("Q")}
        self._countries = {4: array("H"), 6: array("H")}

    @classmethod
    def load(cls) -> _Packaged:
        """Read the packaged file; takes half a second."""
        spec = find_spec("geoip2fast")
        folders = spec.submodule_search_locations if spec else None
        if not folders:
            raise RuntimeError("geoip2fast is not installed")
        path = Path(next(iter(folders))) / _PACKAGED
        with gzip.open(path) as file:
            version, _, _, database = _PlainValues(file).load()
        if version != _PACKAGED_VERSION:
            raise RuntimeError(f"{path} has version {version}; we read {_PACKAGED_VERSION}")
        _, names, starts, countries, lengths = database
        # The first codes are numbers for reserved networks: private, loopback and so on.
        codes = [name.partition(":")[0] for name in names]
        table = cls([None, *(code if is_country(code) else None for code in codes)])
        table._fill(_networks(starts, countries, lengths))
        del database, names, starts, countries, lengths
        _give_memory_back()
        return table

    def _fill(self, networks: Iterator[tuple[int, int, int]]) -> None:
        """Append sorted networks (start, end, country), merged, with the gaps between them."""
        end = {4: 0, 6: 0}
        for first, beyond, country in networks:
            version, start, stop = 4, first, beyond
            if first >= _END_OF_IPV4:
                version, start, stop = 6, first >> 64, beyond >> 64
                if start == stop:  # longer than a /64
                    continue
            if start > end[version]:
                self._append(version, end[version], 0)
            self._append(version, start, country + 1)
            end[version] = stop
        for version, stop in end.items():
            if stop < 1 << (32 if version == 4 else 64):
                self._append(version, stop, 0)

    def _append(self, version: int, start: int, country: int) -> None:
        countries = self._countries[version]
        if not countries or self._codes[countries[-1]] != self._codes[country]:
            self._starts[version].append(start)
            countries.append(country)

    def find(self, address: Address) -> str | None:
        version = address.version
        number = int(address) if version == 4 else int(address) >> 64
        position = bisect_right(self._starts[version], number) - 1
        return self._codes[self._countries[version][position]] if position >= 0 else None


class _PlainValues(pickle.Unpickler):
    """Reads a pickle of numbers, texts and lists; a class or function in it is refused."""

    def find_class(self, module: str, name: str) -> Any:
        raise pickle.UnpicklingError(f"{module}.{name} in a file of plain values")


def _give_memory_back() -> None:
    """Return freed heap to the system: glibc would keep 19 MB of it that loading used once."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def _networks(
    starts: list[list[int]], countries: list[list[int]], lengths: list[list[int]]
) -> Iterator[tuple[int, int, int]]:
    """The chunks of geoip2fast's file as (first address, address after the last, country)."""
    for chunk in zip(starts, countries, lengths, strict=True):
        for first, country, length in zip(*chunk, strict=True):
            bits = 32 if first < _END_OF_IPV4 else 128
            yield first, first + (1 << (bits - length)), country


def _in_maxmind(reader: maxminddb.Reader, address: Address) -> str | None:
    try:
        record = reader.get(address)
    except ValueError:  # an IPv6 address and a database of IPv4 alone
        return None
    country = record.get("country") if isinstance(record, dict) else None
    code = country.get("iso_code") if isinstance(country, dict) else None
    return code if isinstance(code, str) and is_country(code) else None


def _parse(address: str | Address | None) -> Address | None:
    """An address, IPv4 where it is IPv4 in IPv6's clothes (a dual-stack socket's), or None."""
    if isinstance(address, str):
        try:
            address = ip_address(address)
        except ValueError:
            return None
    if isinstance(address, IPv6Address):
        return address.ipv4_mapped or address
    return address


def _merged(ranges: Iterable[tuple[int, int]]) -> list[int]:
    """Half-open ranges as one ascending list start, end, start, end ... without overlaps."""
    bounds: list[int] = []
    for start, end in sorted(ranges):
        if bounds and start <= bounds[-1]:
            bounds[-1] = max(bounds[-1], end)
        else:
            bounds += (start, end)
    return bounds
