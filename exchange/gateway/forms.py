"""Requests of people: forms with secrets in them, and the session that a bearer token stands for.

Owns the two kinds of call that are not signed with an API key, and how the people side's refusals look to a client.
Parameters of these stand in the body only: what stands in an address ends up in logs.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from exchange.gateway.address import Address
from exchange.gateway.errors import Refusal, mandatory
from exchange.gateway.parameters import Params, Signed
from exchange.gateway.replies import Reply
from exchange.gateway.venue import RETRY_AFTER_S, Venue
from exchange.persistence.database import Unavailable
from exchange.users import errors
from exchange.users.keyring import Unrecorded
from exchange.users.service import Users
from exchange.users.sessions import Session

_PROBLEMS: dict[type[errors.UserError], tuple[int, int]] = {
    errors.NotAuthorized: (401, -1002),
    errors.SecondFactorNeeded: (401, -2101),
    errors.NotAcceptable: (400, -1130),
    errors.TokenRefused: (400, -2102),
    errors.NotFound: (404, -2103),
    errors.Conflict: (409, -2104),
    errors.TooManyTries: (429, -1003),
    errors.Busy: (503, -1008),
    Unrecorded: (503, -1001),
}


@dataclass(frozen=True, slots=True)
class FormCall:
    """A request of anybody. `unit_ns` is the unit in which the client wants times (nanoseconds a unit)."""

    signed: Signed
    address: Address
    unit_ns: int

    @property
    def params(self) -> Params:
        """The parameters."""
        return self.signed.params

    def text(self, name: str) -> str:
        """A parameter that must be there."""
        try:
            return self.signed.params[name]
        except KeyError:
            raise mandatory(name) from None

    def optional(self, name: str) -> str:
        """A parameter, "" when it was not sent."""
        return self.signed.params.get(name, "")

    def time(self, seconds: float) -> int:
        """A time since the epoch, in the client's unit."""
        return int(seconds * 1e9) // self.unit_ns


@dataclass(frozen=True, slots=True)
class BearerCall(FormCall):
    """A request of somebody who is logged in."""

    session: Session


def users_of(venue: Venue) -> Users:
    """The people side. Refused when the venue runs without a database."""
    if venue.users is None:
        raise Refusal(503, -1001, "This venue keeps no users: it runs without a database.")
    return venue.users


def bearer_session(users: Users, headers: list[str]) -> Session:
    """The session of `Authorization: Bearer TOKEN`; `headers` are all Authorization headers that came."""
    scheme, _, token = headers[0].partition(" ") if len(headers) == 1 else ("", "", "")
    session = users.sessions.authenticate(token.strip()) if scheme.lower() == "bearer" else None
    if session is None and not users.sessions.loaded:
        raise _unavailable()
    if session is None:
        raise told(errors.NotAuthorized())
    return session


def _unavailable() -> Refusal:
    sentence = "PostgreSQL is not there at the moment; trading with API keys goes on."
    return Refusal(503, -1001, sentence, retry_after_s=RETRY_AFTER_S)


def told(error: errors.UserError | Unavailable) -> Refusal:
    """How a refusal of the people side looks to a client."""
    if isinstance(error, Unavailable):
        return _unavailable()
    status, code = next(_PROBLEMS[kind] for kind in type(error).__mro__ if kind in _PROBLEMS)
    retry_after_s = math.ceil(error.retry_after_s) if isinstance(error, errors.Later) else 0
    return Refusal(status, code, error.detail, retry_after_s=retry_after_s)


C = TypeVar("C", bound=FormCall)


def tells(handler: Callable[[Venue, C], Awaitable[Reply]]) -> Callable[[Venue, C], Awaitable[Reply]]:
    """A handler whose refusals of the people side become those of the edge."""

    @functools.wraps(handler)
    async def telling(venue: Venue, call: C) -> Reply:
        try:
            return await handler(venue, call)
        except (errors.UserError, Unavailable) as error:
            raise told(error) from None

    return telling
