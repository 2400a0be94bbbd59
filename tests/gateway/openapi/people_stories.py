"""Errors of people: what somebody has to have done, or who has to be away, before one of them comes."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import AsyncIterator, Callable

from exchange.gateway.address import parsed
from exchange.gateway.routes import Route
from exchange.users.errors import Busy, TooManyTries
from exchange.users.service import BACKGROUND_MAX
from exchange.users.signatures import signed_form
from exchange.users.throttle import OWNER, Key, by_address, by_text
from tests.gateway.openapi.stage import Answer, Stage, changed
from tests.users.office import PASSWORD, Somebody

Kinds = frozenset[tuple[int, int]]
Story = Callable[[Stage, Route, Kinds], AsyncIterator[Answer]]
WRONG = "not the password at all"


def _form(who: Somebody, password: str = PASSWORD) -> dict[str, str]:
    """Parameters of people, all that there are."""
    return {
        "email": who.email,
        "password": password,
        "newPassword": "another good password",
        "code": "000000",
        "token": "nobodys",
        "level": "1",
        "reference": "nobodys",
        "status": "approved",
        "apiKey": "nobodys",
        "sessionId": "nobodys",
    }


async def _ask(stage: Stage, route: Route, who: Somebody, password: str = PASSWORD, **changes: str) -> Answer:
    """A request of somebody with every parameter that must be there, and `changes`; earlier tries are forgotten."""
    stage.office.patience.now_s += 100_000
    return await _ask_again(stage, route, who, password, **changes)


async def _ask_again(stage: Stage, route: Route, who: Somebody, password: str = PASSWORD, **changes: str) -> Answer:
    needed = {field.name for field in route.fields if field.required} | changes.keys()
    form = {name: value for name, value in (_form(who, password) | changes).items() if name in needed}
    token = who.token or None
    return await stage.ask(route, form, token=token, headers={"X-Forwarded-For": who.address})


async def away(stage: Stage, route: Route, missing: Kinds) -> AsyncIterator[Answer]:
    """There is no database; there is a crowd."""
    who, users = stage.person, stage.office.users
    if (503, -1001) in missing:
        with changed(stage.venue, users=None):
            yield await _ask(stage, route, who)
            yield await _decide(stage, route, "nobodys")
    if (503, -1008) in missing:
        more = {"token": await _reset_token(stage, who)} if "token" in route.parameters else {}
        with contextlib.ExitStack() as crowd:
            with contextlib.suppress(Busy):
                while True:
                    crowd.enter_context(users.passwords.place(known_device=True))
            crowd.enter_context(changed(users, _background=set(range(BACKGROUND_MAX))))
            yield await _ask(stage, route, who, **more)


async def _reset_token(stage: Stage, who: Somebody) -> str:
    """What the letter holds that somebody gets who has forgotten the password."""
    await who.send("POST", "/v1/user/password/reset", email=who.email)
    return (await stage.office.letters.wait(who.email, "Reset your password")).secret


async def wrong(stage: Stage, route: Route, missing: Kinds) -> AsyncIterator[Answer]:
    """A wrong password, a code that is missing or wrong, names of nothing, a second factor that does not fit."""
    if not missing & {(400, -2102), (401, -1002), (401, -2101), (404, -2103), (409, -2104)}:
        return
    yield await _ask(stage, route, stage.person, WRONG)
    yield await _ask(stage, route, stage.guarded)
    if "totp" in route.path:
        yield await _ask(stage, route, stage.person)
        await stage.person.send("POST", "/v1/user/totp", password=PASSWORD)
        yield await _ask(stage, route, stage.person)


async def impatient(stage: Stage, route: Route, missing: Kinds) -> AsyncIterator[Answer]:
    """Tries without end, of the person and from the person's address."""
    if (429, -1003) not in missing:
        return
    who, users = stage.person, stage.office.users
    address, session = parsed(who.address), users.sessions.authenticate(who.token)
    assert address is not None
    assert session is not None
    keys: tuple[Key, ...] = (by_text(OWNER, str(session.user_id)), by_address(address)[0])
    for key in keys:
        with contextlib.suppress(TooManyTries):
            while True:
                users.throttle.enter([key])
    yield await _ask_again(stage, route, who)


async def of_checks(stage: Stage, route: Route, missing: Kinds) -> AsyncIterator[Answer]:
    """Identity checks that are under way, were decided, or can not be asked for."""
    who = stage.person
    if "kyc" not in route.path:
        return
    yield await _ask(stage, route, who)
    async with stage.office.connection() as connection:
        await connection.execute(
            "update exchange_user.users set kyc_status = 'pending', kyc_reference = $1 where email = $1", who.email
        )
    yield await _ask(stage, route, who)
    for status in ("approved", "rejected", "perhaps"):
        yield await _decide(stage, route, who.email, status)
    yield await _decide(stage, route, "nobodys")
    with changed(stage.venue, settings=dataclasses.replace(stage.venue.settings, kyc_provider="manual")):
        yield await _decide(stage, route, who.email)


async def _decide(stage: Stage, route: Route, reference: str, status: str = "approved") -> Answer:
    """A decision with a genuine signature."""
    fields = {"reference": reference, "level": 1, "status": status}
    return await stage.send(route, body=signed_form(stage.venue.settings.kyc_secret, fields))


async def full(stage: Stage, route: Route, missing: Kinds) -> AsyncIterator[Answer]:
    """The venue has no room for one more account."""
    if route.path.endswith("/register"):
        with changed(stage.office.users.registration, _highest=10**9):
            yield await _ask(stage, route, stage.office.somebody())


STORIES: tuple[Story, ...] = (away, wrong, of_checks, full, impatient)
