"""An accepted scan with what was known at that instant, and what is told from it.

The intake script writes these facts into the stream entry beside the event. Ingress answers from
them; the score group can later recompute that answer exactly from the entry alone.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from voketag import events
from voketag.errors import Rejected
from voketag.events import Product, Scan, Signals, Told
from voketag.risk import score
from voketag.risk.history import EMPTY, History, Sighting, sighting


class Accepted(msgspec.Struct, frozen=True):
    """A scan, its product (None: no batch holds it), and the product's history before it.

    `stored` is that history as the score group had stored it: without the scans that waited for
    their score then, of which some may never get one.
    """

    scan: Scan
    product: Product | None
    history: History
    signals: Signals
    stored: History = EMPTY

    def told(self) -> Told:
        """What the person is told: the score from the history as it stood."""
        return judge(self.scan, self.product, self.history, self.signals)


def judge(scan: Scan, product: Product | None, history: History, signals: Signals) -> Told:
    """Assessment and summary of a scan given the history before it."""
    assessment = score.assess(scan, product, history, signals)
    if product is None:
        return Told(assessment)
    return Told(assessment, history.summary_with(sighting(scan)))


def decode(fields: Mapping[str, bytes]) -> Accepted:
    """The accepted scan of a stream entry. Raises Rejected for another shape."""
    return from_parts(
        events.decode(fields, Scan),
        fields.get("product", b""),
        fields.get("history", b""),
        fields.get("tail", b""),
        fields.get("signals", b""),
    )


def from_parts(scan: Scan, product: bytes, history: bytes, tail: bytes, signals: bytes) -> Accepted:
    """An accepted scan from the intake script's pieces, each JSON or empty.

    `history` is what the score group has stored, `tail` the scans accepted since, oldest first.
    """
    stored = known = events.decode_json(history, History) if history else EMPTY
    try:
        for seen in events.decode_json(tail, list[Sighting]) if tail else ():
            known = known.after(seen)
    except (ValueError, OverflowError) as error:
        raise Rejected(f"a history or tail of no time there is: {error}") from error
    return Accepted(
        scan,
        events.decode_json(product, Product) if product else None,
        known,
        events.decode_json(signals, Signals) if signals else Signals(),
        stored,
    )
