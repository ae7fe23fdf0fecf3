"""The Postgres wire: a pool, and the errors that mean "wait for the server"."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator

import asyncpg
import msgspec
from asyncpg.connect_utils import SessionAttribute

from voketag.errors import Unavailable

CONNECT_TIMEOUT_S = 5.0
# For a connection of the pool to be free, or made, and to be given back.
ACQUIRE_TIMEOUT_S = 5.0
# What takes longer by its nature (COPY, moving rows, migrations) says so itself.
COMMAND_TIMEOUT_S = 15.0
# The server's side of it, for when it is the client that has gone without a word: its locks must
# not stand for as long as TCP takes to notice. Above what any statement of ours is given here.
STATEMENT_ENDS_S = 150
IDLE_ENDS_S = 120

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
    asyncpg.OperatorInterventionError,  # shutdown by an administrator or after a crash, timeouts
    asyncpg.IdleInTransactionSessionTimeoutError,
    asyncpg.ReadOnlySQLTransactionError,
    asyncpg.DeadlockDetectedError,
    asyncpg.SerializationError,
    asyncpg.LockNotAvailableError,
    asyncpg.PostgresSystemError,
)


# For this transaction alone: behind PgBouncer the next one may be someone else's.
_BOUNDS = (
    f"SET LOCAL statement_timeout = '{STATEMENT_ENDS_S}s'; "
    f"SET LOCAL idle_in_transaction_session_timeout = '{IDLE_ENDS_S}s'"
)


@contextlib.contextmanager
def database_errors() -> Iterator[None]:
    """Turns what means "wait for the server" into Unavailable and leaves the rest alone."""
    try:
        yield
    except _WAIT_FOR as error:
        raise Unavailable(f"postgres: {type(error).__name__}: {error}") from error
    except asyncpg.CheckViolationError as error:
        if error.constraint_name is not None:
            raise
        # No CHECK of ours: the month's partition is missing, or was made in this moment.
        raise Unavailable(f"postgres: {error}") from error
    except (asyncpg.InterfaceError, asyncpg.InternalClientError) as error:
        # Raised for a misuse of the library too, but those never pass our tests; what remains is
        # a connection that closed under us. The internal error is asyncpg's word for one that the
        # server ended while it was idle, before its socket is closed (asyncpg#1069).
        raise Unavailable(f"postgres: {error}") from error


class Database:
    """A pool of connections to one Postgres."""

    def __init__(self, pool: asyncpg.Pool, *, standby: bool = False) -> None:
        self._pool = pool
        self.standby = standby

    @classmethod
    async def open(
        cls,
        url: str,
        *,
        most: int = 4,
        command_timeout_s: float = COMMAND_TIMEOUT_S,
        standby: bool = False,
    ) -> Database:
        """Open a pool of up to `most` connections, made when they are first needed; with `standby`
        to none but a server that follows another.

        Works through PgBouncer in transaction mode as well: no statement stays prepared, and
        nothing is set for longer than a transaction, so that there is nothing to reset either.
        """
        pool = asyncpg.create_pool(
            url,
            min_size=0,
            max_size=most,
            timeout=CONNECT_TIMEOUT_S,
            command_timeout=command_timeout_s,
            statement_cache_size=0,
            init=_prepare,
            reset=_nothing,
            target_session_attrs=SessionAttribute.standby if standby else None,
        )
        with database_errors():
            return cls(await pool, standby=standby)

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
            async with self._pool.acquire(timeout=ACQUIRE_TIMEOUT_S) as connection:
                with _given_up(connection):
                    yield connection

    @contextlib.asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        """A connection inside one transaction. After Unavailable it may be committed or not."""
        async with self.connection() as connection:
            transaction = connection.transaction()
            await transaction.start()
            try:
                with _given_up(connection):
                    await connection.execute(_BOUNDS)
                    yield connection
            except BaseException:
                with contextlib.suppress(asyncpg.InterfaceError):  # closed: nothing to undo
                    await transaction.rollback()
                raise
            await transaction.commit()

    async def ping(self) -> None:
        """Raises Unavailable unless Postgres answers."""
        async with self.connection() as connection:
            await connection.execute("SELECT 1")


@contextlib.contextmanager
def _given_up(connection: Connection) -> Iterator[None]:
    """Drops a connection that was left in the middle of something.

    To ask a silent server for the end of a command takes as long again as the command did, and
    what the connection would say next could be the answer to something else.
    """
    try:
        yield
    except (TimeoutError, asyncio.CancelledError, asyncpg.InternalClientError):
        with contextlib.suppress(asyncpg.InterfaceError):  # it is closed already
            connection.terminate()
        raise


async def _nothing(_connection: asyncpg.Connection) -> None:
    """What there is to reset on a connection that is given back: a round trip saved."""


async def _prepare(connection: asyncpg.Connection) -> None:
    # In binary, because COPY speaks binary alone: jsonb's is a version byte and the text.
    await connection.set_type_codec(
        "jsonb",
        schema="pg_catalog",
        format="binary",
        encoder=lambda value: b"\x01" + msgspec.json.encode(value),
        decoder=lambda data: msgspec.json.decode(memoryview(data)[1:]),
    )
