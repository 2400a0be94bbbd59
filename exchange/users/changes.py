"""Sensitive changes: the password, with and without the old one, and the second factor.

Owns what such a change does besides itself: the owner gets a letter, withdrawals rest for 24 hours, and after a
change of password no other session, device or reset token counts any more. Every change but a reset needs password
and code once more. Turning a second factor on or off leaves sessions as they are; `DELETE /v1/user/sessions` ends the
others.
"""

from __future__ import annotations

import datetime as dt

from exchange.persistence.database import Connection, Database
from exchange.users import store, totp
from exchange.users.credentials import Credentials
from exchange.users.errors import Conflict, NotAcceptable, NotAuthorized, TokenRefused, TooManyTries
from exchange.users.login import DEVICE_LIFE, DEVICES_MAX
from exchange.users.mailer import Mail, Outbox
from exchange.users.passwords import Passwords, check_acceptable
from exchange.users.sessions import Session, Sessions
from exchange.users.store import Person
from exchange.users.throttle import MAIL, OWNER, Address, Throttle, by_address, by_text
from exchange.users.totp import SecondFactor

RESET_LIFE = dt.timedelta(minutes=30)


class Changes:
    """Makes the changes; see the module's docstring."""

    def __init__(
        self,
        database: Database,
        credentials: Credentials,
        passwords: Passwords,
        second_factor: SecondFactor,
        sessions: Sessions,
        throttle: Throttle,
        outbox: Outbox,
        *,
        issuer: str,
    ) -> None:
        self._database = database
        self._credentials = credentials
        self._passwords = passwords
        self._second_factor = second_factor
        self._sessions = sessions
        self._throttle = throttle
        self._outbox = outbox
        self._issuer = issuer

    # ---- the password ---------------------------------------------------------------------------------------------

    async def change_password(self, session: Session, password: str, code: str, new_password: str) -> str:
        """Returns a device token; the session goes on, all others end."""
        self._throttle.check([by_text(OWNER, str(session.user_id))])
        check_acceptable(new_password, (await self._person(session)).email)
        encoded = await self._passwords.hash(new_password)
        async with self._credentials.prove_again(session, password, code) as (connection, person):
            device_token = await self._set_password(connection, person, encoded, session.digest)
        others = [one for one in self._sessions.of_user(person.user_id) if one is not session]
        await self._sessions.end(others, self._database)
        self._credentials.notify(person, "Your password was changed")
        return device_token

    async def ask_reset(self, email: str) -> None:
        """Send a reset token, if the email is somebody's. Nobody waits for this: how long it takes tells something."""
        try:
            email = store.normalized_email(email)
            self._throttle.enter([by_text(MAIL, email)])
        except (NotAcceptable, TooManyTries):
            return
        async with self._database.connection() as connection:
            person = await store.by_email(connection, email)
            if person is None or not person.may_log_in:
                return
            token = store.new_token()
            await connection.execute(
                "insert into exchange_user.reset_tokens (digest, user_id, expires_at) values ($1, $2, now() + $3)",
                store.digest_of(token),
                person.user_id,
                RESET_LIFE,
            )
        text = "This token sets a new password. It counts once, for 30 minutes:"
        self._outbox.post(Mail(person.email, "Reset your password", text, token))

    async def reset_password(self, token: str, new_password: str, address: Address) -> str:
        """Set a password with a token from a letter; returns a device token, so that its owner gets in at once.

        The second factor, if there is one, is as needed for the login as before. Raises TokenRefused, NotAcceptable.
        """
        tried = self._throttle.enter(by_address(address))
        async with self._database.connection() as connection:
            person = await self._owner_of(connection, token)
        tried.take_back()
        check_acceptable(new_password, person.email)
        encoded = await self._passwords.hash(new_password)
        async with self._database.connection() as connection, connection.transaction():
            used = await connection.execute(
                "update exchange_user.reset_tokens set used_at = now() "
                "where digest = $1 and used_at is null and expires_at > now()",
                store.digest_of(token),
            )
            if used != "UPDATE 1":
                raise TokenRefused
            person = await store.lock(connection, person.user_id)
            device_token = await self._set_password(connection, person, encoded, b"")
        await self._sessions.end(self._sessions.of_user(person.user_id), self._database)
        self._credentials.notify(person, "Your password was reset")
        return device_token

    async def _owner_of(self, connection: Connection, token: str) -> Person:
        """Whose reset token this is, before the costly part. Raises TokenRefused."""
        user_id = await connection.fetchval(
            "select user_id from exchange_user.reset_tokens "
            "where digest = $1 and used_at is null and expires_at > now()",
            store.digest_of(token),
        )
        person = await store.by_id(connection, user_id) if user_id is not None else None
        if person is None or not person.may_log_in:
            raise TokenRefused
        return person

    async def _set_password(self, connection: Connection, person: Person, encoded: str, kept: bytes) -> str:
        """Everything that a new password means in PostgreSQL; returns the only device that is known from now on.

        `kept` is the digest of the session that goes on, if one does.
        """
        user_id = person.user_id
        await connection.execute(
            "update exchange_user.users set password_hash = $2, password_changed_at = now() where user_id = $1",
            user_id,
            encoded,
        )
        await connection.execute("delete from exchange_user.devices where user_id = $1", user_id)
        await connection.execute(
            "update exchange_user.reset_tokens set used_at = now() where user_id = $1 and used_at is null", user_id
        )
        await store.end_sessions(connection, user_id, kept)
        await store.freeze_withdrawals(connection, user_id)
        return await store.new_device(connection, user_id, DEVICE_LIFE, DEVICES_MAX)

    # ---- the second factor ----------------------------------------------------------------------------------------

    async def begin_second_factor(self, session: Session, password: str) -> tuple[str, str]:
        """A seed and its otpauth address. Raises Conflict when there is a second factor."""
        if (await self._person(session)).totp_enabled:
            raise Conflict("The second factor is on; turn it off first.")
        async with self._credentials.prove_again(session, password, "") as (connection, person):
            seed = await self._second_factor.begin(connection, person)
        return seed, totp.uri(seed, person.email, self._issuer)

    async def confirm_second_factor(self, session: Session, code: str) -> list[str]:
        """Turn it on; returns the recovery codes. Raises Conflict, SecondFactorNeeded, TooManyTries."""
        tried = self._throttle.enter([by_text(OWNER, str(session.user_id))])
        async with self._database.connection() as connection, connection.transaction():
            person = await store.lock(connection, session.user_id)
            codes = await self._second_factor.confirm(connection, person, code)
            await store.freeze_withdrawals(connection, person.user_id)
        tried.succeeded(OWNER)
        self._credentials.notify(person, "The second factor was turned on")
        return codes

    async def remove_second_factor(self, session: Session, password: str, code: str) -> None:
        """Turn it off; needs password and code."""
        async with self._credentials.prove_again(session, password, code) as (connection, person):
            if not person.totp_enabled:
                raise Conflict("There is no second factor to turn off.")
            await totp.turn_off(connection, person.user_id)
            await store.freeze_withdrawals(connection, person.user_id)
        self._credentials.notify(person, "The second factor was turned off")

    async def _person(self, session: Session) -> Person:
        async with self._database.connection() as connection:
            person = await store.by_id(connection, session.user_id)
        if person is None:
            raise NotAuthorized
        return person
