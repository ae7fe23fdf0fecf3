"""Countries: ISO 3166-1 alpha-2 codes, and the circle on the globe in which each one lies.

A country is a centroid (WGS 84 degrees, to a tenth) and a reach: the kilometres from there to its
farthest coast or border, rounded up to 50. By the triangle inequality two scans in two countries
are at least `distance(centroids) - reach - reach` apart, which is nothing for neighbours: that is
why impossible travel told by countries can never fire on someone who stepped over a border.

Computed from Natural Earth 1:50m (public domain, naturalearthdata.com). Left out of a reach are
Alaska, Hawaii and far oceanic islands with few people: they would blind the rule for the mainland.
The codes are the 249 of ISO 3166-1 and XK, which ISO leaves to users and everyone uses for Kosovo.
"""

from __future__ import annotations

from typing import NamedTuple


class Country(NamedTuple):
    """Where a country lies: its centroid in degrees and its reach in kilometres."""

    lat: float
    lon: float
    reach_km: float


def is_country(code: str) -> bool:
    """Whether `code` is an ISO 3166-1 alpha-2 code (upper case), or XK."""
    return code in COUNTRIES


COUNTRIES: dict[str, Country] = {
    "AD": Country(42.5, 1.6, 50),  # Andorra
    "AE": Country(23.9, 54.3, 350),  # United Arab Emirates
    "AF": Country(33.8, 65.9, 950),  # Afghanistan
    "AG": Country(17.3, -61.8, 50),  # Antigua and Barbuda
    "AI": Country(18.2, -63.1, 50),  # Anguilla
    "AL": Country(41.1, 20.1, 200),  # Albania
    "AM": Country(40.3, 44.9, 250),  # Armenia
    "AO": Country(-12.3, 17.5, 1050),  # Angola
    "AQ": Country(-90.0, 0.0, 3000),  # Antarctica
    "AR": Country(-34.6, -64.8, 2350),  # Argentina
    "AS": Country(-14.3, -170.7, 50),  # American Samoa
    "AT": Country(47.6, 14.1, 400),  # Austria
    "AU": Country(-25.9, 134.3, 2350),  # Australia
    "AW": Country(12.5, -70.0, 50),  # Aruba
    "AX": Country(60.2, 19.9, 50),  # Åland Islands
    "AZ": Country(40.3, 47.5, 250),  # Azerbaijan
    "BA": Country(44.2, 17.8, 200),  # Bosnia and Herzegovina
    "BB": Country(13.2, -59.6, 50),  # Barbados
    "BD": Country(23.9, 90.2, 450),  # Bangladesh
    "BE": Country(50.6, 4.6, 200),  # Belgium
    "BF": Country(12.3, -1.8, 500),  # Burkina Faso
    "BG": Country(42.8, 25.2, 300),  # Bulgaria
    "BH": Country(26.0, 50.5, 50),  # Bahrain
    "BI": Country(-3.4, 29.9, 150),  # Burundi
    "BJ": Country(9.6, 2.3, 400),  # Benin
    "BL": Country(17.9, -62.8, 50),  # Saint Barthélemy
    "BM": Country(32.3, -64.8, 50),  # Bermuda
    "BN": Country(4.5, 114.7, 100),  # Brunei
    "BO": Country(-16.7, -64.7, 850),  # Bolivia
    "BQ": Country(12.2, -68.3, 900),  # Caribbean Netherlands
    "BR": Country(-10.7, -53.2, 2650),  # Brazil
    "BS": Country(24.3, -76.6, 550),  # Bahamas
    "BT": Country(27.4, 90.4, 200),  # Bhutan
    "BV": Country(-54.4, 3.4, 50),  # Bouvet Island
    "BW": Country(-22.2, 23.8, 650),  # Botswana
    "BY": Country(53.5, 28.0, 400),  # Belarus
    "BZ": Country(17.2, -88.7, 200),  # Belize
    "CA": Country(60.6, -96.7, 3250),  # Canada
    "CC": Country(-12.1, 96.9, 50),  # Cocos (Keeling) Islands
    "CD": Country(-2.9, 23.6, 1400),  # Congo (Kinshasa)
    "CF": Country(6.6, 20.5, 800),  # Central African Republic
    "CG": Country(-0.8, 15.2, 650),  # Congo (Brazzaville)
    "CH": Country(46.8, 8.2, 200),  # Switzerland
    "CI": Country(7.6, -5.6, 450),  # Ivory Coast
    "CK": Country(-21.2, -159.8, 50),  # Cook Islands
    "CL": Country(-36.0, -71.0, 2300),  # Chile
    "CM": Country(5.7, 12.7, 900),  # Cameroon
    "CN": Country(36.6, 103.4, 2950),  # China
    "CO": Country(3.9, -73.1, 1000),  # Colombia
    "CR": Country(10.0, -84.2, 300),  # Costa Rica
    "CU": Country(21.6, -79.0, 650),  # Cuba
    "CV": Country(15.9, -24.0, 200),  # Cape Verde
    "CW": Country(12.2, -69.0, 50),  # Curaçao
    "CX": Country(-10.5, 105.7, 50),  # Christmas Island
    "CY": Country(35.0, 33.2, 150),  # Cyprus
    "CZ": Country(49.7, 15.3, 300),  # Czechia
    "DE": Country(51.1, 10.4, 500),  # Germany
    "DJ": Country(11.7, 42.6, 150),  # Djibouti
    "DK": Country(56.0, 10.0, 350),  # Denmark
    "DM": Country(15.4, -61.4, 50),  # Dominica
    "DO": Country(18.9, -70.5, 250),  # Dominican Republic
    "DZ": Country(28.0, 2.6, 1200),  # Algeria
    "EC": Country(-1.4, -78.4, 450),  # Ecuador
    "EE": Country(58.7, 25.5, 250),  # Estonia
    "EG": Country(26.5, 29.9, 900),  # Egypt
    "EH": Country(24.6, -13.2, 600),  # Western Sahara
    "ER": Country(15.4, 38.9, 600),  # Eritrea
    "ES": Country(40.2, -3.7, 2000),  # Spain
    "ET": Country(8.6, 39.6, 950),  # Ethiopia
    "FI": Country(64.3, 26.2, 700),  # Finland
    "FJ": Country(-17.4, 178.5, 650),  # Fiji
    "FK": Country(-51.7, -59.3, 150),  # Falkland Islands
    "FM": Country(7.6, 153.2, 1750),  # Micronesia
    "FO": Country(62.1, -6.9, 100),  # Faroe Islands
    "FR": Country(46.5, 2.6, 800),  # France
    "GA": Country(-0.6, 11.8, 400),  # Gabon
    "GB": Country(54.0, -2.8, 800),  # United Kingdom
    "GD": Country(12.1, -61.7, 50),  # Grenada
    "GE": Country(42.2, 43.5, 350),  # Georgia
    "GF": Country(4.0, -53.1, 300),  # French Guiana
    "GG": Country(49.5, -2.6, 50),  # Guernsey
    "GH": Country(7.9, -1.2, 400),  # Ghana
    "GI": Country(36.1, -5.3, 50),  # Gibraltar
    "GL": Country(73.1, -41.8, 1550),  # Greenland
    "GM": Country(13.5, -15.4, 200),  # Gambia
    "GN": Country(10.4, -10.9, 500),  # Guinea
    "GP": Country(16.2, -61.5, 100),  # Guadeloupe
    "GQ": Country(1.7, 10.3, 300),  # Equatorial Guinea
    "GR": Country(39.0, 23.0, 600),  # Greece
    "GS": Country(-54.5, -36.5, 800),  # South Georgia
    "GT": Country(15.7, -90.4, 300),  # Guatemala
    "GU": Country(13.4, 144.8, 50),  # Guam
    "GW": Country(12.0, -14.9, 250),  # Guinea-Bissau
    "GY": Country(4.8, -59.0, 450),  # Guyana
    "HK": Country(22.4, 114.1, 50),  # Hong Kong
    "HM": Country(-53.1, 73.5, 50),  # Heard Island and McDonald Islands
    "HN": Country(14.8, -86.6, 400),  # Honduras
    "HR": Country(45.1, 16.4, 350),  # Croatia
    "HT": Country(18.9, -72.7, 200),  # Haiti
    "HU": Country(47.2, 19.4, 300),  # Hungary
    "ID": Country(-2.3, 117.2, 2800),  # Indonesia
    "IE": Country(53.2, -8.1, 300),  # Ireland
    "IL": Country(31.5, 35.0, 250),  # Israel
    "IM": Country(54.2, -4.5, 50),  # Isle of Man
    "IN": Country(22.8, 79.6, 2400),  # India
    "IO": Country(-7.3, 72.4, 50),  # British Indian Ocean Territory
    "IQ": Country(33.0, 43.8, 600),  # Iraq
    "IR": Country(32.5, 54.4, 1250),  # Iran
    "IS": Country(65.0, -18.6, 300),  # Iceland
    "IT": Country(42.7, 12.2, 750),  # Italy
    "JE": Country(49.2, -2.1, 50),  # Jersey
    "JM": Country(18.2, -77.3, 150),  # Jamaica
    "JO": Country(31.2, 36.8, 350),  # Jordan
    "JP": Country(37.5, 137.7, 2050),  # Japan
    "KE": Country(0.6, 37.8, 650),  # Kenya
    "KG": Country(41.5, 74.5, 550),  # Kyrgyzstan
    "KH": Country(12.7, 104.9, 400),  # Cambodia
    "KI": Country(1.4, -166.7, 2750),  # Kiribati
    "KM": Country(-11.9, 43.7, 150),  # Comoros
    "KN": Country(17.3, -62.7, 50),  # Saint Kitts and Nevis
    "KP": Country(40.1, 127.2, 450),  # North Korea
    "KR": Country(36.4, 127.8, 400),  # South Korea
    "KW": Country(29.3, 47.6, 150),  # Kuwait
    "KY": Country(19.4, -81.0, 150),  # Cayman Islands
    "KZ": Country(48.4, 67.3, 1600),  # Kazakhstan
    "LA": Country(18.5, 103.8, 600),  # Laos
    "LB": Country(33.9, 35.9, 150),  # Lebanon
    "LC": Country(13.9, -61.0, 50),  # Saint Lucia
    "LI": Country(47.1, 9.5, 50),  # Liechtenstein
    "LK": Country(7.6, 80.7, 300),  # Sri Lanka
    "LR": Country(6.5, -9.3, 350),  # Liberia
    "LS": Country(-29.6, 28.2, 150),  # Lesotho
    "LT": Country(55.3, 23.9, 250),  # Lithuania
    "LU": Country(49.8, 6.1, 50),  # Luxembourg
    "LV": Country(56.9, 24.9, 300),  # Latvia
    "LY": Country(27.0, 18.1, 1100),  # Libya
    "MA": Country(31.9, -6.4, 850),  # Morocco
    "MC": Country(43.8, 7.4, 50),  # Monaco
    "MD": Country(47.2, 28.5, 200),  # Moldova
    "ME": Country(42.8, 19.2, 150),  # Montenegro
    "MF": Country(18.1, -63.1, 50),  # Saint Martin
    "MG": Country(-19.3, 46.7, 900),  # Madagascar
    "MH": Country(6.8, 170.5, 650),  # Marshall Islands
    "MK": Country(41.6, 21.7, 150),  # North Macedonia
    "ML": Country(17.3, -3.6, 1050),  # Mali
    "MM": Country(21.1, 96.5, 1300),  # Myanmar
    "MN": Country(46.9, 103.1, 1350),  # Mongolia
    "MO": Country(22.2, 113.5, 50),  # Macau
    "MP": Country(15.8, 145.6, 350),  # Northern Mariana Islands
    "MQ": Country(14.6, -61.0, 50),  # Martinique
    "MR": Country(20.2, -10.4, 850),  # Mauritania
    "MS": Country(16.7, -62.2, 50),  # Montserrat
    "MT": Country(35.9, 14.4, 50),  # Malta
    "MU": Country(-20.3, 57.6, 50),  # Mauritius
    "MV": Country(3.8, 73.5, 100),  # Maldives
    "MW": Country(-13.2, 34.3, 500),  # Malawi
    "MX": Country(23.9, -102.1, 1800),  # Mexico
    "MY": Country(3.8, 109.7, 1200),  # Malaysia
    "MZ": Country(-17.2, 35.6, 1200),  # Mozambique
    "NA": Country(-22.1, 17.2, 1000),  # Namibia
    "NC": Country(-21.3, 165.7, 700),  # New Caledonia
    "NE": Country(17.4, 9.3, 1050),  # Niger
    "NF": Country(-29.1, 167.9, 50),  # Norfolk Island
    "NG": Country(9.6, 8.1, 800),  # Nigeria
    "NI": Country(12.8, -85.0, 350),  # Nicaragua
    "NL": Country(52.3, 5.6, 200),  # Netherlands
    "NO": Country(64.0, 12.3, 1100),  # Norway
    "NP": Country(28.3, 83.9, 500),  # Nepal
    "NR": Country(-0.5, 166.9, 50),  # Nauru
    "NU": Country(-19.1, -169.9, 50),  # Niue
    "NZ": Country(-41.7, 172.9, 850),  # New Zealand
    "OM": Country(20.6, 56.1, 700),  # Oman
    "PA": Country(8.5, -80.1, 350),  # Panama
    "PE": Country(-9.1, -74.4, 1150),  # Peru
    "PF": Country(-14.7, -144.9, 1050),  # French Polynesia
    "PG": Country(-6.5, 145.2, 1250),  # Papua New Guinea
    "PH": Country(11.7, 122.9, 1050),  # Philippines
    "PK": Country(29.9, 69.2, 1000),  # Pakistan
    "PL": Country(52.1, 19.4, 450),  # Poland
    "PM": Country(46.9, -56.3, 50),  # Saint Pierre and Miquelon
    "PN": Country(-24.4, -128.3, 50),  # Pitcairn Islands
    "PR": Country(18.2, -66.5, 200),  # Puerto Rico
    "PS": Country(31.9, 35.2, 150),  # Palestine
    "PT": Country(39.6, -8.5, 2000),  # Portugal
    "PW": Country(7.3, 134.4, 650),  # Palau
    "PY": Country(-23.2, -58.4, 600),  # Paraguay
    "QA": Country(25.3, 51.2, 100),  # Qatar
    "RE": Country(-21.1, 55.5, 50),  # Réunion
    "RO": Country(45.8, 25.0, 400),  # Romania
    "RS": Country(44.2, 20.8, 300),  # Serbia
    "RU": Country(66.9, 96.6, 4300),  # Russia
    "RW": Country(-2.0, 29.9, 150),  # Rwanda
    "SA": Country(24.1, 44.7, 1200),  # Saudi Arabia
    "SB": Country(-8.9, 159.6, 900),  # Solomon Islands
    "SC": Country(-4.7, 55.5, 50),  # Seychelles
    "SD": Country(16.0, 29.9, 1100),  # Sudan
    "SE": Country(62.4, 16.3, 850),  # Sweden
    "SG": Country(1.4, 103.8, 50),  # Singapore
    "SH": Country(-12.7, -9.3, 800),  # Saint Helena, Ascension and Tristan da Cunha
    "SI": Country(46.1, 14.8, 150),  # Slovenia
    "SJ": Country(78.5, 18.0, 1150),  # Svalbard and Jan Mayen
    "SK": Country(48.7, 19.5, 250),  # Slovakia
    "SL": Country(8.6, -11.8, 200),  # Sierra Leone
    "SM": Country(43.9, 12.5, 50),  # San Marino
    "SN": Country(14.4, -14.5, 450),  # Senegal
    "SO": Country(6.1, 45.8, 1050),  # Somalia
    "SR": Country(4.1, -55.9, 300),  # Suriname
    "SS": Country(7.3, 30.3, 750),  # South Sudan
    "ST": Country(0.4, 6.7, 200),  # São Tomé and Príncipe
    "SV": Country(13.7, -88.9, 150),  # El Salvador
    "SX": Country(18.1, -63.1, 50),  # Sint Maarten
    "SY": Country(35.0, 38.5, 450),  # Syria
    "SZ": Country(-26.6, 31.5, 100),  # Eswatini
    "TC": Country(21.8, -72.0, 50),  # Turks and Caicos Islands
    "TD": Country(15.3, 18.6, 1000),  # Chad
    "TF": Country(-49.3, 69.2, 1400),  # French Southern Territories
    "TG": Country(8.5, 1.0, 350),  # Togo
    "TH": Country(15.1, 101.0, 1100),  # Thailand
    "TJ": Country(38.5, 71.0, 400),  # Tajikistan
    "TK": Country(-9.2, -171.8, 150),  # Tokelau
    "TL": Country(-8.8, 125.8, 250),  # Timor-Leste
    "TM": Country(39.1, 59.4, 700),  # Turkmenistan
    "TN": Country(34.1, 9.6, 450),  # Tunisia
    "TO": Country(-20.5, -174.8, 250),  # Tonga
    "TR": Country(39.1, 35.2, 900),  # Türkiye
    "TT": Country(10.5, -61.3, 150),  # Trinidad and Tobago
    "TV": Country(-8.5, 179.2, 50),  # Tuvalu
    "TW": Country(23.8, 121.0, 300),  # Taiwan
    "TZ": Country(-6.3, 34.8, 800),  # Tanzania
    "UA": Country(49.0, 31.5, 750),  # Ukraine
    "UG": Country(1.3, 32.4, 450),  # Uganda
    "UM": Country(15.0, -177.0, 2500),  # United States Minor Outlying Islands
    "US": Country(39.7, -98.8, 2750),  # United States
    "UY": Country(-32.8, -56.0, 350),  # Uruguay
    "UZ": Country(41.8, 63.3, 850),  # Uzbekistan
    "VA": Country(41.9, 12.5, 50),  # Vatican City
    "VC": Country(13.2, -61.2, 100),  # Saint Vincent and the Grenadines
    "VE": Country(7.1, -66.2, 850),  # Venezuela
    "VG": Country(18.5, -64.5, 50),  # British Virgin Islands
    "VI": Country(18.0, -64.8, 50),  # United States Virgin Islands
    "VN": Country(16.6, 106.3, 950),  # Vietnam
    "VU": Country(-16.2, 167.7, 550),  # Vanuatu
    "WF": Country(-13.9, -177.4, 200),  # Wallis and Futuna
    "WS": Country(-13.8, -172.2, 100),  # Samoa
    "XK": Country(42.6, 20.9, 100),  # Kosovo
    "YE": Country(15.9, 47.6, 850),  # Yemen
    "YT": Country(-12.8, 45.2, 50),  # Mayotte
    "ZA": Country(-29.0, 25.3, 1000),  # South Africa
    "ZM": Country(-13.5, 27.8, 750),  # Zambia
    "ZW": Country(-19.0, 29.9, 550),  # Zimbabwe
}
