"""Revocation: at once, whatever is away or fails, and for good."""

from __future__ import annotations

import os
import pathlib

import pytest

from exchange.persistence.database import Database, Target, Unavailable
from exchange.persistence.embedded import EmbeddedPostgres
from exchange.settings import load
from exchange.users.keyring import RevocationUnrecorded
from exchange.users.keys import Key, Permission
from tests.users.databases import add_person, migrated, until
from tests.users.rings import ALICE, BOB, Process, execute, failing, names, rows

TRADES = (Permission.READ, Permission.TRADE)


async def test_revocation_counts_at_once_without_postgresql_and_after_restarts_without_and_with_it(
    tmp_path: pathlib.Path, path: pathlib.Path
) -> None:
    server = EmbeddedPostgres(tmp_path / "postgres", connections=20)
    server.start()
    async with migrated(Target.of(load({}, demo=True), server.folder)) as database:
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
        patched.setattr(os, "fsync", failing)
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
