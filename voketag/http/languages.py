"""The language of a page: what the visitor asked for, what the browser prefers, what there is."""

from __future__ import annotations

import re
from collections.abc import Sequence

_RANGE = re.compile(
    r"\s*(\*|[A-Za-z]{1,8}(?:-[A-Za-z0-9]{1,8})*)\s*"
    r"(?:;\s*[qQ]\s*=\s*(0(?:\.\d{0,3})?|1(?:\.0{0,3})?)\s*)?"
)
_RANGES_READ = 32  # a browser sends a handful


def chosen(asked: str | None, accept_language: str, offered: Sequence[str]) -> str:
    """One of `offered`: the one `asked` for by name, else the best by Accept-Language (RFC 9110,
    section 12.5.4), else the first.
    """
    if asked in offered:
        return str(asked)
    return preferred(accept_language, offered)


def preferred(accept_language: str, offered: Sequence[str]) -> str:
    """The offered language with the highest quality, by the lookup of RFC 4647, section 3.4:
    `pt-PT` is content with `pt`. Equal ones go by their order in the header, `*` is any of the
    rest, and a quality of 0 refuses. Malformed parts are ignored; where nothing fits, the first is
    given.
    """
    wanted = _ranges(accept_language)
    refused = {name for name, quality in wanted if quality == 0 and name != "*"}
    rest = [language for language in offered if language not in refused]
    named = {name.partition("-")[0] for name, _ in wanted}
    for name, quality in sorted(wanted, key=lambda one: -one[1]):  # stable: order breaks ties
        if quality == 0:
            continue
        if name == "*":
            unnamed = [language for language in rest if language not in named]
            if unnamed:
                return unnamed[0]
        elif (found := _lookup(name, rest)) is not None:
            return found
    return rest[0] if rest else offered[0]


def _lookup(name: str, offered: Sequence[str]) -> str | None:
    """The longest beginning of a language range that is offered."""
    while name:
        if name in offered:
            return name
        name = name.rpartition("-")[0]
    return None


def _ranges(accept_language: str) -> list[tuple[str, float]]:
    """Language ranges in lower case with their qualities, as they stand."""
    found = (_RANGE.fullmatch(part) for part in accept_language.split(",", _RANGES_READ))
    return [(one[1].lower(), float(one[2] or 1)) for one in found if one is not None]
