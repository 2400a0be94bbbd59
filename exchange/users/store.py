"""A person's row: reading it, locking it, and the few changes that several parts make.

Owns the statements on exchange_user.users that more than one module needs. Never opens a connection of its own.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import re
import secrets
from typing import NamedTuple

from exchange.persistence.database import Connection
from exchange.users.errors import NotAcceptable, NotAuthorized

FREEZE = dt.timedelta(hours=24)
"""How long withdrawals rest after a sensitive change."""
EMAIL_CHARACTERS_MAX = 254
_email = re.compile(r"[^\s@\x00-\x20\x7f-\x9f\"(),:;<>\[\]\\]{1,64}@[a-z0-9-]+(\.[a-z0-9-]+)+").fullmatch


class Person(NamedTuple):
    """A row of exchange_user.users that has an email."""

    user_id: int
    account: int
    email: str
    password_hash: str
    status: str
    totp_sealed: bytes | None
    totp_enabled: bool
    kyc_level: int
    kyc_status: str
    withdrawals_frozen_until: dt.datetime | None
    created_at: dt.datetime

    @property
    def may_log_in(self) -> bool:
        """Whether the operator has not closed the door. A pending person may: the login opens the account."""
        return self.status in ("active", "pending")


COLUMNS = ", ".join(f"u.{name}" for name in Person._fields)
_SELECT = f"select {COLUMNS} from exchange_user.users u where u.email is not null and "


def normalized_email(text: str) -> str:
    """The one form of an email. Raises NotAcceptable."""
    email = text.lower()
    if len(email) > EMAIL_CHARACTERS_MAX or not _email(email):
        raise NotAcceptable("This is not an email address that mail can be sent to.")
    return email


def new_token() -> str:
    """256 random bits, as text that needs no escaping."""
    return secrets.token_urlsafe(32)


def digest_of(token: str) -> bytes:
    """What is stored of a token; it has too many bits to be guessed from that."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()


async def by_email(connection: Connection, email: str) -> Person | None:
    """The person who has this email, in its one form."""
    row = await connection.fetchrow(f"{_SELECT} u.email = $1", email)
    return Person(**row) if row else None


async def by_id(connection: Connection, user_id: int) -> Person | None:
    """The person with this id."""
    row = await connection.fetchrow(f"{_SELECT} u.user_id = $1", user_id)
    return Person(**row) if row else None


async def lock(connection: Connection, user_id: int, password_hash: str | None = None) -> Person:
    """The person, with the row locked until the transaction ends. Raises NotAuthorized when they may not log in (any
    more), or when the password is not the one behind `password_hash` (any more)."""
    row = await connection.fetchrow(f"{_SELECT} u.user_id = $1 for update", user_id)
    person = Person(**row) if row else None
    if person is None or not person.may_log_in or password_hash not in (None, person.password_hash):
        raise NotAuthorized
    return person


async def freeze_withdrawals(connection: Connection, user_id: int) -> None:
    """No withdrawals from now on for FREEZE; an end that is later stays."""
    await connection.execute(
        "update exchange_user.users set withdrawals_frozen_until = greatest(withdrawals_frozen_until, now() + $2) "
        "where user_id = $1",
        user_id,
        FREEZE,
    )


async def end_sessions(connection: Connection, user_id: int, kept: bytes = b"") -> None:
    """Every session of a person but the one with the digest `kept` ends in PostgreSQL; memory is the caller's."""
    await connection.execute(
        "update exchange_user.sessions set revoked_at = now() "
        "where user_id = $1 and digest <> $2 and revoked_at is null",
        user_id,
        kept,
    )


async def new_device(connection: Connection, user_id: int, life: dt.timedelta, most: int) -> str:
    """The token of a device that is known from now on; beyond `most` the oldest are forgotten."""
    token = new_token()
    await connection.execute(
        "insert into exchange_user.devices (digest, user_id, created_at, expires_at) "
        "values ($1, $2, now(), now() + $3)",
        digest_of(token),
        user_id,
        life,
    )
    await connection.execute(
        "delete from exchange_user.devices where digest in (select digest from exchange_user.devices "
        "where user_id = $1 order by created_at desc, digest offset $2)",
        user_id,
        most,
    )
    return token


async def is_device_of(connection: Connection, token: str, user_id: int) -> bool:
    """Whether a token is that of a device of this person."""
    return bool(
        await connection.fetchval(
            "select true from exchange_user.devices where digest = $1 and user_id = $2 and expires_at > now()",
            digest_of(token),
            user_id,
        )
    )


async def renew_device(connection: Connection, token: str, life: dt.timedelta) -> None:
    """A device that was used is known for `life` from now."""
    await connection.execute(
        "update exchange_user.devices set expires_at = now() + $2 where digest = $1", digest_of(token), life
    )


async def forget_expired(connection: Connection) -> None:
    """Delete devices and reset tokens that do not count any more."""
    await connection.execute("delete from exchange_user.devices where expires_at < now()")
    await connection.execute("delete from exchange_user.reset_tokens where expires_at < now() - interval '1 day'")
