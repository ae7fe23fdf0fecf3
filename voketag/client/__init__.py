"""A client of VokeTag's HTTP API: typed, async, and safe to try again.

    async with FactoryClient("http://localhost:8081", api_key) as factory:
        receipt = await factory.create_batch(sku="SHOE-42", name="Running shoe", product_count=1000)
        await factory.wait_for(receipt.batch_id, "processing")

Whatever may be sent twice without being done twice is sent again where the answer was lost or the
service was busy, within `timeout_s`. docs/integrations/python.md shows each call.
"""

from __future__ import annotations

from voketag.client.errors import (
    ApiError,
    BatchFailed,
    ProblemError,
    TransportError,
    UnexpectedAnswer,
    WaitTimeout,
)
from voketag.client.factory import FactoryClient, Reconnected
from voketag.client.ops import OpsClient
from voketag.client.retries import Backoff
from voketag.client.scan import ScanClient
from voketag.scans.requests import Device, Where

__all__ = [
    "ApiError",
    "Backoff",
    "BatchFailed",
    "Device",
    "FactoryClient",
    "OpsClient",
    "ProblemError",
    "Reconnected",
    "ScanClient",
    "TransportError",
    "UnexpectedAnswer",
    "WaitTimeout",
    "Where",
]
