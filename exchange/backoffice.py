"""PostgreSQL and everything that stands on it, as one part of the process: people, keys, history, operators.

Owns the order in which these start, are looked after and stop. Never stands in the way of trading: whatever is missing
here is said in the log and in /health, and asked for again.

    open    embedded server, unless DB_HOST names one ─► what it has seen of this venue (a witness for recovery)
    start   pool with migrations ─► local log ─► keys, sessions ─► people ─► projector ─► control socket
    step    once a second: what ended is started again, what PostgreSQL does not know yet is told
    stop    in the opposite order, then `close`
"""

from __future__ import annotations

import asyncio
import logging
import time
from typing import Any

from exchange.control import Control
from exchange.core import readers
from exchange.core.state import State
from exchange.datadir import DataDirectory
from exchange.disruptor.pipeline import Pipeline
from exchange.gateway import demo
from exchange.gateway.history_reading import History
from exchange.operating.desk import Desk
from exchange.operating.operations import venue_operations
from exchange.operating.proposals import Proposals
from exchange.operating.skipping import Skipping
from exchange.operating.staff import Staff
from exchange.operating.switches import Switches
from exchange.persistence.database import Database, Target
from exchange.persistence.embedded import EmbeddedPostgres, PostgresUnusable
from exchange.persistence.process import ProjectorProcess
from exchange.persistence.watermark import Watermark
from exchange.persistence.witness import projected_sequence
from exchange.settings import Settings
from exchange.users.key_guards import KeyGuards
from exchange.users.keyring import Created, KeyRing
from exchange.users.local_log import LocalLog
from exchange.users.mailer import LogMailer
from exchange.users.master_key import demo_master_key
from exchange.users.operations import KeyOperations, UserOperations
from exchange.users.sealing import Sealer
from exchange.users.service import Users

log = logging.getLogger("exchange.backoffice")
DATABASE_WAIT_S = 5.0
"""How long a start waits for PostgreSQL before it goes on without."""
SERVER_STOP_S = 10.0


def _position(state: State) -> tuple[int, int]:
    """(last event, time) of the engine."""
    return int(state.header[0].event_count), int(state.header[0].ts_ns)


class Backoffice:
    """`open` before recovery, `start` on the event loop, `step` once a second, `stop`, then `close`."""

    def __init__(self, directory: DataDirectory, settings: Settings) -> None:
        self._directory = directory
        self._settings = settings
        self._server: EmbeddedPostgres | None = None
        self._target: Target | None = None
        self._database: Database | None = None
        self._projector: ProjectorProcess | None = None
        self._local = LocalLog(directory.keyring)
        self._control = Control(directory.path)
        self._why_not = ""
        """Why PostgreSQL did not come up at the start, a sentence."""

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
                self._why_not = str(error)
                log.error("There is no history and nobody can log in: %s", error)
                if self._directory.postgres.exists():  # `step` goes on trying; what there is begins when it succeeds
                    self._target = Target.of(settings, self._directory.postgres)
                return 0
        self._target = Target.of(settings, self._directory.postgres)
        return asyncio.run(projected_sequence(self._target, self._directory.cluster_id))

    async def start(self, pipeline: Pipeline, skipping: Skipping | None = None) -> None:
        """Bring up everything that needs no port; a PostgreSQL that is not there is looked for in the background.

        `skipping`: of a venue that stands before a command that its engine can not survive.
        Raises KeysUnusable, DemoImpossible, OSError.
        """
        settings, directory = self._settings, self._directory
        if settings.demo and not pipeline.is_still:
            await demo.furnish(pipeline)
        if self._target is not None:
            self._database = Database(self._target, settings, settings.service_name)
            await self._database.start(DATABASE_WAIT_S)
        self._local.load()
        sealer = Sealer(settings.master_key or demo_master_key(directory.master_key))
        self.keys = self._open_keys(sealer)
        self.users = self._open_users(pipeline, sealer)
        self._staff = Staff(self._local)
        self._local.compact()
        self.drawn: list[Created] = await demo.draw_keys(self.keys) if settings.demo else []
        if settings.demo:
            demo.write_shell_keys(self.keys, directory.shell_keys)
        watermark = Watermark(lambda: None)
        if self._database is not None:
            self._projector = ProjectorProcess(directory.path)
            watermark = self._projector.watermark
        self.history = History(self._database, watermark, settings.history_timeout_s)
        if self.users is not None:
            await self.users.start()
        self._pipeline = pipeline
        self.step()
        await self._open_control(skipping)

    def _open_keys(self, sealer: Sealer) -> KeyRing:
        """The keys of the local log; what PostgreSQL has is added as soon as it is there."""
        settings = self._settings
        ring = KeyRing(
            self._local,
            sealer,
            self._database,
            demo=settings.demo,
            unrestricted_key_ttl_s=settings.unrestricted_key_ttl_s,
        )
        if ring.left_out:
            log.warning("%d demo keys in %s are refused outside demo mode", ring.left_out, self._directory.keyring)
        return ring

    def _open_users(self, pipeline: Pipeline, sealer: Sealer) -> Users | None:
        """The people, who live in PostgreSQL; None without one. In a demo everybody begins with money."""
        settings = self._settings
        if self._database is None:
            return None
        users = Users(settings, self._database, pipeline, sealer, self._local, LogMailer(demo=settings.demo))
        users.operators.on_disabled(self.keys.revoke_all)
        if settings.demo:
            users.registration.on_opened(lambda account: demo.fund(pipeline, account))
            users.registration.leave_to_nobody(demo.ACCOUNTS)
        return users

    async def _open_control(self, skipping: Skipping | None) -> None:
        """The operator's commands."""
        keys = KeyOperations(
            self.keys,
            self._database,
            lambda account: self._pipeline.read(readers.is_account, account)[0],
            KeyGuards(self._pipeline),
        )
        people = UserOperations(None if self.users is None else self.users.operators)
        self._switches = Switches(Desk(self._pipeline), self.keys, self._database)
        proposals = Proposals(self._staff)
        if skipping is not None:
            skipping.database = self._database
            proposals.add("venue.skip", skipping.check, skipping.perform)
        venue = venue_operations(self._switches, self._staff, proposals, self._database)
        for name, operation in {**keys.all(), **people.all(), **venue}.items():
            self._control.add(name, operation)
        await self._control.start()

    def step(self) -> None:
        """Look after everything; call once a second. It never raises."""
        if self._server is not None:
            self._server.step()
        if self._projector is not None:
            self._projector.step()
        self.keys.step()

    def health(self) -> dict[str, Any]:
        """What /health says about history: how far behind it is, and why if it stands still."""
        if self._database is None or self._projector is None:
            return {"state": "unavailable", "reason": self._why_not or "PostgreSQL is turned off."}
        projector = self._projector
        (event, ts_ns), sequence = self._pipeline.read(_position)
        lag = projector.lag(sequence, event, max(ts_ns, time.time_ns()))
        why_down = "" if self._database.is_up else self._why_not
        reason = self._database.refused or projector.refused or why_down or projector.sentence
        return {
            "state": projector.state,
            "database": "up" if self._database.is_up else "down",
            "sequence": projector.watermark.sequence,
            "lagCommands": lag.commands,
            "lagEvents": lag.events,
            "lagSeconds": round(lag.seconds, 3),
            **({"reason": reason} if reason else {}),
        }

    async def stop(self) -> None:
        """End what needs the event loop; the projector finishes its batch and goes on from there at the next start."""
        await self._control.stop()
        await self._switches.stop()
        await self.keys.stop()
        if self.users is not None:
            await self.users.stop()
        if self._projector is not None:
            await self._projector.stop()
        if self._database is not None:
            await self._database.stop()
        await asyncio.to_thread(self._local.close)

    def close(self) -> None:
        """End the embedded server."""
        if self._server is not None:
            self._server.stop(SERVER_STOP_S)
