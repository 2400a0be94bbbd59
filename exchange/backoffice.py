"""PostgreSQL and everything that stands on it, as one part of the process: people, keys, history.

Owns the order in which these start, are looked after and stop. Never stands in the way of trading: whatever is missing
here is said in the log and in /health, and asked for again.

    open    embedded server, unless DB_HOST names one ─► what it has seen of this venue (a witness for recovery)
    start   pool, with migrations
    step    once a second: the server is started again when it ended
    stop    in the opposite order
"""

from __future__ import annotations

import asyncio
import logging

from exchange.datadir import DataDirectory
from exchange.persistence.database import Database, Target
from exchange.persistence.embedded import EmbeddedPostgres, PostgresUnusable
from exchange.persistence.witness import projected_sequence
from exchange.settings import Settings

log = logging.getLogger("exchange.backoffice")
DATABASE_WAIT_S = 5.0
"""How long a start waits for PostgreSQL before it goes on without."""
SERVER_STOP_S = 10.0


class Backoffice:
    """`open` before recovery, `start` on the event loop, `step` once a second, `stop`, then `close`."""

    def __init__(self, directory: DataDirectory, settings: Settings) -> None:
        self._directory = directory
        self._settings = settings
        self._server: EmbeddedPostgres | None = None
        self._target: Target | None = None
        self.database: Database | None = None

    def open(self) -> int:
        """Start the embedded server if it is ours to start; returns the last command that PostgreSQL has seen, or 0.

        Raises ForeignDatabase, OSError.
        """
        settings = self._settings
        if settings.database == "off":
            return 0
        if not settings.db_host:
            self._server = EmbeddedPostgres(self._directory.postgres, connections=settings.db_max_open_conns)
            try:
                self._server.start()
            except PostgresUnusable as error:
                log.error("There is no history and nobody can log in: %s", error)  # a sentence
                return 0
        self._target = Target.of(settings, self._directory.postgres)
        return asyncio.run(projected_sequence(self._target, self._directory.cluster_id))

    async def start(self) -> None:
        """Connect; a server that is not there is looked for in the background."""
        if self._target is None:
            return
        self.database = Database(self._target, self._settings, self._settings.service_name)
        await self.database.start(DATABASE_WAIT_S)

    def step(self) -> None:
        """Look after the server; call once a second."""
        if self._server is not None:
            self._server.step()

    async def stop(self) -> None:
        """Give back what needs the event loop."""
        if self.database is not None:
            await self.database.stop()

    def close(self) -> None:
        """End the embedded server."""
        if self._server is not None:
            self._server.stop(SERVER_STOP_S)
