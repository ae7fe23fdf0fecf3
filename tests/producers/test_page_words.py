"""The words of the pages: the same in every language, and for the server as for the script."""

from __future__ import annotations

import re
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, get_args

import pytest

from producers.page_words import LANGUAGES, read_words, texts
from tests.page_scripts import in_node
from voketag.events import ReportReason, Verdict
from voketag.risk.rules import POINTS

COUNTS = [*range(130), 999, 1000, 1001, 9999, 10_000, 12_345, 999_999, 1_000_001, 123_456_789]
PLACEHOLDER = re.compile(r"\{\w+\}")


@pytest.mark.parametrize("language", LANGUAGES[1:])
def test_every_language_has_the_same_keys_and_placeholders(language: str) -> None:
    words = read_words()
    first, other = (dict(texts(words[name].table)) for name in (LANGUAGES[0], language))
    assert set(first) == set(other)
    for key, text in first.items():
        assert Counter(PLACEHOLDER.findall(text)) == Counter(PLACEHOLDER.findall(other[key])), key


@pytest.mark.parametrize("language", LANGUAGES)
def test_there_are_words_for_whatever_can_be_answered(language: str) -> None:
    told = read_words()[language].told
    assert set(told["verdicts"]) == set(get_args(Verdict))
    assert set(told["reasons"]) == set(POINTS) | {"unknown"}
    assert set(get_args(ReportReason)) <= set(read_words()[language].table["page"])


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_text_is_empty_or_says_what_we_cannot_know(language: str) -> None:
    """A printed code can be copied perfectly: nobody can tell a copy from the original by it."""
    never = {
        "en": r"fake|counterfeit|forged",
        "pt": r"fals|pirata|contrafa",
        "es": r"fals|pirata|imitaci",
    }[language]
    for key, text in texts(read_words()[language].table):
        assert text.strip() == text != "", key
        assert not re.search(never, text, re.IGNORECASE), key


@pytest.mark.parametrize("language", LANGUAGES)
def test_numbers_plurals_and_dates_are_those_of_the_browser(tmp_path: Path, language: str) -> None:
    words = read_words()[language]
    first = datetime(1999, 12, 31, 23, 59, tzinfo=UTC)
    times = [first + timedelta(days=days) for days in (0, 1, *range(31, 400, 28), 9000)]
    forms = words.told["times"]
    given: dict[str, Any] = {
        "words": words.table,
        "counts": COUNTS,
        "times": [time.isoformat() for time in times],
    }
    expression = "[given.counts.map((n) => many(words.told.times, n)), given.times.map(day)]"
    assert in_node(tmp_path, ["words"], expression, given) == [
        [words.many(forms, count) for count in COUNTS],
        [words.date(time) for time in times],
    ]
