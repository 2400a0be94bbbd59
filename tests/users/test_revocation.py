"""Revocation: at once, whatever is away or fails, and for good."""

from __future__ import annotations

import asyncio
import os
import pathlib
import threading

import pytest

from exchange.persistence.database import Database, Target, Unavailable
from exchange.persistence.embedded import EmbeddedPostgres
from exchange.settings import load
from exchange.users.keyring import Unrecorded
from exchange.users.keys import Key, KeyRefused
from tests.users.databases import add_person, migrated, until
from tests.users.rings import ALICE, BOB, Process, execute, failing, names, rows


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


async def test_keys_of_a_person_who_was_disabled_meanwhile_are_revoked_and_none_is_made(
    database: Database, path: pathlib.Path
) -> None:
    process = Process(path, database)
    key, _ = await process.ring.create(ALICE)
    kept, _ = await process.ring.create(BOB)
    await execute(database, "update exchange_user.users set status = 'disabled' where account = $1", ALICE)
    await process.ring.settle()
    assert process.ring.all() == [kept]
    assert (await rows(database))[key.api_key]["revoked_at"] is not None
    with pytest.raises(KeyRefused, match="or not any more"):
        await process.ring.create(ALICE)
    await process.end()


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
        with pytest.raises(Unrecorded, match="would count again"):
            await process.ring.revoke(second.api_key)
    assert process.ring.of(ALICE) == [third]
    await process.ring.revoke(third.api_key)
    await process.end()
    again = Process(path, None)
    assert again.ring.all() == []
    await again.end()


class SlowDisk:
    """An fsync that takes until it is let go."""

    def __init__(self) -> None:
        self.reached, self.goes_on = threading.Event(), threading.Event()

    def __call__(self, _file: int) -> None:
        self.reached.set()
        assert self.goes_on.wait(60)


async def test_revocation_on_a_full_disk_reaches_postgresql_that_has_just_come_back(
    database: Database, path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    process = Process(path, database)
    lost, _ = await process.ring.create(ALICE)
    await process.end()
    path.unlink()  # noqa: ASYNC240  # a test: now PostgreSQL has news for the local log
    process = Process(path, database)
    await process.ring.settle()
    key, _ = await process.ring.create(ALICE)
    await execute(database, "update exchange_user.api_keys set revoked_at = now() where api_key = $1", lost.api_key)
    await process.ring._compare_soon()
    monkeypatch.setattr(os, "fsync", failing)
    await process.ring.revoke(key.api_key)
    assert (await rows(database))[key.api_key]["revoked_at"] is not None
    assert process.ring.all() == []
    await process.end()


async def test_postgresql_that_comes_back_while_it_is_compared_is_compared_again(
    database: Database, path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    process = Process(path, database)
    await process.ring.create(ALICE)
    await process.end()
    path.unlink()  # noqa: ASYNC240  # a test
    process, disk = Process(path, database), SlowDisk()
    monkeypatch.setattr(os, "fsync", disk)
    settling = asyncio.create_task(process.ring.settle())
    await until(disk.reached.is_set)
    await execute(database, "update exchange_user.api_keys set revoked_at = now()")  # what an old backup says
    await process.ring._compare_soon()
    disk.goes_on.set()
    await settling
    await process.ring.settle()
    assert process.ring.all() == []
    await process.end()


async def test_key_that_is_being_made_is_revoked_with_all_others_of_its_account(
    database: Database, path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    process, disk = Process(path, database), SlowDisk()
    monkeypatch.setattr(os, "fsync", disk)
    making = asyncio.create_task(process.ring.create(ALICE))
    await until(disk.reached.is_set)
    revoking = asyncio.create_task(process.ring.revoke_all(ALICE))
    await asyncio.sleep(0)
    disk.goes_on.set()
    key, _ = await making
    assert names(*await revoking) == [key.api_key]
    assert process.ring.all() == []
    await process.end()
    again = Process(path, None)
    assert again.ring.all() == []
    await again.end()
