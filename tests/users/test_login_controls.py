"""Login, second factor and sessions: the controls that the venue promises, one group of tests for each.

The order is that of the table: password hash, isolation, throttle, enumeration, TOTP, recovery codes, sensitive
changes, sessions.
"""

from __future__ import annotations

import asyncio
import os

import argon2
import pytest

from exchange.users.errors import SecondFactorNeeded
from exchange.users.store import Person, by_email
from tests.users.databases import until
from tests.users.office import PASSWORD, Answer, Office, Somebody

pytestmark = pytest.mark.asyncio(loop_scope="module")
WRONG = "not this password"


# ---- password hash ------------------------------------------------------------------------------------------------


async def test_password_hash_is_argon2id_with_64_mib_and_3_passes(office: Office) -> None:
    person = await office.somebody().arrive()
    encoded = (await person.row())["password_hash"]
    costs = argon2.extract_parameters(encoded)
    assert costs.type is argon2.low_level.Type.ID
    assert (costs.memory_cost, costs.time_cost, costs.parallelism) == (64 * 1024, 3, 1)


async def test_password_hash_with_old_costs_is_renewed_at_login(office: Office) -> None:
    person = await office.somebody().arrive()
    old = argon2.PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1).hash(PASSWORD)
    async with office.connection() as connection:
        await connection.execute(
            "update exchange_user.users set password_hash = $1 where email = $2", old, person.email
        )
    assert (await person.login(WRONG)).status == 401
    assert (await person.row())["password_hash"] == old
    assert (await person.login()).status == 200
    new = (await person.row())["password_hash"]
    assert argon2.extract_parameters(new).memory_cost == 64 * 1024
    assert (await person.login()).status == 200
    assert (await person.row())["password_hash"] == new


@pytest.mark.parametrize("password", ["short", "x" * 129, "password", "aaaaaaaaaaaa", "{email}", "PassWord123"])
async def test_password_that_anybody_would_guess_is_refused(office: Office, password: str) -> None:
    person = office.somebody()
    answer = await person.register(password.format(email=person.email))
    assert (answer.status, answer.json["code"]) == (400, -1130)


# ---- isolation ----------------------------------------------------------------------------------------------------


async def test_isolation_hashing_happens_in_at_most_two_other_processes_of_low_priority(office: Office) -> None:
    executor = office.users.passwords._executor
    assert executor is not None
    loop = asyncio.get_running_loop()
    assert os.getpid() not in await asyncio.gather(*(loop.run_in_executor(executor, os.getpid) for _ in range(20)))
    assert set(await asyncio.gather(*(loop.run_in_executor(executor, os.nice, 0) for _ in range(20)))) == {
        min(os.nice(0) + 10, 19)
    }
    assert len(executor._processes) <= 2


async def test_isolation_full_queue_refuses_with_retry_after_and_keeps_room_for_known_devices(office: Office) -> None:
    owner = await office.somebody().arrive()
    crowd = [office.somebody() for _ in range(40)]
    logins = [asyncio.create_task(one.login(WRONG)) for one in crowd]
    await until(lambda: office.users.passwords.under_way >= 34)
    assert (await owner.login(deviceToken=owner.device)).status == 200
    answers = await asyncio.gather(*logins)
    refused = [answer for answer in answers if answer.status == 503]
    assert [answer.status for answer in answers if answer not in refused] == [401] * 34
    assert len(refused) == 6
    for answer in refused:
        assert answer.json["code"] == -1008
        assert answer.retry_after >= 1


# ---- throttle -----------------------------------------------------------------------------------------------------


async def test_throttle_makes_a_brute_force_script_wait_and_not_the_owner_who_comes_from_a_known_device(
    office: Office,
) -> None:
    owner = await office.somebody().arrive()
    await owner.turn_on_second_factor()
    thief = office.somebody()
    thief.email = owner.email
    answers = [await thief.login(f"{WRONG} {number}") for number in range(8)]
    assert [answer.status for answer in answers] == [401] * 6 + [429] * 2
    assert (answers[-1].json["code"], answers[-1].retry_after) == (-1003, 1)
    assert (await owner.login(code=owner.code())).status == 429, "without the device nobody knows who it is"
    assert (await owner.login(code=owner.code(), deviceToken=owner.device)).status == 200
    office.patience.now_s += 1.0  # waiting is enough, and the next wait is longer
    assert [(await thief.login(WRONG)).status for _ in range(2)] == [401, 429]
    assert (await thief.login(WRONG)).retry_after == 2


async def test_throttle_slows_one_account_tried_from_many_addresses(office: Office) -> None:
    owner = await office.somebody().arrive()
    thieves = [office.somebody() for _ in range(8)]
    for thief in thieves:
        thief.email = owner.email
    answers = [await thief.login(WRONG) for thief in thieves]
    assert [answer.status for answer in answers] == [401] * 6 + [429] * 2


async def test_throttle_slows_one_address_that_tries_many_accounts(office: Office) -> None:
    thief = office.somebody()
    statuses = []
    for victim in (office.somebody() for _ in range(23)):
        thief.email = victim.email
        statuses.append((await thief.login(WRONG)).status)
    assert statuses[:21] == [401] * 21
    assert 429 in statuses[21:]


async def test_throttle_counts_tries_that_are_under_way(office: Office) -> None:
    owner = await office.somebody().arrive()
    answers = await asyncio.gather(*(owner.login(WRONG) for _ in range(20)))
    assert sorted(answer.status for answer in answers) == [401] * 6 + [429] * 14


async def test_throttle_is_the_same_for_known_and_unknown_people(office: Office) -> None:
    known, unknown = await office.somebody().arrive(), office.somebody()
    tries = [[await one.login(WRONG) for _ in range(8)] for one in (known, unknown)]
    assert [(one.status, one.json) for one in tries[0]] == [(one.status, one.json) for one in tries[1]]


# ---- enumeration --------------------------------------------------------------------------------------------------


async def _work(office: Office, answer: object) -> tuple[object, int]:
    """An awaited answer, and how many hashes it took."""
    before = office.users.passwords.done
    return await answer, office.users.passwords.done - before  # type: ignore[misc]  # an Awaitable


async def test_enumeration_login_answers_and_works_the_same_for_nobody_a_wrong_password_and_the_disabled(
    office: Office,
) -> None:
    known, disabled, unknown = await office.somebody().arrive(), await office.somebody().arrive(), office.somebody()
    malformed = office.somebody()
    malformed.email = "no email"
    await office.users.operators.disable(disabled.email)
    outcomes = [
        await _work(office, known.login(WRONG)),
        await _work(office, unknown.login(WRONG)),
        await _work(office, malformed.login(WRONG)),
        await _work(office, disabled.login(WRONG)),
        await _work(office, disabled.login()),
    ]
    assert outcomes == [(Answer(401, outcomes[0][0].json, 0), 1)] * 5  # type: ignore[attr-defined]  # an Answer


async def test_enumeration_signup_answers_and_works_the_same_for_a_new_and_a_registered_email(office: Office) -> None:
    known = await office.somebody().arrive()
    again, new = (
        await _work(office, known.register("another password")),
        await _work(office, office.somebody().register()),
    )
    assert again == new == (Answer(202, {"status": "registered"}, 0), 1)
    await office.letters.wait(known.email, "You have an account already")
    assert (await known.login("another password")).status == 401
    assert (await known.login()).status == 200


async def test_enumeration_reset_answers_the_same_for_a_known_and_an_unknown_email(office: Office) -> None:
    known, unknown = await office.somebody().arrive(), office.somebody()
    answers = [await one.send("POST", "/v1/user/password/reset", token="", email=one.email) for one in (known, unknown)]
    assert answers == [Answer(202, {"status": "sent"}, 0)] * 2
    await office.letters.wait(known.email, "Reset your password")
    assert office.letters.to(unknown.email) == []


async def test_enumeration_second_factor_is_told_after_the_right_password_only(office: Office) -> None:
    person = await office.somebody().arrive()
    await person.turn_on_second_factor()
    assert [(await person.login(one)).json["code"] for one in (WRONG, PASSWORD)] == [-1002, -2101]


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
