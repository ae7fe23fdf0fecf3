"""What a phone sends: the types of its requests. What a type cannot say is checked by whoever
answers (producers/scan_requests.py).
"""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, UnsetType

from voketag.events import ReportReason
from voketag.identifiers import UUID7_PATTERN
from voketag.risk.countries import COUNTRIES
from voketag.tokens import EXAMPLE_TOKEN, TOKEN_MAX_CHARACTERS

WITHOUT_NUL = r"^[^\x00]*$"
EMAIL = r"^[^@\x00-\x20]+@[^@\x00-\x20]+(?!\n)$"

Text = Annotated[str, Meta(max_length=200)]
Country = Annotated[
    str,
    Meta(
        pattern="^[A-Z]{2}$",
        description="Where the phone says it is, ISO 3166-1 alpha-2 in upper case. Without it the "
        "country of the phone's address is taken, where it is known.",
        examples=["BR"],
        extra_json_schema={"enum": sorted(COUNTRIES)},
    ),
]
Token = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=TOKEN_MAX_CHARACTERS,
        description="What the QR code holds after /r/: Crockford base32, in either case. (The "
        "token of the examples is made up: it is well formed, and no product has it.)",
        examples=[EXAMPLE_TOKEN],
    ),
]


class Where(msgspec.Struct, frozen=True):
    """Where the phone is: WGS 84 degrees. Kept to a hundredth of a degree, about a kilometre."""

    lat: Annotated[float, Meta(ge=-90, le=90, description="Degrees north.", examples=[-23.55])]
    lon: Annotated[float, Meta(ge=-180, le=180, description="Degrees east.", examples=[-46.63])]


class Device(msgspec.Struct, frozen=True):
    """What an app knows of its device; only a keyed hash of it is kept."""

    install_id: Annotated[
        Text | None,
        Meta(
            description="A random id that the app made when it was installed. It tells phones "
            "apart by itself; without it model, screen and time zone have to.",
            examples=["5f0c9a34-6a3e-4c5b-9a53-0b8f6f0d3f1e"],
        ),
    ] = None
    model: Annotated[Text | None, Meta(examples=["Pixel 9"])] = None
    screen: Annotated[
        Text | None, Meta(description="Width and height in pixels.", examples=["1080x2424"])
    ] = None
    timezone: Annotated[
        Text | None, Meta(description="Name in the tz database.", examples=["America/Sao_Paulo"])
    ] = None
    app_version: Annotated[Text | None, Meta(examples=["3.2.0"])] = None


class ScanRequest(msgspec.Struct, frozen=True):
    """The body of POST /v1/scans."""

    token: Token
    scan_id: (
        Annotated[
            str,
            Meta(
                pattern=UUID7_PATTERN,
                description="UUIDv7, made when the product is scanned: the same id again gets the "
                "same answer and counts once. Its time may lie up to 7 days back and 5 minutes "
                "ahead.",
            ),
        ]
        | None
    ) = None
    country: Country | None = None
    location: Where | None = None
    device: Device | None = None


class ReportRequest(msgspec.Struct, frozen=True):
    """The body of POST /v1/reports: a scan or a token, and what is wrong with the product."""

    reason: Annotated[ReportReason, Meta(description="What is wrong with the product.")]
    scan_id: (
        Annotated[str, Meta(pattern=UUID7_PATTERN, description="The scan it is about.")] | UnsetType
    ) = UNSET
    token: Token | UnsetType = UNSET
    description: (
        Annotated[
            str,
            Meta(
                max_length=2000,
                pattern=WITHOUT_NUL,
                description="In the person's own words.",
                examples=["The label is crooked."],
            ),
        ]
        | None
    ) = None
    email: (
        Annotated[
            str,
            Meta(
                max_length=254,
                pattern=EMAIL,
                description="Where the person may be asked. Personal data: leave it out unless "
                "they gave it for this.",
                examples=["someone@example.com"],
            ),
        ]
        | None
    ) = None


ReportBody = Annotated[
    ReportRequest,
    Meta(extra_json_schema={"oneOf": [{"required": ["scan_id"]}, {"required": ["token"]}]}),
]
