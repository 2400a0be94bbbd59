"""Proving who somebody is: password, then second factor, in one place for logins and for sensitive changes.

Owns the order of the checks. The password is verified outside of any transaction, because that takes long; then the
row is locked, and only if the password is still the one that was verified the code is used up and the body runs, all
in one transaction. So a login and a change of password at the same moment never both count.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import NamedTuple

from exchange.persistence.database import Connection, Database, Unavailable
from exchange.users import store
from exchange.users.errors import Busy, NotAuthorized
from exchange.users.mailer import Mail, Outbox
from exchange.users.passwords import Passwords
from exchange.users.sessions import Session
from exchange.users.store import Person
from exchange.users.throttle import ACCOUNT, DEVICE, OWNER, Throttle, Try, by_text
from exchange.users.totp import Factor, SecondFactor


class Proven(NamedTuple):
    """Somebody who has shown password and code, and the transaction in which their row is locked."""

    connection: Connection
    person: Person


class Credentials:
    """The checks, for every part that needs them."""

    def __init__(
        self, database: Database, passwords: Passwords, second_factor: SecondFactor, throttle: Throttle, outbox: Outbox
    ) -> None:
        self._database = database
        self._passwords = passwords
        self._second_factor = second_factor
        self._throttle = throttle
        self._outbox = outbox

    @contextlib.asynccontextmanager
    async def prove(
        self, person: Person | None, password: str, code: str, tried: Try, *, known_device: bool
    ) -> AsyncIterator[Proven]:
        """A transaction for the body, once password and code are right. None takes as long as somebody.

        Raises NotAuthorized, SecondFactorNeeded, Busy, Unavailable. What was no guess is taken back from the throttle.
        """
        try:
            who = person if person is not None and person.may_log_in else None
            encoded = who.password_hash if who else None
            verdict = await self._passwords.verify(encoded, password, known_device=known_device)
            if who is None or not verdict.matches:
                raise NotAuthorized
            async with self._database.connection() as connection, connection.transaction():
                locked = await store.lock(connection, who.user_id, who.password_hash)
                if locked.totp_enabled and not code:
                    tried.take_back()
                factor = await self._second_factor.require(connection, locked, code)
                if verdict.renewed:
                    await _renew(connection, locked, verdict.renewed)
                if factor is Factor.RECOVERY:
                    await store.freeze_withdrawals(connection, locked.user_id)
                tried.succeeded(ACCOUNT, DEVICE, OWNER)
                yield Proven(connection, locked)
        except (Busy, Unavailable):
            tried.take_back()
            raise
        if factor is Factor.RECOVERY:
            self._outbox.post(recovery_mail(locked.email))

    @contextlib.asynccontextmanager
    async def prove_again(self, session: Session, password: str, code: str) -> AsyncIterator[Proven]:
        """The same for somebody who is logged in and is about to change something sensitive."""
        tried = self._throttle.enter([by_text(OWNER, str(session.user_id))])
        try:
            async with self._database.connection() as connection:
                person = await store.by_id(connection, session.user_id)
        except Unavailable:
            tried.take_back()
            raise
        async with self.prove(person, password, code, tried, known_device=True) as proven:
            yield proven

    def notify(self, person: Person, what: str) -> None:
        """Tell the owner about a sensitive change."""
        self._outbox.post(
            Mail(
                person.email,
                what,
                f"{what}. Withdrawals rest for 24 hours. If this was not you, reset your password now.",
            )
        )


def recovery_mail(email: str) -> Mail:
    """The letter after a recovery code was used."""
    return Mail(
        email,
        "A recovery code was used",
        "A recovery code was used in place of a code of your authenticator. Withdrawals rest for 24 hours. "
        "If this was not you, reset your password now.",
    )


async def _renew(connection: Connection, person: Person, encoded: str) -> None:
    """A hash with the costs of today in place of an older one of the same password."""
    await connection.execute(
        "update exchange_user.users set password_hash = $2 where user_id = $1", person.user_id, encoded
    )
