"""The score: what the rules add up to, and the verdict that is drawn from it.

Ingress answers with it and the score group records it: the same pure call with the same arguments.
"""

from __future__ import annotations

from voketag import identifiers
from voketag.events import Assessment, Level, Product, Reason, Scan, Signals, Verdict
from voketag.risk.history import History
from voketag.risk.rules import RULES, Observation

MEDIUM_FROM = 40
HIGH_FROM = 70
HIGHEST = 100

NOT_RECOGNISED = Assessment("not_recognised")
_VERDICTS: dict[Level, Verdict] = {
    "low": "authentic",
    "medium": "suspicious",
    "high": "high_risk",
}


def assess(scan: Scan, product: Product | None, history: History, signals: Signals) -> Assessment:
    """What we say of `scan`, given the product's history before it.

    A recall outranks the level in the verdict, but hides neither the score nor its reasons.
    """
    if product is None:
        return NOT_RECOGNISED
    seen = Observation(scan, product, signals, identifiers.at_ms(scan.scan_id))
    reasons = [reason for rule in RULES if (reason := rule(seen, history)) is not None]
    if len(reasons) > 1:
        reasons.sort(key=_weightiest_first)
    score = min(HIGHEST, sum(reason.points for reason in reasons))
    verdict: Verdict = "recalled" if signals.recalled else _VERDICTS[level(score)]
    return Assessment(verdict, score, tuple(reasons))


def level(score: int) -> Level:
    """low below 40, medium from 40, high from 70."""
    if score < MEDIUM_FROM:
        return "low"
    return "medium" if score < HIGH_FROM else "high"


def _weightiest_first(reason: Reason) -> tuple[int, str]:
    return -reason.points, reason.code
