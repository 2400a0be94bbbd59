"""Connections to PostgreSQL: where it is, how many, how old, for how long, and whether it is there at all.

Owns the pool of the process and its judgement of the server. While the server is known to be away nobody waits for it:
`connection` refuses at once, and a probe in the background finds out when it is back. Never retries a statement.

    connection() ──► up? ──► place (DB_MAX_OPEN_CONNS) ──► pool (lifetime, idle time) ──► body ──► server gone: down
    probe, every 0.1 to 5 s while down ──► migrations ──► up ──► on_up callbacks

A server is gone when it can not be reached, ends the session or does not answer in time. One that is there and refuses,
or has no free connection for us, is not: that is the business of whoever asked. After it was gone no connection from
before is used again: the network may have lost it without telling.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import pathlib
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, NamedTuple, TypeAlias

import asyncpg

from exchange.persistence import embedded
from exchange.persistence.migrate import SchemaRefused, migrate
from exchange.persistence.sqlstate import explain, passes
from exchange.settings import Settings

log = logging.getLogger("exchange.postgres")

Connection: TypeAlias = Any
"""An asyncpg.Connection; the library has no types."""
CONNECT_S = 5.0
FREE_S = 5.0
"""How long somebody waits for a connection while all of them are in use."""
STATEMENT_MS = 10_000
LOCK_MS = 3_000
CLOSE_S = 2.0
_PROBE_FIRST_S, _PROBE_MAX_S = 0.1, 5.0
_SERVER_IS_THERE = ("25", "40", "53", "55", "57014")
"""Classes, and one code, of errors that pass and do not speak of an absent server; 57014: a statement took too long."""


class Unavailable(Exception):
    """PostgreSQL is not there, or went away: whether a statement that was under way took place is not known then."""


class Target(NamedTuple):
    """How a server is reached: arguments of asyncpg.connect."""

    arguments: dict[str, Any]
    words: str

    @classmethod
    def of(cls, settings: Settings, folder: pathlib.Path) -> Target:
        """The server of DB_HOST, else the embedded one in `folder`, through a descriptor of this process."""
        if settings.db_host:
            arguments = {
                "host": settings.db_host,
                "port": settings.db_port,
                "user": settings.db_user,
                "password": settings.db_password or None,
                "database": settings.db_name,
                "ssl": settings.db_ssl_mode,
            }
            return cls(arguments, f"{settings.db_host}:{settings.db_port}/{settings.db_name}")
        fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        arguments = {
            "host": f"/proc/self/fd/{fd}",
            "port": embedded.PORT,
            "user": embedded.USER,
            "database": "postgres",
        }
        return cls(arguments, f"embedded in {folder}")

    async def connect(self, name: str, *, statement_ms: int = STATEMENT_MS, **settings: str) -> Connection:
        """A connection outside of the pool. Raises asyncpg.PostgresError, OSError, TimeoutError."""
        return await asyncpg.connect(
            **self.arguments, timeout=CONNECT_S, server_settings=_session(name, statement_ms) | settings
        )


def _session(name: str, statement_ms: int) -> dict[str, str]:
    """Settings of a session. The server ends what hangs on a lock or does nothing inside a transaction."""
    return {
        "application_name": name,
        "timezone": "UTC",
        "statement_timeout": str(statement_ms),
        "lock_timeout": str(LOCK_MS),
        "idle_in_transaction_session_timeout": str(6 * STATEMENT_MS),
        "tcp_keepalives_idle": "5",
        "tcp_keepalives_interval": "5",
        "tcp_keepalives_count": "3",
    }


class _Aged(asyncpg.Connection):  # type: ignore[misc]  # a base without types
    """A connection of the pool that knows when it was made."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.born_s = time.monotonic()


class Database:
    """The pool of this process. `start`, then `connection` wherever it is needed, then `stop`. One event loop."""

    def __init__(self, target: Target, settings: Settings, name: str) -> None:
        self.target = target
        self.is_up = False
        self.refused = ""
        """Why this build must not use the database, a sentence; "" when it may."""
        self._name = name
        self._settings = settings
        self._places = asyncio.Semaphore(settings.db_max_open_conns)
        self._pool: asyncpg.Pool | None = None
        self._gone_s = 0.0
        """When the server went away last."""
        self._probe: asyncio.Task[None] | None = None
        self._on_up: list[Callable[[], Awaitable[None]]] = []

    @property
    def size(self) -> int:
        """How many connections there may be."""
        return self._settings.db_max_open_conns

    def on_up(self, callback: Callable[[], Awaitable[None]]) -> None:
        """Await `callback` whenever the server has come up, the first time too, before `connection` gives any."""
        self._on_up.append(callback)

    async def start(self, wait_s: float) -> bool:
        """Look for the server, at most `wait_s`; returns whether it is there. The search goes on if it is not."""
        self._pool = await asyncpg.create_pool(
            **self.target.arguments,
            min_size=0,
            max_size=self._settings.db_max_open_conns,
            max_inactive_connection_lifetime=self._settings.db_conn_max_idle_time_s,
            connection_class=_Aged,
            timeout=CONNECT_S,
            command_timeout=STATEMENT_MS / 1000 + CLOSE_S,  # the server ends a statement sooner, unless it hangs itself
            server_settings=_session(self._name, STATEMENT_MS),
        )
        self._look_for_it()
        if self._probe is not None:
            await asyncio.wait((self._probe,), timeout=wait_s)
        return self.is_up

    async def stop(self) -> None:
        """Close everything; what is under way is cut off after a moment."""
        pool, self._pool = self._pool, None
        self.is_up = False
        if self._probe is not None:
            self._probe.cancel()
            await asyncio.wait((self._probe,))
        if pool is not None:
            try:
                async with asyncio.timeout(CLOSE_S):
                    await pool.close()
            except (TimeoutError, OSError, asyncpg.PostgresError):
                pool.terminate()

    @contextlib.asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """A connection for the body. Raises Unavailable for every error that passes by itself, also out of the body."""
        self._check_up()
        try:
            async with asyncio.timeout(FREE_S):
                await self._places.acquire()
        except TimeoutError:
            raise Unavailable("Every connection to PostgreSQL is in use.") from None
        try:
            self._check_up()  # it may have gone meanwhile
            async with self._lent() as connection:
                yield connection
        finally:
            self._places.release()

    def _check_up(self) -> None:
        if not self.is_up:
            raise Unavailable(self.refused or "PostgreSQL is not reachable.")

    @contextlib.asynccontextmanager
    async def _lent(self) -> AsyncIterator[Connection]:
        """A connection of the pool, also while the server is not known to be there."""
        pool = self._pool
        if pool is None:
            raise Unavailable("PostgreSQL is not in use.")
        connection, born_s = None, time.monotonic()
        try:
            connection = await self._young_connection(pool)
            born_s = connection.born_s
            yield connection
        except Exception as error:
            if isinstance(error, asyncpg.PostgresError):
                error.detail = None  # it quotes the row, which may be somebody's, and the error may be logged
            if not passes(error):
                raise
            if born_s > self._gone_s:  # what happens to an older connection is no news
                self._judge(error)
            if connection is not None and isinstance(error, TimeoutError | OSError | asyncpg.InternalClientError):
                with contextlib.suppress(asyncpg.InterfaceError):  # it has ended by itself
                    connection.terminate()
            raise Unavailable(f"PostgreSQL: {explain(error)}.") from error
        finally:
            if connection is not None:
                await self._give_back(pool, connection)

    async def _young_connection(self, pool: asyncpg.Pool) -> Connection:
        while True:
            connection = await pool.acquire(timeout=CONNECT_S)
            if connection.born_s > max(self._gone_s, time.monotonic() - self._settings.db_conn_max_lifetime_s):
                return connection
            connection.terminate()

    async def _give_back(self, pool: asyncpg.Pool, connection: Connection) -> None:
        errors = (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)
        with contextlib.suppress(*errors):
            if pool.get_idle_size() >= self._settings.db_max_idle_conns and not connection.is_closed():
                await connection.close(timeout=CLOSE_S)
            await pool.release(connection, timeout=CLOSE_S)

    def _judge(self, error: Exception) -> None:
        """After an error that passes: one that speaks of the server takes it for gone until a probe has found it."""
        if isinstance(error, asyncpg.PostgresError) and (error.sqlstate or "").startswith(_SERVER_IS_THERE):
            return
        if self.is_up:
            log.error("PostgreSQL went away: %s", explain(error))
        self.is_up = False
        self._gone_s = time.monotonic()
        self._look_for_it()

    def _look_for_it(self) -> None:
        if self._pool is not None and (self._probe is None or self._probe.done()):
            self._probe = asyncio.create_task(self._search())

    async def _search(self) -> None:
        """Until the server answers, with pauses that double and vary."""
        pause_s, said = _PROBE_FIRST_S, ""
        while not self.is_up:
            try:
                async with asyncio.timeout(2 * CONNECT_S), self._lent() as connection:
                    applied = await migrate(connection)
                if applied:
                    log.info("migrations applied: %s", ", ".join(applied))
                for callback in self._on_up:
                    await callback()
                self.is_up, self.refused = True, ""
                log.info("PostgreSQL is up (%s)", self.target.words)
                return
            except SchemaRefused as error:
                words = self.refused = str(error)
            except Unavailable as error:
                words = str(error)
            except (asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError) as error:
                words = explain(error)
            except Exception as error:  # the search must not end: nothing else finds the server again
                log.exception("looking for PostgreSQL failed in an unexpected way")
                words = type(error).__name__
            if words != said:
                log.error("PostgreSQL (%s) can not be used: %s", self.target.words, words)
                said = words
            await asyncio.sleep(pause_s * random.uniform(0.5, 1.0))
            pause_s = min(2 * pause_s, _PROBE_MAX_S)
