"""The projector's process, as the server runs it: it follows, is killed, is superseded, stops at what does not fit."""

from __future__ import annotations

import asyncio
import contextlib
import os
import pathlib
import random
import signal
import time
from collections.abc import AsyncIterator, Callable

import pytest

from exchange.datadir import read_projected
from exchange.persistence.database import Connection
from exchange.persistence.process import ProjectorProcess
from tests.persistence.event_journal import EventJournal, Events, ends_of, events_of, oracle_of
from tests.persistence.reading import differences, tables

DEADLINE_S = 60.0
BATCH_EVENTS = 40


async def until(condition: Callable[[], bool], *children: ProjectorProcess) -> None:
    """Step the children as the server does, but more often, until the condition holds."""
    deadline_s = time.monotonic() + DEADLINE_S
    while not condition():
        for child in children:
            child.step()
        assert time.monotonic() < deadline_s, [(child.state, child.sentence) for child in children]
        await asyncio.sleep(0.002)


class Running:
    """A growing journal, and projectors on it."""

    def __init__(self, journal: EventJournal, events: Events) -> None:
        self.journal = journal
        self.events = events
        self.ends = ends_of(events)
        self.children: list[ProjectorProcess] = []
        self._written = 0

    def write(self, part: float = 1.0) -> int:
        """Journal the events up to a part of all; returns the sequence that is to be reached."""
        end = int(self.ends[round(part * len(self.ends)) - 1])
        self.journal.append(self.events[self._written : end])
        self._written = max(end, self._written)
        return int(self.events[end - 1, :8].view("<i8")[0])

    def child(self) -> ProjectorProcess:
        child = ProjectorProcess(self.journal.data_dir)
        self.children.append(child)
        return child

    async def same(self, connection: Connection) -> None:
        """Every row is what the oracle makes of what was journaled."""
        expected = oracle_of(self.events[: self._written]).tables()
        assert differences(expected, await tables(connection)) == []


@pytest.fixture
async def running(
    tmp_path: pathlib.Path, environ: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Running]:
    for name, value in (environ | {"EXCHANGE_PROJECTION_EVENTS": str(BATCH_EVENTS)}).items():
        monkeypatch.setenv(name, value)
    running = Running(EventJournal(tmp_path / "var"), events_of(7))
    yield running
    for child in running.children:
        await child.stop()
    running.journal.close()


async def test_projector_follows_a_journal_that_grows(running: Running, connection: Connection) -> None:
    child = running.child()
    for part in (0.01, 0.3, 0.31, 1.0):
        sequence = running.write(part)
        await until(lambda wanted=sequence: child.watermark.sequence == wanted, child)  # type: ignore[misc]  # a default
        assert (child.state, child.sentence) == ("following", "")
    assert child.lag(sequence, child.event, 0) == (0, 0, 0.0)
    assert child.lag(sequence + 2, child.event + 5, int(running.events[-1, 8:16].view("<i8")[0]) + 10**9) == (2, 5, 1.0)
    await until(lambda: read_projected(running.journal.data_dir) == (len(running.events), sequence))
    await running.same(connection)
    await child.stop()
    assert child.pid == 0


async def test_watermark_lets_go_of_who_waits(running: Running) -> None:
    child = running.child()
    first = running.write(0.5)
    await until(lambda: child.watermark.sequence == first, child)
    waits = asyncio.create_task(child.watermark.wait(first + 1, DEADLINE_S))
    last = running.write(0.6)
    await waits
    assert first < child.watermark.sequence <= last
    await child.watermark.wait(10**9, 0.01)
    assert child.watermark.sequence <= last


@pytest.mark.parametrize("seed", [1, 2])
async def test_projector_that_is_killed_anywhere_leaves_exact_rows(
    running: Running, connection: Connection, seed: int
) -> None:
    chosen = random.Random(seed)
    last = running.write()
    for kills in range(1, 8):
        child = running.child()
        wanted = last * kills // 8 + chosen.randint(-100, 100)
        await until(lambda child=child, wanted=wanted: child.watermark.sequence >= wanted, child)  # type: ignore[misc]  # defaults
        await asyncio.sleep(chosen.random() * 0.02)  # into a transaction
        os.kill(child.pid, signal.SIGKILL)
        await child.stop()
    assert child.watermark.sequence < last
    child = running.child()
    await until(lambda: child.watermark.sequence == last, child)
    await running.same(connection)


async def test_backend_that_is_killed_again_and_again_leaves_exact_rows(
    running: Running, connection: Connection
) -> None:
    last = running.write()
    child = running.child()
    killed = 0

    async def kill() -> None:
        nonlocal killed
        while True:
            killed += await connection.fetchval(
                "select count(pg_terminate_backend(pid)) from pg_stat_activity "
                "where application_name = 'exchange projector' and datname = current_database()"
            )
            await asyncio.sleep(0.15)

    killing = asyncio.create_task(kill())
    await until(lambda: killed >= 4, child)
    killing.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await killing
    await until(lambda: child.watermark.sequence == last, child)
    await running.same(connection)


async def test_projector_that_was_stopped_meanwhile_is_superseded(running: Running, connection: Connection) -> None:
    first, second = running.child(), running.child()
    middle = running.write(0.5)
    await until(lambda: first.watermark.sequence == middle, first)
    os.kill(first.pid, signal.SIGSTOP)
    later = running.write(0.75)
    await until(lambda: second.watermark.sequence == later, second)
    os.kill(first.pid, signal.SIGCONT)
    last = running.write()
    await until(lambda: first.exit_code is not None, first, second)
    await until(lambda: second.watermark.sequence == last, second)
    assert "Another projector" in first.sentence
    assert (first.exit_code, first.refused) == (3, "")
    assert first.watermark.sequence == middle
    await running.same(connection)


async def test_row_that_does_not_fit_stops_the_projector_and_nothing_is_skipped(
    running: Running, connection: Connection
) -> None:
    last = running.write()
    orders = oracle_of(running.events).tables()["orders"]
    taken = orders[len(orders) // 2]
    await connection.execute(
        "insert into exchange_order.assets values (1000, 'ODD', 0), (1001, 'ODDER', 0);"
        "insert into exchange_order.symbols values (1000, 'ODD', 1000, 1001, 0, 0, 1, 1, 1, 1, 0, 0)"
    )
    await connection.execute(
        "insert into exchange_order.orders values ($1, 16, 1000, 0, 1, 1, 0, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, null)",
        taken["order_id"],
    )
    child = running.child()
    await until(lambda: bool(child.refused), child)
    assert child.exit_code == os.EX_DATAERR
    assert "23505" in child.refused
    assert 0 < child.watermark.sequence < last
    child.step()
    assert child.pid == 0
    stands = await connection.fetchval("select applied_sequence from exchange_order.projection")
    assert stands == child.watermark.sequence

    await connection.execute(
        "delete from exchange_order.orders where symbol = 1000; delete from exchange_order.symbols where symbol = 1000;"
        "delete from exchange_order.assets where asset >= 1000"
    )
    again = running.child()
    await until(lambda: again.watermark.sequence == last, again)
    await running.same(connection)


async def test_database_that_knows_more_than_the_journal_is_refused(running: Running, connection: Connection) -> None:
    last = running.write()
    child = running.child()
    await until(lambda: child.watermark.sequence == last, child)
    await child.stop()
    await connection.execute(
        "update exchange_order.projection "
        "set applied_event = applied_event + 9, applied_sequence = applied_sequence + 3"
    )
    child = running.child()
    await until(lambda: bool(child.refused), child)
    assert child.exit_code == os.EX_CONFIG
    assert "acknowledged data was lost" in child.refused


async def test_damaged_journal_is_refused(running: Running) -> None:
    running.write(0.2)
    (segment,) = running.journal.place.glob("*.journal")
    with segment.open("r+b") as file:
        file.write(b"damaged!")
    child = running.child()
    await until(lambda: bool(child.refused), child)
    assert child.exit_code == os.EX_CONFIG
    assert str(running.journal.place) in child.refused


async def test_certificate_that_is_not_there_is_refused(
    running: Running, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    running.write(0.2)
    for name, value in {"HOME": str(tmp_path), "DB_HOST": "127.0.0.1", "DB_SSL_MODE": "verify-full"}.items():
        monkeypatch.setenv(name, value)
    child = running.child()
    await until(lambda: bool(child.refused), child)
    assert child.exit_code == os.EX_CONFIG
    assert "root certificate file" in child.refused


async def test_projector_that_is_being_stopped_may_be_poked(running: Running) -> None:
    last = running.write(0.2)
    child = running.child()
    await until(lambda: child.watermark.sequence == last, child)
    stopping = asyncio.create_task(child.stop())
    await asyncio.sleep(0)  # it has begun
    await child.watermark.wait(last + 1, 0.01)
    assert child.watermark.sequence == last
    await stopping


async def test_projector_ends_with_its_parent(running: Running) -> None:
    """A parent that is killed closes the pipe and says nothing."""
    last = running.write(0.2)
    child = running.child()
    await until(lambda: child.watermark.sequence == last, child)
    process = child._process
    assert process is not None and process.stdin is not None
    process.stdin.close()
    assert await asyncio.to_thread(process.wait, DEADLINE_S) == 0
