"""When history may be read: after the reader's own writes, in one consistent look, by not too many at a time.

Owns the waiting for the projection, the check that it is as far as it must be, and the bounds on readers: how many look
at one time, and how long the event loop is theirs. A request names the sequence that was current when it came; it waits
for the watermark to reach it, then reads in one transaction that finds out for itself how far the projection is. Both
must be as far: the watermark is ahead of the row when a backup was restored, the row is ahead of the watermark when it
is another venue's.

Never: answers from a projection that is behind the request; lets readers of public history take the connections that
owners of accounts, or users who log in, need.

    current sequence ─► watermark, at most EXCHANGE_HISTORY_TIMEOUT ─► a place ─► transaction: applied? ─► statements
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import TypeVar

import asyncpg

from exchange.gateway.errors import Refusal
from exchange.gateway.turns import in_turns
from exchange.persistence import history
from exchange.persistence.database import Connection, Database, Unavailable
from exchange.persistence.watermark import Watermark

log = logging.getLogger("exchange.gateway")
Found = TypeVar("Found")
Part = TypeVar("Part")
Query = Callable[[Connection], Awaitable[Found]]
Make = Callable[[Found], Iterator[Part]]
RETRY_AFTER_S = 1
HISTORY_BEHIND, HISTORY_UNAVAILABLE = "history_behind", "history_unavailable"
POSITION_S = 4.0
"""How long the server may take to say how far the projection is: more than it lets a statement wait for a lock."""
WAITING_EACH = 4
"""How many may wait for each place."""


class _Gate:
    """At most `places` readers at one time; a few more may wait for a moment."""

    def __init__(self, places: int) -> None:
        self._places = asyncio.Semaphore(places)
        self._waiting_max = WAITING_EACH * places
        self._waiting = 0

    @contextlib.asynccontextmanager
    async def place(self, timeout_s: float) -> AsyncIterator[None]:
        """A place for the body. Raises Refusal when too many wait, or when it takes too long."""
        if self._waiting >= self._waiting_max:
            raise _busy()
        self._waiting += 1
        try:
            async with asyncio.timeout(timeout_s):
                await self._places.acquire()
        except TimeoutError:
            raise _busy() from None
        finally:
            self._waiting -= 1
        try:
            yield
        finally:
            self._places.release()


def _busy() -> Refusal:
    return Refusal(503, -1008, "Too many requests ask for history; ask again later.", retry_after_s=RETRY_AFTER_S)


class History:
    """Reads the projection. Without a database every read is refused."""

    def __init__(self, database: Database | None, watermark: Watermark, timeout_s: float) -> None:
        self._database = database
        self._watermark = watermark
        self._timeout_s = timeout_s
        self._making = asyncio.Lock()
        size = 0 if database is None else database.size
        # Half of the connections for anybody, a quarter for owners: a quarter is left for people who log in.
        self._anybody, self._owners = _Gate(max(1, size // 2)), _Gate(max(1, size // 4))

    @property
    def is_kept(self) -> bool:
        """Whether there is a database at all, up or not."""
        return self._database is not None

    async def read(
        self, sequence: int, query: Query[Found], make: Make[Found, Part], *, is_public: bool
    ) -> tuple[list[Part], int]:
        """What `make` makes of what `query` finds at `sequence` or later, and the sequence that it is current to.

        Raises Refusal.
        """
        if self._database is None:
            raise self._unavailable("There is no PostgreSQL here, and so no history.")
        if not self._database.is_up:
            raise self._unavailable()
        await self._watermark.wait(sequence, self._timeout_s)
        gate = self._anybody if is_public else self._owners
        async with gate.place(self._timeout_s):
            try:
                async with self._database.connection() as connection:
                    found, applied = await self._look(connection, sequence, query)
            except Unavailable:
                raise self._unavailable() from None
            return await self._in_turns(make(found)), applied

    async def _look(self, connection: Connection, sequence: int, query: Query[Found]) -> tuple[Found, int]:
        async with _moment(connection) as applied:
            at = min(applied, self._watermark.sequence)
            if at < sequence:
                raise _behind(sequence, at)
            try:
                return await query(connection), applied
            except asyncpg.QueryCanceledError:
                # The server is there; only this statement was too much for it.
                log.error("a statement of history took too long and was canceled")
                raise self._unavailable("This part of history took too long to read; ask for less of it.") from None

    async def _in_turns(self, parts: Iterator[Part]) -> list[Part]:
        """All parts: of one answer at a time."""
        async with self._making:
            return [part async for some in in_turns(parts) for part in some]

    def _unavailable(self, why: str = "History is not available at the moment; trading goes on.") -> Refusal:
        return Refusal(
            503,
            -1001,
            why,
            retry_after_s=RETRY_AFTER_S,
            reason=HISTORY_UNAVAILABLE,
            as_of_sequence=self._watermark.sequence,
        )


@contextlib.asynccontextmanager
async def _moment(connection: Connection) -> AsyncIterator[int]:
    """A transaction that sees one moment, and the sequence of it. Whoever hangs in it is not asked to end it."""
    transaction = connection.transaction(isolation="repeatable_read", readonly=True)
    async with asyncio.timeout(POSITION_S):
        await transaction.start()
        applied = await history.applied(connection)
    hangs = False
    try:
        yield applied
    except TimeoutError:
        hangs = True
        raise
    finally:
        if not hangs:
            await transaction.rollback()


def _behind(sequence: int, at: int) -> Refusal:
    return Refusal(
        503,
        -1001,
        f"History has come to sequence {at} and not yet to {sequence}; ask again.",
        retry_after_s=RETRY_AFTER_S,
        reason=HISTORY_BEHIND,
        as_of_sequence=at,
    )
