"""What a cluster's URL and CLUSTER SLOTS say."""

from __future__ import annotations

import pytest

from voketag.redis import slots

A, B = (
    "rediss://me:p%40ss@a:7001/0?ssl_cert_reqs=none",
    "rediss://me:p%40ss@b:7002/0?ssl_cert_reqs=none",
)


def test_each_server_has_the_password_and_the_options_of_the_cluster() -> None:
    url = "rediss+cluster://me:p%40ss@a:7001,b:7002/0?ssl_cert_reqs=none"
    assert slots.is_cluster(url)
    assert slots.server_urls(url) == [A, B]
    assert slots.url_at(A, "b", 7002) == B
    assert slots.url_at(A, "", 7001) == A
    assert slots.url_at("redis://a:1/0", "::1", 2) == "redis://[::1]:2/0"
    assert slots.place_of(B) == "b:7002"


@pytest.mark.parametrize("url", ["redis://a:1/0", "rediss://a:1/0", "unix:///tmp/redis"])
def test_one_redis_is_no_cluster(url: str) -> None:
    assert not slots.is_cluster(url)


def test_a_slot_that_nobody_serves_is_told_from_one_that_is() -> None:
    reply = [[0, 5460, [b"b", 7002, b"id"], [b"replica", 1, b"id"]], [5462, 16383, [None, 7001]]]
    table = slots.serving(reply, A)
    assert (table[0], table[5460], table[5461], table[5462], table[16383]) == (B, B, None, A, A)
    assert len(table) == slots.SLOTS


def test_the_key_of_a_command_is_found() -> None:
    commands: list[tuple[tuple[str | bytes | int, ...], str | None]] = [
        (("XADD", "scans:{1}", "*", "n", 1), "scans:{1}"),
        (("EVALSHA", "sha", 2, "scans:{1}", "owner:{1}", "x"), "scans:{1}"),
        (("EVAL", "return 1", 0), None),
        (("XREADGROUP", b"GROUP", "g", "c", b"STREAMS", "scans:{1}", ">"), "scans:{1}"),
        (("XINFO STREAM", "scans:{1}"), "scans:{1}"),
        (("PING",), None),
    ]
    assert [slots.key_of(command) for command, _ in commands] == [key for _, key in commands]
    assert slots.slot_of("scans:{1}") == slots.slot_of(b"1") == 9842
