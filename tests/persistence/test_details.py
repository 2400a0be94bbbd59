"""Amendments and prevented matches of a projection that is older than their tables: read backwards, whole and once."""

from __future__ import annotations

import asyncio
import pathlib
from collections.abc import AsyncIterator

import pytest

from exchange.persistence.database import Connection, Target
from exchange.persistence.event_log import events_before
from exchange.persistence.migrate import migrate
from exchange.persistence.projection import Claimant, Moved, Projection
from exchange.persistence.schemas import Schemas
from tests.persistence.child import Child
from tests.persistence.event_journal import EventJournal, Events, ends_of, events_of, oracle_of
from tests.persistence.journaled import JournaledVenue, changes, crowd, opening, traffic
from tests.persistence.projecting import assert_equal, compare, project
from tests.persistence.reading import differences, tables

DEADLINE_S = 60.0
OLDER = """
drop table exchange_order.amendments, exchange_order.prevented_matches, exchange_order.order_lists;
alter table exchange_order.orders
    drop column stop_price_ticks, drop column iceberg_lots, drop column trailing_bips, drop column peg_type,
    drop column peg_offset_levels, drop column list_id, drop column list_role, drop column close_reason,
    drop column waits, drop column working_ts_ns, drop constraint orders_status_check,
    add constraint orders_status_check check (status between 1 and 6);
drop index exchange_order.orders_client;
alter table exchange_order.projection drop column details_from, drop column details_filled;
delete from public.exchange_migrations where name in ('0004_order_details.sql', '0006_order_terms.sql');
"""
"""A projection as the build before 0004 left it."""


@pytest.fixture
def events() -> Events:
    return events_of(20)


@pytest.fixture
async def journal(tmp_path: pathlib.Path) -> AsyncIterator[EventJournal]:
    made = EventJournal(tmp_path / "var")
    yield made
    made.close()


async def grow_old(connection: Connection) -> None:
    """Make the projection one of the build before, and migrate it."""
    await connection.execute(OLDER)
    assert await migrate(connection) == ["0004_order_details.sql", "0006_order_terms.sql"]


async def filled(connection: Connection, child: Child) -> None:
    """Wait until the projector has ended filling."""
    async with asyncio.timeout(DEADLINE_S):
        while not await connection.fetchval("select details_filled from exchange_order.projection"):
            assert child.process.returncode is None, child.told


async def fill(projection: Projection, journal: EventJournal, count: int) -> bool:
    """One piece; whether there was one."""
    found = events_before(journal.place, projection.details_from, projection.first_event, count)
    if found is not None:
        assert 0 < len(found[1]) <= count
        await projection.fill(found[1], found[0])
    return found is not None


@pytest.mark.parametrize("count", [7, 137, 100_000])
async def test_pieces_of_any_size_beside_new_events_give_every_row(
    connection: Connection, journal: EventJournal, events: Events, count: int
) -> None:
    ends = ends_of(events)[:900]
    older, newer = int(ends[599]), [int(end) for end in ends[600::10]]
    journal.append(events[: int(ends[-1])])
    projection = await Projection.claim(connection, Schemas(), Claimant(journal.cluster_id, "before"))
    await projection.apply(events[:older])
    await grow_old(connection)
    projection = await Projection.claim(connection, Schemas(), Claimant(journal.cluster_id, "after"))
    assert (projection.details_from, projection.details_filled) == (older + 1, False)
    is_more = True
    while is_more or newer:
        is_more = await fill(projection, journal, count)
        if newer:
            await projection.apply(events[projection.position.event : newer.pop(0)])
    await projection.end_filling()
    assert (projection.details_from, projection.details_filled) == (1, True)
    expected = oracle_of(events[: projection.position.event]).tables()
    assert len(expected["amendments"]) > 10
    assert len(expected["prevented_matches"]) > 10
    assert differences(expected, await tables(connection)) == []


async def test_projector_fills_an_older_projection_by_itself(
    target: Target, connection: Connection, tmp_path: pathlib.Path, environ: dict[str, str]
) -> None:
    venue = JournaledVenue(tmp_path / "var")
    venue.apply(crowd(3_000))
    await project(target, venue)
    before = await tables(connection)
    await connection.execute(OLDER)
    venue.apply(crowd(3_200)[3_000:])
    async with Child(venue.path, environ) as child:
        await child.reaches(venue.event)
        await filled(connection, child)
    await assert_equal(target, venue)
    report = await compare(target, venue)
    assert report.details_from == report.first_event == 1
    kept = [row for row in (await tables(connection))["amendments"] if row in before["amendments"]]
    assert kept == before["amendments"]
    venue.close()


async def test_events_that_were_retired_are_said_to_be_missing(
    target: Target, connection: Connection, tmp_path: pathlib.Path, environ: dict[str, str]
) -> None:
    venue = JournaledVenue(tmp_path / "var")
    venue.apply(opening(3))
    venue.apply(changes())
    retired = venue.event
    venue.roll()
    venue.apply(traffic(300, accounts=3))
    await project(target, venue)
    venue.retire(events=retired)
    await connection.execute(OLDER)
    async with Child(venue.path, environ) as child:
        await child.reaches(venue.event)
        await filled(connection, child)
    report = await compare(target, venue)
    assert report.differences == {}
    assert report.details_from == retired + 1
    assert f"Amendments and prevented matches begin with event {retired + 1}." in "\n".join(report.sentences())
    venue.close()


async def test_who_wrote_before_the_migration_may_not_write_any_more(
    target: Target, connection: Connection, journal: EventJournal, events: Events
) -> None:
    first, second = (int(end) for end in ends_of(events)[[200, 400]])
    live = await target.connect("live")
    projection = await Projection.claim(live, Schemas(), Claimant(journal.cluster_id, "live"))
    await projection.apply(events[:first])
    await grow_old(connection)
    with pytest.raises(Moved):
        await projection.apply(events[first:second])
    live.terminate()


async def test_piece_that_somebody_else_has_filled_writes_nothing(
    target: Target, connection: Connection, journal: EventJournal, events: Events
) -> None:
    end = int(ends_of(events)[600])
    journal.append(events[:end])
    projection = await Projection.claim(connection, Schemas(), Claimant(journal.cluster_id, "one"))
    await projection.apply(events[:end])
    await grow_old(connection)
    live = await target.connect("live")
    superseded = await Projection.claim(live, Schemas(), Claimant(journal.cluster_id, "two"))
    projection = await Projection.claim(connection, Schemas(), Claimant(journal.cluster_id, "three"))
    assert await fill(projection, journal, end)
    with pytest.raises(Moved):
        await fill(superseded, journal, end)
    live.terminate()
    assert differences(oracle_of(events[:end]).tables(), await tables(connection)) == []
