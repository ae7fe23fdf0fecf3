"""A page as one answer: its style and script stand in it, and its policy names their hashes.

It comes with the first bytes a phone is sent, nothing of it can fail to load, and it can be saved
as one file. Scripts are kept as ES modules, one a file, and are put together at the start.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
import struct
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

_IMPORT = re.compile(r'^import \{[^}]*\} from "\./[\w.]+";\n', re.MULTILINE)
_EXPORT = re.compile(r"^export (?=(?:async )?function|const|class)", re.MULTILINE)
_NAME = re.compile(r"^(?:async )?(?:function|const|let|class) (\w+)", re.MULTILINE)
_SLOT = re.compile(r"\{\{([\w.]+)\}\}")
_GZIP_HEAD = bytes.fromhex("1f8b0800000000000003")  # RFC 1952: deflate, no name, no time, Unix


class Markup(str):
    """Text that is HTML already; all other text is escaped where it is put into a page."""

    __slots__ = ()


def joined(files: Iterable[Path]) -> str:
    """ES modules as one, each behind those that it imports from.

    Raises ValueError where two of them have a name at their top level in common, or one has imports
    or exports of another form than `import {...} from "./name.js";` and `export` before what is
    declared.
    """
    text = "".join(file.read_text(encoding="utf-8") for file in files)
    text = _EXPORT.sub("", _IMPORT.sub("", text))
    if strange := re.search(r"^(import|export)\b.*", text, re.MULTILINE):
        raise ValueError(f"this cannot be joined: {strange[0]}")
    names = _NAME.findall(text)
    if twice := {name for name in names if names.count(name) > 1}:
        raise ValueError(f"declared in two modules of one page: {sorted(twice)}")
    return text


def source(text: str) -> str:
    """The CSP source of an inline style or script (CSP Level 3, section 2.3.1)."""
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
    return f"'sha256-{digest}'"


def policy(style: str, script: str, **sources: str) -> str:
    """What a page may do: run this script and this style, show our pictures, and speak and post
    forms to this server. `sources` are other sources for directives (`connect_src="*"`).
    """
    directives = {
        "default-src": "'none'",
        "script-src": source(script),
        "style-src": source(style),
        "connect-src": "'self'",
        "img-src": "'self'",
        "manifest-src": "'self'",
        "base-uri": "'none'",
        "form-action": "'self'",
        "frame-ancestors": "'none'",
    } | {name.replace("_", "-"): sources[name] for name in sources}
    return "; ".join(f"{name} {allowed}" for name, allowed in directives.items())


def filled(template: str, values: Mapping[str, str]) -> str:
    """A template whose `{{slots}}` hold `values`, escaped but for Markup. What is filled in is not
    looked at again. Raises KeyError for a slot without a value.
    """

    def value(slot: re.Match[str]) -> str:
        text = values[slot[1]]
        return text if isinstance(text, Markup) else html.escape(text)

    return _SLOT.sub(value, template)


def data_block(value: Any) -> Markup:
    """JSON for a data block of a page, which no text in it can end."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return Markup(text.replace("<", "\\u003c"))


class Spliced:
    """A text of which one piece differs each time, compressed once: gzip (RFC 1952) whose deflate
    blocks before and behind the piece are made beforehand, and the piece stands in a block that is
    not compressed (RFC 1951, section 3.2.4).
    """

    def __init__(self, before: bytes, behind: bytes) -> None:
        self._plain = before, behind
        head = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
        self._head = _GZIP_HEAD + head.compress(before) + head.flush(zlib.Z_FULL_FLUSH)
        tail = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
        self._tail = tail.compress(behind) + tail.flush()
        self._head_crc = zlib.crc32(before)

    def plain(self, piece: bytes) -> bytes:
        """The text with `piece` in it."""
        before, behind = self._plain
        return before + piece + behind

    def gzip(self, piece: bytes) -> bytes:
        """The same, compressed. A piece has 65,535 bytes at most."""
        before, behind = self._plain
        stored = struct.pack("<BHH", 0, len(piece), len(piece) ^ 0xFFFF) + piece
        crc = zlib.crc32(behind, zlib.crc32(piece, self._head_crc))
        size = len(before) + len(piece) + len(behind)
        return self._head + stored + self._tail + struct.pack("<II", crc, size)
