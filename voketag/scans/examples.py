"""Examples for the OpenAPI document: scans and reports to post. A scan id is in none of them: it
would be too old.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from voketag.tokens import EXAMPLE_TOKEN

SCANS: Mapping[str, Any] = {
    "As an app sends it": {
        "token": EXAMPLE_TOKEN,
        "country": "BR",
        "device": {"install_id": "5f0c9a34-6a3e-4c5b-9a53-0b8f6f0d3f1e", "app_version": "3.2.0"},
    },
    "As little as possible": {"token": EXAMPLE_TOKEN},
    "With a place": {"token": EXAMPLE_TOKEN, "location": {"lat": -23.55, "lon": -46.63}},
}
REPORTS: Mapping[str, Any] = {
    "By token": {
        "token": EXAMPLE_TOKEN,
        "reason": "counterfeit",
        "description": "The label is crooked.",
    },
    "By scan": {"scan_id": "0199c8f1-6f00-7a4b-9d3e-5f1c2b7a8e90", "reason": "stolen"},
}
