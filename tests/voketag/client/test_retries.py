"""When a client tries again, how long it waits, and when it gives up."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.voketag.client.scripted import scripted
from voketag.client import Backoff, OpsClient, ProblemError, ScanClient, TransportError
from voketag.client.retries import may_repeat, retry_after_s

NOW = datetime(2026, 11, 1, tzinfo=UTC)
FAST = Backoff(first_s=0.001, most_s=0.001)
NOT_STORED = (404, {"Content-Type": "application/problem+json"}, b'{"code": "not_found"}')


@given(st.integers(1, 10**6), st.floats(0, 3600), st.floats(0, 1))
def test_a_wait_is_what_was_asked_for_and_jitter_on_top(
    failures: int, asked_s: float, chance: float
) -> None:
    wait_s = Backoff(first_s=0.1, most_s=5.0).wait_s(failures, asked_s, chance)
    assert asked_s <= wait_s <= asked_s + min(5.0, 0.1 * 2.0 ** min(failures - 1, 20))


def test_the_jitter_is_full_and_doubles() -> None:
    backoff = Backoff(first_s=0.1, most_s=5.0)
    assert [backoff.wait_s(n, None, 1.0) for n in (1, 2, 3, 7)] == [0.1, 0.2, 0.4, 5.0]
    assert backoff.wait_s(3, None, 0.0) == 0.0
    assert backoff.wait_s(3, None, 0.5) == 0.2


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("0", 0.0),
        (" 17 ", 17.0),
        ("Sun, 01 Nov 2026 00:01:00 GMT", 60.0),
        ("Sat, 31 Oct 2026 00:00:00 GMT", 0.0),
        ("Sun, 01 Nov 2026 00:00:30 -0000", 30.0),
        ("soon", None),
        ("-1", None),
        ("1.5", None),
        ("", None),
        (None, None),
    ],
)
def test_retry_after_is_a_number_or_a_date(value: str | None, seconds: float | None) -> None:
    assert retry_after_s(value, NOW) == seconds


@pytest.mark.parametrize(
    ("status", "repeatable", "once"),
    [
        (429, True, True),
        (503, True, True),
        (502, True, True),
        (504, True, True),
        (500, False, False),
        (422, False, False),
        (409, False, False),
    ],
)
def test_what_may_be_sent_again(status: int, repeatable: bool, once: bool) -> None:
    error = ProblemError("GET /", status, "", "")
    assert may_repeat(error, repeatable=True) is repeatable
    assert may_repeat(error, repeatable=False) is (once and status == 429)


@pytest.mark.parametrize("sent", [True, False])
def test_what_was_never_sent_may_be_sent_again(sent: bool) -> None:
    error = TransportError("POST /", EOFError(), sent=sent)
    assert may_repeat(error, repeatable=True)
    assert may_repeat(error, repeatable=False) is not sent


# ---------------------------------------------------------------------- against a service


async def test_a_busy_service_is_asked_until_it_answers() -> None:
    busy = [(status, {"Retry-After": "0"}, b"busy") for status in (503, 502, 504, 429)]
    async with scripted(*busy, NOT_STORED) as service, ScanClient(service.url, backoff=FAST) as app:
        assert await app.scan_of_record("x/y?") is None
        assert service.seen == [("GET", "/v1/scans/x/y?")] * 5  # as aiohttp decodes it


async def test_without_retries_one_attempt_is_made() -> None:
    async with scripted((503, {}, b"")) as service, ScanClient(service.url, retries=False) as app:
        with pytest.raises(ProblemError, match="503"):
            await app.scan_of_record("1")
        assert len(service.seen) == 1


async def test_a_wait_that_does_not_fit_is_not_begun() -> None:
    """It would be over after the time that the caller has: it is told at once."""
    headers = {"Retry-After": "3600", "X-Request-Id": "r-1"}
    async with (
        scripted((429, headers, b'{"code": "too_many_scans"}')) as service,
        ScanClient(service.url) as app,
    ):
        with pytest.raises(ProblemError) as raised:
            await app.scan("T")
    error = raised.value
    assert (error.status, error.code) == (429, "too_many_scans")
    assert (error.retry_after_s, error.request_id) == (3600.0, "r-1")


async def test_what_must_not_be_done_twice_is_sent_again_only_where_nothing_was_done() -> None:
    made = b'{"factory_id": "01890000-0000-7000-8000-000000000000", "api_key": "vt_x"}'
    async with (
        scripted((429, {"Retry-After": "0"}, b""), (201, {}, made), (503, {}, b"")) as service,
        OpsClient(service.url, "k", backoff=FAST) as ops,
    ):
        assert (await ops.create_factory("A", "a@a.example")).api_key == "vt_x"
        assert len(service.seen) == 2
        with pytest.raises(ProblemError, match="503"):
            await ops.create_factory("B", "b@b.example")
        assert len(service.seen) == 3


async def test_an_answer_that_is_none_of_ours_is_shown() -> None:
    page = b"<html>no such host</html>"
    async with (
        scripted((404, {}, page), (500, {}, b"[1]")) as service,
        ScanClient(service.url) as a,
    ):
        with pytest.raises(ProblemError, match="<html>no such host</html>") as raised:
            await a.report("other", token="T")
        assert (raised.value.status, raised.value.code) == (404, "")
        with pytest.raises(ProblemError, match="answered 500"):
            await a.report("other", token="T")


async def test_a_key_is_not_told_to_where_a_redirect_leads() -> None:
    async with scripted((404, {}, b"")) as other:
        moved = {"Location": other.url}
        async with scripted((302, moved, b"")) as service, OpsClient(service.url, "k") as ops:
            with pytest.raises(ProblemError, match="answered 302"):
                await ops.streams()
        assert other.seen == []


async def test_a_service_that_is_not_there_was_not_asked() -> None:
    async with scripted() as gone:
        url = gone.url
    async with ScanClient(url, timeout_s=0.3, backoff=FAST) as app:
        with pytest.raises(TransportError) as raised:
            await app.scan("T")
        assert not raised.value.sent
