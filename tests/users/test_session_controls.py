"""Those who are logged in: the controls that the venue promises, one group of tests for each.

The order is that of the table: TOTP, recovery codes, sensitive changes, sessions. What comes before them there is in
the module test_login_controls.
"""

from __future__ import annotations

import asyncio

import pytest

from exchange.gateway.errors import Refusal
from exchange.gateway.forms import bearer_session
from exchange.users.errors import SecondFactorNeeded
from exchange.users.store import Person, by_email
from tests.users.databases import until
from tests.users.office import PASSWORD, Office, Somebody

pytestmark = pytest.mark.asyncio(loop_scope="module")
WRONG = "not this password"


# ---- TOTP ---------------------------------------------------------------------------------------------------------


async def _person(office: Office, somebody: Somebody) -> Person:
    async with office.connection() as connection:
        person = await by_email(connection, somebody.email)
    assert person is not None
    return person


async def test_totp_code_counts_once_of_fifty_at_the_same_time(office: Office) -> None:
    somebody = await office.somebody().arrive()
    await somebody.turn_on_second_factor()
    person, code = await _person(office, somebody), somebody.code()
    connections = [await office.database.target.connect("tests") for _ in range(50)]

    async def use(connection: object) -> bool:
        try:
            await office.users.second_factor.require(connection, person, code)
        except SecondFactorNeeded:
            return False
        return True

    assert sum(await asyncio.gather(*map(use, connections))) == 1
    await asyncio.gather(*(connection.close() for connection in connections))


async def test_totp_code_counts_once_over_http(office: Office) -> None:
    person = await office.somebody().arrive()
    await person.turn_on_second_factor()
    code, device = person.code(), person.device
    answers = await asyncio.gather(*(person.login(code=code, deviceToken=device) for _ in range(5)))
    assert sorted(answer.status for answer in answers) == [200, 401, 401, 401, 401]
    assert {answer.json["code"] for answer in answers if answer.status == 401} == {-2101}


@pytest.mark.parametrize(("steps", "counts"), [(-2, False), (-1, True), (0, True), (1, True), (2, False)])
async def test_totp_clock_of_the_person_may_be_one_step_off(office: Office, steps: int, counts: bool) -> None:
    person = await office.somebody().arrive()
    await person.turn_on_second_factor()
    async with office.connection() as connection:
        await connection.execute("update exchange_user.users set totp_last_step = 0 where email = $1", person.email)
    assert (await person.login(code=person.code(steps))).status == (200 if counts else 401)


async def test_totp_wrong_codes_are_throttled_like_passwords(office: Office) -> None:
    person = await office.somebody().arrive()
    await person.turn_on_second_factor()
    wrong = f"{(int(person.code()) + 1) % 1_000_000:06d}"
    answers = [await person.login(code=wrong) for _ in range(8)]
    assert [answer.status for answer in answers] == [401] * 6 + [429] * 2


async def test_totp_seed_lies_sealed_in_postgresql_and_opens_for_its_owner_only(office: Office) -> None:
    thief, owner = await office.somebody().arrive(), await office.somebody().arrive()
    for person in (thief, owner):
        await person.turn_on_second_factor()
    assert owner.seed.encode() not in (await owner.row())["totp_sealed"]
    async with office.connection() as connection:
        await connection.execute(
            "update exchange_user.users set totp_sealed = $1 where email = $2",
            (await thief.row())["totp_sealed"],
            owner.email,
        )
    owner.seed = thief.seed
    assert (await owner.login(code=owner.code())).status == 401


# ---- recovery codes -----------------------------------------------------------------------------------------------


async def test_recovery_codes_count_once_freeze_withdrawals_and_are_told(office: Office) -> None:
    person = await office.somebody().arrive()
    codes = await person.turn_on_second_factor()
    assert len(set(codes)) == 10
    assert await person.frozen()
    assert (await person.login(code=codes[0].lower())).status == 200
    assert await person.frozen()
    await office.letters.wait(person.email, "A recovery code was used")
    assert (await person.login(code=codes[0])).json["code"] == -2101
    assert (await person.login(code=codes[1])).status == 200


async def test_recovery_codes_count_once_when_used_at_the_same_time(office: Office) -> None:
    person = await office.somebody().arrive()
    code, device = (await person.turn_on_second_factor())[0], person.device
    answers = await asyncio.gather(*(person.login(code=code, deviceToken=device) for _ in range(5)))
    assert sorted(answer.status for answer in answers) == [200, 401, 401, 401, 401]


async def test_recovery_codes_are_stored_as_digests(office: Office) -> None:
    person = await office.somebody().arrive()
    codes = await person.turn_on_second_factor()
    async with office.connection() as connection:
        stored = await connection.fetch(
            "select digest from exchange_user.recovery_codes join exchange_user.users using (user_id) where email = $1",
            person.email,
        )
    assert len(stored) == 10
    assert all(len(row["digest"]) == 32 for row in stored)
    plain = {code.replace("-", "").encode() for code in codes}
    assert not plain & {row["digest"] for row in stored}


# ---- sensitive changes --------------------------------------------------------------------------------------------


async def test_sensitive_change_of_password_needs_it_again_is_told_freezes_and_ends_other_sessions(
    office: Office,
) -> None:
    person = await office.somebody().arrive()
    other = person.token
    await person.login()
    new = "a much newer password"
    refused = await person.send("POST", "/v1/user/password", password=WRONG, newPassword=new)
    assert (refused.status, refused.json["code"]) == (401, -1002)
    assert not await person.frozen()
    assert (await person.send("GET", "/v1/user", token=other)).status == 200
    assert (await person.send("POST", "/v1/user/password", password=PASSWORD, newPassword=new)).status == 200
    assert await person.frozen()
    await office.letters.wait(person.email, "Your password was changed")
    assert (await person.send("GET", "/v1/user", token=other)).status == 401
    assert (await person.send("GET", "/v1/user")).status == 200
    assert (await person.login()).status == 401
    assert (await person.login(new)).status == 200


async def test_sensitive_change_of_password_ends_logins_with_the_old_one_that_are_under_way(office: Office) -> None:
    person = await office.somebody().arrive()
    owner, device, new = person.token, person.device, "a much newer password"
    tokens: list[str] = []

    async def keep_on_logging_in() -> None:
        while (answer := await person.login(deviceToken=device)).status == 200:
            tokens.append(answer.json["token"])

    going_on = [asyncio.create_task(keep_on_logging_in()) for _ in range(3)]
    await until(lambda: len(tokens) >= 3)
    changed = await person.send("POST", "/v1/user/password", token=owner, password=PASSWORD, newPassword=new)
    assert changed.status == 200
    await asyncio.gather(*going_on)
    statuses = {(await person.send("GET", "/v1/user", token=token)).status for token in set(tokens) - {owner}}
    assert statuses == {401}
    assert (await person.send("GET", "/v1/user", token=owner)).status == 200


async def test_sensitive_change_by_reset_counts_once_is_told_freezes_and_ends_every_session(office: Office) -> None:
    person = await office.somebody().arrive()
    await person.send("POST", "/v1/user/password/reset", token="", email=person.email.upper())
    token = (await office.letters.wait(person.email, "Reset your password")).secret
    new = "a much newer password"
    path = "/v1/user/password/reset/confirm"
    form: dict[str, object] = {"token": token, "newPassword": new}
    headers = {"X-Forwarded-For": person.address}
    answers = await asyncio.gather(*(office.send("POST", path, form, headers) for _ in range(3)))
    assert sorted(answer.status for answer in answers) == [200, 400, 400]
    assert {answer.json.get("code") for answer in answers} == {None, -2102}
    assert await person.frozen()
    await office.letters.wait(person.email, "Your password was reset")
    assert (await person.send("GET", "/v1/user")).status == 401
    device = next(answer.json["deviceToken"] for answer in answers if answer.status == 200)
    assert (await person.login(new, deviceToken=device)).status == 200
    assert person.device == device


async def test_sensitive_change_of_the_second_factor_needs_password_and_code_is_told_and_freezes(
    office: Office,
) -> None:
    person = await office.somebody().arrive()
    assert (await person.send("POST", "/v1/user/totp", password=WRONG)).status == 401
    await person.turn_on_second_factor()
    assert await person.frozen()
    await office.letters.wait(person.email, "The second factor was turned on")
    assert (await person.send("POST", "/v1/user/totp", password=PASSWORD)).json["code"] == -2104
    wrong = await person.send("DELETE", "/v1/user/totp", password=PASSWORD, code="000000000")
    assert wrong.json["code"] == -2101
    assert (await person.send("DELETE", "/v1/user/totp", password=WRONG, code=person.code())).json["code"] == -1002
    assert not await person.frozen()
    assert (await person.send("DELETE", "/v1/user/totp", password=PASSWORD, code=person.code())).status == 200
    assert await person.frozen()
    await office.letters.wait(person.email, "The second factor was turned off")
    assert (await person.login()).status == 200


async def test_sensitive_change_new_api_key_needs_the_password_again_is_told_and_freezes(office: Office) -> None:
    person = await office.somebody().arrive()
    wrong = await person.send("POST", "/v1/user/keys", password=WRONG, label="mine", permissions="read")
    assert wrong.json["code"] == -1002
    for refused in ({"label": "x" * 65}, {"permissions": "withdraw"}, {"expiresAt": 0}, {"expiresAt": 2**63 - 2}):
        answer = await person.send("POST", "/v1/user/keys", password=PASSWORD, **refused)
        assert (answer.status, answer.json["code"] in (-1130, -1108)) == (400, True), answer
    assert not await person.frozen()
    made = await person.send("POST", "/v1/user/keys", password=PASSWORD, label="mine", permissions="read")
    assert made.status == 200, made
    assert await person.frozen()
    await office.letters.wait(person.email, "An API key was made")


async def test_sensitive_change_throttles_whoever_has_a_stolen_session(office: Office) -> None:
    person = await office.somebody().arrive()
    answers = [
        await person.send("POST", "/v1/user/password", password=WRONG, newPassword="a much newer password")
        for _ in range(8)
    ]
    assert [answer.status for answer in answers] == [401] * 6 + [429] * 2


# ---- sessions -----------------------------------------------------------------------------------------------------


async def test_sessions_are_256_random_bits_and_lie_in_postgresql_as_digests(office: Office) -> None:
    person = await office.somebody().arrive()
    assert len(person.token) == 43
    async with office.connection() as connection:
        rows = await connection.fetch("select s::text from exchange_user.sessions s")
        devices = await connection.fetch("select d::text from exchange_user.devices d")
    assert rows
    for secret in (person.token, person.device):
        assert not [row for row in (*rows, *devices) if secret in row[0] or secret.encode().hex() in row[0]]


async def test_sessions_that_are_refused_leave_nothing_in_memory(office: Office) -> None:
    refusals = []
    for _ in range(3):
        with pytest.raises(Refusal) as refused:
            bearer_session(office.users, ["Bearer nobodys"])
        refusals.append(len(refused.traceback))
    assert refusals == [refusals[0]] * 3  # an exception that is raised again keeps every frame of every request


async def test_sessions_count_with_exactly_one_bearer_header(office: Office) -> None:
    token = (await office.somebody().arrive()).token
    assert bearer_session(office.users, [f"bearer  {token}"]).name
    for headers in (
        [],
        [token],
        [f"Basic {token}"],
        ["Bearer"],
        ["Bearer "],
        [f"Bearer{token}"],
        [f"Bearer {token} {token}"],
        [f"Bearer {token}"] * 2,
        [f"Bearer {token}", f"Basic {token}"],
        ["Bearer " + "x" * 8000],
        ["Bearer \udce9"],
    ):
        with pytest.raises(Refusal) as refused:
            bearer_session(office.users, headers)
        assert (refused.value.status, refused.value.code) == (401, -1002), headers


async def test_sessions_are_new_at_every_login_whatever_the_client_brings(office: Office) -> None:
    person, thief = await office.somebody().arrive(), await office.somebody().arrive()
    first = person.token
    answer = await person.send("POST", "/v1/user/login", token=thief.token, email=person.email, password=PASSWORD)
    assert answer.json["token"] not in (first, thief.token)
    assert (await thief.send("GET", "/v1/user")).json["email"] == thief.email
    assert (await person.send("GET", "/v1/user", token="chosen-by-somebody-else")).status == 401


async def test_sessions_are_no_cookies_so_that_no_other_site_can_act_for_somebody(office: Office) -> None:
    person = await office.somebody().arrive()
    cookie = {"Cookie": f"token={person.token}; Authorization=Bearer {person.token}"}
    assert (await office.send("GET", "/v1/user", {}, cookie)).status == 401
    async with office.http.get(f"{office.url}/v1/user", headers={"Authorization": f"Bearer {person.token}"}) as answer:
        assert answer.status == 200
        assert "Set-Cookie" not in answer.headers
        assert "Access-Control-Allow-Origin" not in answer.headers


async def test_sessions_do_not_count_after_logout(office: Office) -> None:
    person = await office.somebody().arrive()
    other = person.token
    await person.login()
    assert (await person.send("POST", "/v1/user/logout")).status == 200
    assert (await person.send("GET", "/v1/user")).status == 401
    assert (await person.send("POST", "/v1/user/logout")).status == 401
    assert (await person.send("GET", "/v1/user", token=other)).status == 200


async def test_sessions_are_listed_and_ended_by_their_owner_only(office: Office) -> None:
    person, stranger = await office.somebody().arrive(), await office.somebody().arrive()
    await person.login()
    mine = (await person.send("GET", "/v1/user/sessions")).json
    assert [one["current"] for one in mine] == [False, True]
    name = mine[0]["sessionId"]
    assert (await stranger.send("DELETE", "/v1/user/sessions", sessionId=name)).json["code"] == -2103
    assert (await person.send("DELETE", "/v1/user/sessions", sessionId=name)).json == {"ended": 1}
    await person.login()
    assert (await person.send("DELETE", "/v1/user/sessions")).json == {"ended": 1}
    assert len((await person.send("GET", "/v1/user/sessions")).json) == 1


@pytest.mark.parametrize("ahead_s", [12 * 3600, 24 * 3600])
async def test_sessions_end_after_idle_time_and_after_their_whole_life(office: Office, ahead_s: float) -> None:
    person = await office.somebody().arrive()
    try:
        for hours in range(1, 24) if ahead_s == 24 * 3600 else ():  # in use all the time
            office.set_clock(hours * 3600)
            assert (await person.send("GET", "/v1/user/sessions")).status == 200
        office.set_clock(ahead_s - 60)
        if ahead_s == 24 * 3600:
            assert (await person.send("GET", "/v1/user")).status == 200
        office.set_clock(ahead_s + 1)
        assert (await person.send("GET", "/v1/user")).status == 401
    finally:
        office.set_clock(0.0)


async def test_sessions_of_one_person_are_at_most_twenty(office: Office) -> None:
    person = await office.somebody().arrive()
    first = person.token
    for _ in range(20):
        assert (await person.login(deviceToken=person.device)).status == 200
    assert len((await person.send("GET", "/v1/user/sessions")).json) == 20
    assert (await person.send("GET", "/v1/user", token=first)).status == 401
