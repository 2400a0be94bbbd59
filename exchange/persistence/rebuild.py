"""Makes the projection anew from the event journal, beside the live one, and swaps the two.

Owns the fresh schemas (`..._rebuild`), the swap and the removal of what it replaced (`..._old`); leftovers of a rebuild
that was interrupted go first. Works while the exchange and its projector run. Readers see the old history or the new
one, never a mixture: each reads the row `projection` first, and the swap holds a lock on it.

    fresh schemas ──► opening (only if events were retired) ──► all events ──► verify ──► lock the live row
    ──► the last events, at least up to where the live one is ──► rename ──► epoch + 1: the live projector is superseded

The names change in one transaction. The row of the old schemas gets the new epoch too, so that a projector that had
already found it by name writes nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import pathlib
import secrets
from typing import Any, NamedTuple

import asyncpg

from exchange.persistence import migrate, opening
from exchange.persistence.database import Connection, Target
from exchange.persistence.event_log import EventLog, cluster_of
from exchange.persistence.fold import Position
from exchange.persistence.opening import Opening
from exchange.persistence.projection import Claimant, Projection
from exchange.persistence.renaming import OLD, PROJECTED, REBUILD, renamed
from exchange.persistence.schemas import Schemas
from exchange.persistence.status import journal_end
from exchange.persistence.verify import PATIENCE, Report, verify
from exchange.progress import ShowProgress

BATCH_EVENTS = 50_000
SWAP_ATTEMPTS = 20
SWAP_LOCK_MS = 1_000
"""How long one attempt may make new readers wait behind those that are still reading."""
_MIGRATIONS = ("0002_projection.sql", "0004_order_details.sql", "0006_order_terms.sql")
"""Those that make the projection's tables."""
_LOCK = 0x72656275696C64
"""The word "rebuild": the key of the advisory lock."""


class RebuildRefused(Exception):
    """Nothing was swapped; a sentence that says why and what to do."""


class Rebuilt(NamedTuple):
    """What now is live."""

    position: Position
    first_event: int
    epoch: int
    words: str
    """About a history that does not begin with the first event; else ""."""

    def sentences(self) -> tuple[str, ...]:
        """For people."""
        done = f"The projection was rebuilt up to event {self.position.event} (sequence {self.position.sequence})."
        return (done, self.words) if self.words else (done,)


async def rebuild(
    target: Target, data_dir: pathlib.Path, progress: ShowProgress, *, accept_loss: bool = False
) -> Rebuilt:
    """Rebuild and swap. `accept_loss`: also when the live projection has seen events that the journal no longer has.

    Raises RebuildRefused, opening.NoBeginning, projection.ProjectionRefused, migrate.SchemaRefused,
    engine_rows.CannotCompute, journal.errors.Refused, asyncpg.PostgresError, OSError.
    """
    cluster_id = cluster_of(data_dir / "journal" / "events")
    if cluster_id is None:
        raise RebuildRefused(f"There is no event journal in {data_dir}; start the exchange once, it computes it anew.")
    connection = await target.connect("exchange rebuild", statement_ms=0, **PATIENCE)
    try:
        await migrate.migrate(connection)
        if not await connection.fetchval("select pg_try_advisory_lock($1)", _LOCK):
            raise RebuildRefused("Another rebuild is under way.")
        await _check_loss(connection, data_dir, cluster_id, accept_loss=accept_loss)
        begun = await _fresh(connection, data_dir, cluster_id)
        filling = await _Filling.begin(target, data_dir, cluster_id, begun)
        try:
            await filling.run(progress)
            _check(await verify(target, data_dir, progress, REBUILD))
            epoch = await _swap(connection, filling, accept_loss=accept_loss)
        finally:
            await filling.close()
        with contextlib.suppress(asyncpg.LockNotAvailableError):  # somebody still reads there: the next one drops it
            await _drop(connection, OLD)
        return Rebuilt(filling.position, begun.first_event, epoch, begun.words)
    finally:
        await connection.close(timeout=5.0)


class _Filling:
    """The new schemas, as the events fill them."""

    def __init__(self, connection: Connection, projection: Projection, events: pathlib.Path) -> None:
        self._connection = connection
        self._projection = projection
        self._events = events
        self._log = EventLog(events, projection.position)

    @classmethod
    async def begin(cls, target: Target, data_dir: pathlib.Path, cluster_id: bytes, begun: Opening) -> _Filling:
        """Claim the new schemas on a connection of their own."""
        connection = await target.connect("exchange rebuild", statement_ms=0, **PATIENCE)
        claimant = Claimant(cluster_id, f"rebuild {secrets.token_hex(8)}")
        projection = await Projection.claim(connection, Schemas.suffixed(REBUILD), claimant, begun.position)
        return cls(connection, projection, data_dir / "journal" / "events")

    @property
    def position(self) -> Position:
        """How far the new schemas are."""
        return self._projection.position

    async def run(self, progress: ShowProgress) -> None:
        """Write what the journal has now: it grows all the time, and more would never end."""
        end = await asyncio.to_thread(journal_end, self._events)
        await self.run_upto(end.event, progress)

    async def run_upto(self, event: int, progress: ShowProgress) -> None:
        """Write up to an event, or to the end of the journal if that comes first."""
        while self.position.event < event:
            events = await asyncio.to_thread(self._log.read, BATCH_EVENTS)
            if events is None:
                break
            await self._projection.apply(events)
            progress(self.position.event, max(event, self.position.event))
        await self._projection.flush()

    async def close(self) -> None:
        """Give connection and files back."""
        self._log.close()
        await self._connection.close(timeout=5.0)


async def _live(connection: Connection) -> Any:
    """The row of the live projection; None when there is no row, or somebody dropped the schema."""
    if not await connection.fetchval("select to_regclass('exchange_order.projection') is not null"):
        return None
    return await connection.fetchrow("select * from exchange_order.projection")


async def _check_loss(connection: Connection, data_dir: pathlib.Path, cluster_id: bytes, *, accept_loss: bool) -> None:
    live = await _live(connection)
    if live is None:
        return
    if live["cluster_id"] != cluster_id:
        raise RebuildRefused(
            f"The database holds the history of the venue {live['cluster_id'].hex()}, this is {cluster_id.hex()}. Name "
            "another one in DB_NAME."
        )
    end = journal_end(data_dir / "journal" / "events")
    if live["applied_event"] > end.event and not accept_loss:
        raise RebuildRefused(
            f"The projection has seen event {live['applied_event']}, the journal ends at {end.event}: acknowledged "
            "data is lost. Put the newer files of the journal back, or give up what only PostgreSQL knows with "
            "--accept-loss."
        )


def _check(report: Report) -> None:
    if report.differences:
        raise RebuildRefused(f"What was rebuilt is not right, and nothing was swapped. {' '.join(report.sentences())}")


async def _fresh(connection: Connection, data_dir: pathlib.Path, cluster_id: bytes) -> Opening:
    """Empty schemas, or with what lies before the journal's first event."""
    await _drop(connection, REBUILD)
    await _drop(connection, OLD)
    begin = await asyncio.to_thread(opening.find_beginning, data_dir)
    async with connection.transaction():
        for name in _MIGRATIONS:
            await connection.execute(renamed((migrate.FOLDER / name).read_text(encoding="utf-8"), REBUILD))
        if begin is None:
            return Opening(Position(), 1, "")
        return await opening.open_history(connection, begin, cluster_id)


async def _drop(connection: Connection, suffix: str) -> None:
    for schema in PROJECTED:
        await connection.execute(f"drop schema if exists {schema}{suffix} cascade")


async def _swap(connection: Connection, filling: _Filling, *, accept_loss: bool) -> int:
    """Make the new schemas the live ones; returns their epoch."""
    for _ in range(SWAP_ATTEMPTS):
        await filling.run(_silent)
        try:
            async with connection.transaction():
                return await _swap_now(connection, filling, accept_loss=accept_loss)
        except asyncpg.LockNotAvailableError:
            continue
    raise RebuildRefused("Readers of the history never paused, so nothing was swapped; try again when it is quieter.")


async def _swap_now(connection: Connection, filling: _Filling, *, accept_loss: bool) -> int:
    await connection.execute(f"set local lock_timeout = {SWAP_LOCK_MS}")
    live = await _live(connection)
    if live is not None:
        await connection.execute("lock table exchange_order.projection in access exclusive mode")
        live = await _live(connection)
    epoch = 1 if live is None else int(live["epoch"]) + 1
    if live is not None and live["applied_event"] > filling.position.event:
        await filling.run_upto(live["applied_event"], _silent)
        if live["applied_event"] > filling.position.event and not accept_loss:
            raise RebuildRefused("The journal ended before where the live projection is, so nothing was swapped.")
    if live is not None:
        await connection.execute("update exchange_order.projection set epoch = $1, owner = 'replaced'", epoch)
    for schema in PROJECTED:
        if await connection.fetchval("select to_regnamespace($1) is not null", schema):
            await connection.execute(f"alter schema {schema} rename to {schema}{OLD}")
        await connection.execute(f"alter schema {schema}{REBUILD} rename to {schema}")
    await connection.execute("update exchange_order.projection set epoch = $1, owner = 'rebuild'", epoch)
    return epoch


def _silent(_done: int, _total: int) -> None:
    """No progress to show for the last events."""
