"""The country table against facts from elsewhere, and the promise that neighbours never fire."""

from __future__ import annotations

from itertools import combinations

import pytest

from voketag.risk.countries import COUNTRIES, is_country
from voketag.risk.rules import apart_km, distance_km

# Where the capitals are, to a tenth of a degree: an independent check on the table.
CAPITALS = {
    "AR": (-34.6, -58.4),
    "AU": (-35.3, 149.1),
    "BR": (-15.8, -47.9),
    "CA": (45.4, -75.7),
    "CL": (-33.4, -70.7),
    "CN": (39.9, 116.4),
    "CV": (14.9, -23.5),
    "DE": (52.5, 13.4),
    "EG": (30.0, 31.2),
    "FJ": (-18.1, 178.4),
    "FR": (48.9, 2.3),
    "GB": (51.5, -0.1),
    "GR": (38.0, 23.7),
    "ID": (-6.2, 106.8),
    "IN": (28.6, 77.2),
    "IS": (64.1, -21.9),
    "IT": (41.9, 12.5),
    "JP": (35.7, 139.7),
    "KE": (-1.3, 36.8),
    "KR": (37.6, 127.0),
    "MX": (19.4, -99.1),
    "MY": (3.1, 101.7),
    "NG": (9.1, 7.5),
    "NO": (59.9, 10.8),
    "NZ": (-41.3, 174.8),
    "PE": (-12.0, -77.0),
    "PH": (14.6, 121.0),
    "PT": (38.7, -9.1),
    "RU": (55.8, 37.6),
    "SG": (1.3, 103.8),
    "TR": (39.9, 32.9),
    "US": (38.9, -77.0),
    "VA": (41.9, 12.5),
    "ZA": (-25.7, 28.2),
}
# Land borders, the awkward ones among them: giants, exclaves, and countries within countries.
BORDERS = (
    "AR-CL AR-BR BO-BR BR-VE BR-UY BR-GF CA-US US-MX RU-NO RU-FI RU-PL RU-LT RU-KP RU-CN RU-MN "
    "RU-KZ RU-GE CN-KP CN-VN CN-IN CN-AF CN-HK CN-MO IN-BD IN-PK IN-LK ID-MY ID-TL ID-PG MY-SG "
    "MY-BN TH-MY DE-FR DE-PL DE-LU FR-MC FR-CH FR-ES ES-PT ES-GI ES-MA ES-AD IT-VA IT-SM IT-SI "
    "GB-IE SE-NO DK-DE NL-BE GR-TR TR-SY IL-PS IL-JO SA-YE SA-QA SA-BH AE-OM ZA-LS ZA-SZ ZA-NA "
    "CD-AO AO-CG EG-SD EG-IL DZ-ML LY-TD ET-SO RS-XK AL-XK HR-BA GT-MX PA-CO HT-DO MF-SX"
)


def test_the_codes_are_those_of_iso_3166_and_kosovo() -> None:
    assert len(COUNTRIES) == 249 + 1
    assert is_country("XK")
    assert all(len(code) == 2 and code.isascii() and code.isupper() for code in COUNTRIES)
    assert list(COUNTRIES) == sorted(COUNTRIES)
    for code in ("", "br", "UK", "EU", "AN", "SU", "YU", "ZZ", "BRA"):
        assert not is_country(code)


def test_centroids_lie_on_the_globe_and_reaches_are_plausible() -> None:
    for code, country in COUNTRIES.items():
        assert -90 <= country.lat <= 90, code
        assert -180 <= country.lon <= 180, code
        assert 50 <= country.reach_km <= 4500, code
    positions = [(country.lat, country.lon) for country in COUNTRIES.values()]
    assert len(set(positions)) >= len(positions) - 2  # San Marino and the like may share one


@pytest.mark.parametrize("code", CAPITALS)
def test_capitals_lie_within_reach(code: str) -> None:
    country = COUNTRIES[code]
    assert distance_km(country.lat, country.lon, *CAPITALS[code]) <= country.reach_km


@pytest.mark.parametrize("pair", BORDERS.split())
def test_neighbours_are_no_distance_apart(pair: str) -> None:
    one, other = pair.split("-")
    assert apart_km(one, other) == 0


def test_countries_are_never_farther_apart_than_their_capitals() -> None:
    for one, other in combinations(CAPITALS, 2):
        assert apart_km(one, other) == apart_km(other, one)
        assert apart_km(one, other) <= distance_km(*CAPITALS[one], *CAPITALS[other]), (one, other)


@pytest.mark.parametrize("pair", ["BR-JP", "BR-US", "BR-PT", "US-GB", "CN-DE", "FR-BR", "AU-ZA"])
def test_continents_are_more_than_an_hours_flight_apart(pair: str) -> None:
    one, other = pair.split("-")
    assert apart_km(one, other) > 1500
