"""People and engine accounts: neither without the other, and no account id twice, whatever was lost on the way."""

from __future__ import annotations

import asyncio
import itertools
from typing import Any

import pytest

from exchange.core import readers
from exchange.core.codes import CommandKind
from exchange.persistence.embedded import EmbeddedPostgres
from exchange.users import registration, service
from exchange.users.errors import NotAcceptable
from exchange.users.store import normalized_email
from tests.disruptor.running import command
from tests.users.databases import migrated, until
from tests.users.office import PASSWORD, Office, Somebody, new_target, settled

pytestmark = pytest.mark.asyncio(loop_scope="module")
_emails = itertools.count(1)


def accounts(office: Office) -> list[int]:
    """Those that the engine has."""
    return office.pipeline.read(readers.accounts)[0]


async def add_row(office: Office, account: int, status: str = "pending") -> None:
    """A row as a registration leaves it."""
    async with office.connection() as connection:
        await connection.execute(
            "insert into exchange_user.users (account, email, password_hash, status) values ($1, $2, 'none', $3)",
            account,
            f"row{next(_emails)}@example.org",
            status,
        )


async def row_of(office: Office, account: int) -> Any:
    """The row of an account."""
    async with office.connection() as connection:
        return await connection.fetchrow("select * from exchange_user.users where account = $1", account)


async def open_in_engine(office: Office, account: int) -> None:
    """An account that no row knows of."""
    await office.pipeline.submit(
        [command(CommandKind.OPEN_ACCOUNT, account=account, maker_fee_ppm=-1, taker_fee_ppm=-1)]
    )[0]


async def test_registration_opens_the_account_through_the_log(office: Office) -> None:
    person = office.somebody()
    before = office.pipeline.last_sequence
    await person.register()
    login = await person.login()
    assert login.json["uid"] in accounts(office)
    assert office.pipeline.last_sequence > before
    row = await person.row()
    assert (row["account"], row["status"]) == (login.json["uid"], "active")
    assert (await person.send("GET", "/v1/user")).json["email"] == person.email


async def test_registration_is_finished_without_a_login_too(office: Office) -> None:
    person = office.somebody()
    await person.register()
    account = (await person.row())["account"]
    await until(lambda: account in accounts(office))


async def test_parallel_registrations_get_accounts_of_their_own_and_one_row_an_email(office: Office) -> None:
    people = [office.somebody() for _ in range(10)]
    twins = [Somebody(office) for _ in range(5)]
    for twin in twins:
        twin.email = people[0].email
    answers = await asyncio.gather(*(one.register() for one in (*people, *twins)))
    assert [answer.status for answer in answers] == [202] * 15
    rows = [await one.row() for one in people]
    assert len({row["account"] for row in rows}) == 10
    async with office.connection() as connection:
        count = await connection.fetchval("select count(*) from exchange_user.users where email = $1", people[0].email)
    assert count == 1


async def test_row_that_was_left_pending_is_finished_when_postgresql_comes_up(office: Office) -> None:
    highest = max(accounts(office), default=15)
    await add_row(office, highest + 1)  # the process ended before the command
    await open_in_engine(office, highest + 2)  # and here after it
    await add_row(office, highest + 2)
    await office.users.settle()
    for account in (highest + 1, highest + 2):
        assert account in accounts(office)
        assert (await row_of(office, account))["status"] == "active"


async def test_row_that_was_left_pending_is_finished_though_something_unexpected_came_between(
    office: Office, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(service, "SWEEP_S", 0.05)
    account = max(accounts(office), default=15) + 1
    await add_row(office, account)
    async with office.connection() as connection:
        await connection.execute("alter table exchange_user.sessions rename to elsewhere")
        await office.users.on_database_up()
        await until(lambda: "could not be looked after" in caplog.text)
        await connection.execute("alter table exchange_user.elsewhere rename to sessions")
    await until(lambda: account in accounts(office))
    await settled(office)


async def test_account_without_a_row_is_noted_as_orphaned_and_never_given_again(office: Office) -> None:
    orphan = max(accounts(office), default=15) + 5
    await open_in_engine(office, orphan)
    await office.users.settle()
    assert (await row_of(office, orphan))["status"] == "orphaned"
    person = await office.somebody().arrive()
    assert (await person.row())["account"] == orphan + 1


async def test_account_of_a_person_whom_an_old_backup_forgot_is_not_given_to_somebody_else(office: Office) -> None:
    forgotten = await office.somebody().arrive()
    account = (await forgotten.row())["account"]
    async with office.connection() as connection:
        for table in ("sessions", "devices"):
            await connection.execute(
                f"delete from exchange_user.{table} t using exchange_user.users u "
                "where t.user_id = u.user_id and email = $1",
                forgotten.email,
            )
        await connection.execute("delete from exchange_user.users where email = $1", forgotten.email)
    await office.users.settle()
    assert (await row_of(office, account))["status"] == "orphaned"
    assert (await forgotten.send("GET", "/v1/user")).status == 401
    person = await office.somebody().arrive()
    assert (await person.row())["account"] == account + 1
    assert (await forgotten.arrive()).token


async def test_account_that_the_engine_lost_is_opened_again(office: Office) -> None:
    account = max(accounts(office), default=15) + 1
    await add_row(office, account, "active")
    await office.users.settle()
    assert account in accounts(office)


async def test_journal_holds_nothing_personal(office: Office) -> None:
    person = await office.somebody().arrive()
    journals = [path.read_bytes() for path in office.settings.data_dir.rglob("*.journal")]
    assert journals
    for secret in (person.email, PASSWORD, person.token):
        assert not any(secret.encode() in journal for journal in journals)


@pytest.mark.parametrize(
    "email",
    ["", "a", "a@b", "a b@example.org", "a@exa mple.org", "@example.org", f"{'x' * 65}@example.org", "a@b@c.org"],
)
async def test_malformed_email_is_refused(office: Office, email: str) -> None:
    person = office.somebody()
    person.email = email
    answer = await person.register()
    assert (answer.status, answer.json["code"]) == (400, -1105 if not email else -1130)


@pytest.mark.parametrize("local", ["\x9b2J", "a\u2028b", "a\xa0b"])
async def test_email_has_no_character_that_a_log_or_a_letter_would_obey(local: str) -> None:
    with pytest.raises(NotAcceptable):
        normalized_email(f"{local}@example.org")


@pytest.mark.parametrize("local", ["carol", "ÉMILIE", "\u0130", "\u1e9e", "\U00010d50", "\ua7da"])
async def test_email_that_counts_here_counts_in_a_database_that_knows_other_capitals(
    people_server: EmbeddedPostgres, local: str
) -> None:
    unicode = "template template0 encoding 'UTF8' locale_provider builtin builtin_locale 'C.UTF-8'"
    async with (
        new_target(people_server, unicode) as target,
        migrated(target) as database,
        database.connection() as connection,
    ):
        for number in range(2):
            row = await connection.fetchrow(registration._INSERT, 16, normalized_email(f"{local}@a.org"), "none")
            assert row["is_new"] == (number == 0)


async def test_secret_in_the_address_is_refused(office: Office) -> None:
    person = office.somebody()
    path = f"/v1/user/login?email={person.email}&password={PASSWORD.replace(' ', '+')}"
    answer = await person.send("POST", path)
    assert (answer.status, answer.json["code"]) == (400, -1101)
