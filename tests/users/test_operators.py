"""What operators do to people: it holds at once, and it is written down."""

from __future__ import annotations

import json

import pytest

from exchange.users.errors import Conflict, NotAcceptable, NotFound
from exchange.users.keys import Permission
from tests.users.office import PASSWORD, Office, Somebody

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def audited(office: Office, somebody: Somebody) -> list[tuple[str, str]]:
    """(actor, action) of everything that was done to somebody."""
    async with office.connection() as connection:
        rows = await connection.fetch(
            "select actor, action, detail from exchange_admin.audit where subject = $1 order by audit_id",
            f"user {(await somebody.row())['user_id']}",
        )
    assert all(isinstance(json.loads(row["detail"]), dict) for row in rows)
    assert not any(PASSWORD in row["detail"] for row in rows)
    return [(row["actor"], row["action"]) for row in rows]


async def test_created_user_can_log_in_and_is_created_once(office: Office) -> None:
    person = office.somebody()
    made = await office.users.operators.create_user(person.email, PASSWORD, actor="carol")
    assert made.status == "active"
    assert (await person.login()).json["uid"] == made.account
    with pytest.raises(Conflict):
        await office.users.operators.create_user(person.email.upper(), PASSWORD, actor="carol")
    with pytest.raises(NotAcceptable):
        await office.users.operators.create_user("new@example.org", "short", actor="carol")
    assert await audited(office, person) == [("carol", "user create")]


async def test_disabled_user_has_no_session_login_key_or_reset_any_more(office: Office) -> None:
    person = await office.somebody().arrive()
    row = await person.row()
    await office.keys.create(row["account"], (Permission.READ,))
    await person.send("POST", "/v1/user/password/reset", token="", email=person.email)
    token = (await office.letters.wait(person.email, "Reset your password")).secret
    await office.users.operators.disable(row["user_id"], actor="carol")
    assert (await person.send("GET", "/v1/user")).status == 401
    assert (await person.login(deviceToken=person.device)).json["code"] == -1002
    assert office.keys.of(row["account"]) == []
    form: dict[str, object] = {"token": token, "newPassword": "a much newer password"}
    answer = await office.send("POST", "/v1/user/password/reset/confirm", form, {"X-Forwarded-For": person.address})
    assert answer.json["code"] == -2102
    await office.users.operators.disable(person.email, actor="carol")
    assert await audited(office, person) == [("carol", "user disable")] * 2
    assert (await person.row())["status"] == "disabled"


async def test_reset_of_the_second_factor_ends_sessions_freezes_and_is_told(office: Office) -> None:
    person = await office.somebody().arrive()
    codes = await person.turn_on_second_factor()
    assert await person.frozen()
    await office.users.operators.reset_2fa(person.email, actor="carol")
    assert await person.frozen()
    await office.letters.wait(person.email, "The operator turned your second factor off")
    assert (await person.send("GET", "/v1/user")).status == 401
    row = await person.row()
    assert (row["totp_enabled"], row["totp_sealed"]) == (False, None)
    assert (await person.login()).status == 200
    await person.turn_on_second_factor()
    assert (await person.login(code=codes[0])).json["code"] == -2101, "codes of the former seed are gone"
    assert await audited(office, person) == [("carol", "user reset-2fa")]


async def test_operator_acts_on_somebody_who_exists(office: Office) -> None:
    operators = office.users.operators
    for act in (operators.disable, operators.reset_2fa):
        with pytest.raises(NotFound):
            await act("nobody@example.org")
        with pytest.raises(NotFound):
            await act(10**9)
    with pytest.raises(NotAcceptable):
        await operators.set_kyc("nobody@example.org", 10, "approved")
