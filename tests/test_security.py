"""What the page on security says of comparing secrets."""

from __future__ import annotations

import hmac
from uuid import UUID

import pytest

from tests.administration import admin_on
from voketag.tokens import KeyRing, TokenKey


async def test_what_decides_is_a_comparison_in_constant_time(
    redis_url: str, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Were it to say that all are equal, a wrong signature and a wrong key would do."""
    ring = KeyRing((TokenKey(1, b"\x11" * 32),))
    token = ring.mint(UUID(int=5))
    forged = token[:40] + ("0" if token[40] != "0" else "1") + token[41:]
    wrong = {"Authorization": "Bearer not-the-admin-key"}
    async with admin_on(redis_url, database_url) as admin:
        assert ring.verify(forged) is None
        await admin.ask("GET", "/v1/factories", expected=401, headers=wrong)
        monkeypatch.setattr(hmac, "compare_digest", lambda _one, _other: True)
        assert ring.verify(forged) is not None
        await admin.ask("GET", "/v1/factories", expected=200, headers=wrong)
