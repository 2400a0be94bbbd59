"""Who may write, and where a projection goes on: the row `projection`, the event log, what is refused."""

from __future__ import annotations

import pathlib

import numpy as np
import pytest

from exchange.persistence.copying import Table, copy
from exchange.persistence.database import Connection, Target
from exchange.persistence.event_log import EventLog, cluster_of
from exchange.persistence.fold import Position
from exchange.persistence.fold_orders import OrdersDiffer
from exchange.persistence.projection import (
    Claimant,
    Moved,
    Projection,
    ProjectionDiffers,
    ProjectionRefused,
    Superseded,
)
from exchange.persistence.schemas import Schemas
from journal.errors import Refused
from journal.segments import retire
from tests.persistence.event_journal import EventJournal, Events, ends_of, events_of, oracle_of
from tests.persistence.reading import differences, tables

CLUSTER = bytes(range(16))
SET = "update exchange_order.projection set "


async def claim(connection: Connection, claimant: Claimant) -> Projection:
    return await Projection.claim(connection, Schemas(), claimant)


async def test_second_claim_takes_the_projection_from_the_first(target: Target) -> None:
    first, second = Claimant(CLUSTER, "first"), Claimant(CLUSTER, "second")
    one, other = await target.connect("one"), await target.connect("other")
    older, newer = await claim(one, first), await claim(other, second)
    assert (first.epoch, second.epoch) == (1, 2)
    events = events_of(1)
    with pytest.raises(Moved):
        await older.apply(events)
    await one.execute("rollback")
    await newer.apply(events)
    with pytest.raises(Superseded, match="epoch 2"):
        await claim(one, first)
    assert differences(oracle_of(events).tables(), await tables(one)) == []
    await one.close()
    await other.close()


async def test_row_of_an_old_backup_is_claimed_anew(connection: Connection) -> None:
    claimant = Claimant(CLUSTER, "ours")
    await claim(connection, claimant)
    await connection.execute(SET + "owner = 'an older one of ours', epoch = 1")
    claimant.epoch = 7
    await claim(connection, claimant)
    assert claimant.epoch == 8
    assert await connection.fetchval("select epoch from exchange_order.projection") == 8


async def test_row_of_an_older_backup_that_names_us_is_written_on(connection: Connection) -> None:
    """Two backups came back one after the other; in the second we had claimed already."""
    claimant = Claimant(CLUSTER, "ours")
    await claim(connection, claimant)
    claimant.epoch = 7
    events = events_of(1)
    await (await claim(connection, claimant)).apply(events)
    assert differences(oracle_of(events).tables(), await tables(connection)) == []


async def test_commit_whose_reply_was_lost_is_not_applied_again(target: Target) -> None:
    """The batch is in, and we do not know: the row does."""
    claimant = Claimant(CLUSTER, "ours")
    events = events_of(2)
    half = int(ends_of(events)[700])
    lost = await target.connect("lost")
    await (await claim(lost, claimant)).apply(events[:half])
    lost.terminate()
    connection = await target.connect("again")
    projection = await claim(connection, claimant)
    assert (projection.position.event, claimant.epoch) == (half, 1)
    await projection.apply(events[half:])
    assert differences(oracle_of(events).tables(), await tables(connection)) == []
    await connection.close()


async def test_database_of_another_venue_is_refused(connection: Connection) -> None:
    await claim(connection, Claimant(CLUSTER, "theirs"))
    with pytest.raises(ProjectionRefused, match="another venue"):
        await claim(connection, Claimant(bytes(16), "ours"))


async def test_change_of_an_order_that_is_not_there_writes_nothing(connection: Connection) -> None:
    claimant = Claimant(CLUSTER, "ours")
    events = events_of(3)
    half = int(ends_of(events)[1_500])
    await (await claim(connection, claimant)).apply(events[:half])
    await connection.execute("delete from exchange_order.orders where leaves_lots > 0")
    before = await tables(connection)
    with pytest.raises(ProjectionDiffers, match="change what is not there"):
        await (await claim(connection, claimant)).apply(events[half:])
    await connection.execute("rollback")
    assert differences(before, await tables(connection)) == []


async def test_gap_in_order_ids_is_refused(connection: Connection) -> None:
    events = events_of(4)
    accepted = np.flatnonzero(events[:, 16] == 2)
    events[accepted[-1], 32:40] = np.frombuffer((10**6).to_bytes(8, "little"), np.uint8)
    projection = await claim(connection, Claimant(CLUSTER, "ours"))
    with pytest.raises(OrdersDiffer, match="gap"):
        await projection.apply(events)


async def test_text_is_copied_at_its_length_and_nothing_as_null(connection: Connection) -> None:
    await connection.execute("create temp table texts (number integer, text text, big bigint)")
    table = Table("texts", (("number", "i4"), ("text", "S8"), ("big", "i8")))
    texts = np.array([b"", b"a", b"12345678", b"abc"], "S8")
    big = np.array([-(2**63), -1, 0, 2**63 - 1])
    assert await copy(connection, None, table, {"number": np.arange(4), "text": texts, "big": big}) == 4
    rows = [tuple(row) for row in await connection.fetch("select * from texts order by number")]
    assert rows == [(0, None, -(2**63)), (1, "a", -1), (2, "12345678", 0), (3, "abc", 2**63 - 1)]


# ---- the event log --------------------------------------------------------------------------------------------------


@pytest.fixture
def events() -> Events:
    return events_of(6)


@pytest.fixture
def journal(tmp_path: pathlib.Path) -> EventJournal:
    return EventJournal(tmp_path / "var")


def position_after(events: Events, count: int) -> Position:
    sequence, ts_ns = events[count - 1, :16].view("<i8").tolist()
    return Position(count, sequence, ts_ns)


@pytest.mark.parametrize("count", [1, 50, 10**6])
def test_event_log_gives_whole_commands_and_every_event_once(journal: EventJournal, events: Events, count: int) -> None:
    ends = set(ends_of(events).tolist())
    log, taken, written = EventLog(journal.place, Position()), 0, 0
    for upto in (1, 90, 4_000, len(events)):
        journal.append(events[written:upto])
        written = upto
        while (found := log.read(count)) is not None:
            assert np.array_equal(found, events[taken : taken + len(found)])
            taken += len(found)
            assert taken in ends
        assert taken == max((end for end in ends if end <= upto), default=0)
    log.close()
    journal.close()
    assert cluster_of(journal.place) == journal.cluster_id


def test_event_log_begins_behind_the_position(journal: EventJournal, events: Events) -> None:
    journal.append(events)
    journal.close()
    at = int(ends_of(events)[1_234])
    for _ in range(2):
        log = EventLog(journal.place, position_after(events, at))
        found = log.read(10**6)
        assert found is not None
        assert np.array_equal(found, events[at:])
        log.close()
        # Now without the segments before: a journal whose first event is the next one is enough.
        retire(journal.place, at)


def test_position_that_the_journal_does_not_have_is_refused(journal: EventJournal, events: Events) -> None:
    ends = ends_of(events)
    half = int(ends[len(ends) // 2])
    journal.append(events[:half])
    journal.close()
    with pytest.raises(ProjectionRefused, match="acknowledged data was lost"):
        EventLog(journal.place, position_after(events, len(events)))
    stands = position_after(events, half)
    with pytest.raises(ProjectionRefused, match="two histories"):
        EventLog(journal.place, stands._replace(sequence=stands.sequence + 1))
    retire(journal.place, half)
    with pytest.raises(Refused, match="no longer there"):
        EventLog(journal.place, position_after(events, int(ends[10])))
