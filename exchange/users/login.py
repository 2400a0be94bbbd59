"""Logging in: from an email and a password to a session and a known device.

Owns the answer: unknown email, wrong password and disabled person are the same, in words, in the work that is done
and in how tries are counted. That a code is needed is told only after the right password.

A login from a device that the person has logged in from before is not slowed by what strangers do: its tries count on
the device alone, and a part of the queue for hashes is kept for it. A password reset makes a known device too, so
that the owner of the mailbox always gets in.
"""

from __future__ import annotations

import datetime as dt
from typing import NamedTuple

from exchange.persistence.database import Database, Unavailable
from exchange.users import store
from exchange.users.credentials import Credentials
from exchange.users.errors import Busy, Conflict, NotAcceptable, NotAuthorized
from exchange.users.passwords import Passwords
from exchange.users.registration import Registration
from exchange.users.sessions import Session, Sessions
from exchange.users.store import Person
from exchange.users.throttle import ACCOUNT, DEVICE, Address, Key, Throttle, by_address, by_text

DEVICE_LIFE = dt.timedelta(days=90)
DEVICES_MAX = 20


class Login(NamedTuple):
    """What a person gets who has logged in. `device_token` makes the next login one from a known device."""

    token: str
    session: Session
    device_token: str


class Logins:
    """Logs people in."""

    def __init__(
        self,
        database: Database,
        credentials: Credentials,
        passwords: Passwords,
        sessions: Sessions,
        registration: Registration,
        throttle: Throttle,
    ) -> None:
        self._database = database
        self._credentials = credentials
        self._passwords = passwords
        self._sessions = sessions
        self._registration = registration
        self._throttle = throttle

    async def login(self, email: str, password: str, code: str, device_token: str, address: Address) -> Login:
        """Raises NotAuthorized, SecondFactorNeeded, TooManyTries, Busy, Unavailable."""
        try:
            email = store.normalized_email(email)
        except NotAcceptable:
            email = ""  # nobody's; the rest is done as for anybody
        strangers: list[Key] = [by_text(ACCOUNT, email), *by_address(address)]
        if not device_token:
            self._throttle.check(strangers)  # before PostgreSQL is asked anything
        with self._passwords.place(known_device=bool(device_token)):
            person, known = await self._look_up(email, device_token)
        tried = self._throttle.enter([by_text(DEVICE, device_token)] if known else strangers)
        session: Session | None = None
        try:
            async with self._credentials.prove(person, password, code, tried, known_device=known) as proven:
                who = proven.person
                token, session = self._sessions.open(who.user_id, who.account, str(address))
                await self._sessions.keep(proven.connection, session)
                if known:
                    await store.renew_device(proven.connection, device_token, DEVICE_LIFE)
                else:
                    device_token = await store.new_device(proven.connection, who.user_id, DEVICE_LIFE, DEVICES_MAX)
        except BaseException:
            if session is not None:  # nobody has its token
                self._sessions.discard(session)
            raise
        if who.status == "pending":
            await self._open_account(session)
        await self._sessions.end(self._sessions.surplus(who.user_id), self._database)
        if not self._sessions.is_live(session):  # the password was changed, or the person disabled, meanwhile
            raise NotAuthorized
        return Login(token, session, device_token)

    async def _look_up(self, email: str, device_token: str) -> tuple[Person | None, bool]:
        """Whose email this is, and whether the device is theirs."""
        async with self._database.connection() as connection:
            person = await store.by_email(connection, email)
            # Nobody's device is looked for as well: one statement less would take less time.
            return person, await store.is_device_of(connection, device_token, person.user_id if person else 0)

    async def _open_account(self, session: Session) -> None:
        try:
            await self._registration.open_account(session.account)
        except (Busy, Conflict, Unavailable):
            await self._sessions.end([session], self._database)
            raise
