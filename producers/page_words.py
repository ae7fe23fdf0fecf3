"""The words of the pages: one table a language, in pages/texts, for the server and the script."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

PAGES = Path(__file__).parent / "pages"
LANGUAGES = ("en", "pt", "es")  # the first is for who asks for none of them
# From so many digits on, whole numbers are written in groups of three, parted by this (CLDR).
_GROUPED = {"en": (",", 4), "pt": (".", 4), "es": (".", 5)}


class Words:
    """The words of one language. `page` has those that stand in the page of a code, `told` those of
    its answers, `origin` those of the page that checks a proof.
    """

    def __init__(self, language: str, table: Mapping[str, Any]) -> None:
        self.language = language
        self.table = table
        self.told: Mapping[str, Any] = table["told"]

    def number(self, value: int) -> str:
        """A whole number, as `Intl.NumberFormat` of the table's locale writes it."""
        parted_by, digits_from = _GROUPED[self.language]
        digits = str(value)
        return f"{value:,}".replace(",", parted_by) if len(digits) >= digits_from else digits

    def many(self, forms: Mapping[str, str], count: int) -> str:
        """The form for `count`, by the plural rules of CLDR, with the count in it."""
        one = count == 1 or (self.language == "pt" and count == 0)
        return forms["one" if one else "other"].format(n=self.number(count))

    def date(self, moment: datetime) -> str:
        """The UTC day, as `Intl.DateTimeFormat` of the table's locale writes it in full."""
        day, calendar = moment.astimezone(UTC), self.table["calendar"]
        month = calendar["months"][day.month - 1]
        written: str = calendar["date"].format(day=day.day, month=month, year=day.year)
        return written

    def slots(self, section: str) -> dict[str, str]:
        """The single texts of a section, for the slots of a template: `section.name`."""
        texts = self.table[section].items()
        return {f"{section}.{name}": text for name, text in texts if isinstance(text, str)}


def read_words() -> dict[str, Words]:
    """The words of every language."""
    return {
        language: Words(
            language, msgspec.json.decode((PAGES / f"texts/{language}.json").read_bytes())
        )
        for language in LANGUAGES
    }


def texts(table: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Every text of a table with the path of its key."""
    if isinstance(table, str):
        yield path, table
    elif isinstance(table, list):
        for place, below in enumerate(table):
            yield from texts(below, f"{path}[{place}]")
    else:
        for name, below in table.items():
            yield from texts(below, f"{path}.{name}" if path else name)
