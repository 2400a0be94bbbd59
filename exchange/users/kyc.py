"""Identity checks: a level and a status of each person, and whoever decides about them.

Owns the two fields and the way to them; withdrawal limits will be made from the level. A request draws a reference,
which the provider decides about once: the same decision again changes nothing, another one is refused, and a later
request has another reference, so that a replayed decision is never applied. The exchange sends and keeps no document.

    none, approved, rejected ── request ──► pending ── decision of its reference ──► approved (level) | rejected
"""

from __future__ import annotations

import logging
import secrets
from typing import Literal, Protocol

import aiohttp

from exchange.persistence.database import Connection, Database
from exchange.users.errors import Busy, Conflict, NotAuthorized, NotFound
from exchange.users.sessions import Session
from exchange.users.signatures import signed_form

log = logging.getLogger("exchange.users")
LEVEL_MAX = 9
CALL_S = 10.0
Status = Literal["none", "pending", "approved", "rejected"]
Decision = Literal["approved", "rejected"]


class ProviderUnreachable(Exception):
    """The provider did not take a request, or it is not known whether it did; a sentence."""


class Provider(Protocol):
    """Whoever verifies identities."""

    async def begin(self, reference: str, level: int) -> None:
        """Ask for a check; the decision comes through `Kyc.decide`. A reference is asked about once.

        Raises ProviderUnreachable.
        """

    async def stop(self) -> None:
        """Let go of connections."""


class ManualProvider:
    """The operator, who looks for `pending` and decides."""

    async def begin(self, reference: str, level: int) -> None:
        """Nobody is called."""

    async def stop(self) -> None:
        """There is nothing to let go of."""


class WebhookProvider:
    """A service that is called with a signed form and calls back with one (exchange/users/signatures.py)."""

    def __init__(self, url: str, secret: str) -> None:
        self._url = url
        self._secret = secret
        self._client: aiohttp.ClientSession | None = None

    async def begin(self, reference: str, level: int) -> None:
        """POST reference and level; any 2xx is a yes. Redirects are not followed, the answer's body is not read."""
        if self._client is None:
            self._client = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=CALL_S))
        body = signed_form(self._secret, {"reference": reference, "level": level})
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        try:
            async with self._client.post(self._url, data=body, headers=headers, allow_redirects=False) as answer:
                if not 200 <= answer.status < 300:
                    raise ProviderUnreachable(f"The identity service answered {answer.status}.")
        except (aiohttp.ClientError, TimeoutError) as error:
            raise ProviderUnreachable(f"The identity service can not be reached: {type(error).__name__}.") from None

    async def stop(self) -> None:
        """Close the connections."""
        if self._client is not None:
            await self._client.close()


class Kyc:
    """The two fields of everybody."""

    def __init__(self, database: Database, provider: Provider) -> None:
        self._database = database
        self._provider = provider

    async def request(self, session: Session, level: int) -> None:
        """Ask for a check. Raises Conflict, Busy when the provider does not take it (ask again then), Unavailable."""
        drawn = secrets.token_urlsafe(24)
        async with self._database.connection() as connection, connection.transaction():
            row = await connection.fetchrow(
                "select kyc_level, kyc_status from exchange_user.users where user_id = $1 for update", session.user_id
            )
            if row is None:
                raise NotAuthorized
            now_level, before = row
            if before == "pending":
                raise Conflict("An identity check is under way.")
            if level <= now_level:
                raise Conflict(f"Level {now_level} is approved already.")
            await _set(connection, session.user_id, "pending", drawn)
        try:
            await self._provider.begin(drawn, level)
        except ProviderUnreachable as error:
            log.error("%s", error)
            # It may have taken the request all the same: its decision about this reference will then find nobody.
            async with self._database.connection() as connection:
                await connection.execute(
                    "update exchange_user.users set kyc_status = $2, kyc_reference = null where kyc_reference = $1 "
                    "and kyc_status = 'pending'",
                    drawn,
                    before,
                )
            raise Busy("The identity service can not be reached; try again later.", 60.0) from None

    async def decide(self, reference: str, level: int, decision: Decision) -> bool:
        """Apply a decision; returns False when it was applied before. Raises NotFound, Conflict, Unavailable."""
        async with self._database.connection() as connection, connection.transaction():
            row = await connection.fetchrow(
                "select user_id, kyc_level, kyc_status from exchange_user.users where kyc_reference = $1 for update",
                reference,
            )
            if row is None:
                raise NotFound("There is no identity check with this reference.")
            user_id, now_level, status = row
            if status != "pending":
                if status == decision and (decision == "rejected" or now_level == level):
                    return False
                raise Conflict("This identity check was decided otherwise.")
            await set_level(connection, user_id, decision, level if decision == "approved" else now_level)
            await connection.execute(
                "insert into exchange_admin.audit (actor, action, subject, detail) "
                "values ('kyc webhook', 'kyc decision', $1, jsonb_build_object('status', $2::text, 'level', $3::int))",
                f"user {user_id}",
                decision,
                level,
            )
        return True

    async def stop(self) -> None:
        """Stop the provider."""
        await self._provider.stop()


async def set_level(connection: Connection, user_id: int, status: Status, level: int) -> None:
    """Write both fields."""
    await connection.execute(
        "update exchange_user.users set kyc_status = $2, kyc_level = $3 where user_id = $1", user_id, status, level
    )


async def _set(connection: Connection, user_id: int, status: Status, reference: str) -> None:
    await connection.execute(
        "update exchange_user.users set kyc_status = $2, kyc_reference = $3 where user_id = $1",
        user_id,
        status,
        reference,
    )
