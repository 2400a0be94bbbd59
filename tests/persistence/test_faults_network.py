"""Connections that break anywhere, and sessions that hang: the projection equals the engine afterwards, exactly once.

Everything is real but the network, which is the proxy of `chaos.py`.
"""

from __future__ import annotations

import asyncio
import os
import pathlib
import signal
from collections.abc import AsyncIterator, Iterator

import pytest

from exchange.persistence.database import Connection, Target
from exchange.persistence.embedded import PORT
from tests.persistence.chaos import Action, Fault, Proxy
from tests.persistence.child import Child
from tests.persistence.journaled import JournaledVenue, opening, traffic
from tests.persistence.projecting import assert_equal

STEP_BYTES = 97
SMALL = {"EXCHANGE_PROJECTION_EVENTS": "20"}
"""Batches of some thousand bytes."""
BEGUN = b"begin"
"""The first statement of every batch."""
BACKENDS = (
    "select pid from pg_stat_activity where application_name = 'exchange projector' and datname = current_database()"
)


@pytest.fixture
async def proxy(target: Target) -> AsyncIterator[Proxy]:
    """A way to the session's server that can break."""
    async with Proxy(pathlib.Path(target.arguments["host"]) / f".s.PGSQL.{PORT}") as running:
        yield running


@pytest.fixture
def environ(target: Target, proxy: Proxy) -> dict[str, str]:
    """How the projector finds the test's database through the proxy."""
    return {
        "DB_HOST": "127.0.0.1",
        "DB_PORT": str(proxy.port),
        "DB_USER": target.arguments["user"],
        "DB_NAME": target.arguments["database"],
        "DB_SSL_MODE": "disable",
    }


@pytest.fixture
def venue(tmp_path: pathlib.Path) -> Iterator[JournaledVenue]:
    """Two assets, one symbol, and traffic."""
    made = JournaledVenue(tmp_path / "var")
    made.apply(opening(4))
    made.apply(traffic(100, accounts=4))
    yield made
    made.close()


def faults_along(action: Action, up_bytes: int, down_bytes: int) -> list[Fault]:
    """The same fault at every STEP_BYTES of a batch, in both directions."""
    return [
        Fault(action, up=up, after_bytes=after, behind=BEGUN)
        for up, size in ((True, up_bytes), (False, down_bytes))
        for after in range(1, size, STEP_BYTES)
    ]


async def test_cut_at_every_part_of_a_batch_is_neither_gap_nor_repetition(
    target: Target, proxy: Proxy, environ: dict[str, str], venue: JournaledVenue
) -> None:
    async with Child(venue.path, environ | SMALL) as child:
        await child.reaches(venue.event)
        before = proxy.carried_bytes
        venue.apply(traffic(8, seed=8, accounts=4))
        await child.reaches(venue.event)
        up_bytes, down_bytes = (now - then for now, then in zip(proxy.carried_bytes, before, strict=True))
        assert up_bytes > 20 * STEP_BYTES and down_bytes > 2 * STEP_BYTES
        faults = faults_along(Action.RESET, up_bytes, down_bytes)
        proxy.faults.extend(faults)
        proxy.reset_all()
        venue.apply(traffic(20 * len(faults), seed=9, accounts=4))
        await proxy.struck_more_than(len(faults) - 1)
        await child.reaches(venue.event)
    await assert_equal(target, venue)


@pytest.mark.parametrize("up", [True, False], ids=["to the server", "to the client"])
@pytest.mark.parametrize("action", [Action.HALF_CLOSE, Action.DELAY])
async def test_half_closed_and_slow_connections_are_survived(
    target: Target, proxy: Proxy, environ: dict[str, str], venue: JournaledVenue, action: Action, up: bool
) -> None:
    after = (0, 1, 300, 1_500) if up else (0, 1, 30, 200)
    proxy.faults.extend(Fault(action, up=up, after_bytes=count, behind=BEGUN, delay_s=0.3) for count in after)
    async with Child(venue.path, environ | SMALL) as child:
        for number in range(len(after)):
            venue.apply(traffic(200, seed=20 + number, accounts=4))
            await proxy.struck_more_than(number)
            proxy.reset_all()
        await child.reaches(venue.event)
    await assert_equal(target, venue)


async def test_commit_whose_reply_is_lost_counts_once(
    target: Target, proxy: Proxy, environ: dict[str, str], venue: JournaledVenue
) -> None:
    proxy.faults.extend([Fault(Action.LOSE_COMMIT_REPLY, up=False, behind=BEGUN)] * 12)
    venue.apply(traffic(300, seed=8, accounts=4))
    async with Child(venue.path, environ | SMALL) as child:
        await proxy.struck_more_than(11)
        await child.reaches(venue.event)
    await assert_equal(target, venue)


async def test_stalled_network_is_given_up_and_tried_again(
    target: Target, proxy: Proxy, environ: dict[str, str], venue: JournaledVenue
) -> None:
    proxy.faults.append(Fault(Action.STALL, up=False, after_bytes=100, behind=BEGUN))
    async with Child(venue.path, environ) as child:
        await child.waits("no answer in time")
        assert proxy.struck == 1
        proxy.reset_all()
        await child.reaches(venue.event)
    await assert_equal(target, venue)


# ---- sessions that hang -------------------------------------------------------------------------------------------


async def test_locked_table_is_waited_for(
    target: Target, connection: Connection, environ: dict[str, str], venue: JournaledVenue
) -> None:
    async with Child(venue.path, environ) as child:
        await child.reaches(venue.event)
        async with connection.transaction():
            await connection.execute("lock table exchange_market.trades in access exclusive mode")
            venue.apply(traffic(200, seed=8, accounts=4))
            await child.waits("55P03")
        await child.reaches(venue.event)
    await assert_equal(target, venue)


async def test_hung_backend_that_idles_is_replaced_by_another(
    target: Target, connection: Connection, environ: dict[str, str], venue: JournaledVenue
) -> None:
    async with Child(venue.path, environ) as child:
        await child.reaches(venue.event)
        pid = await connection.fetchval(BACKENDS)
        os.kill(pid, signal.SIGSTOP)
        try:
            venue.apply(traffic(200, seed=8, accounts=4))
            await child.reaches(venue.event)
            await assert_equal(target, venue)
        finally:
            os.kill(pid, signal.SIGCONT)
        venue.apply(traffic(200, seed=9, accounts=4))
        await child.reaches(venue.event)
    await assert_equal(target, venue)


async def test_hung_backend_that_holds_the_row_is_waited_for(
    target: Target, connection: Connection, environ: dict[str, str], venue: JournaledVenue
) -> None:
    waiting = f"{BACKENDS} and wait_event_type = 'Lock'"
    async with Child(venue.path, environ) as child:
        await child.reaches(venue.event)
        async with connection.transaction():
            await connection.execute("lock table exchange_market.trades in access exclusive mode")
            venue.apply(traffic(200, seed=8, accounts=4))
            async with asyncio.timeout(30.0):
                while (pid := await connection.fetchval(waiting)) is None:
                    assert child.process.returncode is None
            os.kill(pid, signal.SIGSTOP)
        try:
            await child.waits("55P03")
            assert child.told["event"] < venue.event
        finally:
            os.kill(pid, signal.SIGCONT)
        await child.reaches(venue.event)
    await assert_equal(target, venue)


async def test_killed_backend_is_replaced(
    target: Target, connection: Connection, environ: dict[str, str], venue: JournaledVenue
) -> None:
    async with Child(venue.path, environ | SMALL) as child:
        for number in range(5):
            venue.apply(traffic(300, seed=20 + number, accounts=4))
            await child.reaches(venue.event - 100)
            assert await connection.fetchval(f"select pg_terminate_backend(pid) from ({BACKENDS}) as theirs")
        await child.reaches(venue.event)
    await assert_equal(target, venue)


# ---- two projectors -----------------------------------------------------------------------------------------------


async def test_second_projector_supersedes_the_first(
    target: Target, environ: dict[str, str], venue: JournaledVenue
) -> None:
    async with Child(venue.path, environ) as first:
        await first.reaches(venue.event)
        first.process.send_signal(signal.SIGSTOP)
        async with Child(venue.path, environ) as second:
            venue.apply(traffic(200, seed=8, accounts=4))
            await second.reaches(venue.event)
            first.process.send_signal(signal.SIGCONT)
            venue.apply(traffic(200, seed=9, accounts=4))
            assert await first.ended() == 3
            assert first.told["state"] == "stopped" and "Another projector" in first.told["sentence"]
            await second.reaches(venue.event)
    await assert_equal(target, venue)


async def test_killed_projector_is_continued_by_the_next(
    target: Target, environ: dict[str, str], venue: JournaledVenue
) -> None:
    venue.apply(traffic(4_000, seed=8, accounts=4))
    for event in (500, 1_500, 2_500):
        async with Child(venue.path, environ | SMALL) as child:
            await child.reaches(event)
            child.process.kill()
            assert await child.ended() == -signal.SIGKILL
    async with Child(venue.path, environ) as child:
        await child.reaches(venue.event)
    await assert_equal(target, venue)


async def test_projector_whose_parent_was_killed_in_a_batch_gives_way_to_the_next(
    target: Target, connection: Connection, environ: dict[str, str], venue: JournaledVenue
) -> None:
    waiting = f"{BACKENDS} and wait_event_type = 'Lock'"
    async with Child(venue.path, environ) as first:
        await first.reaches(venue.event)
        async with connection.transaction():
            await connection.execute("lock table exchange_market.trades in access exclusive mode")
            venue.apply(traffic(200, seed=8, accounts=4))
            async with asyncio.timeout(30.0):
                while await connection.fetchval(waiting) is None:
                    assert first.process.returncode is None
            assert first.process.stdin is not None
            first.process.stdin.close()
            async with Child(venue.path, environ) as second:
                await second.waits("55P03")
                assert await first.ended() == 0
                await connection.execute("rollback; begin")
                await second.reaches(venue.event)
    await assert_equal(target, venue)
