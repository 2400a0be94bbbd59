"""The key ring: memory, local log and PostgreSQL agree, whichever of them forgot, failed or was changed."""

from __future__ import annotations

import os
import pathlib
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from exchange.persistence.database import Database, Unavailable
from exchange.persistence.embedded import EmbeddedPostgres
from exchange.users import keys
from exchange.users.keyring import KEYS_PER_ACCOUNT_MAX, KeyRing, RevocationUnrecorded
from exchange.users.keys import DEMO_PREFIX, NEVER_US, Key, KeyKind, KeyRefused, KeysUnusable, Permission
from exchange.users.local_log import LocalLog
from exchange.users.sealing import Sealer
from tests.users.databases import add_person, new_database, until

ALICE, BOB, NOBODY = 16, 17, 99
MASTER_KEY = bytes(range(32))
TRADES = (Permission.READ, Permission.TRADE)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedPostgres]:
    """One server for the module."""
    running = EmbeddedPostgres(tmp_path_factory.mktemp("keyring") / "postgres", connections=20)
    running.start()
    yield running
    running.stop(10.0)


@pytest.fixture
async def database(server: EmbeddedPostgres) -> AsyncIterator[Database]:
    """A database in which alice, who uses a second factor, and bob are registered."""
    async with new_database(server) as made:
        async with made.connection() as connection:
            await add_person(connection, ALICE, totp=True)
            await add_person(connection, BOB)
        yield made


@pytest.fixture
def path(tmp_path: pathlib.Path) -> pathlib.Path:
    """Where the local log is."""
    return tmp_path / "keyring.jsonl"


class Process:
    """What one start of the exchange has: a local log and a ring on it."""

    def __init__(
        self, path: pathlib.Path, database: Database | None, *, demo: bool = False, master_key: bytes = MASTER_KEY
    ) -> None:
        self.log = LocalLog(path)
        self.log.load()
        self.ring = KeyRing(self.log, Sealer(master_key), database, demo=demo, unrestricted_key_ttl_s=3600.0)
        self.log.compact()

    async def end(self) -> None:
        """A graceful stop."""
        await self.ring.stop()
        self.log.close()


def names(*found: Key | None) -> list[str | None]:
    """What keys are called."""
    return [None if key is None else key.api_key for key in found]


async def rows(database: Database) -> dict[str, Any]:
    """exchange_user.api_keys by name."""
    async with database.connection() as connection:
        found = await connection.fetch("select * from exchange_user.api_keys")
    return {row["api_key"]: row for row in found}


async def execute(database: Database, statement: str, *arguments: object) -> None:
    """One statement by hand."""
    async with database.connection() as connection:
        await connection.execute(statement, *arguments)


# ---- made ------------------------------------------------------------------------------------------------------------


async def test_new_key_is_found_listed_and_kept_in_both_places_under_a_seal(
    database: Database, path: pathlib.Path
) -> None:
    process = Process(path, database)
    created = await process.ring.create(ALICE, TRADES, addresses=keys.networks(["10.0.0.0/8", "fd00::/8"]), label="b é")
    key = created.key
    assert process.ring.find(key.api_key) is key
    assert process.ring.of(ALICE) == [key]
    assert len(key.api_key) == len(created.secret) == 64
    assert key.secret == created.secret.encode()
    assert created.secret not in repr(key)
    assert created.secret not in path.read_text()  # noqa: ASYNC240  # a test
    row = (await rows(database))[key.api_key]
    assert key.secret not in row["sealed_secret"]
    assert row["addresses"] == ["10.0.0.0/8", "fd00::/8"]
    await process.end()
    again = Process(path, None)
    found = again.ring.find(key.api_key)
    assert found is not None
    assert (found.secret, found.permissions, found.addresses, found.label, found.created_us, found.until_us) == (
        *(key.secret, key.permissions, key.addresses, key.label, key.created_us),
        key.until_us,
    )
    await again.end()


async def test_ed25519_key_has_no_secret_here(database: Database, path: pathlib.Path) -> None:
    public = Ed25519PrivateKey.generate().public_key().public_bytes_raw()
    process = Process(path, database)
    key, secret = await process.ring.create(ALICE, public_key=public)
    assert (secret, key.secret, key.kind) == ("", b"", KeyKind.ED25519)
    assert (await rows(database))[key.api_key]["sealed_secret"] is None
    await process.end()
    again = Process(path, None)
    found = again.ring.find(key.api_key)
    assert found is not None
    assert found.public_key == public
    await again.end()


async def test_new_key_may_only_read_and_holds_withdrawals(database: Database, path: pathlib.Path) -> None:
    process = Process(path, database)
    key, _ = await process.ring.create(BOB)
    assert key.permissions == {Permission.READ}
    async with database.connection() as connection:
        frozen = await connection.fetch(
            "select account from exchange_user.users where withdrawals_frozen_until > now() + interval '23 hours'"
        )
    assert [row["account"] for row in frozen] == [BOB]
    await process.end()


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"account": NOBODY}, "no user with the account 99"),
        ({"permissions": []}, "must have a permission"),
        ({"permissions": [Permission.WITHDRAW], "totp_enabled": True}, "list of addresses"),
        ({"permissions": [Permission.WITHDRAW], "addresses": keys.networks(["10.0.0.1"])}, "two-factor"),
        ({"label": "x" * 65}, "label"),
        ({"label": "a\nb"}, "label"),
        ({"label": "\ud800"}, "label"),
        ({"expires_us": 1}, "expired already"),
        ({"public_key": b"short"}, "Ed25519"),
    ],
)
async def test_key_that_may_not_be_made_leaves_nothing_behind(
    database: Database, path: pathlib.Path, options: dict[str, Any], word: str
) -> None:
    process = Process(path, database)
    with pytest.raises(KeyRefused, match=word):
        await process.ring.create(**{"account": ALICE, **options})
    assert process.ring.all() == []
    assert await rows(database) == {}
    await process.end()
    assert path.read_bytes() == b""  # noqa: ASYNC240  # a test


async def test_account_has_a_limited_number_of_keys(database: Database, path: pathlib.Path) -> None:
    process = Process(path, database)
    for _ in range(KEYS_PER_ACCOUNT_MAX):
        await process.ring.create(ALICE)
    with pytest.raises(KeyRefused, match="at most 30"):
        await process.ring.create(ALICE)
    await process.ring.create(BOB)
    await process.ring.revoke(process.ring.of(ALICE)[0].api_key)
    await process.ring.create(ALICE)
    await process.end()


def test_name_of_a_key_that_is_no_demo_key_never_begins_like_one(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = iter([DEMO_PREFIX + "x" * 60, "y" * 64])
    monkeypatch.setattr(keys, "draw_secret", lambda: next(drawn))
    assert keys.draw_name() == "y" * 64


async def test_key_whose_record_could_not_be_written_never_counts(
    database: Database, path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    process = Process(path, database)
    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", _failing)
        with pytest.raises(OSError, match="Input/output"):
            await process.ring.create(ALICE)
    assert process.ring.all() == []
    await process.ring.settle()
    assert [row["revoked_at"] is None for row in (await rows(database)).values()] == [False]
    assert database.is_up
    await process.end()
    again = Process(path, database)
    await again.ring.settle()
    assert again.ring.all() == []
    await again.end()


def _failing(*_: object) -> None:
    raise OSError(5, "Input/output error")


# ---- revoked ---------------------------------------------------------------------------------------------------------


async def test_revocation_counts_at_once_without_postgresql_and_after_restarts_without_and_with_it(
    tmp_path: pathlib.Path, path: pathlib.Path
) -> None:
    server = EmbeddedPostgres(tmp_path / "postgres", connections=20)
    server.start()
    async with new_database(server) as database:
        await execute_person(database)
        process = Process(path, database)
        key, _ = await process.ring.create(ALICE)
        kept, _ = await process.ring.create(ALICE)
        ended: list[Key] = []
        process.ring.on_revoked(ended.append)

        server.stop(10.0)
        await until_down(database)
        assert await process.ring.revoke(key.api_key) is key
        assert ended == [key]
        assert names(process.ring.find(key.api_key), process.ring.find(kept.api_key)) == [None, kept.api_key]
        await process.end()

        process = Process(path, database)
        assert names(process.ring.find(key.api_key), process.ring.find(kept.api_key)) == [None, kept.api_key]
        await process.end()

        server.start()
        await until(lambda: database.is_up)
        assert (await rows(database))[key.api_key]["revoked_at"] is None
        process = Process(path, database)
        process.ring.step()
        await until(lambda: process.ring._settling is not None and process.ring._settling.done())
        assert process.ring.find(key.api_key) is None
        found = await rows(database)
        assert [found[name]["revoked_at"] is None for name in (key.api_key, kept.api_key)] == [False, True]
        await process.end()
    server.stop(10.0)


async def execute_person(database: Database) -> None:
    """Alice, alone."""
    async with database.connection() as connection:
        await add_person(connection, ALICE)


async def until_down(database: Database) -> None:
    """Return when the pool has noticed."""
    while database.is_up:
        try:
            await execute(database, "select 1")
        except Unavailable:
            return


async def test_revocation_while_postgresql_is_there_reaches_it_in_the_background(
    database: Database, path: pathlib.Path
) -> None:
    process = Process(path, database)
    key, _ = await process.ring.create(ALICE)
    await process.ring.settle()
    await process.ring.revoke(key.api_key)
    assert process.ring._settling is not None
    await process.ring._settling
    assert (await rows(database))[key.api_key]["revoked_at"] is not None
    assert await process.ring.revoke(key.api_key) is None
    await process.end()


async def test_every_key_of_an_account_is_revoked_and_nobody_elses(database: Database, path: pathlib.Path) -> None:
    process = Process(path, database)
    mine = [(await process.ring.create(ALICE)).key for _ in range(3)]
    other, _ = await process.ring.create(BOB)
    assert names(*await process.ring.revoke_all(ALICE)) == names(*mine)
    assert process.ring.all() == [other]
    await process.end()


async def test_key_that_was_revoked_in_postgresql_is_revoked_here_and_ends_what_is_open(
    database: Database, path: pathlib.Path
) -> None:
    process = Process(path, database)
    key, _ = await process.ring.create(ALICE)
    ended: list[Key] = []
    process.ring.on_revoked(ended.append)
    await execute(database, "update exchange_user.api_keys set revoked_at = now()")
    await process.ring.settle()
    assert (process.ring.find(key.api_key), ended) == (None, [key])
    await process.end()
    again = Process(path, None)
    assert again.ring.all() == []
    await again.end()


async def test_revocation_on_a_disk_that_fails_is_recorded_by_postgresql_or_is_an_error(
    database: Database, path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    process = Process(path, database)
    first, _ = await process.ring.create(ALICE)
    second, _ = await process.ring.create(ALICE)
    third, _ = await process.ring.create(ALICE)
    await process.ring.settle()
    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", _failing)
        await process.ring.revoke(first.api_key)
        assert (await rows(database))[first.api_key]["revoked_at"] is not None
        await database.stop()
        with pytest.raises(RevocationUnrecorded, match="would count again"):
            await process.ring.revoke(second.api_key)
    assert process.ring.of(ALICE) == [third]
    await process.ring.revoke(third.api_key)
    await process.end()
    again = Process(path, None)
    assert again.ring.all() == []
    await again.end()


# ---- forgotten, moved, sealed otherwise ------------------------------------------------------------------------------


async def test_key_that_only_postgresql_has_is_used_and_kept_here(database: Database, path: pathlib.Path) -> None:
    process = Process(path, database)
    key, _ = await process.ring.create(ALICE, TRADES, label="old")
    await process.end()
    path.unlink()  # noqa: ASYNC240  # a test
    process = Process(path, database)
    assert process.ring.find(key.api_key) is None
    await process.ring.settle()
    await process.end()
    again = Process(path, None)
    found = again.ring.find(key.api_key)
    assert found is not None
    assert (found.secret, found.label, found.created_us, found.expires_us) == (
        *(key.secret, "old", key.created_us),
        NEVER_US,
    )
    await again.end()


async def test_old_backup_of_postgresql_gets_its_keys_again_and_brings_no_revoked_one_back(
    database: Database, path: pathlib.Path
) -> None:
    process = Process(path, database)
    lost, _ = await process.ring.create(BOB)
    revoked, _ = await process.ring.create(ALICE)
    await process.ring.settle()
    await process.ring.revoke(revoked.api_key)
    await process.ring.settle()
    await execute(database, "delete from exchange_user.api_keys where api_key = $1", lost.api_key)
    await execute(database, "delete from exchange_user.users where account = $1", BOB)
    await execute(database, "update exchange_user.api_keys set revoked_at = null")
    await process.end()

    process = Process(path, database)
    await process.ring.settle()
    assert names(process.ring.find(lost.api_key), process.ring.find(revoked.api_key)) == [lost.api_key, None]
    found = await rows(database)
    assert list(found) == [revoked.api_key]
    assert found[revoked.api_key]["revoked_at"] is not None
    async with database.connection() as connection:
        await add_person(connection, BOB)
    await process.ring.settle()
    assert lost.api_key in await rows(database)
    await process.end()


@pytest.mark.parametrize("accounts", [(ALICE, ALICE), (ALICE, BOB)])
async def test_sealed_secret_that_was_swapped_between_rows_does_not_open(
    database: Database, path: pathlib.Path, accounts: tuple[int, int]
) -> None:
    process = Process(path, database)
    swapped = [(await process.ring.create(account)).key.api_key for account in accounts]
    whole, _ = await process.ring.create(ALICE)
    await process.end()
    await execute(
        database,
        "update exchange_user.api_keys a set sealed_secret = b.sealed_secret from exchange_user.api_keys b "
        "where a.api_key <> b.api_key and a.api_key = any($1) and b.api_key = any($1)",
        swapped,
    )
    path.unlink()  # noqa: ASYNC240  # a test
    process = Process(path, database)
    await process.ring.settle()
    assert names(*process.ring.all()) == [whole.api_key]
    await process.end()


async def test_key_whose_row_was_given_to_another_account_does_not_open(database: Database, path: pathlib.Path) -> None:
    process = Process(path, database)
    await process.ring.create(ALICE)
    await process.end()
    await execute(database, "update exchange_user.api_keys set account = $1", BOB)
    path.unlink()  # noqa: ASYNC240  # a test
    process = Process(path, database)
    await process.ring.settle()
    assert process.ring.all() == []
    await process.end()


async def test_another_master_key_is_refused_and_changes_nothing(path: pathlib.Path) -> None:
    process = Process(path, None)
    key, _ = await process.ring.create(ALICE)
    await process.end()
    before = path.read_bytes()  # noqa: ASYNC240  # a test
    with pytest.raises(KeysUnusable, match="another EXCHANGE_MASTER_KEY"):
        Process(path, None, master_key=bytes(32))
    assert path.read_bytes() == before  # noqa: ASYNC240  # a test
    again = Process(path, None)
    assert names(*again.ring.all()) == [key.api_key]
    await again.end()


async def test_demo_key_counts_in_demo_mode_only_and_is_not_forgotten(database: Database, path: pathlib.Path) -> None:
    process = Process(path, database, demo=True)
    key, _ = await process.ring.create_demo(ALICE, "alice")
    assert key.api_key.startswith("demoalice")
    await process.ring.settle()
    assert list(await rows(database)) == [key.api_key]
    await process.end()
    strict = Process(path, database, master_key=bytes(32))
    await strict.ring.settle()
    assert (strict.ring.all(), strict.ring.left_out) == ([], 1)
    await strict.end()
    demo = Process(path, database, demo=True)
    assert names(*demo.ring.all()) == [key.api_key]
    await demo.end()


async def test_nothing_can_be_made_while_postgresql_is_away_and_nothing_is_left_of_it(
    database: Database, path: pathlib.Path
) -> None:
    process = Process(path, database)
    await database.stop()
    with pytest.raises(Unavailable):
        await process.ring.create(ALICE)
    assert process.ring.all() == []
    await process.end()
    assert path.read_bytes() == b""  # noqa: ASYNC240  # a test


async def test_step_tries_again_after_a_pause(database: Database, path: pathlib.Path) -> None:
    process = Process(path, database, demo=True)
    key, _ = await process.ring.create_demo(NOBODY, "carol")
    process.ring.step()
    await until(lambda: process.ring._settling is not None and process.ring._settling.done())
    settled = process.ring._settling
    assert await rows(database) == {}
    async with database.connection() as connection:
        await add_person(connection, NOBODY)
    process.ring.step()
    assert process.ring._settling is settled
    process.ring._due_s = 0.0
    process.ring.step()
    await until(lambda: process.ring._settling is not None and process.ring._settling.done())
    assert list(await rows(database)) == [key.api_key]
    await process.end()
