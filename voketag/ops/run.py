"""`voketag run`: the whole system on one machine, checked before it starts and until it answers."""

from __future__ import annotations

import asyncio
import secrets
import socket
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path

from voketag import settings as settings_module
from voketag import topology
from voketag.client import ApiError, WaitTimeout, waiting
from voketag.errors import SettingsError, Unavailable
from voketag.ops import clients, instance
from voketag.ops.clients import Clients
from voketag.records import migrations
from voketag.records.database import Database
from voketag.records.replica import Reads
from voketag.settings import Settings
from voketag.stack.formation import Address, Formation
from voketag.stack.home import StackError, port_is_free
from voketag.stack.run import run as run_stack
from voketag.stack.supervise import report_line
from voketag.start_checks import database_faults, replica_faults

READY_TIMEOUT_S = 60.0
PORTS = range(20_000, 26_000)  # of our processes; the embedded servers have others
PORT_VARIABLES = ("VOKETAG_SCAN_PORT", "VOKETAG_FACTORY_PORT", "VOKETAG_OPS_PORT")

Ready = Callable[[Settings, Clients, bool], Awaitable[None]]


def with_ports(environ: Mapping[str, str], among: Sequence[int] = PORTS) -> dict[str, str]:
    """The environment with a free port in the place of each 0."""
    chosen = dict(environ)
    for variable in PORT_VARIABLES:
        if chosen.get(variable) == "0":
            while not port_is_free(port := secrets.choice(among)) or str(port) in chosen.values():
                pass
            chosen[variable] = str(port)
    return chosen


async def run(
    home: Path,
    environ: Mapping[str, str],
    when_ready: Ready,
    *,
    until: asyncio.Event | None = None,
    report: Callable[[str], None] = report_line,
    show: Callable[[str], None] = print,
) -> None:
    """Run everything until a signal, or until `until` is set, then stop it all.

    `when_ready` is called once everything answers, with whether this is the first start. Raises
    SettingsError or another VokeTagError that says why it could not start.
    """
    start = _Start(with_ports(environ), when_ready)
    try:
        await run_stack(
            home,
            start.environ,
            prepare=start.prepare,
            ready=start.ready,
            announce=start.announce,
            until=until,
            report=report,
            show=show,
        )
    finally:
        if start.left:
            instance.withdraw(home, start.left)


class _Start:
    """What is done at the stages of a start; each is given the environment of the processes."""

    def __init__(self, environ: Mapping[str, str], when_ready: Ready) -> None:
        self.environ = environ
        self.left = ""  # what we left in the data directory for other commands to find
        self._when_ready = when_ready

    async def prepare(self, environment: dict[str, str]) -> Formation:
        """Before any process starts, while the servers answer. How the processes are to run."""
        settings = self._settings(environment)
        refuse_taken_ports(settings)
        await refuse_silent_servers(self.environ, settings)
        await migrate(settings.database_url)
        if self.environ.get("VOKETAG_DATABASE_URL"):
            await refuse_unfit_database(settings)
        if settings.database_read_url:
            await refuse_foreign_replica(settings, settings.database_read_url)
        self.left = instance.announce(settings.home, self.environ, environment)
        return Formation(addresses(settings), settings.formation)

    async def ready(self, environment: dict[str, str]) -> None:
        """Returns once every process answers."""
        async with clients.opened(self._settings(environment), retries=False) as api:
            await everything_ready(api)

    async def announce(self, environment: dict[str, str], first: bool) -> None:
        """Tell whoever started us."""
        settings = self._settings(environment)
        async with clients.opened(settings) as api:
            await self._when_ready(settings, api, first)

    def _settings(self, environment: dict[str, str]) -> Settings:
        return settings_module.load({**self.environ, **environment})


def addresses(settings: Settings) -> Mapping[str, Address]:
    """Where the processes that listen do so, by name."""
    ports = (settings.scan_port, settings.factory_port, settings.ops_port)
    return {
        name: (settings.host, port) for name, port in zip(topology.LISTENING, ports, strict=True)
    }


def refuse_taken_ports(settings: Settings) -> None:
    """Raises StackError where another program listens on one of our ports: before anything is done
    to a database, and with the name of the setting.
    """
    ports = (settings.scan_port, settings.factory_port, settings.ops_port)
    for variable, port in zip(PORT_VARIABLES, ports, strict=True):
        if ports.count(port) > 1:
            raise StackError(f"{variable}: port {port} is given to two of our processes.")
        try:
            family = socket.getaddrinfo(settings.host, port, type=socket.SOCK_STREAM)[0][0]
            with socket.socket(family, socket.SOCK_STREAM) as probe:
                # Without it a port is held back for a minute after its last connection.
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind((settings.host, port))
        except OSError as error:
            raise StackError(
                f"Port {port} on {settings.host} cannot be used ({error.strerror or error}): stop "
                f"what listens there, or set {variable} to another port (0 for any free one)."
            ) from None


async def refuse_silent_servers(environ: Mapping[str, str], settings: Settings) -> None:
    """Raises StackError where a Redis or a chain that the caller named does not answer, and
    SettingsError for a Redis that can lose what it acknowledged.

    The processes would wait for it for ever, which is right for them and puzzling at a start.
    """
    if url := environ.get("VOKETAG_REDIS_URL"):
        # Loaded here only: with the embedded servers this process needs neither.
        from voketag.redis.streams import Streams

        streams = Streams(url, "start")
        try:
            await streams.ping()
            if not settings.redis_may_lose:
                await streams.refuse_forgetful(asyncio.Event(), settings.redis_replicas)
        except Unavailable as error:
            raise StackError(f"VOKETAG_REDIS_URL: no Redis answers there ({error}).") from error
        finally:
            await streams.close()
    if url := environ.get("VOKETAG_CHAIN_URL"):
        from voketag.chain.client import Chain

        chain = Chain(url)
        try:
            await chain.chain_id()
        except Unavailable as error:
            raise StackError(f"VOKETAG_CHAIN_URL: no chain answers there ({error}).") from error
        finally:
            await chain.close()


async def migrate(database_url: str) -> list[str]:
    """Bring a database to this program's schema; gives the files of migrations/ applied now."""
    database = await Database.open(database_url, most=1, command_timeout_s=migrations.TIMEOUT_S)
    try:
        async with database.connection() as connection:
            return await migrations.migrate(connection)
    except Unavailable as error:
        raise StackError(f"VOKETAG_DATABASE_URL: no Postgres answers there ({error}).") from error
    finally:
        await database.close()


async def refuse_unfit_database(settings: Settings) -> None:
    """Raises SettingsError for a Postgres that the processes would refuse, before they start."""
    database = await Database.open(settings.database_url, most=1)
    try:
        async with database.connection() as connection:
            may_lose = settings.database_may_lose
            faults = await database_faults(connection, may_lose=may_lose, partitions=True)
    finally:
        await database.close()
    if faults:
        raise SettingsError(faults)


async def refuse_foreign_replica(settings: Settings, url: str) -> None:
    """Raises SettingsError for a replica that the processes would refuse, before they start."""
    database = await Database.open(settings.database_url, most=1)
    reads = Reads(database, await Database.open(url, most=1, standby=True))
    try:
        faults = await replica_faults(reads)
    finally:
        await reads.close()
        await database.close()
    if faults:
        raise SettingsError(faults)


async def everything_ready(api: Clients) -> None:
    """Wait until each HTTP process is ready and each group that reads a stream is alive."""
    pending = api.doors
    missing = {group for groups in topology.groups_of(1).values() for group in groups}
    trouble = ""

    async def probe() -> bool | None:
        nonlocal trouble
        try:
            for name, door in list(pending.items()):
                await door.ready()
                del pending[name]
            missing.difference_update(await _living_groups(api))
        except ApiError as error:
            trouble = str(error)
            return None
        return True if not missing else None

    try:
        await waiting.until("ready", probe, READY_TIMEOUT_S, every_s=0.05)
    except WaitTimeout:
        names = ", ".join([*pending, *sorted(missing)])
        raise StackError(
            f"Not ready after {READY_TIMEOUT_S:g} s: {names}. {trouble}".rstrip()
        ) from None


async def _living_groups(api: Clients) -> set[str]:
    """The registered groups that have a living process on each of their streams, as ops sees it."""
    found: dict[str, bool] = {}
    for stream in await api.ops.streams():
        for group in stream.groups:
            found[group.group] = group.consumers > 0 and found.get(group.group, True)
    return {name for name, alive in found.items() if alive}
