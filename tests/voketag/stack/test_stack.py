"""The embedded servers: started, killed, damaged, refused."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import asyncpg
import pytest
import redis.asyncio

from tests.servers import Servers, binaries, eventually, rpc
from voketag.stack.home import StackError
from voketag.stack.redis import default_max_memory_bytes, preloaded
from voketag.stack.stack import Stack


def make_stack(
    home: Path, environ: Mapping[str, str] = MappingProxyType({}), reports: list[str] | None = None
) -> Stack:
    lines = reports if reports is not None else []
    return Stack(home, environ, binaries=binaries(), report=lines.append)


async def height(stack: Stack) -> int:
    return int(await rpc(stack.environment["VOKETAG_CHAIN_URL"], "eth_blockNumber"), 16)


async def test_everything_written_is_there_after_a_second_start(tmp_path: Path) -> None:
    async with make_stack(tmp_path / "home") as stack:
        first = stack.environment
        assert stack.first_start
        async with redis.asyncio.Redis.from_url(first["VOKETAG_REDIS_URL"]) as client:
            await client.set("key", "kept")
        connection = await asyncpg.connect(first["VOKETAG_DATABASE_URL"])
        await connection.execute("CREATE TABLE kept AS SELECT 7 AS value")
        await connection.close()
        await rpc(first["VOKETAG_CHAIN_URL"], "anvil_mine", "0x5")
    async with make_stack(tmp_path / "home") as stack:
        assert not stack.first_start
        # The same ports and secrets too: what a person copied from the first start still works.
        assert stack.environment == first
        async with redis.asyncio.Redis.from_url(first["VOKETAG_REDIS_URL"]) as client:
            assert await client.get("key") == b"kept"
        connection = await asyncpg.connect(first["VOKETAG_DATABASE_URL"])
        assert await connection.fetchval("SELECT value FROM kept") == 7
        await connection.close()
        assert await height(stack) == 5


@pytest.mark.parametrize(
    ("environ", "bytes_"),
    [({}, default_max_memory_bytes()), ({"VOKETAG_REDIS_MAX_MEMORY_MIB": "64"}, 64 << 20)],
)
async def test_f6_redis_refuses_to_hold_more_than_it_may(
    tmp_path: Path, environ: dict[str, str], bytes_: int
) -> None:
    others = {"VOKETAG_DATABASE_URL": "postgresql://elsewhere", "VOKETAG_CHAIN_URL": "http://there"}
    async with make_stack(tmp_path / "home", environ | others) as stack:
        url = stack.environment["VOKETAG_REDIS_URL"]
        async with redis.asyncio.Redis.from_url(url) as client:
            found = await client.config_get("maxmemory*")
    assert found["maxmemory"] == str(bytes_)
    assert found["maxmemory-policy"] == "noeviction"


@pytest.mark.skipif(not preloaded(), reason="this machine has no jemalloc")
def test_redis_uses_jemalloc_where_the_machine_has_it(servers: Servers, redis_url: str) -> None:
    del redis_url  # of a server that runs
    assert "libjemalloc" in Path(f"/proc/{servers.pid('redis')}/maps").read_text()


async def test_redis_keeps_what_it_answered_when_killed(servers: Servers, redis_url: str) -> None:
    async with redis.asyncio.Redis.from_url(redis_url) as client:
        for number in range(200):
            await client.xadd("stream", {"number": number})
    before = servers.pid("redis")
    await servers.kill("redis")
    await servers.ready("redis")
    assert servers.pid("redis") not in (None, before)
    async with redis.asyncio.Redis.from_url(redis_url) as client:
        assert await client.xlen("stream") == 200
    assert "redis died (signal 9), started again in 0.1 s" in servers.reports


async def test_postgres_keeps_what_it_committed_when_killed(
    servers: Servers, database_url: str
) -> None:
    connection = await asyncpg.connect(database_url)
    await connection.execute("CREATE TABLE kept (number integer)")
    for number in range(100):
        await connection.execute("INSERT INTO kept VALUES ($1)", number)
    await servers.kill("postgres")
    await servers.ready("postgres")
    await connection.close()
    connection = await asyncpg.connect(database_url)
    assert await connection.fetchval("SELECT count(*) FROM kept") == 100
    await connection.close()


async def test_the_chain_goes_on_from_its_last_state_when_killed(tmp_path: Path) -> None:
    home = tmp_path / "home"
    async with make_stack(home) as stack:
        url = stack.environment["VOKETAG_CHAIN_URL"]
        await rpc(url, "anvil_mine", "0x5")
        good = home / "chain" / "state.good.json"
        await eventually(lambda: good.exists() and b'"best_block_number":5' in good.read_bytes())
        await stack.kill("chain")
        await stack.ready("chain")
        assert await height(stack) == 5


async def test_a_chain_state_cut_off_by_a_crash_is_replaced_by_its_copy(tmp_path: Path) -> None:
    home, reports = tmp_path / "home", list[str]()
    async with make_stack(home) as stack:
        await rpc(stack.environment["VOKETAG_CHAIN_URL"], "anvil_mine", "0x5")
    state, good = home / "chain" / "state.json", home / "chain" / "state.good.json"
    whole = state.read_bytes()
    good.write_bytes(whole)
    state.write_bytes(whole[: len(whole) // 2])
    async with make_stack(home, reports=reports) as stack:
        assert await height(stack) == 5
    assert len(reports) == 1
    assert "goes on from the copy" in reports[0]


async def test_a_chain_state_whose_accounts_are_ahead_of_its_blocks_is_replaced(
    tmp_path: Path,
) -> None:
    home, reports = tmp_path / "home", list[str]()
    state, good = home / "chain" / "state.json", home / "chain" / "state.good.json"
    written = []
    for _ in range(3):
        async with make_stack(home, reports=reports) as stack:
            await rpc(stack.environment["VOKETAG_CHAIN_URL"], "anvil_mine", "0x1")
        written.append(state.read_bytes())
    assert not reports
    torn = json.loads(written[1])
    torn["accounts"] = json.loads(written[2])["accounts"]
    state.write_text(json.dumps(torn))
    good.write_bytes(written[0])
    async with make_stack(home, reports=reports) as stack:
        assert await height(stack) == 1
    assert len(reports) == 1
    assert "goes on from the copy" in reports[0]


async def test_a_chain_state_cut_off_with_no_copy_starts_empty(tmp_path: Path) -> None:
    home, reports = tmp_path / "home", list[str]()
    (home / "chain").mkdir(parents=True)
    (home / "chain" / "state.json").write_bytes(b'{"block":{"num')
    async with make_stack(home, reports=reports) as stack:
        assert await height(stack) == 0
    assert len(reports) == 1
    assert "starts empty" in reports[0]


async def test_blocks_go_on_by_themselves_when_confirmations_are_asked_for(tmp_path: Path) -> None:
    async with make_stack(tmp_path / "home", {"VOKETAG_CONFIRMATIONS": "2"}) as stack:
        url = stack.environment["VOKETAG_CHAIN_URL"]
        sender, receiver = (await rpc(url, "eth_accounts"))[:2]
        sent = {"from": sender, "to": receiver, "value": "0x1"}
        transaction = await rpc(url, "eth_sendTransaction", sent)

        async def confirmed() -> bool:
            receipt = await rpc(url, "eth_getTransactionReceipt", transaction)
            return receipt is not None and await height(stack) > int(receipt["blockNumber"], 16)

        await eventually(confirmed)


async def test_a_torn_tail_of_the_redis_file_is_cut_and_the_rest_loaded(tmp_path: Path) -> None:
    home = tmp_path / "home"
    async with make_stack(home) as stack:
        url = stack.environment["VOKETAG_REDIS_URL"]
        async with redis.asyncio.Redis.from_url(url) as client:
            await client.set("first", "kept")
            await client.set("second", "torn")
    (file,) = (home / "redis" / "data" / "appendonlydir").glob("*.incr.aof")
    file.write_bytes(file.read_bytes()[:-5])
    async with make_stack(home), redis.asyncio.Redis.from_url(url) as client:
        assert await client.get("first") == b"kept"
        assert await client.get("second") is None


async def test_two_stacks_do_not_share_a_data_directory(tmp_path: Path) -> None:
    async with make_stack(tmp_path / "home"):
        with pytest.raises(StackError, match=rf"in use by another VokeTag \(pid {os.getpid()}\)"):
            await make_stack(tmp_path / "home").__aenter__()
    async with make_stack(tmp_path / "home"):
        pass


async def test_a_stale_pid_file_with_a_pid_in_use_does_not_keep_postgres_down(
    tmp_path: Path,
) -> None:
    home = tmp_path / "home"
    async with make_stack(home) as stack:
        data = home / "postgres" / "data"
        left = (data / "postmaster.pid").read_text().split("\n", 1)[1]
    # As after a restart of the machine: the pid now belongs to a program that has nothing to do
    # with it. (Pid 1 always lives, and is never an ancestor that PostgreSQL itself would excuse.)
    (data / "postmaster.pid").write_text(f"1\n{left}")
    async with make_stack(home) as stack:
        assert stack.pid("postgres") is not None


async def test_a_server_given_by_its_url_is_not_embedded(servers: Servers, tmp_path: Path) -> None:
    given = {
        name: servers.environment[name] for name in ("VOKETAG_REDIS_URL", "VOKETAG_DATABASE_URL")
    }
    async with make_stack(tmp_path / "home", given) as stack:
        assert set(stack.servers) == {"chain"}
        assert given.items() <= stack.environment.items()


async def test_keys_given_from_outside_are_kept(servers: Servers, tmp_path: Path) -> None:
    given = {**servers.environment, "VOKETAG_ADMIN_KEY": "given-from-outside"}
    async with make_stack(tmp_path / "home", given) as stack:
        assert stack.environment["VOKETAG_ADMIN_KEY"] == "given-from-outside"
        assert stack.environment["VOKETAG_HOME"] == str(tmp_path / "home")


async def test_passwords_are_on_no_command_line_and_in_private_files(servers: Servers) -> None:
    home = servers.stack.home
    passwords = [servers.redis_url.split("@")[0].split(":")[-1]]
    passwords.append(servers.database_url.split("@")[0].split(":")[-1])
    for server in servers.stack.servers.values():
        assert not any(secret in part for part in server.program.argv for secret in passwords)
    assert stat.S_IMODE(home.stat().st_mode) == 0o700
    for path in (home / "secrets.json", home / "redis" / "redis.conf"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


async def test_a_server_that_does_not_start_says_why(tmp_path: Path) -> None:
    broken = tmp_path / "not-a-redis"
    broken.write_text("#!/bin/sh\necho 'Fatal: nothing works' >&2\nexit 3\n")
    broken.chmod(0o755)
    stack = make_stack(tmp_path / "home")
    stack.binaries = type(stack.binaries)(redis=broken, postgres=stack.binaries.postgres)
    with pytest.raises(StackError, match=r"redis did not start \(exit status 3\)") as failure:
        await stack.__aenter__()
    assert "Fatal: nothing works" in str(failure.value)


async def test_a_port_that_is_taken_is_passed_over(servers: Servers, tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    taken = servers.redis_url.rsplit(":", 1)[1].split("/")[0]
    (home / "ports.json").write_text(f'{{"redis": {taken}}}')
    async with make_stack(home) as stack:
        assert f":{taken}/" not in stack.environment["VOKETAG_REDIS_URL"]


async def test_a_stopped_server_stays_stopped_until_started(servers: Servers) -> None:
    await servers.stop("redis")
    with pytest.raises(redis.exceptions.ConnectionError):
        async with redis.asyncio.Redis.from_url(servers.redis_url) as client:
            await client.ping()
    await servers.start("redis")
    async with redis.asyncio.Redis.from_url(servers.redis_url) as client:
        assert await client.ping()
