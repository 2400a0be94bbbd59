"""History is read after the reader's own writes, or it is refused with a reason; real pool, real server."""

from __future__ import annotations

import asyncio
import pathlib
from collections.abc import AsyncIterator

import pytest

from exchange.gateway.errors import Refusal
from exchange.gateway.history_reading import WAITING_EACH, History
from exchange.persistence.database import Connection, Database, Target
from exchange.persistence.watermark import Watermark
from exchange.settings import load
from tests.persistence.filling import REFERENCE

CONNECTIONS = 4
LONG_S, SHORT_S = 30.0, 0.02


@pytest.fixture
async def database(target: Target, connection: Connection, tmp_path: pathlib.Path) -> AsyncIterator[Database]:
    """A pool on a database whose projection has come to sequence 10."""
    await connection.execute(REFERENCE)
    await move(connection, 10)
    settings = load({"DB_MAX_OPEN_CONNS": str(CONNECTIONS)}, demo=True, data_dir=tmp_path)
    opened = Database(target, settings, "tests")
    assert await opened.start(LONG_S)
    yield opened
    await opened.stop()


async def move(connection: Connection, sequence: int) -> None:
    """What the projector does last in a batch."""
    await connection.execute("update exchange_order.projection set applied_sequence = $1", sequence)


async def now(connection: Connection) -> int:
    """A query that tells which projection it has seen."""
    return int(await connection.fetchval("select applied_sequence from exchange_order.projection"))


def standing_at(sequence: int) -> Watermark:
    """A watermark that says so."""
    watermark = Watermark(lambda: None)
    watermark.move(sequence)
    return watermark


async def refused(history: History, sequence: int) -> Refusal:
    """How a read ended that was not allowed."""
    with pytest.raises(Refusal) as caught:
        await history.read(sequence, now, is_public=True)
    refusal = caught.value
    assert (refusal.status, refusal.outcome, refusal.retry_after_s) == (503, "rejected", 1)
    return refusal


async def test_read_of_what_is_projected_names_its_sequence(database: Database) -> None:
    history = History(database, standing_at(10), LONG_S)
    assert await history.read(7, now, is_public=True) == (10, 10)


async def test_read_waits_for_the_projection_and_asks_for_it(database: Database, connection: Connection) -> None:
    asked = asyncio.Event()
    watermark = Watermark(asked.set)
    reading = asyncio.create_task(History(database, watermark, LONG_S).read(12, now, is_public=False))
    await asked.wait()
    assert not reading.done()
    await move(connection, 12)
    watermark.move(12)
    assert await reading == (12, 12)


async def test_read_ahead_of_the_watermark_is_behind(database: Database) -> None:
    refusal = await refused(History(database, standing_at(10), SHORT_S), 11)
    assert refusal.body() == {
        "code": -1001,
        "msg": "History has come to sequence 10 and not yet to 11; ask again.",
        "outcome": "rejected",
        "reason": "history_behind",
        "as_of_sequence": 10,
    }


async def test_watermark_ahead_of_a_restored_database_is_not_believed(database: Database) -> None:
    refusal = await refused(History(database, standing_at(99), LONG_S), 50)
    assert (refusal.reason, refusal.as_of_sequence) == ("history_behind", 10)


async def test_read_sees_one_moment_though_the_projection_moves_on(database: Database, connection: Connection) -> None:
    async def query(reader: Connection) -> list[int]:
        before = await now(reader)
        await move(connection, 11)
        return [before, await now(reader)]

    assert await History(database, standing_at(10), LONG_S).read(10, query, is_public=True) == ([10, 10], 10)


async def test_read_can_not_write(database: Database) -> None:
    async def query(reader: Connection) -> None:
        await move(reader, 1)

    with pytest.raises(Refusal) as caught:
        await History(database, standing_at(10), LONG_S).read(1, query, is_public=True)
    assert caught.value.reason == "history_unavailable"


async def test_without_a_database_history_is_unavailable() -> None:
    refusal = await refused(History(None, standing_at(5), LONG_S), 1)
    assert (refusal.code, refusal.reason, refusal.as_of_sequence) == (-1001, "history_unavailable", 5)
    assert refusal.msg == "There is no PostgreSQL here, and so no history."


async def test_server_that_goes_away_is_unavailable_without_waiting(database: Database, target: Target) -> None:
    history = History(database, standing_at(10), LONG_S)
    elsewhere = await target._replace(arguments=target.arguments | {"database": "postgres"}).connect("tests")
    name = target.arguments["database"]

    async def killed(reader: Connection) -> None:
        pid = await reader.fetchval("select pg_backend_pid()")
        await elsewhere.execute(f"alter database {name} with allow_connections false")
        await elsewhere.execute("select pg_terminate_backend($1)", pid)
        await now(reader)

    with pytest.raises(Refusal) as caught:
        await history.read(10, killed, is_public=True)
    assert caught.value.reason == "history_unavailable"
    assert not database.is_up
    refusal = await refused(history, 10_000)  # no wait for a projection that nobody can write
    assert (refusal.reason, refusal.as_of_sequence) == ("history_unavailable", 10)
    assert refusal.msg == "History is not available at the moment; trading goes on."
    await elsewhere.close()


async def test_statement_that_takes_too_long_is_unavailable_and_the_server_is_still_up(database: Database) -> None:
    async def slow(reader: Connection) -> None:
        await reader.execute("set local statement_timeout = 10")
        await reader.execute("select pg_sleep(60)")

    history = History(database, standing_at(10), LONG_S)
    with pytest.raises(Refusal) as caught:
        await history.read(10, slow, is_public=True)
    assert (caught.value.reason, caught.value.as_of_sequence) == ("history_unavailable", 10)
    assert database.is_up
    assert await history.read(10, now, is_public=True) == (10, 10)


async def test_public_readers_wait_in_a_short_line_and_owners_pass_them(database: Database) -> None:
    history = History(database, standing_at(10), LONG_S)
    go_on = asyncio.Event()

    async def hold(reader: Connection) -> int:
        await go_on.wait()
        return await now(reader)

    places = CONNECTIONS // 2
    line = [asyncio.create_task(history.read(10, hold, is_public=True)) for _ in range(places * (1 + WAITING_EACH))]
    await asyncio.sleep(0)
    refusal = await refused(history, 10)
    assert refusal.code == -1008
    assert await history.read(10, now, is_public=False) == (10, 10)
    go_on.set()
    assert await asyncio.gather(*line) == [(10, 10)] * len(line)


async def test_reader_waits_for_a_place_no_longer_than_for_the_projection(database: Database) -> None:
    history = History(database, standing_at(10), SHORT_S)
    go_on = asyncio.Event()

    async def hold(reader: Connection) -> None:
        await go_on.wait()

    holding = [asyncio.create_task(history.read(10, hold, is_public=True)) for _ in range(CONNECTIONS // 2)]
    await asyncio.sleep(0)
    assert (await refused(history, 10)).code == -1008
    go_on.set()
    await asyncio.gather(*holding)
