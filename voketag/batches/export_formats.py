"""The formats a batch's products are exported in, and the choice among them by Accept."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import msgspec

from voketag.batches.answers import ProductLine

_encoder = msgspec.json.Encoder()
# A spreadsheet takes a cell that begins so for a formula (OWASP, "CSV Injection").
_FORMULA_STARTS = ("=", "+", "-", "@")


@dataclass(frozen=True, slots=True)
class ExportFormat:
    """How products are written: the media type, the first bytes, and some lines at a time."""

    media_type: str
    suffix: str
    head: bytes
    lines: Callable[[Iterable[ProductLine]], bytes]


def _ndjson(products: Iterable[ProductLine]) -> bytes:
    return _encoder.encode_lines(products)


def _csv(products: Iterable[ProductLine]) -> bytes:
    """RFC 4180. A serial that a spreadsheet would run gets an apostrophe before it, which a
    spreadsheet does not show; NDJSON has every serial as it is.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    for product in products:
        serial = product.serial
        if serial.startswith(_FORMULA_STARTS):
            serial = "'" + serial
        writer.writerow((product.product_id, serial, product.token, product.verification_url))
    return text.getvalue().encode()


NDJSON = ExportFormat("application/x-ndjson", "ndjson", b"", _ndjson)
CSV = ExportFormat("text/csv", "csv", b"product_id,serial,token,verification_url\r\n", _csv)
FORMATS = (NDJSON, CSV)


def accepted(accept: str | None) -> ExportFormat | None:
    """The format that the Accept header likes best, None where it takes neither.

    RFC 9110, section 12.5.1: the most specific range that fits a format says its weight. Where
    both weigh the same, NDJSON is taken.
    """
    if accept is None or not accept.strip():
        return NDJSON
    ranges = [_media_range(item) for item in accept.split(",")]
    weights = [_weight(one.media_type, ranges) for one in FORMATS]
    best = max(weights)
    return FORMATS[weights.index(best)] if best > 0 else None


def _media_range(item: str) -> tuple[str, float]:
    media_type, *parameters = (part.strip().lower() for part in item.split(";"))
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            try:
                return media_type, float(value)
            except ValueError:
                return media_type, 0.0
    return media_type, 1.0


def _weight(media_type: str, ranges: list[tuple[str, float]]) -> float:
    for fitting in (media_type, media_type.split("/")[0] + "/*", "*/*"):
        weights = [weight for pattern, weight in ranges if pattern == fitting]
        if weights:
            return max(weights)
    return 0.0
