"""What protects every answer, whatever it is, and a request that can be read in two ways."""

from __future__ import annotations

import functools
import re

from aiohttp import HttpVersion10, hdrs, web
from multidict import CIMultiDict, istr

from voketag.http.problems import Problem

# A page says more precisely what it may do, and what may be kept of it; everything else is data:
# not to be rendered, framed, sniffed or stored, and its URL, which may hold a token, not told on.
# Strict-Transport-Security belongs to the proxy that speaks TLS.
HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Referrer-Policy": "no-referrer",
    "Server": "VokeTag",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
_HEADERS = CIMultiDict(HEADERS)
_POLICY = istr("Content-Security-Policy")
# RFC 9110, section 7.2: a host of RFC 3986 (a name, or an address in brackets) and a port.
_HOST = re.compile(r"(?:[A-Za-z0-9._~!$&'()*+,;=%-]*|\[[0-9A-Fa-f:.]+\])(?::[0-9]*)?")


def protect(headers: CIMultiDict[str]) -> None:
    """Add what the answer does not say itself."""
    headers.pop(hdrs.SERVER, None)  # aiohttp has said which version of itself it is
    if _POLICY not in headers and hdrs.CACHE_CONTROL not in headers:
        headers.extend(_HEADERS)  # a twentieth of the time, and there is no answer without it
        return
    for name, value in HEADERS.items():
        headers.setdefault(name, value)


def refuse_ambiguous(request: web.BaseRequest) -> None:
    """Raises Problem 400, which ends the connection, for a request that a proxy in front of us
    could read in another way than we do. aiohttp's parser in C refuses most of these by itself,
    the one in Python fewer (RFC 9112, sections 2.3, 3.2 and 6.1).
    """
    headers = request.headers
    if request.version < HttpVersion10:
        raise _malformed("HTTP/1.1 is spoken here.")
    coding = headers.get(hdrs.TRANSFER_ENCODING)
    if coding is not None and (coding.lower() != "chunked" or hdrs.CONTENT_LENGTH in headers):
        raise _malformed("Transfer-Encoding: chunked, without a Content-Length, is accepted.")
    host = headers.get(hdrs.HOST)
    if host is not None and not _is_host(host):
        raise _malformed("Host names a host and, where it is another, a port.")


@functools.lru_cache(maxsize=256)  # clients name the same few
def _is_host(text: str) -> bool:
    return _HOST.fullmatch(text) is not None


def refuse_other_sites(request: web.BaseRequest) -> None:
    """Raises Problem 403 for a form that a page of another site posts in its visitor's name.

    Browsers say where a request comes from in Sec-Fetch-Site (W3C Fetch Metadata). Older ones say
    Origin, but for our own pages, which send no referrer, it is `null`.
    """
    site = request.headers.get("Sec-Fetch-Site")
    origin = request.headers.get(hdrs.ORIGIN, "null")
    if site is None:
        foreign = origin not in ("null", f"http://{request.host}", f"https://{request.host}")
    else:
        foreign = site not in ("same-origin", "none")
    if foreign:
        raise Problem(403, "foreign_form", "A form is accepted from our own pages.")


def _malformed(detail: str) -> Problem:
    return Problem(400, "malformed_request", detail, {"Connection": "close"})
