"""Migrations: each once, whole or not at all, and who may not use the database."""

from __future__ import annotations

import asyncio
import pathlib

import asyncpg
import pytest

from exchange.persistence import migrate as migrations
from exchange.persistence.database import Database, Target, Unavailable
from exchange.persistence.migrate import SchemaRefused, migrate
from exchange.settings import Settings


async def test_two_processes_that_migrate_at_once_apply_each_file_once(empty_target: Target) -> None:
    connections = [await empty_target.connect("test") for _ in range(4)]
    applied = await asyncio.gather(*(migrate(connection) for connection in connections))
    assert sorted(name for names in applied for name in names) == [path.name for path in migrations.files()]
    for connection in connections:
        await connection.close()


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        ("insert into public.exchange_migrations values ('9999_later.sql', 'x')", "newer than this build"),
        ("update public.exchange_migrations set sha256 = 'x' where name like '0002%'", "changed after it was applied"),
    ],
)
async def test_database_with_other_migrations_is_refused_with_a_sentence(
    empty_target: Target, settings: Settings, damage: str, words: str
) -> None:
    connection = await empty_target.connect("test")
    await migrate(connection)
    await connection.execute(damage)
    with pytest.raises(SchemaRefused, match=words):
        await migrate(connection)
    await connection.close()
    database = Database(empty_target, settings, "test")
    assert not await database.start(1.0)
    assert words in database.refused
    with pytest.raises(Unavailable, match=words):
        async with database.connection():
            pass
    await database.stop()


async def test_migration_that_fails_leaves_nothing_of_itself(
    empty_target: Target, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "0001_good.sql").write_text("create table good (one integer)")
    (tmp_path / "0002_bad.sql").write_text("create table bad (one integer); select no_such_column from good")
    monkeypatch.setattr(migrations, "FOLDER", tmp_path)
    connection = await empty_target.connect("test")
    with pytest.raises(asyncpg.UndefinedColumnError):
        await migrate(connection)
    assert await connection.fetchval("select to_regclass('good') is not null and to_regclass('bad') is null")
    assert await connection.fetchval("select count(*) from public.exchange_migrations") == 1
    await connection.close()


async def test_migration_may_take_longer_than_a_statement(
    empty_target: Target, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "0001_slow.sql").write_text("select pg_sleep(0.3); create table slow (one integer)")
    monkeypatch.setattr(migrations, "FOLDER", tmp_path)
    connection = await empty_target.connect("test", statement_ms=100)
    assert await migrate(connection) == ["0001_slow.sql"]
    with pytest.raises(asyncpg.QueryCanceledError):
        await connection.execute("select pg_sleep(0.3)")
    await connection.close()


async def test_server_that_is_too_old_is_refused_with_a_sentence(
    empty_target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migrations, "SERVER_MAJOR_MIN", 99)
    connection = await empty_target.connect("test")
    with pytest.raises(SchemaRefused, match=r"is PostgreSQL \d+; 99 or newer is needed"):
        await migrate(connection)
    await connection.close()
