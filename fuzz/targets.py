"""What is fuzzed. A target takes any bytes and gives nothing; what it raises is a finding.

The tests run the same targets through Hypothesis, where there is no coverage-guided fuzzer.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from uuid import UUID

import msgspec

from producers import scan_requests
from voketag import acceptance, events
from voketag.batches import listing, submission
from voketag.batches.submission import NewBatch, Recall
from voketag.cursors import cursor_after, read_cursor
from voketag.errors import InvalidField, Rejected
from voketag.events import BatchAccepted, Notice, Product, RootReady, Scan, ScoredScan, Signals
from voketag.http.problems import Problem
from voketag.http.requests import decode_body
from voketag.risk.history import History, Sighting
from voketag.scans.requests import ReportRequest, ScanRequest
from voketag.tokens import KeyRing, TokenKey

NOW_MS = 1_800_000_000_000
NOW = datetime.fromtimestamp(NOW_MS / 1000, UTC)
PRODUCT = UUID("0190f0e0-0000-7000-8000-000000000001")
RING = KeyRing((TokenKey(1, b"\x11" * 32), TokenKey(200, b"\x22" * 32)))
WIRE_TYPES = (BatchAccepted, History, Notice, Product, RootReady, Scan, ScoredScan, Signals)
FIELD_SEPARATOR = b"\x1e"
_scan = msgspec.json.Decoder(ScanRequest)
_report = msgspec.json.Decoder(ReportRequest)
_batch = msgspec.json.Decoder(NewBatch)
_recall = msgspec.json.Decoder(Recall)


def token(data: bytes) -> None:
    """Only what we signed is taken, in the one spelling it has but for case and O, I, L."""
    text = data.decode("utf-8", "surrogateescape")
    product_id = RING.verify(text)
    if product_id is not None:
        meant = text.upper().translate(str.maketrans("OIL", "011"))
        assert meant in {RING.mint(product_id, 1), RING.mint(product_id, 200)}


def forged_token(data: bytes) -> None:
    """A genuine token with some of its characters changed is another's, or nobody's."""
    letters = list(RING.mint(PRODUCT))
    for place, letter in zip(data[::2], data[1::2], strict=False):
        letters[place % len(letters)] = chr(letter)
    changed = "".join(letters)
    token(changed.encode())
    genuine = changed.upper().translate(str.maketrans("OIL", "011")) == RING.mint(PRODUCT)
    assert RING.verify(changed) == (PRODUCT if genuine else None)


def entry(data: bytes) -> None:
    """A stream entry of any type is its event, or Rejected; an event goes both ways."""
    for kind in WIRE_TYPES:
        with contextlib.suppress(Rejected):
            value = events.decode({"v": events.VERSION, "event": data}, kind)
            assert events.decode(events.encode(value), kind) == value
    with contextlib.suppress(Rejected):
        events.decode({"v": data, "event": data}, Scan)


def accepted_scan(data: bytes) -> None:
    """The entry of an accepted scan, each of its fields any bytes."""
    parts = data.split(FIELD_SEPARATOR)
    fields = dict(zip(("event", "product", "history", "tail", "signals"), parts, strict=False))
    with contextlib.suppress(Rejected):
        acceptance.decode({"v": events.VERSION, **fields})


def history(data: bytes) -> None:
    """A stored history, and sightings that came after it."""
    with contextlib.suppress(Rejected):
        known = events.decode_json(data, History)
        assert events.decode_json(events.to_json(known), History) == known
    with contextlib.suppress(Rejected):
        events.decode_json(data, list[Sighting])


def scan_body(data: bytes) -> None:
    """The body of POST /v1/scans, with the checks that follow its types."""
    with contextlib.suppress(Problem, InvalidField):
        body = decode_body(data, _scan)
        scan_requests.scan_id_of(body, NOW_MS)
        scan_requests.country_of(body)
        scan_requests.location_of(body)
        scan_requests.device_text(body.device)
        token(body.token.encode("utf-8", "surrogatepass"))


def report_body(data: bytes) -> None:
    """The body of POST /v1/reports."""
    with contextlib.suppress(Problem):
        decode_body(data, _report)


def batch_body(data: bytes) -> None:
    """The body of POST /v1/batches, with the checks that follow its types, and of a recall."""
    with contextlib.suppress(Problem, InvalidField):
        submission.check(decode_body(data, _batch), NOW)
    with contextlib.suppress(Problem, InvalidField):
        submission.check_reason(decode_body(data, _recall))


def cursor(data: bytes) -> None:
    """A cursor and the other texts of a query string."""
    text = data.decode("utf-8", "replace")
    with contextlib.suppress(InvalidField):
        identifier = read_cursor(text)
        assert identifier is not None
        assert cursor_after(identifier) == text
    with contextlib.suppress(InvalidField):
        listing.read_created_after(text)
    with contextlib.suppress(InvalidField):
        submission.check_idempotency_key(text)


TARGETS: Mapping[str, Callable[[bytes], None]] = {
    target.__name__: target
    for target in (
        token,
        forged_token,
        entry,
        accepted_scan,
        history,
        scan_body,
        report_body,
        batch_body,
        cursor,
    )
}


def seeds() -> Mapping[str, tuple[bytes, ...]]:
    """Where each target starts from: something of the right shape."""
    scan = Scan(PRODUCT, PRODUCT, NOW_MS, "0" * 32, "0" * 32, country="BR")
    product = Product(PRODUCT, PRODUCT, PRODUCT, "SHOE-42", "Shoe", "S1")
    told = acceptance.judge(scan, product, History(), Signals())
    sighting = Sighting(PRODUCT, "0" * 16, "BR", None)
    known = History().after(sighting)
    scored = ScoredScan(scan, told.assessment, product, told.history, told)
    notice = Notice(PRODUCT, PRODUCT, "batch.completed", PRODUCT, NOW_MS, {"a": [1]})
    mine = RING.mint(PRODUCT)
    json = msgspec.json.encode
    accepted = (scan, product, known, [sighting], Signals(1, True, 2, 3))
    asked = {
        "token": mine,
        "scan_id": str(PRODUCT),
        "country": "BR",
        "location": {"lat": 1.5, "lon": -2},
        "device": {"install_id": "a", "timezone": "UTC"},
    }
    batch = {"sku": "S", "name": "N", "serials": ["1"], "manufactured_at": "2026-01-31T08:00:00Z"}
    return {
        "token": (mine.encode(), mine.lower().encode()),
        "forged_token": (b"\x000\x011",),
        "entry": tuple(map(json, (scan, product, scored, notice, BatchAccepted(PRODUCT)))),
        "accepted_scan": (FIELD_SEPARATOR.join(map(json, accepted)),),
        "history": (json(known), json([sighting])),
        "scan_body": (json(asked),),
        "report_body": (json({"reason": "other", "token": mine, "email": "a@b.example"}),),
        "batch_body": (json(batch | {"attributes": {"a": [1, {}]}}), json({"reason": "Glue"})),
        "cursor": (cursor_after(PRODUCT).encode(), b"2026-01-31T08:00:00Z"),
    }
