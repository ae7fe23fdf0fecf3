"""The report form as the server writes it, for who has no scripts."""

from __future__ import annotations

import html
from collections.abc import Mapping
from typing import get_args

from producers.page_words import Words
from voketag.events import ReportReason
from voketag.http.whole_page import Markup

_INVALID = Markup(' aria-invalid="true"')


def report_slots(words: Words) -> dict[str, str]:
    """What the page has in its slots once a report is stored."""
    thanks = words.told["report"]["thanks"]
    return {"state": "reported", "title": f"{thanks} · {words.table['page']['brand']}"}


def fault_slots(words: Words, fault: str, given: Mapping[str, str], wait_s: int) -> dict[str, str]:
    """What the page has in its slots where a report was not stored: the form as it was, and why."""
    report = words.told["report"]
    wait = words.many(words.told["seconds"], wait_s)
    return {
        "state": "report",
        "report.open": Markup(" open"),
        "report.fault": report["faults"][fault].format(wait=wait),
        "report.reasons": reasons(words, given["reason"]),
        "report.description": given["description"],
        "report.email": given["email"],
        "report.reason_invalid": _INVALID if fault == "reason" else "",
        "report.email_invalid": _INVALID if fault == "email" else "",
    }


def reasons(words: Words, selected: str = "") -> Markup:
    """The reasons for a report, as the options of a list."""
    options = []
    for reason in get_args(ReportReason):
        mark = " selected" if reason == selected else ""
        said = html.escape(words.table["page"][reason])
        options.append(f'<option value="{reason}"{mark}>{said}</option>')
    return Markup("\n".join(options))
