"""Which language a page is written in."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voketag.http.languages import chosen, preferred

OFFERED = ("en", "pt", "es")


@pytest.mark.parametrize(
    ("header", "language"),
    [
        ("", "en"),
        ("pt", "pt"),
        ("pt-BR,pt;q=0.9,en-US;q=0.8,en;q=0.7", "pt"),
        ("PT-br", "pt"),
        ("es-419", "es"),
        ("zh-Hant-TW", "en"),
        ("de, es;q=0.5, pt;q=0.4", "es"),
        ("en;q=0.5, pt;q=0.9", "pt"),
        ("pt;q=0.5, es;q=0.5", "pt"),
        ("en;q=0.1, *;q=0.5", "pt"),
        ("pt;q=0, en;q=0, *", "es"),
        ("en;q=0", "pt"),
        ("en;q=0, pt;q=0, es;q=0", "en"),
        ("*", "en"),
        ("es ; q = 0.8 , pt ; Q=0.9", "pt"),
        ("es;q=7, pt;q=0.1", "pt"),
        ("pt;q=0.0001, es;q=0.1", "es"),
        (";;,,=,pt", "pt"),
        ("portuguese-is-long", "en"),
        (",".join(["xx"] * 100) + ",pt", "en"),  # nobody sends so many
    ],
)
def test_the_best_that_is_offered(header: str, language: str) -> None:
    assert preferred(header, OFFERED) == language


@pytest.mark.parametrize(
    ("asked", "language"), [("es", "es"), ("de", "pt"), ("", "pt"), (None, "pt"), ("ES", "pt")]
)
def test_what_is_asked_for_by_name_comes_first(asked: str | None, language: str) -> None:
    assert chosen(asked, "pt", OFFERED) == language


@given(st.text(alphabet="enpts-*;q=0.19, x\t", max_size=60))
def test_any_header_gives_an_offered_language(header: str) -> None:
    assert preferred(header, OFFERED) in OFFERED
