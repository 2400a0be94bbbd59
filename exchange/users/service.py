"""The people side as one part: what the composition root starts and stops, and what the edges call.

Owns the wiring of the modules beside it and one background task, the keeper: whenever PostgreSQL has come up it makes
PostgreSQL, memory and engine agree, and once a minute it sweeps. What a caller must not be able to time, a letter or
the opening of an account, is done in the background too.

    register ─► hash ─► row (pending) ─► answer; then OPEN_ACCOUNT ─► row (active)     settle: whatever was left pending
    login ─► throttle ─► hash ─► [lock row, code, session, device] ─► answer
    bearer ─► sessions.authenticate ─► memory only
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Coroutine
from typing import Any

from exchange.disruptor.pipeline import Pipeline
from exchange.persistence.database import Database, Unavailable
from exchange.settings import Settings
from exchange.users import store
from exchange.users.changes import Changes
from exchange.users.credentials import Credentials
from exchange.users.errors import Busy, Conflict, NotAcceptable, NotAuthorized, NotFound, TooManyTries
from exchange.users.kyc import Kyc, ManualProvider, Provider, WebhookProvider
from exchange.users.local_log import LocalLog
from exchange.users.login import Login, Logins
from exchange.users.mailer import Mail, Mailer, Outbox
from exchange.users.operators import Operators
from exchange.users.passwords import Passwords
from exchange.users.registration import Registration
from exchange.users.sealing import Sealer
from exchange.users.sessions import Session, Sessions
from exchange.users.store import Person
from exchange.users.throttle import MAIL, Address, Throttle, by_address, by_text
from exchange.users.totp import SecondFactor

log = logging.getLogger("exchange.users")
SWEEP_S = 60.0
RETRY_S = 0.25
BACKGROUND_MAX = 1000


class Users:
    """Everything about people. `local_log` was loaded and not compacted yet: the sessions take their part of it here.

    It registers itself for `database.on_up`. `start`, then everything else, then `stop`; one event loop.
    """

    def __init__(
        self,
        settings: Settings,
        database: Database,
        pipeline: Pipeline,
        sealer: Sealer,
        local_log: LocalLog,
        mailer: Mailer,
    ) -> None:
        self._database = database
        self.passwords = Passwords()
        self.throttle = Throttle()
        self.outbox = Outbox(mailer)
        self.second_factor = SecondFactor(sealer)
        self.sessions = Sessions(
            settings.auth_token_secret, local_log, ttl_s=settings.auth_token_ttl_s, idle_s=settings.session_idle_s
        )
        self.registration = Registration(database, pipeline, self.passwords)
        self.credentials = Credentials(database, self.passwords, self.second_factor, self.throttle, self.outbox)
        self.logins = Logins(
            database, self.credentials, self.passwords, self.sessions, self.registration, self.throttle
        )
        self.changes = Changes(
            database,
            self.credentials,
            self.passwords,
            self.second_factor,
            self.sessions,
            self.throttle,
            self.outbox,
            issuer=settings.service_name,
        )
        self.kyc = Kyc(database, _provider(settings))
        self.operators = Operators(database, self.registration, self.sessions, self.credentials)
        self._background: set[asyncio.Task[None]] = set()
        self._keeper: asyncio.Task[None] | None = None
        self._woken = asyncio.Event()
        self._settled = False
        database.on_up(self.on_database_up)

    # ---- life -----------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Start the workers that hash, and the keeper. Does not wait for PostgreSQL."""
        self.passwords.start()
        if self._database.is_up:
            self._woken.set()
        self._keeper = asyncio.create_task(self._keep())

    async def stop(self) -> None:
        """End what runs in the background and the workers."""
        tasks = [*self._background, *([self._keeper] if self._keeper else [])]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        await self.outbox.stop()
        await self.kyc.stop()
        await self.passwords.stop()

    async def on_database_up(self) -> None:
        """PostgreSQL has come up: the keeper makes everything agree as soon as connections are given."""
        self._settled = False
        self._woken.set()

    async def settle(self) -> None:
        """Make PostgreSQL, memory and engine agree. Raises Unavailable, Busy: it is to be done again."""
        async with self._database.connection() as connection:
            await self.sessions.settle(connection)
        await self.registration.settle()
        self._settled = not self._woken.is_set()  # it may have come up once more meanwhile

    async def _keep(self) -> None:
        pause_s = RETRY_S
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause_s):
                    await self._woken.wait()
            self._woken.clear()
            try:
                with contextlib.suppress(Unavailable, Busy):  # it is tried again
                    if self._settled:
                        await self._sweep()
                    elif self._database.is_up:
                        await self.settle()
                pause_s = SWEEP_S if self._settled else RETRY_S
            except Exception:
                log.exception("people could not be looked after; it is tried again in a minute")
                pause_s = SWEEP_S

    async def _sweep(self) -> None:
        await self.sessions.sweep(self._database)
        async with self._database.connection() as connection:
            await store.forget_expired(connection)

    def _later(self, work: Coroutine[Any, Any, None]) -> None:
        """Do something after the answer. Raises Busy when too much is to be done."""
        if len(self._background) >= BACKGROUND_MAX:
            work.close()
            raise Busy
        task = asyncio.create_task(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    # ---- people ---------------------------------------------------------------------------------------------------

    async def register(self, email: str, password: str, address: Address) -> None:
        """Register somebody; nothing tells whether the email was registered before.

        Raises NotAcceptable, TooManyTries, Busy, Conflict, Unavailable.
        """
        tried = self.throttle.enter(by_address(address))
        try:
            account, is_new = await self.registration.register(email, password)
        except (NotAcceptable, Busy, Conflict, Unavailable):
            tried.take_back()
            raise
        self._later(self._after_registration(store.normalized_email(email), account, is_new))

    async def _after_registration(self, email: str, account: int, is_new: bool) -> None:
        if is_new:
            with contextlib.suppress(Conflict):
                try:
                    await self.registration.open_account(account)
                except (Busy, Unavailable):
                    await self.on_database_up()  # the keeper opens what is pending
            return
        with contextlib.suppress(TooManyTries):
            self.throttle.enter([by_text(MAIL, email)])
            text = "Somebody registered with your email, which has an account. Log in, or reset the password."
            self.outbox.post(Mail(email, "You have an account already", text))

    async def login(self, email: str, password: str, code: str, device_token: str, address: Address) -> Login:
        """Raises NotAuthorized, SecondFactorNeeded, TooManyTries, Busy, Unavailable."""
        return await self.logins.login(email, password, code, device_token, address)

    async def ask_reset(self, email: str, address: Address) -> None:
        """Send a reset token if the email is somebody's; the answer and its time are the same if not.

        Raises TooManyTries, Busy, Unavailable.
        """
        if not self._database.is_up:
            raise Unavailable("PostgreSQL is not reachable.")
        self.throttle.enter(by_address(address))
        self._later(self._ask_reset(email))

    async def _ask_reset(self, email: str) -> None:
        try:
            await self.changes.ask_reset(email)
        except Unavailable:
            log.warning("a reset token was asked for and PostgreSQL is not there: it was not sent")

    async def person(self, session: Session) -> Person:
        """Who a session belongs to. Raises NotAuthorized, Unavailable."""
        async with self._database.connection() as connection:
            person = await store.by_id(connection, session.user_id)
        if person is None:
            raise NotAuthorized
        return person

    async def end_sessions(self, session: Session, name: str) -> int:
        """End the session of that name of the same person, or ("") all but this one; returns how many.

        Raises NotFound.
        """
        mine = self.sessions.of_user(session.user_id)
        chosen = [one for one in mine if (one.name == name if name else one is not session)]
        if name and not chosen:
            raise NotFound("You have no session of this name.")
        await self.sessions.end(chosen, self._database)
        return len(chosen)


def _provider(settings: Settings) -> Provider:
    if settings.kyc_provider == "webhook":
        return WebhookProvider(settings.kyc_url, settings.kyc_secret)
    return ManualProvider()
