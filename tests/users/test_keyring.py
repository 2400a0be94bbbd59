"""The key ring: memory, local log and PostgreSQL agree, whichever of them forgot, failed or was changed."""

from __future__ import annotations

import os
import pathlib
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from exchange.persistence.database import Database, Unavailable
from exchange.users import keys
from exchange.users.keyring import KEYS_PER_ACCOUNT_MAX, Unrecorded
from exchange.users.keys import (
    DEMO_PREFIX,
    EXPIRY_MAX_US,
    NEVER_US,
    Key,
    KeyKind,
    KeyRefused,
    KeysUnusable,
    Permission,
    Scheme,
)
from exchange.users.local_log import LocalLog
from tests.users.databases import add_person, until
from tests.users.rings import ALICE, BOB, NOBODY, Process, execute, failing, names, rows

TRADES = (Permission.READ, Permission.TRADE)


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


@pytest.mark.parametrize("scheme", list(Scheme))
async def test_scheme_is_kept_in_log_and_database_and_comes_back_from_either(
    database: Database, path: pathlib.Path, scheme: Scheme
) -> None:
    process = Process(path, database)
    key, _ = await process.ring.create(ALICE, scheme=scheme)
    assert key.scheme is scheme
    assert (await rows(database))[key.api_key]["scheme"] == scheme
    await process.end()
    await execute(database, "delete from exchange_user.api_keys")
    from_log = Process(path, database)
    await from_log.ring.settle()
    assert (await rows(database))[key.api_key]["scheme"] == scheme
    await from_log.end()
    path.unlink()  # noqa: ASYNC240  # a test
    from_database = Process(path, database)
    await from_database.ring.settle()
    found = from_database.ring.find(key.api_key)
    assert found is not None
    assert found.scheme is scheme
    await from_database.end()


async def test_symbols_are_kept_in_log_and_database_and_come_back_from_either(
    database: Database, path: pathlib.Path
) -> None:
    process = Process(path, database)
    key, _ = await process.ring.create(ALICE, symbols=["BTC_USDT", "ETH_USDT"])
    free, _ = await process.ring.create(ALICE)
    assert (await rows(database))[key.api_key]["symbols"] == ["BTC_USDT", "ETH_USDT"]
    await process.end()
    for lost in ("database", "log"):
        if lost == "database":
            await execute(database, "delete from exchange_user.api_keys")
        else:
            path.unlink()  # noqa: ASYNC240  # a test
        again = Process(path, database)
        await again.ring.settle()
        found, unbound = again.ring.find(key.api_key), again.ring.find(free.api_key)
        assert found is not None
        assert unbound is not None
        assert (found.may_trade("BTC_USDT"), found.may_trade("ETH_BTC")) == (True, False)
        assert unbound.may_trade("ETH_BTC")
        await again.end()


async def test_key_that_its_guard_refuses_is_not_made(database: Database, path: pathlib.Path) -> None:
    process = Process(path, database)

    async def refuse(key: Key) -> None:
        assert key.number
        raise KeyRefused("The engine says no.")

    with pytest.raises(KeyRefused, match="says no"):
        await process.ring.create(ALICE, before=refuse)
    assert process.ring.of(ALICE) == []
    assert await rows(database) == {}
    await process.end()


async def test_keys_from_before_there_were_schemes_are_plain(database: Database, path: pathlib.Path) -> None:
    process = Process(path, database)
    key, _ = await process.ring.create(ALICE)
    await process.end()
    log = LocalLog(path)
    log.load()
    (record,) = log.take(("key",), list)
    assert record.pop("scheme") == "plain"
    log.compact()
    await log.append(record)
    log.close()
    await execute(database, "delete from exchange_user.api_keys")
    again = Process(path, database)
    found = again.ring.find(key.api_key)
    assert found is not None
    assert found.scheme is Scheme.PLAIN
    await again.ring.settle()
    assert (await rows(database))[key.api_key]["scheme"] == "plain"
    await again.end()


async def test_record_of_a_scheme_that_is_not_known_is_not_used(database: Database, path: pathlib.Path) -> None:
    process = Process(path, database)
    await process.ring.create(ALICE)
    await process.end()
    log = LocalLog(path)
    log.load()
    (record,) = log.take(("key",), list)
    log.compact()
    await log.append(record | {"scheme": "other"})
    log.close()
    with pytest.raises(KeysUnusable, match="can not be used"):
        Process(path, None)


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
        ({"expires_us": EXPIRY_MAX_US + 1}, "9999"),
        ({"expires_us": NEVER_US - 1}, "9999"),
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
        patched.setattr(os, "fsync", failing)
        with pytest.raises(Unrecorded, match="was not made"):
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
