"""The projector: a process that tails the event journal and keeps PostgreSQL up with it.

    event journal ──► EventLog ──► Projection.apply, a transaction a batch ──► a line on stdout a commit
                                          │
              error that passes ◄─────────┴─────────► any other error: an alarm, exit 65, nothing is skipped
              terminate, pause, connect, migrate, claim, go on from where the row stands

Owns the loop, the pauses, and the exit codes: 0 told to end, 3 superseded by another projector, 65 data that does not
fit, 74 the journal's disk, 78 refused (another venue's database, one newer than this build, one that knows more than
the journal, a damaged journal). Never runs in the server's process: neither a slow database nor this work may slow an
order. It reads a batch when it writes it, so memory does not depend on how far it is behind.

Commits do not wait for the database's disk; what a crash of the server takes back is read from the journal again. About
once a second one does wait, and only then `projected.json` tells the follower which segments may go.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import random
import secrets
import signal
import sys
import time
from collections.abc import Callable
from typing import Any, TypeVar

import asyncpg
import uvloop

from exchange.datadir import Projected, write_projected
from exchange.persistence.database import Target
from exchange.persistence.event_log import EventLog, cluster_of, events_before
from exchange.persistence.fold import Position
from exchange.persistence.fold_orders import OrdersDiffer
from exchange.persistence.migrate import SchemaRefused, migrate
from exchange.persistence.projection import (
    Claimant,
    Moved,
    Projection,
    ProjectionDiffers,
    ProjectionRefused,
    Superseded,
)
from exchange.persistence.schemas import Schemas
from exchange.persistence.sqlstate import explain, passes
from exchange.settings import Settings
from journal.errors import Refused
from journal.format import Corrupt

log = logging.getLogger("exchange.projector")
T = TypeVar("T")

EXIT_SUPERSEDED = 3
NICENESS = 10
LOOK_S = 0.05
"""How long it rests when there is nothing to read and nobody asks."""
DURABLE_S = 1.0
BATCH_S = 20.0
BATCH_EVENT_S = 0.001
"""After BATCH_S and this for each event a batch is given up: the server hangs. Its own limit is the same."""
MIGRATE_S = 3600.0
"""A migration may build an index of a large table."""
FILL_EVENTS = 100_000
"""Of a piece that is read backwards: each costs a walk from the beginning of its segment."""
STATEMENT_MS = 60_000
PAUSE_FIRST_S, PAUSE_MAX_S = 0.1, 5.0
SENTENCE_CHARACTERS_MAX = 500
"""Of what it tells: a line must be shorter than what a pipe takes whole or not at all, 4096 bytes."""
END_S = 3.0
"""How long the batch that is under way may take when the end is asked for; then it is cut off, and taken back."""


class JournalUnreadable(Exception):
    """The disk of the journal fails; a sentence."""


class Reports:
    """Lines of JSON for the parent, on a descriptor that must not block; what nobody takes gives way to the next."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._line = b""
        os.set_blocking(fd, False)

    def tell(self, **fields: Any) -> None:
        """Say how things stand."""
        self._line = json.dumps(fields).encode() + b"\n"
        self.push()

    def push(self) -> None:
        """Try again to write what did not fit."""
        if self._line:
            with contextlib.suppress(BlockingIOError, BrokenPipeError):
                os.write(self._fd, self._line)
                self._line = b""


class Projector:
    """Projects one data directory. `run` until `end` is called; everything on one event loop."""

    def __init__(self, settings: Settings, reports: Reports) -> None:
        self._settings = settings
        self._place = settings.data_dir / "journal" / "events"
        self._reports = reports
        self._wake = asyncio.Event()
        self._end = asyncio.Event()
        self._token = secrets.token_hex(16)
        self._claimant: Claimant | None = None
        self._target: Target | None = None
        self._position = self._durable = Position()
        self._durable_s = 0.0
        self._pause_s = PAUSE_FIRST_S
        self._rows = 0
        self._said = ""

    def look(self) -> None:
        """Somebody waits for what the journal has now."""
        self._wake.set()

    def end(self) -> None:
        """Finish the batch that is under way and return from `run`."""
        self._end.set()
        self._wake.set()

    async def run(self) -> int:
        """Project; returns the exit code. Raises what is a fault of this program."""
        try:
            while not self._end.is_set():
                await self._try_session()
        except Superseded as error:
            return self._stop(EXIT_SUPERSEDED, str(error))
        except (ProjectionRefused, SchemaRefused, Refused) as error:
            return self._stop(os.EX_CONFIG, str(error))
        except Corrupt as error:
            return self._stop(os.EX_CONFIG, f"The event journal {self._place} is damaged. {error}")
        except asyncpg.ClientConfigurationError as error:
            return self._stop(os.EX_CONFIG, f"PostgreSQL can not be connected to: {explain(error)}.")
        except JournalUnreadable as error:
            return self._stop(os.EX_IOERR, str(error))
        except (ProjectionDiffers, OrdersDiffer, asyncpg.PostgresError) as error:
            words = explain(error).rstrip(".")
            return self._stop(os.EX_DATAERR, f"The projection stopped, and skips nothing: {words}.")
        return 0

    async def _try_session(self) -> None:
        try:
            await self._session()
        except Moved as error:
            log.info("%s", error)
        except Exception as error:
            if not passes(error):
                raise
            await self._wait_for_server(error)

    async def _wait_for_server(self, error: Exception) -> None:
        """A pause that doubles, and varies so that not everybody comes back at once."""
        words = f"PostgreSQL: {explain(error)}."
        if words != self._said:
            log.error("history stands at sequence %d. %s", self._position.sequence, words)
            self._said = words
        self._tell("waiting", words)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._end.wait(), self._pause_s * random.uniform(0.5, 1.0))
        self._pause_s = min(2 * self._pause_s, PAUSE_MAX_S)

    async def _session(self) -> None:
        """Project over one connection until it fails or the end is asked for."""
        cluster_id = self._read_journal(lambda: cluster_of(self._place))
        if cluster_id is None:
            await self._rest()
            return
        if self._claimant is None:
            self._claimant = Claimant(cluster_id, self._token)
        if self._target is None:
            self._target = Target.of(self._settings, self._settings.data_dir / "postgres")
        connection = await self._target.connect("exchange projector", statement_ms=STATEMENT_MS)
        try:
            async with asyncio.timeout(MIGRATE_S):
                await migrate(connection)
            async with asyncio.timeout(BATCH_S):
                projection = await Projection.claim(connection, Schemas(), self._claimant)
            await self._follow(projection)
            async with asyncio.timeout(BATCH_S):
                await self._make_durable(projection)
        finally:
            connection.terminate()

    async def _follow(self, projection: Projection) -> None:
        events_log = self._read_journal(lambda: EventLog(self._place, projection.position))
        self._went_on(projection.position)
        try:
            while not self._end.is_set():
                self._wake.clear()
                if not projection.details_filled:
                    await self._fill(projection)
                events = self._read_journal(lambda: events_log.read(self._settings.projection_events))
                is_due = time.monotonic() - self._durable_s >= DURABLE_S
                if events is not None:
                    async with asyncio.timeout(BATCH_S + len(events) * BATCH_EVENT_S):
                        self._rows += await projection.apply(events, durable=is_due)
                    self._went_on(projection.position)
                    if is_due:
                        self._note_durable()
                elif is_due and self._durable != self._position:
                    async with asyncio.timeout(BATCH_S):
                        await self._make_durable(projection)
                elif projection.details_filled:
                    await self._rest()
        finally:
            events_log.close()

    async def _fill(self, projection: Projection) -> None:
        """A piece of what the projection lacks because it is older than the tables that it belongs in."""
        before = projection.details_from, projection.first_event, FILL_EVENTS
        found = self._read_journal(lambda: events_before(self._place, *before))
        async with asyncio.timeout(BATCH_S + FILL_EVENTS * BATCH_EVENT_S):
            if found is None:
                await projection.end_filling()
                log.info("amendments and prevented matches are there from event %d on", projection.details_from)
            else:
                self._rows += await projection.fill(found[1], found[0])

    async def _rest(self) -> None:
        self._reports.push()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._wake.wait(), LOOK_S)

    async def _make_durable(self, projection: Projection) -> None:
        await projection.flush()
        self._note_durable()

    def _note_durable(self) -> None:
        """The database has everything so far on its disk: segments before this point are not needed any more."""
        self._durable, self._durable_s = self._position, time.monotonic()
        try:
            write_projected(self._settings.data_dir, Projected(self._position.event, self._position.sequence))
        except OSError as error:
            log.error("projected.json can not be written, so old segments stay: %s", error)

    def _went_on(self, position: Position) -> None:
        self._position = position
        self._pause_s = PAUSE_FIRST_S
        if self._said:
            log.info("history goes on from sequence %d", position.sequence)
            self._said = ""
        self._tell("following", "")

    def _tell(self, state: str, sentence: str) -> None:
        event, sequence, ts_ns = self._position
        sentence = sentence[:SENTENCE_CHARACTERS_MAX]
        self._reports.tell(sequence=sequence, event=event, ts_ns=ts_ns, rows=self._rows, state=state, sentence=sentence)

    def _stop(self, code: int, sentence: str) -> int:
        log.error("%s", sentence)
        self._tell("stopped", sentence)
        return code

    @staticmethod
    def _read_journal(read: Callable[[], T]) -> T:
        """Errors of the journal's disk are not errors of the server's socket."""
        try:
            return read()
        except OSError as error:
            raise JournalUnreadable(f"The event journal can not be read: {error}.") from error


def project(settings: Settings) -> int:
    """Be the projector's process until stdin ends; returns the exit code."""
    os.nice(NICENESS)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_project(settings))


async def _project(settings: Settings) -> int:
    loop = asyncio.get_running_loop()
    projector = Projector(settings, Reports(sys.stdout.fileno()))
    running = asyncio.create_task(projector.run())

    def end() -> None:
        loop.remove_reader(sys.stdin.fileno())
        projector.end()
        loop.call_later(END_S, running.cancel)

    def parent_spoke() -> None:
        if os.read(sys.stdin.fileno(), 4096):
            projector.look()
        else:
            end()

    loop.add_reader(sys.stdin.fileno(), parent_spoke)
    loop.add_signal_handler(signal.SIGTERM, end)
    try:
        return await running
    except asyncio.CancelledError:
        return 0
