"""The page of a code, filled in as far as it can be before anybody asks for it."""

from __future__ import annotations

import html
from collections.abc import Mapping

from producers.page_reports import reasons
from producers.page_words import PAGES, Words
from voketag.http.whole_page import Markup, Spliced, data_block, filled, joined, policy
from voketag.risk.history import REMEMBERED_COUNTRIES

# In the order in which one imports from another.
SCRIPTS = ("words", "server", "audience", "visit", "result", "report", "scan")
_SCAN_ID = "{SCAN ID}"  # stands where each answer has its own
_EMPTY = (
    "verdict",
    "verdict.title",
    "verdict.summary",
    "product.name",
    "product.serial",
    "product.sku",
    "product.made",
    "known",
    "steps",
    "reference",
    "problem",
    "problem.title",
    "problem.text",
    "report.open",
    "report.fault",
    "report.description",
    "report.email",
    "report.reason_invalid",
    "report.email_invalid",
    "scan_id",
    "words",
    "script",
)
_SCRIPTED = ("brand", "send")  # words of the page that its script needs too


class ScanTemplate:
    """The page in every language. `starts` has it as it is before anything was checked, by language
    and whether its script may confirm the scan by itself.
    """

    def __init__(self, words: Mapping[str, Words], public_url: str) -> None:
        self._text = (PAGES / "scan.html").read_text(encoding="utf-8")
        self._style = (PAGES / "pages.css").read_text(encoding="utf-8")
        self._script = joined(PAGES / f"{name}.js" for name in SCRIPTS)
        self._public_url = public_url
        self._languages = {language: str(one.table["language"]) for language, one in words.items()}
        self.policy = policy(self._style, self._script)
        self.starts: dict[tuple[str, bool], Spliced] = {
            (language, automatic): self._start(one, automatic=automatic)
            for language, one in words.items()
            for automatic in (True, False)
        }

    def answered(self, words: Words, slots: Mapping[str, str]) -> bytes:
        """The page that answers a form: without scripts, whose work is done."""
        scan_id = slots.get("scan_id")
        return self._filled(words, {"scan_id": scan_id or "", **slots}).encode()

    def _start(self, words: Words, *, automatic: bool) -> Spliced:
        slots = {
            "scan_id": _SCAN_ID,
            "automatic": "yes" if automatic else "no",
            "words": data_block(_words_of_script(words)),
            "script": Markup(self._script),
        }
        page = self._filled(words, slots)
        before, _, behind = page.partition(_SCAN_ID)
        # The second form has none: with scripts it is sent by them, and without it is not shown.
        return Spliced(before.encode(), behind.replace(_SCAN_ID, "").encode())

    def _filled(self, words: Words, slots: Mapping[str, str]) -> str:
        report = words.told["report"]
        texts = {
            **words.slots("page"),
            **words.slots("told"),
            "told.report_thanks": report["thanks"],
            "told.report_thanks_text": report["thanks_text"],
            "language": words.language,
            "languages": self._switch(words.language, slots),
            "public_url": self._public_url,
            "style": Markup(self._style),
            "report.reasons": reasons(words),
            "title": words.table["page"]["title"],
            "state": "start",
            "automatic": "no",
        }
        return filled(self._text, dict.fromkeys(_EMPTY, "") | texts | dict(slots))

    def _switch(self, current: str, slots: Mapping[str, str]) -> Markup:
        """The other languages: where a form was answered, buttons of a form, so that the same scan
        is answered once more.
        """
        if slots.get("state") not in ("result", "problem"):
            return language_links(self._languages, current)
        made = [
            f'<button name="lang" value="{language}" {_named(language, name, current)}</button>'
            for language, name in self._languages.items()
        ]
        hidden = f'<input type="hidden" name="scan_id" value="{html.escape(slots["scan_id"])}">'
        return Markup(f'<form method="post">{hidden}{"".join(made)}</form>')


def language_links(names: Mapping[str, str], current: str) -> Markup:
    """Links to the same page in other languages. `names` are what these call themselves."""
    return Markup(
        "".join(
            f'<a href="?lang={language}" {_named(language, name, current)}</a>'
            for language, name in names.items()
        )
    )


def _named(language: str, name: str, current: str) -> str:
    """The rest of a tag that stands for a language, and what it shows."""
    mark = ' aria-current="true"' if language == current else ""
    said = f'{language}<span class="unseen"> {html.escape(name)}</span>'
    return f'lang="{language}"{mark}>{said}'


def _words_of_script(words: Words) -> dict[str, object]:
    return {
        "locale": words.table["locale"],
        "countries_remembered": REMEMBERED_COUNTRIES,
        "page": {name: words.table["page"][name] for name in _SCRIPTED},
        "told": words.told,
    }
