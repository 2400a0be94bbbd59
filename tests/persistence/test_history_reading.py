"""History is read after the reader's own writes, or it is refused with a reason; real pool, real server."""

from __future__ import annotations

import asyncio
import collections
import contextlib
import itertools
import os
import pathlib
import signal
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from exchange.gateway import history_reading
from exchange.gateway.errors import Refusal
from exchange.gateway.history_reading import WAITING_EACH, History, Query
from exchange.gateway.turns import TURN_PARTS
from exchange.persistence.database import STATEMENT_MS, Connection, Database, Target
from exchange.persistence.watermark import Watermark
from exchange.settings import load
from tests.persistence.filling import REFERENCE

CONNECTIONS = 4
LONG_S, PLACE_S, SHORT_S = 30.0, 1.0, 0.02


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


async def read(history: History, sequence: int, query: Query[Any] = now, *, is_public: bool = True) -> tuple[Any, int]:
    """What the query found, as it is."""
    (found,), at = await history.read(sequence, query, lambda found: iter((found,)), is_public=is_public)
    return found, at


async def refused(history: History, sequence: int, query: Query[Any] = now) -> Refusal:
    """How a read ended that was not allowed."""
    with pytest.raises(Refusal) as caught:
        await read(history, sequence, query)
    refusal = caught.value
    assert (refusal.status, refusal.outcome, refusal.retry_after_s) == (503, "rejected", 1)
    return refusal


async def test_read_of_what_is_projected_names_its_sequence(database: Database) -> None:
    history = History(database, standing_at(10), LONG_S)
    assert await read(history, 7) == (10, 10)


async def test_read_waits_for_the_projection_and_asks_for_it(database: Database, connection: Connection) -> None:
    asked = asyncio.Event()
    watermark = Watermark(asked.set)
    reading = asyncio.create_task(read(History(database, watermark, LONG_S), 12, now, is_public=False))
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


async def test_projection_that_the_watermark_does_not_know_is_not_believed(database: Database) -> None:
    """It is another venue's: its projector is refused, and says nothing."""
    refusal = await refused(History(database, standing_at(5), SHORT_S), 8)
    assert (refusal.reason, refusal.as_of_sequence) == ("history_behind", 5)


async def test_read_sees_one_moment_though_the_projection_moves_on(database: Database, connection: Connection) -> None:
    async def query(reader: Connection) -> list[int]:
        before = await now(reader)
        await move(connection, 11)
        return [before, await now(reader)]

    assert await read(History(database, standing_at(10), LONG_S), 10, query) == ([10, 10], 10)


async def test_read_can_not_write(database: Database) -> None:
    async def query(reader: Connection) -> None:
        await move(reader, 1)

    refusal = await refused(History(database, standing_at(10), LONG_S), 1, query)
    assert refusal.reason == "history_unavailable"


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

    assert (await refused(history, 10, killed)).reason == "history_unavailable"
    assert not database.is_up
    refusal = await refused(history, 10_000)  # no wait for a projection that nobody can write
    assert (refusal.reason, refusal.as_of_sequence) == ("history_unavailable", 10)
    assert refusal.msg == "History is not available at the moment; trading goes on."
    await elsewhere.close()


@contextlib.contextmanager
def stopped(pid: int) -> Iterator[None]:
    """A backend that hangs for the length of the body."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


async def pid_of(reader: Connection) -> int:
    """The process that serves a connection."""
    return int(await reader.fetchval("select pg_backend_pid()"))


async def test_server_that_hangs_is_unavailable_long_before_a_statement_is(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    history = History(database, standing_at(10), LONG_S)
    pid, _ = await read(history, 10, pid_of)
    monkeypatch.setattr(history_reading, "POSITION_S", SHORT_S)
    with stopped(pid):
        assert (await refused(history, 10)).reason == "history_unavailable"
        assert not database.is_up


async def test_server_that_hangs_in_a_statement_is_not_waited_for_once_more(database: Database) -> None:
    with contextlib.ExitStack() as until_the_end:

        async def hang(reader: Connection) -> None:
            until_the_end.enter_context(stopped(await pid_of(reader)))
            await reader.fetchval("select 1", timeout=SHORT_S)

        reading = asyncio.create_task(refused(History(database, standing_at(10), LONG_S), 10, hang))
        await asyncio.wait((reading,), timeout=STATEMENT_MS / 1000)  # the end of a transaction would take as long again
        assert reading.done()
        assert (await reading).reason == "history_unavailable"
        assert not database.is_up


async def test_statement_that_takes_too_long_is_unavailable_and_the_server_is_still_up(database: Database) -> None:
    async def slow(reader: Connection) -> None:
        await reader.execute("set local statement_timeout = 10")
        await reader.execute("select pg_sleep(60)")

    history = History(database, standing_at(10), LONG_S)
    refusal = await refused(history, 10, slow)
    assert (refusal.reason, refusal.as_of_sequence) == ("history_unavailable", 10)
    assert database.is_up
    assert await read(history, 10) == (10, 10)


async def test_public_readers_wait_in_a_short_line_and_owners_pass_them(database: Database) -> None:
    history = History(database, standing_at(10), LONG_S)
    go_on = asyncio.Event()

    async def hold(reader: Connection) -> int:
        await go_on.wait()
        return await now(reader)

    places = CONNECTIONS // 2
    line = [asyncio.create_task(read(history, 10, hold)) for _ in range(places * (1 + WAITING_EACH))]
    await asyncio.sleep(0)
    refusal = await refused(history, 10)
    assert refusal.code == -1008
    assert await read(history, 10, now, is_public=False) == (10, 10)
    go_on.set()
    assert await asyncio.gather(*line) == [(10, 10)] * len(line)


async def test_readers_who_wait_in_vain_leave_connections_to_others(database: Database, connection: Connection) -> None:
    history = History(database, standing_at(10), PLACE_S)
    async with connection.transaction():
        await connection.execute("lock table exchange_order.projection in access exclusive mode")
        readers = [asyncio.create_task(refused(history, 11)) for _ in range(2 * CONNECTIONS)]
        while await connection.fetchval("select count(*) from pg_locks where not granted") < CONNECTIONS // 2:
            await connection.execute("select pg_sleep(0.01)")
        async with database.connection() as other:
            assert await other.fetchval("select 1") == 1
        assert not any(reader.done() for reader in readers)
    await asyncio.gather(*readers)


async def test_answers_are_made_one_after_the_other_and_leave_turns_to_others(database: Database) -> None:
    history = History(database, standing_at(10), LONG_S)
    turn, count = 0, 1_000 * TURN_PARTS
    both = asyncio.Barrier(2)
    made: list[tuple[int, int]] = []

    async def others() -> None:
        nonlocal turn
        while True:
            turn += 1
            await asyncio.sleep(0)

    def parts(found: int) -> Iterator[int]:
        for _ in range(count):
            made.append((found, turn))
            yield found

    async def answer(name: int) -> None:
        async def query(_reader: Connection) -> int:
            await both.wait()
            return name

        assert await history.read(10, query, parts, is_public=True) == ([name] * count, 10)

    running = asyncio.create_task(others())
    await asyncio.gather(answer(1), answer(2))
    running.cancel()
    assert max(collections.Counter(turn for _, turn in made).values()) <= TURN_PARTS
    assert len([name for name, _ in itertools.groupby(found for found, _ in made)]) == 2


async def test_reader_waits_for_a_place_no_longer_than_for_the_projection(database: Database) -> None:
    history = History(database, standing_at(10), SHORT_S)
    go_on = asyncio.Event()

    async def hold(reader: Connection) -> None:
        await go_on.wait()

    holding = [asyncio.create_task(read(history, 10, hold)) for _ in range(CONNECTIONS // 2)]
    await asyncio.sleep(0)
    assert (await refused(history, 10)).code == -1008
    go_on.set()
    await asyncio.gather(*holding)
