"""Logging in: the controls that the venue promises, one group of tests for each.

Where each row of the checklist "login, 2FA, sessions" is shown:

    password hash         here
    isolation             here; workers that are killed or have no memory in test_passwords.py
    throttle              here; waits and memory in test_throttle.py
    enumeration           here, by the work that is done: a clock would judge the machine
    TOTP                  test_session_controls.py; after a restart in test_outage.py
    recovery codes        test_session_controls.py
    sensitive change      test_session_controls.py; a new address for withdrawals comes with the wallet
    sessions              test_session_controls.py; without PostgreSQL in test_outage.py
"""

from __future__ import annotations

import asyncio
import contextlib
import os

import argon2
import pytest

from exchange.users.passwords import WAITING_MAX, WORKERS
from tests.users.databases import until
from tests.users.office import PASSWORD, Answer, Office

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
    assert len(executor._processes) <= WORKERS <= 2


async def test_isolation_full_queue_refuses_with_retry_after_and_keeps_room_for_known_devices(office: Office) -> None:
    owner = await office.somebody().arrive()
    room = WORKERS + WAITING_MAX
    crowd = [office.somebody() for _ in range(room + 6)]
    logins = [asyncio.create_task(one.login(WRONG)) for one in crowd]
    await until(lambda: office.users.passwords.under_way >= room)
    assert (await owner.login(deviceToken=owner.device)).status == 200
    answers = await asyncio.gather(*logins)
    refused = [answer for answer in answers if answer.status == 503]
    assert {answer.status for answer in answers if answer not in refused} == {401}
    assert 6 <= len(refused) <= 7  # the owner may have come before one who was being looked up
    for answer in refused:
        assert answer.json["code"] == -1008
        assert answer.retry_after >= 1


async def test_isolation_full_queue_refuses_before_postgresql_is_asked_anything(office: Office) -> None:
    person = await office.somebody().arrive()
    with contextlib.ExitStack() as queue:
        for _ in range(WORKERS + WAITING_MAX):
            queue.enter_context(office.users.passwords.place(known_device=False))
        office.database.is_up = False
        try:
            answers = [await person.login(), await person.login(deviceToken=person.device)]
        finally:
            office.database.is_up = True
    assert [(answer.status, answer.json["code"]) for answer in answers] == [(503, -1008), (503, -1001)]
    assert (await person.login()).status == 200


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
