"""What operators do to people; each act is a row of exchange_admin.audit, in the transaction of the act itself, but for
a person who is created: that row comes once the account is open.

Owns the acts: create, disable, reset the second factor, set the identity level. Never shows or takes a code or a
token.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping

from exchange.persistence.database import Connection, Database
from exchange.users import kyc, store, totp
from exchange.users.credentials import Credentials
from exchange.users.errors import Conflict, NotAcceptable, NotFound
from exchange.users.registration import Registration
from exchange.users.sessions import Sessions
from exchange.users.store import Person

OnDisabled = Callable[[int], Awaitable[object]]


class Operators:
    """The acts. `who` is an email or a user id, `actor` is who acts."""

    def __init__(
        self, database: Database, registration: Registration, sessions: Sessions, credentials: Credentials
    ) -> None:
        self._database = database
        self._registration = registration
        self._sessions = sessions
        self._credentials = credentials
        self._on_disabled: list[OnDisabled] = []

    def on_disabled(self, callback: OnDisabled) -> None:
        """Await `callback(account)` after a person was disabled, to end what else they have."""
        self._on_disabled.append(callback)

    async def create_user(self, email: str, password: str, *, actor: str = "operator") -> Person:
        """A person with an open account. Raises NotAcceptable, Conflict, Busy, Unavailable."""
        account, is_new = await self._registration.register(email, password)
        if not is_new:
            raise Conflict("There is a user with this email.")
        await self._registration.open_account(account)
        async with self._database.connection() as connection, connection.transaction():
            person = await _find(connection, email)
            await _note(connection, actor, "user create", person, {"account": account})
        return person

    async def disable(self, who: str | int, *, actor: str = "operator") -> Person:
        """No login, no session, no device, no reset token from now on; then the callbacks. Done twice, it is done once.

        Raises NotFound, Unavailable.
        """
        async with self._database.connection() as connection, connection.transaction():
            person = await _find(connection, who)
            for statement in (
                "update exchange_user.users set status = 'disabled' where user_id = $1",
                "delete from exchange_user.devices where user_id = $1",
                "update exchange_user.reset_tokens set used_at = now() where user_id = $1 and used_at is null",
            ):
                await connection.execute(statement, person.user_id)
            await store.end_sessions(connection, person.user_id)
            await _note(connection, actor, "user disable", person, {"status": person.status})
        await self._sessions.end(self._sessions.of_user(person.user_id), self._database)
        for callback in self._on_disabled:
            await callback(person.account)
        return person

    async def reset_2fa(self, who: str | int, *, actor: str = "operator") -> Person:
        """Turn the second factor of somebody off who has lost it; their sessions end and withdrawals rest.

        Raises NotFound, Unavailable.
        """
        async with self._database.connection() as connection, connection.transaction():
            person = await _find(connection, who)
            await totp.turn_off(connection, person.user_id)
            await store.freeze_withdrawals(connection, person.user_id)
            await store.end_sessions(connection, person.user_id)
            await _note(connection, actor, "user reset-2fa", person, {"enabled": person.totp_enabled})
        await self._sessions.end(self._sessions.of_user(person.user_id), self._database)
        self._credentials.notify(person, "The operator turned your second factor off")
        return person

    async def set_kyc(self, who: str | int, level: int, status: kyc.Status, *, actor: str = "operator") -> Person:
        """Decide about somebody's identity by hand. Raises NotFound, NotAcceptable, Unavailable."""
        if not 0 <= level <= kyc.LEVEL_MAX:
            raise NotAcceptable(f"A level is from 0 to {kyc.LEVEL_MAX}.")
        async with self._database.connection() as connection, connection.transaction():
            person = await _find(connection, who)
            await kyc.set_level(connection, person.user_id, status, level)
            before = {"level": person.kyc_level, "status": person.kyc_status}
            await _note(
                connection, actor, "user kyc", person, {"before": before, "after": {"level": level, "status": status}}
            )
        return person


async def _find(connection: Connection, who: str | int) -> Person:
    """The person, with the row locked."""
    if isinstance(who, str):
        person = await store.by_email(connection, store.normalized_email(who))
    else:
        person = await store.by_id(connection, who)
    if person is None:
        raise NotFound("There is no such user.")
    await connection.execute("select 1 from exchange_user.users where user_id = $1 for update", person.user_id)
    return person


async def _note(connection: Connection, actor: str, action: str, person: Person, detail: Mapping[str, object]) -> None:
    await connection.execute(
        "insert into exchange_admin.audit (actor, action, subject, detail) values ($1, $2, $3, $4::jsonb)",
        actor,
        action,
        f"user {person.user_id}",
        json.dumps(detail),
    )
