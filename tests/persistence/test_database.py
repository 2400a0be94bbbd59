"""The pool: limits, ages, a server that goes and comes, and errors that are not the server's absence."""

from __future__ import annotations

import asyncio
import os
import pathlib
import random
import signal
from collections.abc import AsyncIterator, Callable, Iterator

import asyncpg
import pytest

from exchange.persistence import database as databases
from exchange.persistence.database import Database, Target, Unavailable
from exchange.persistence.embedded import PORT, EmbeddedPostgres
from exchange.persistence.sqlstate import passes
from exchange.persistence.witness import projected_sequence
from exchange.settings import Settings, load
from tests.persistence.chaos import Proxy


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedPostgres]:
    """One server for the module."""
    running = EmbeddedPostgres(tmp_path_factory.mktemp("database") / "postgres", connections=20)
    running.start()
    yield running
    running.stop(10.0)


@pytest.fixture
async def target(server: EmbeddedPostgres, request: pytest.FixtureRequest) -> AsyncIterator[Target]:
    """An empty database of its own."""
    root = Target.of(load({}, demo=True), server.folder)
    admin = await root.connect("test")
    name = f"db_{abs(hash(request.node.name)):x}"
    await admin.execute(f"create database {name}")
    await admin.close()
    yield Target({**root.arguments, "database": name}, name)
    admin = await root.connect("test")
    await admin.execute(f"drop database {name} with (force)")
    await admin.close()


def settings_with(**environ: str) -> Settings:
    """Demo settings."""
    return load(environ, demo=True)


async def until(condition: Callable[[], bool]) -> None:
    """Return when a condition holds."""
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110  # what it waits for has no event
            await asyncio.sleep(0.01)


async def use_until_it_breaks(database: Database, kill: Callable[[], None]) -> None:
    """Ask the server again and again after `kill`; raises what comes."""
    async with database.connection() as connection, asyncio.timeout(60):
        kill()
        while True:
            await connection.fetchval("select 1")


async def test_database_is_migrated_before_anybody_gets_a_connection(target: Target) -> None:
    database = Database(target, settings_with(), "test")
    calls: list[bool] = []

    async def came_up() -> None:
        calls.append(database.is_up)

    database.on_up(came_up)
    assert await database.start(30)
    async with database.connection() as connection:
        schemas = await connection.fetch("select nspname from pg_namespace where nspname like 'exchange%'")
    assert {row[0] for row in schemas} == {
        f"exchange_{name}" for name in ("user", "order", "clearing", "market", "admin", "wallet")
    }
    assert calls == [False]
    await database.stop()
    with pytest.raises(Unavailable):
        async with database.connection():
            pass


async def test_pool_opens_no_more_and_keeps_no_more_connections_than_allowed(target: Target) -> None:
    database = Database(target, settings_with(DB_MAX_OPEN_CONNS="3", DB_MAX_IDLE_CONNS="1"), "test pool")
    await database.start(30)
    counts, everybody = set(), asyncio.Barrier(3)

    async def use(first: bool) -> None:
        async with database.connection() as connection:
            if first:
                await everybody.wait()
            counts.add(await connection.fetchval(count))

    count = "select count(*) from pg_stat_activity where application_name = 'test pool'"
    await asyncio.gather(*(use(number < 3) for number in range(9)))
    assert max(counts) == 3
    async with asyncio.timeout(30):
        while True:
            async with database.connection() as connection:
                if await connection.fetchval(count) == 1:
                    break
    await database.stop()


async def test_connection_that_has_lived_long_enough_is_replaced(target: Target) -> None:
    database = Database(target, settings_with(DB_CONN_MAX_LIFETIME="1s"), "test")
    await database.start(30)
    async with database.connection() as connection:
        old = connection.get_server_pid()
    async with asyncio.timeout(30):
        while True:
            async with database.connection() as connection:
                if connection.get_server_pid() != old:
                    break
            await asyncio.sleep(0.05)
    await database.stop()


async def test_server_that_goes_is_refused_at_once_and_found_again(server: EmbeddedPostgres, target: Target) -> None:
    database = Database(target, settings_with(), "test")
    comebacks: list[str] = []

    async def came_up() -> None:
        comebacks.append("up")

    database.on_up(came_up)
    await database.start(30)
    with pytest.raises(Unavailable, match="PostgreSQL"):
        await use_until_it_breaks(database, lambda: os.kill(server.pid, signal.SIGQUIT))
    assert not database.is_up
    with pytest.raises(Unavailable, match="not reachable"):
        async with database.connection():
            pass
    await until(lambda: not server.pid)
    server.step()
    await until(lambda: database.is_up)
    async with database.connection() as connection:
        assert await connection.fetchval("select 1") == 1
    assert comebacks == ["up", "up"]
    await database.stop()


async def test_error_about_a_row_does_not_quote_it(server: EmbeddedPostgres, target: Target) -> None:
    """Neither in what our log would show of it, nor in the server's own log."""
    database = Database(target, settings_with(), "test")
    await database.start(30)
    with pytest.raises(asyncpg.CheckViolationError) as raised:
        async with database.connection() as connection:
            await connection.execute(
                "insert into exchange_user.users (account, email, password_hash, status) values ($1, $2, $3, $4)",
                *(16, "carol@example.com", "canary-of-a-hash", "no such status"),
            )
    assert "canary" not in str(raised.value)
    logged = (server.folder.parent / "postgres.log").read_text()
    assert "violates check constraint" in logged
    assert "canary" not in logged
    await database.stop()


async def test_error_of_our_own_is_not_taken_for_an_absent_server(target: Target) -> None:
    database = Database(target, settings_with(), "test")
    await database.start(30)
    with pytest.raises(asyncpg.UndefinedTableError):
        async with database.connection() as connection:
            await connection.execute("select * from no_such_table")
    assert database.is_up
    await database.stop()


async def test_want_of_a_free_connection_is_not_taken_for_an_absent_server(
    target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(databases, "FREE_S", 0.05)
    database = Database(target, settings_with(DB_MAX_OPEN_CONNS="1"), "test")
    await database.start(30)
    async with database.connection() as connection:
        with pytest.raises(Unavailable, match="in use"):
            async with database.connection():
                pass
        assert database.is_up
        assert await connection.fetchval("select 1") == 1
    async with database.connection() as connection:
        assert await connection.fetchval("select 1") == 1
    await database.stop()


@pytest.mark.parametrize(
    "statement",
    [
        "set statement_timeout = 1; select pg_sleep(60)",
        "do $$ begin raise exception using errcode = 'disk_full'; end $$",
        "do $$ begin raise exception using errcode = 'too_many_connections'; end $$",
        "do $$ begin raise exception using errcode = 'read_only_sql_transaction'; end $$",
    ],
)
async def test_server_that_refuses_is_not_taken_for_an_absent_one(target: Target, statement: str) -> None:
    database = Database(target, settings_with(), "test")
    await database.start(30)
    with pytest.raises(Unavailable):
        async with database.connection() as connection:
            await connection.execute(statement)
    assert database.is_up
    await database.stop()


@pytest.mark.parametrize("places", ["1", "2", "3"])
async def test_people_who_give_up_leave_every_place_free(target: Target, places: str) -> None:
    """Requests are cancelled while they wait, while they ask, and while they give back."""
    database = Database(target, settings_with(DB_MAX_OPEN_CONNS=places, DB_MAX_IDLE_CONNS="0"), "test")
    await database.start(30)
    chosen = random.Random(places)

    async def ask() -> None:
        async with database.connection() as connection, connection.transaction():
            await connection.fetchval("select pg_sleep(0.001)")

    for _ in range(40):
        tasks = [asyncio.create_task(ask()) for _ in range(8)]
        await asyncio.sleep(chosen.random() * 0.01)
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
    everybody = asyncio.Barrier(int(places))

    async def meet() -> None:
        async with database.connection() as connection:
            await everybody.wait()
            await connection.fetchval("select 1")

    await asyncio.gather(*(meet() for _ in range(int(places))))
    assert database.is_up
    await database.stop()


async def test_connections_that_the_network_lost_are_not_used_again(
    server: EmbeddedPostgres, target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server is reachable for whoever comes anew: one request finds out, and the ones after it are answered."""
    monkeypatch.setattr(databases, "STATEMENT_MS", 200)
    monkeypatch.setattr(databases, "CLOSE_S", 0.1)
    async with Proxy(server.folder / f".s.PGSQL.{PORT}") as proxy:
        through = target._replace(arguments=target.arguments | {"host": "127.0.0.1", "port": proxy.port, "ssl": False})
        database = Database(through, settings_with(), "test")
        await database.start(30)
        everybody = asyncio.Barrier(6)

        async def ask() -> None:
            async with database.connection() as connection:
                await everybody.wait()
                await connection.fetchval("select 1")

        await asyncio.gather(*(ask() for _ in range(6)))
        proxy.hang_all()
        with pytest.raises(Unavailable, match="no answer in time"):
            async with database.connection() as connection:
                await connection.fetchval("select 1")
        await until(lambda: database.is_up)
        for _ in range(2):
            await asyncio.gather(*(ask() for _ in range(6)))
        assert proxy.struck == 1
        await database.stop()


async def test_callback_that_fails_is_called_again(target: Target) -> None:
    database = Database(target, settings_with(), "test")
    calls: list[int] = []

    async def came_up() -> None:
        calls.append(len(calls))
        if len(calls) == 1:
            raise LookupError("the first time")

    database.on_up(came_up)
    assert await database.start(30)
    assert calls == [0, 1]
    await database.stop()


async def test_request_that_is_cut_off_by_the_stop_begins_no_search(
    target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(databases, "CLOSE_S", 0.1)
    database = Database(target, settings_with(), "test")
    await database.start(30)
    begun = asyncio.Event()

    async def ask() -> None:
        async with database.connection() as connection:
            begun.set()
            await connection.fetchval("select pg_sleep(60)")

    asking = asyncio.create_task(ask())
    await begun.wait()
    await database.stop()
    with pytest.raises(Unavailable):
        await asking
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_certificate_that_is_not_there_is_a_sentence(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    settings = settings_with(DB_HOST="127.0.0.1", DB_PORT="1", DB_SSL_MODE="verify-full")
    target = Target.of(settings, tmp_path)
    assert await projected_sequence(target, bytes(16)) == 0
    database = Database(target, settings, "test")
    assert not await database.start(1.0)
    await database.stop()
    assert "can not be used: root certificate file" in caplog.text
    assert "Traceback" not in caplog.text


@pytest.mark.parametrize(
    ("error", "is_passing"),
    [
        (asyncpg.DiskFullError("x"), True),
        (asyncpg.AdminShutdownError("x"), True),
        (asyncpg.ReadOnlySQLTransactionError("x"), True),
        (asyncpg.LockNotAvailableError("x"), True),
        (asyncpg.DeadlockDetectedError("x"), True),
        (asyncpg.QueryCanceledError("x"), True),
        (ConnectionResetError("x"), True),
        (TimeoutError(), True),
        (asyncpg.UniqueViolationError("x"), False),
        (asyncpg.CheckViolationError("x"), False),
        (asyncpg.NumericValueOutOfRangeError("x"), False),
        (asyncpg.UndefinedTableError("x"), False),
        (ValueError("x"), False),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else str(value),
)
def test_errors_that_pass_are_those_of_the_server_and_not_of_the_data(error: Exception, is_passing: bool) -> None:
    assert passes(error) is is_passing
