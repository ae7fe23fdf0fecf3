"""The JSON-RPC wire: what it reads is bounded, what it repeats holds no key, it asks one server."""

from __future__ import annotations

import traceback
from collections.abc import AsyncIterator

import pytest

from tests.chain_faults import FAULTS, HUGE_BYTES
from tests.chain_proxy import ChainProxy, chain_proxy
from voketag.chain.client import Chain
from voketag.chain.rpc import MOST_BYTES
from voketag.errors import Unavailable

KEY = "3f9c0d7b5e-the-key-of-our-account"
NO_ANSWERS = [name for name, fault in FAULTS.items() if not fault.methods]
HARMLESS = {"delay", "ask twice", "an earlier answer"}


@pytest.fixture
async def proxy(chain_url: str) -> AsyncIterator[ChainProxy]:
    async with chain_proxy(chain_url) as opened:
        yield opened


@pytest.fixture
async def chain(proxy: ChainProxy) -> AsyncIterator[Chain]:
    opened = Chain(f"{proxy.url}/v2/{KEY}?apikey={KEY}", timeout_s=0.5)
    yield opened
    await opened.close()


async def test_f43_whatever_happens_on_the_way_is_unavailable_or_harmless(
    chain: Chain, proxy: ChainProxy
) -> None:
    assert await chain.chain_id() == 31337
    for fault in NO_ANSWERS:
        proxy.spoil(fault, times=1)
        if fault in HARMLESS:
            assert await chain.chain_id() == 31337
        else:
            with pytest.raises(Unavailable):
                await chain.chain_id()
        assert proxy.met[fault] == 1
        assert await chain.chain_id() == 31337, f"the next call after {fault!r}"


async def test_f43_a_huge_answer_is_given_up(chain: Chain, proxy: ChainProxy) -> None:
    proxy.spoil("huge")
    with pytest.raises(Unavailable, match=f"more than {MOST_BYTES} bytes"):
        await chain.chain_id()
    assert proxy.sent < HUGE_BYTES // 2, "it was read to the end"


async def test_f43_what_is_packed_is_not_unpacked(chain: Chain, proxy: ChainProxy) -> None:
    proxy.spoil("gzip bomb")
    with pytest.raises(Unavailable, match="not an answer"):
        await chain.chain_id()


async def test_f43_a_redirect_is_not_followed(chain: Chain, proxy: ChainProxy) -> None:
    proxy.spoil("redirect", times=1)
    with pytest.raises(Unavailable, match="HTTP 307"):
        await chain.chain_id()
    assert proxy.strayed == 0


async def test_f43_the_first_chain_id_is_not_believed_alone(
    chain: Chain, proxy: ChainProxy
) -> None:
    proxy.spoil("another chain", times=1)
    with pytest.raises(Unavailable, match="answers for chains 11155111 and 31337"):
        await chain.chain_id()
    assert await chain.chain_id() == 31337


async def test_the_key_in_the_url_is_in_no_error(chain: Chain, proxy: ChainProxy) -> None:
    """Not in its words, nor in the traceback that a log would hold, whoever repeats it."""
    for fault in set(NO_ANSWERS) - HARMLESS:
        proxy.spoil(fault, times=1)
        with pytest.raises(Unavailable) as raised:
            await chain.chain_id()
        assert KEY not in "".join(traceback.format_exception(raised.value)), fault


async def test_the_key_in_the_url_is_in_no_answer_to_a_broadcast(
    chain: Chain, proxy: ChainProxy
) -> None:
    """What a node says to a transaction is stored, and logged."""
    proxy.spoil("its key repeated")
    answer = await chain.send_raw(b"raw")
    assert "[withheld]" in answer.text
    assert KEY not in answer.text
    assert len(answer.text) <= 500
