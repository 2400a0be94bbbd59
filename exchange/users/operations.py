"""What an operator may do to people and keys, as operations of the control socket.

Owns the reading of arguments, which come from a program of ours and are believed nothing, and the row of
exchange_admin.audit for what is done to keys (people's acts write theirs). While PostgreSQL is away an act that needs
no database is done and only logged.
"""

from __future__ import annotations

import json
import logging
import typing
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

import asyncpg

from exchange.persistence.database import Database, Unavailable
from exchange.persistence.sqlstate import explain
from exchange.users import keys, kyc
from exchange.users.errors import NotAcceptable, NotFound
from exchange.users.key_guards import KeyGuards
from exchange.users.keyring import KeyRing
from exchange.users.keys import NEVER_US, Scheme
from exchange.users.operators import Operators
from exchange.users.store import Person

log = logging.getLogger("exchange.users")

Arguments: TypeAlias = dict[str, Any]
Operation: TypeAlias = Callable[[Arguments], Awaitable[Any]]
ACTOR = "operator"
MILLISECOND_NS = 1_000_000
_STATUSES: dict[str, kyc.Status] = {name: name for name in typing.get_args(kyc.Status)}
_AUDIT = "insert into exchange_admin.audit (actor, action, subject, detail) values ($1, $2, $3, $4)"


def text(arguments: Arguments, name: str, default: str | None = None) -> str:
    """A text argument; `default` None: it must be there. Raises NotAcceptable."""
    value = arguments.get(name)
    if value is None and default is not None:
        return default
    if not isinstance(value, str):
        raise NotAcceptable(f"The argument {name} must be a text.")
    return value


def texts(arguments: Arguments, name: str) -> list[str]:
    """A list of texts, empty when it is not there. Raises NotAcceptable."""
    value = arguments.get(name, [])
    if not isinstance(value, list) or not all(isinstance(piece, str) for piece in value):
        raise NotAcceptable(f"The argument {name} must be a list of texts.")
    return value


def integer(arguments: Arguments, name: str, default: int | None = None) -> int:
    """A whole number; `default` None: it must be there. Raises NotAcceptable."""
    value = arguments.get(name)
    if value is None and default is not None:
        return default
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= NEVER_US:
        raise NotAcceptable(f"The argument {name} must be a whole number from 0 to {NEVER_US}.")
    return value


async def audit(database: Database | None, action: str, subject: str, *, actor: str = ACTOR, **detail: Any) -> None:
    """Note what an operator did. It has been done already: without PostgreSQL the log alone has it."""
    log.info("%s: %s %s %s", actor, action, subject, json.dumps(detail))
    if database is None:
        return
    try:
        async with database.connection() as connection:
            await connection.execute(_AUDIT, actor, action, subject, json.dumps(detail))
    except (Unavailable, asyncpg.PostgresError) as error:
        log.error("no line in exchange_admin.audit for %s %s: %s", action, subject, explain(error))


def who(arguments: Arguments) -> str | int:
    """Whom an operation is about: an email, or a user id. Raises NotAcceptable."""
    value = arguments.get("who")
    return integer(arguments, "who") if isinstance(value, int) else text(arguments, "who")


class UserOperations:
    """`user.create`, `user.disable`, `user.reset-2fa`, `user.kyc`. `operators` None: nobody is kept here."""

    def __init__(self, operators: Operators | None) -> None:
        self._operators = operators

    def all(self) -> dict[str, Operation]:
        """The operations by name."""
        return {
            "user.create": self.create,
            "user.disable": self.disable,
            "user.reset-2fa": self.reset_2fa,
            "user.kyc": self.set_kyc,
        }

    async def create(self, arguments: Arguments) -> Arguments:
        """Register somebody; the account is open when this returns."""
        created = await self._people().create_user(text(arguments, "email"), text(arguments, "password"))
        return _shown(created)

    async def disable(self, arguments: Arguments) -> Arguments:
        """No login, no session, no API key from now on."""
        return {**_shown(await self._people().disable(who(arguments))), "status": "disabled"}

    async def reset_2fa(self, arguments: Arguments) -> Arguments:
        """Turn somebody's second factor off."""
        return {**_shown(await self._people().reset_2fa(who(arguments))), "twoFactor": False}

    async def set_kyc(self, arguments: Arguments) -> Arguments:
        """Decide about somebody's identity by hand."""
        status = _STATUSES.get(text(arguments, "status"))
        if status is None:
            raise NotAcceptable(f"A status is one of {', '.join(_STATUSES)}.")
        level = integer(arguments, "level")
        person = await self._people().set_kyc(who(arguments), level, status)
        return {**_shown(person), "kycLevel": level, "kycStatus": status}

    def _people(self) -> Operators:
        if self._operators is None:
            raise Unavailable("This venue keeps no users: it runs without a database.")
        return self._operators


def _shown(person: Person) -> Arguments:
    """What an operator sees of a person, as it was before the act."""
    return {
        "userId": person.user_id,
        "account": person.account,
        "email": person.email,
        "status": person.status,
        "twoFactor": person.totp_enabled,
        "kycLevel": person.kyc_level,
        "kycStatus": person.kyc_status,
    }


class KeyOperations:
    """`key.create`, `key.revoke`, `key.list`. `is_account` tells whether the engine knows an account."""

    def __init__(
        self, ring: KeyRing, database: Database | None, is_account: Callable[[int], bool], guards: KeyGuards
    ) -> None:
        self._ring = ring
        self._database = database
        self._is_account = is_account
        self._guards = guards

    def all(self) -> dict[str, Operation]:
        """The operations by name."""
        return {"key.create": self.create, "key.revoke": self.revoke, "key.list": self.list}

    async def create(self, arguments: Arguments) -> dict[str, Any]:
        """Make a key for an account; the secret is in the answer and nowhere else."""
        account = integer(arguments, "account")
        if not self._is_account(account):
            raise NotFound(f"There is no account {account}.")
        key, secret = await self._ring.create(
            account,
            keys.permissions(texts(arguments, "permissions")),
            addresses=keys.networks(texts(arguments, "addresses")),
            symbols=self._guards.symbols(texts(arguments, "symbols")),
            before=self._guards.notional(text(arguments, "notional", ""), text(arguments, "notional_asset", "")),
            label=text(arguments, "label", ""),
            expires_us=integer(arguments, "expires_us", NEVER_US),
            public_key=keys.public_key(text(arguments, "public_key")) if arguments.get("public_key") else b"",
            scheme=keys.scheme(text(arguments, "signature", str(Scheme.PLAIN))),
            totp_enabled=await self._totp_enabled(account),
        )
        shown = self._guards.view(key, MILLISECOND_NS)
        await audit(self._database, "key.create", key.api_key, **shown)
        return {**shown, "secret": secret} if secret else shown

    async def revoke(self, arguments: Arguments) -> dict[str, Any]:
        """Revoke a key, also while PostgreSQL is away."""
        api_key = text(arguments, "api_key")
        key = await self._ring.revoke(api_key)
        if key is None:
            raise NotFound("There is no such key; it may have been revoked already.")
        await audit(self._database, "key.revoke", api_key, account=key.account)
        return self._guards.view(key, MILLISECOND_NS)

    async def list(self, arguments: Arguments) -> list[dict[str, Any]]:
        """The keys of an account, or of everybody."""
        account = integer(arguments, "account", 0)
        found = self._ring.of(account) if account else self._ring.all()
        return [self._guards.view(key, MILLISECOND_NS) for key in found]

    async def _totp_enabled(self, account: int) -> bool:
        if self._database is None:
            return False
        async with self._database.connection() as connection:
            return bool(
                await connection.fetchval("select totp_enabled from exchange_user.users where account = $1", account)
            )
