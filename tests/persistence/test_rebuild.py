"""A rebuild gives what the projector would have given, whatever was there before, and swaps it in whole."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import pathlib
import threading
from collections.abc import AsyncIterator, Callable

import pytest

from exchange.persistence.database import Connection, Target
from exchange.persistence.event_log import EventLog
from exchange.persistence.opening import NoBeginning
from exchange.persistence.projection import Claimant, Moved, Projection, Superseded
from exchange.persistence.rebuild import RebuildRefused, Rebuilt, rebuild
from exchange.persistence.schemas import Schemas
from tests.core.streams import Flow
from tests.persistence.journaled import JournaledVenue, changes, crowd, opening, traffic, waiting
from tests.persistence.projecting import assert_equal, compare, project, silent

TABLES = (
    *("exchange_order.projection", "exchange_order.orders", "exchange_order.amendments"),
    *("exchange_order.prevented_matches", "exchange_order.order_lists"),
    *("exchange_clearing.balances", "exchange_clearing.entries"),
    *("exchange_clearing.postings", "exchange_market.trades", "exchange_market.agg_trades", "exchange_market.candles"),
)
WAITED_S = 30.0


@pytest.fixture
async def venue(tmp_path: pathlib.Path) -> AsyncIterator[JournaledVenue]:
    """Two assets, one symbol, an order that was amended, and traffic."""
    made = JournaledVenue(tmp_path / "var")
    made.apply(opening(4))
    made.apply(changes())
    made.apply(traffic(600, accounts=4))
    yield made
    made.close()


def go_on(venue: JournaledVenue, seed: int = 8) -> None:
    """More traffic, in new segments."""
    venue.roll()
    venue.apply(traffic(600, seed=seed, accounts=4))


async def rows(connection: Connection, table: str) -> list[str]:
    """Every row as text, sorted."""
    return [row[0] for row in await connection.fetch(f"select t::text from {table} t order by 1")]


async def everything(connection: Connection) -> dict[str, list[str]]:
    """Every row of the projection, but for who wrote it."""
    return {table: await rows(connection, table) for table in TABLES[1:]}


async def schemas_left(connection: Connection) -> list[str]:
    """Schemas of a rebuild that are still there."""
    query = r"select nspname from pg_namespace where nspname ~ '^exchange_.*_(old|rebuild)$'"
    return [row[0] for row in await connection.fetch(query)]


async def remade(target: Target, venue: JournaledVenue, *, accept_loss: bool = False) -> Rebuilt:
    """Rebuild, and hold the result against the engine."""
    result = await rebuild(target, venue.path, silent, accept_loss=accept_loss)
    await assert_equal(target, venue)
    return result


@pytest.mark.parametrize("flow", [Flow, waiting])
async def test_rebuild_gives_the_rows_that_the_projector_gave(
    target: Target, connection: Connection, tmp_path: pathlib.Path, flow: Callable[[int], Flow]
) -> None:
    venue = JournaledVenue(tmp_path / "var")
    venue.apply(crowd(4_000, flow=flow))
    await project(target, venue)
    before = await everything(connection)
    result = await remade(target, venue)
    assert await everything(connection) == before
    assert await schemas_left(connection) == []
    assert (result.position.event, result.first_event, result.words) == (venue.event, 1, "")
    venue.close()


@pytest.mark.parametrize("table", TABLES)
async def test_rebuild_of_a_truncated_table_restores_it(
    target: Target, connection: Connection, venue: JournaledVenue, table: str
) -> None:
    await project(target, venue)
    await connection.execute(f"truncate {table}")
    await remade(target, venue)


async def test_rebuild_into_an_empty_database_makes_everything(empty_target: Target, venue: JournaledVenue) -> None:
    result = await remade(empty_target, venue)
    assert result.epoch == 1


async def test_rebuild_after_the_schemas_were_dropped_makes_them(
    target: Target, connection: Connection, venue: JournaledVenue
) -> None:
    await project(target, venue)
    await connection.execute("drop schema exchange_order cascade; drop schema exchange_market cascade")
    await remade(target, venue)
    assert await schemas_left(connection) == []


async def test_rebuild_removes_what_an_interrupted_one_left(
    target: Target, connection: Connection, venue: JournaledVenue
) -> None:
    await connection.execute(
        "create schema exchange_order_rebuild; create table exchange_order_rebuild.orders (a integer);"
        "create schema exchange_market_old; create table exchange_market_old.trades (a integer)"
    )
    await remade(target, venue)
    assert await schemas_left(connection) == []


# ---- histories that begin behind a snapshot -----------------------------------------------------------------------


@pytest.mark.parametrize("is_whole", [True, False])
async def test_rebuild_behind_a_snapshot_knows_lists_and_orders_that_wait(
    target: Target, connection: Connection, tmp_path: pathlib.Path, is_whole: bool
) -> None:
    """`is_whole`: what the live projection has of the time before adds up."""
    venue = JournaledVenue(tmp_path / "var")
    commands = crowd(3_000, flow=waiting)
    venue.apply(commands[:2_000])
    venue.snapshot()
    begun = venue.event
    venue.roll()
    venue.apply(commands[2_000:2_500])
    await project(target, venue)
    before = await everything(connection)
    lists = "select count(*) from exchange_order.order_lists where event > 0"
    assert await connection.fetchval(lists) > 0
    venue.retire(events=begun)
    if not is_whole:
        await connection.execute("delete from exchange_market.trades where trade_id = 5")
    result = await remade(target, venue)
    assert (result.first_event == 1) == is_whole
    if is_whole:
        assert await everything(connection) == before
    venue.apply(commands[2_500:])
    await project(target, venue)
    await assert_equal(target, venue)
    venue.close()


async def test_rebuild_behind_a_snapshot_opens_the_ledger(
    target: Target, connection: Connection, venue: JournaledVenue
) -> None:
    venue.snapshot()
    begun = venue.event
    go_on(venue)
    venue.retire(events=begun)
    result = await remade(target, venue)
    assert result.first_event == begun + 1
    assert f"begins with event {begun + 1}" in result.words
    assert await connection.fetchval("select count(*) from exchange_clearing.entries where kind = 0") == 1
    go_on(venue, seed=9)
    await project(target, venue)
    await assert_equal(target, venue)
    await remade(target, venue)


async def test_rebuild_takes_older_rows_over_that_add_up(
    target: Target, connection: Connection, venue: JournaledVenue
) -> None:
    venue.snapshot()
    begun = venue.event
    go_on(venue)
    await project(target, venue)
    before = await everything(connection)
    venue.retire(events=begun)
    result = await remade(target, venue)
    assert result.first_event == 1
    assert "taken over" in result.words
    assert await everything(connection) == before


@pytest.mark.parametrize(
    "damage",
    [
        "delete from exchange_market.trades where trade_id = 5",
        "delete from exchange_order.orders where order_id = 5",
        "delete from exchange_order.amendments where new_qty_lots = 25",
        "delete from exchange_order.prevented_matches where maker_prevented_lots > 0",
        "update exchange_clearing.postings set available_delta = available_delta + 1 where event = 40",
        "update exchange_order.projection set applied_event = 30",
    ],
)
async def test_rebuild_takes_nothing_over_that_does_not_add_up(
    target: Target, connection: Connection, venue: JournaledVenue, damage: str
) -> None:
    venue.snapshot()
    begun = venue.event
    go_on(venue)
    await project(target, venue)
    await connection.execute(damage)
    venue.retire(events=begun)
    result = await remade(target, venue)
    assert result.first_event == begun + 1


async def test_rebuild_without_a_beginning_is_refused(
    target: Target, connection: Connection, venue: JournaledVenue
) -> None:
    await project(target, venue)
    before = await everything(connection)
    begun = venue.event
    go_on(venue)
    venue.retire(events=begun)
    with pytest.raises(NoBeginning, match="no usable snapshot"):
        await rebuild(target, venue.path, silent)
    assert await everything(connection) == before


# ---- beside a projector, beside readers ---------------------------------------------------------------------------


async def test_projector_is_superseded_and_writes_nothing(
    target: Target, connection: Connection, venue: JournaledVenue
) -> None:
    live, claimant = await target.connect("live"), Claimant(venue.cluster_id, "live")
    projection = await Projection.claim(live, Schemas(), claimant)
    log = EventLog(venue.path / "journal" / "events", projection.position)
    first, second = log.read(300), log.read(300)
    log.close()
    await projection.apply(first)
    result = await remade(target, venue)
    assert result.epoch == claimant.epoch + 1
    before = await everything(connection)
    with pytest.raises(Moved):
        await projection.apply(second)
    live.terminate()
    again = await target.connect("live")
    with pytest.raises(Superseded):
        await Projection.claim(again, Schemas(), claimant)
    await again.close()
    assert await everything(connection) == before
    go_on(venue)
    await project(target, venue, token="next")
    await assert_equal(target, venue)


async def test_swap_waits_for_a_reader_who_keeps_seeing_one_history(
    target: Target, connection: Connection, venue: JournaledVenue
) -> None:
    await project(target, venue)
    reader = await target.connect("reader")
    async with reader.transaction(isolation="repeatable_read", readonly=True):
        await reader.fetchrow("select * from exchange_order.projection")
        task = asyncio.create_task(remade(target, venue))
        waiting = "select count(*) from pg_stat_activity where application_name = $1 and wait_event_type = 'Lock'"
        async with asyncio.timeout(WAITED_S):
            while not await connection.fetchval(waiting, "exchange rebuild"):
                assert not task.done()
        trades = await reader.fetchval("select count(*) from exchange_market.trades")
    await task
    assert trades == await reader.fetchval("select count(*) from exchange_market.trades")
    await reader.close()


async def test_rebuild_goes_at_least_to_where_the_live_one_is(target: Target, venue: JournaledVenue) -> None:
    """The journal grows and the live projection with it until the very swap."""
    task = asyncio.create_task(rebuild(target, venue.path, silent))
    seed = 20
    while not task.done():
        go_on(venue, seed)
        seed += 1
        with contextlib.suppress(Moved):
            await project(target, venue, token=f"live {seed}")
    result = await task
    assert result.position.event <= venue.event
    await project(target, venue, token="last")
    await assert_equal(target, venue)


async def test_rebuild_ends_while_the_journal_never_stops_growing(target: Target, venue: JournaledVenue) -> None:
    await project(target, venue)
    enough = threading.Event()

    def trade() -> None:
        for seed in itertools.count(20):
            if enough.is_set():
                return
            venue.apply(traffic(3, seed=seed, accounts=4))

    trading = asyncio.create_task(asyncio.to_thread(trade))
    try:
        async with asyncio.timeout(WAITED_S):
            await rebuild(target, venue.path, silent)
    finally:
        enough.set()
        await trading
    await project(target, venue, token="last")
    await assert_equal(target, venue)


async def test_two_rebuilds_at_once_do_not_meet(target: Target, connection: Connection, venue: JournaledVenue) -> None:
    results = await asyncio.gather(*(rebuild(target, venue.path, silent) for _ in range(2)), return_exceptions=True)
    refused = [result for result in results if isinstance(result, RebuildRefused)]
    assert [str(error) for error in refused] == ["Another rebuild is under way."]
    await assert_equal(target, venue)


# ---- what is refused ----------------------------------------------------------------------------------------------


async def test_lost_data_is_given_up_only_when_told_so(
    target: Target, connection: Connection, venue: JournaledVenue
) -> None:
    await project(target, venue)
    await connection.execute("update exchange_order.projection set applied_event = applied_event + 5")
    with pytest.raises(RebuildRefused, match="--accept-loss"):
        await rebuild(target, venue.path, silent)
    await remade(target, venue, accept_loss=True)


async def test_database_of_another_venue_is_left_alone(
    target: Target, connection: Connection, venue: JournaledVenue
) -> None:
    await project(target, venue)
    await connection.execute("update exchange_order.projection set cluster_id = decode(repeat('ab', 16), 'hex')")
    before = await everything(connection)
    with pytest.raises(RebuildRefused, match="abababab"):
        await rebuild(target, venue.path, silent)
    assert await everything(connection) == before


async def test_differing_rebuild_is_not_swapped(target: Target, connection: Connection, venue: JournaledVenue) -> None:
    """A journal of events that is not that of the commands: what comes out is not right, and the old one stays."""
    await project(target, venue)
    before = await everything(connection)
    other = JournaledVenue(venue.path.with_name("other"))
    other.apply(opening(4))
    other.apply(changes())
    other.apply(traffic(600, seed=99, accounts=4))
    other.close()
    commands = venue.path / "journal" / "commands"
    commands.rename(commands.with_name("aside"))
    (other.path / "journal" / "commands").rename(commands)
    with pytest.raises(RebuildRefused, match="nothing was swapped"):
        await rebuild(target, venue.path, silent)
    assert await everything(connection) == before
    report = await compare(target, venue)
    assert report.differences
