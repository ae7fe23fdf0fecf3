"""Keys that are guessed: how many an address may try before it has to wait."""

from __future__ import annotations

import time

from aiohttp import web

from voketag import metrics
from voketag.addresses import client_address, limited_unit
from voketag.http.problems import Problem
from voketag.probes import RateLimit
from voketag.settings import Settings


class Guesses:
    """Counts, in this process, the keys from each address that were never given out.

    An address over the limit is refused before its key is looked at, a right one too: whoever
    guesses learns nothing more. A key that was given out and is revoked or expired is no guess, so
    that an ERP with an old key does not lock out the others behind its address.
    """

    def __init__(self, settings: Settings) -> None:
        self._limit = settings.key_guess_limit
        self._trusted = settings.trusted_proxies
        self._guesses = RateLimit(settings.key_guess_limit)

    def refuse(self, request: web.Request) -> None:
        """Raises Problem 429 for an address that has guessed too often."""
        wait_ms = self._guesses.wait_ms(self._unit(request), _now_ms(), count=False)
        if wait_ms:
            metrics.REFUSED_KEYS.inc()
            wait_s = max(1, -(-wait_ms // 1000))
            raise Problem(
                429,
                "too_many_wrong_keys",
                f"{self._limit} wrong keys a minute are borne from one address; wait {wait_s} s.",
                {"Retry-After": str(wait_s)},
            )

    def note(self, request: web.Request) -> None:
        """Count a key that was never given out."""
        self._guesses.wait_ms(self._unit(request), _now_ms())

    def _unit(self, request: web.Request) -> str:
        forwarded = request.headers.getall("X-Forwarded-For", ())
        return limited_unit(client_address(request.remote, forwarded, self._trusted))


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


GUESSES = web.AppKey("guesses", Guesses)
