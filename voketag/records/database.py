"""The Postgres wire: a pool, and the errors that mean "wait for the server"."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator

import asyncpg
import msgspec

from voketag.errors import Unavailable

CONNECT_TIMEOUT_S = 5.0
COMMAND_TIMEOUT_S = 60.0

Connection = asyncpg.Connection | asyncpg.pool.PoolConnectionProxy

# What passes by itself or is mended by an operator: connections lost, servers that start, stop,
# are full, have become read-only or do not let us in. Everything else is our bug or bad data.
_WAIT_FOR = (
    OSError,
    TimeoutError,
    asyncpg.PostgresConnectionError,
    asyncpg.CannotConnectNowError,
    asyncpg.InvalidAuthorizationSpecificationError,  # a password that was changed
    asyncpg.InvalidCatalogNameError,  # no such database: it is being put back
    asyncpg.InsufficientResourcesError,  # disk full, out of memory, too many connections
    asyncpg.OperatorInterventionError,  # shutdown by an administrator or after a crash
    asyncpg.ReadOnlySQLTransactionError,
    asyncpg.DeadlockDetectedError,
    asyncpg.SerializationError,
    asyncpg.LockNotAvailableError,
    asyncpg.PostgresSystemError,
)


@contextlib.contextmanager
def database_errors() -> Iterator[None]:
    """Turns what means "wait for the server" into Unavailable and leaves the rest alone."""
    try:
        yield
    except _WAIT_FOR as error:
        raise Unavailable(f"postgres: {type(error).__name__}: {error}") from error
    except asyncpg.InterfaceError as error:
        # Raised for a misuse of the library too, but those never pass our tests; what remains is
        # a connection that closed under us.
        raise Unavailable(f"postgres: {error}") from error


class Database:
    """A pool of connections to one Postgres."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    @classmethod
    async def open(cls, url: str, *, most: int = 4) -> Database:
        """Open a pool of up to `most` connections, made when they are first needed."""
        pool = asyncpg.create_pool(
            url,
            min_size=0,
            max_size=most,
            timeout=CONNECT_TIMEOUT_S,
            command_timeout=COMMAND_TIMEOUT_S,
            init=_prepare,
        )
        with database_errors():
            return cls(await pool)

    async def close(self) -> None:
        """Close the connections, at once where the server no longer answers."""
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                await self._pool.close()
        except TimeoutError:
            self._pool.terminate()

    @contextlib.asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """A connection for some statements. Raises Unavailable where the server is the cause."""
        with database_errors():
            async with self._pool.acquire() as connection:
                yield connection

    @contextlib.asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        """A connection inside one transaction. After Unavailable it may be committed or not."""
        with database_errors():
            async with self._pool.acquire() as connection, connection.transaction():
                yield connection

    async def ping(self) -> None:
        """Raises Unavailable unless Postgres answers."""
        async with self.connection() as connection:
            await connection.execute("SELECT 1")


async def _prepare(connection: asyncpg.Connection) -> None:
    # In binary, because COPY speaks binary alone: jsonb's is a version byte and the text.
    await connection.set_type_codec(
        "jsonb",
        schema="pg_catalog",
        format="binary",
        encoder=lambda value: b"\x01" + msgspec.json.encode(value),
        decoder=lambda data: msgspec.json.decode(memoryview(data)[1:]),
    )
