"""The answer to a scan as the page says it, for who has no scripts.

The same words are put into the page by pages/result.js; tests/producers/test_scan_page_words.py
holds the two together.
"""

from __future__ import annotations

import html
from collections.abc import Iterable
from datetime import datetime

from producers.page_words import Words
from voketag.http.whole_page import Markup
from voketag.risk.history import REMEMBERED_COUNTRIES
from voketag.scans.answers import HistoryAnswer, ProductAnswer, ScanAnswer


def result_slots(words: Words, answer: ScanAnswer) -> dict[str, str]:
    """What the page of an answer has in its slots."""
    verdict = words.told["verdicts"][answer.verdict]
    return {
        "state": "result",
        "title": f"{verdict['title']} · {words.table['page']['brand']}",
        "verdict": answer.verdict,
        "verdict.title": verdict["title"],
        "verdict.summary": verdict["summary"],
        "known": items(_known(words, answer)),
        "steps": items(verdict["steps"]),
        "reference": str(answer.scan_id),
        **_product_slots(words, answer.product),
    }


def problem_slots(words: Words, kind: str, wait_s: int = 0) -> dict[str, str]:
    """What the page has in its slots where a scan was not answered."""
    problem = words.told["problems"][kind]
    text = problem["text"].format(wait=words.many(words.told["seconds"], wait_s))
    return {
        "state": "problem",
        "problem": kind,
        "title": f"{problem['title']} · {words.table['page']['brand']}",
        "problem.title": problem["title"],
        "problem.text": text,
    }


def items(texts: Iterable[str]) -> Markup:
    """The items of a list."""
    return Markup("".join(f"<li>{html.escape(text)}</li>" for text in texts))


def _product_slots(words: Words, product: ProductAnswer | None) -> dict[str, str]:
    if product is None:
        return {}
    made = product.manufactured_at
    return {
        "product.name": product.name,
        "product.serial": product.serial,
        "product.sku": product.sku,
        "product.made": (
            words.told["not_stated"] if made is None else words.date(datetime.fromisoformat(made))
        ),
    }


def _known(words: Words, answer: ScanAnswer) -> list[str]:
    """What we know of the product's scans: how many, and what is unusual about them."""
    history, told = answer.history, words.told
    if history is None or answer.risk is None:
        return []
    times, countries = words.many(told["times"], history.scans), _countries(words, history)
    reasons = [
        told["reasons"]
        .get(reason.code, told["reasons"]["unknown"])
        .format(times=times, countries=countries)
        for reason in answer.risk.reasons
    ]
    if history.scans == 1:
        return [told["history_first"], *reasons]
    sentence = told["history_countries" if history.countries else "history"]
    first = told["first_scanned"].format(date=words.date(history.first_scanned_at))
    return [sentence.format(times=times, countries=countries), first, *reasons]


def _countries(words: Words, history: HistoryAnswer) -> str:
    known = len(history.countries)
    if known >= REMEMBERED_COUNTRIES:  # it remembers no more
        return str(words.told["countries_at_least"].format(n=REMEMBERED_COUNTRIES))
    return words.many(words.told["countries"], known)
