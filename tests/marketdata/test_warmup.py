"""A process that starts again holds the windows of one that never stopped."""

from __future__ import annotations

import pathlib
from collections.abc import Iterator

import numpy as np
import pytest

from exchange.core import readers
from exchange.core.compile import INTERPRETED
from exchange.core.event_records import view_events
from exchange.marketdata.aggregate import Tables, fold, new_tables, view_batch
from exchange.marketdata.table import new_levels
from exchange.marketdata.warmup import load_windows
from exchange.marketdata.windows import (
    DAY_MINUTES,
    MINUTE_SLOTS,
    NO_TRADES,
    NS_PER_MINUTE,
    NS_PER_SECOND,
    SECOND_SLOTS,
    close_before,
    minutes_window,
    second_window,
)
from journal.reader import records
from tests.persistence.journaled import STEP_NS, JournaledVenue, crowd, opening, traffic

COUNT = 2_000 if INTERPRETED else 12_000
SEGMENT_BYTES = 1 << 16
SIZES = (1, 6, 60, 333, DAY_MINUTES, 4 * DAY_MINUTES, MINUTE_SLOTS)


@pytest.fixture
def venue(tmp_path: pathlib.Path) -> Iterator[JournaledVenue]:
    """A venue with journals of many small segments."""
    journaled = JournaledVenue(tmp_path / "var", SEGMENT_BYTES)
    yield journaled
    journaled.close()


def events_of(venue: JournaledVenue) -> pathlib.Path:
    return venue.path / "journal" / "events"


def never_stopped(venue: JournaledVenue) -> Tables:
    """The tables of a process that has seen every event live."""
    tables = new_tables()
    for _, batch in records(events_of(venue)):
        noted = np.zeros(len(batch), np.int64)
        room = new_levels(1 << 14)
        assert fold(*tables, *room, noted, view_batch(memoryview(batch.tobytes()), len(batch)), 0) == len(batch)
        tables.header["entries"][0] = tables.header["dirty"][0] = 0  # only the windows are looked at
    return tables


def answers(tables: Tables, symbol: int, now_ns: int) -> list[object]:
    """Everything that can be asked about a symbol."""
    row = tables.rows[symbol]
    found: list[object] = [int(row[name]) for name in ("last_price_ticks", "last_lots", "last_trade_id", "last_ts_ns")]
    minute, second = now_ns // NS_PER_MINUTE, now_ns // NS_PER_SECOND
    for size in SIZES:
        found.append(minutes_window(tables.minutes, symbol, minute - size + 1, minute))
        found.append(close_before(tables.rows, tables.minutes, symbol, minute - size + 1))
    return found + [second_window(tables.seconds, symbol, second - age) for age in range(SECOND_SLOTS)]


def symbols_of(venue: JournaledVenue) -> list[int]:
    return [view.symbol for view in readers.symbols(venue.engine.state)]


def assert_same(venue: JournaledVenue, tables: Tables, now_ns: int) -> None:
    live = never_stopped(venue)
    for symbol in symbols_of(venue):
        assert answers(tables, symbol, now_ns) == answers(live, symbol, now_ns)


def time_of(venue: JournaledVenue) -> int:
    return int(venue.engine.state.header[0].ts_ns)


@pytest.mark.parametrize("quiet_days", [0, 2, 6, 8, 40])
def test_windows_loaded_from_a_whole_journal_are_those_of_a_process_that_never_stopped(
    venue: JournaledVenue, quiet_days: int
) -> None:
    venue.apply(crowd(COUNT))
    now_ns = time_of(venue) + quiet_days * DAY_MINUTES * NS_PER_MINUTE
    tables = new_tables()
    shown: list[tuple[int, int]] = []
    read = load_windows(tables, events_of(venue), venue.engine.state, now_ns, lambda *at: shown.append(at))
    assert_same(venue, tables, now_ns)
    assert 0 < read <= venue.event
    assert [done for done, _ in shown] == sorted({done for done, _ in shown})
    assert all(done <= total for done, total in shown)


def test_only_the_segments_of_the_last_seven_days_are_read(tmp_path: pathlib.Path) -> None:
    venue = JournaledVenue(tmp_path / "long", SEGMENT_BYTES)
    venue.apply(opening())
    venue.apply(traffic(COUNT))
    late_ns = time_of(venue) + MINUTE_SLOTS * NS_PER_MINUTE - COUNT * STEP_NS // 5
    tables = new_tables()
    read = load_windows(tables, events_of(venue), venue.engine.state, late_ns)
    assert read < venue.event // 2
    assert_same(venue, tables, late_ns)
    assert 0 < int(tables.header["complete_from_ns"][0]) <= late_ns - (MINUTE_SLOTS - 1) * NS_PER_MINUTE
    venue.close()


def test_bound_on_events_leaves_out_the_oldest_and_says_since_when_all_are_there(venue: JournaledVenue) -> None:
    venue.apply(opening())
    venue.apply(traffic(COUNT))
    tables = new_tables()
    now_ns = time_of(venue)
    read = load_windows(
        tables, events_of(venue), venue.engine.state, now_ns, events_max=venue.event // 3, older_events_max=0
    )
    assert read < venue.event // 2
    complete_from_ns = int(tables.header["complete_from_ns"][0])
    assert 0 < complete_from_ns < now_ns
    live, first = never_stopped(venue), -(-complete_from_ns // NS_PER_MINUTE)
    minute = now_ns // NS_PER_MINUTE
    found = minutes_window(tables.minutes, 1, first, minute)
    assert found == minutes_window(live.minutes, 1, first, minute) != NO_TRADES
    assert minutes_window(tables.minutes, 1, 0, minute).trades < minutes_window(live.minutes, 1, 0, minute).trades


def test_retired_segments_are_simply_not_there(venue: JournaledVenue) -> None:
    venue.apply(opening())
    venue.apply(traffic(COUNT))
    live = never_stopped(venue)
    venue.retire(events=venue.event // 2)
    tables = new_tables()
    now_ns = time_of(venue)
    load_windows(tables, events_of(venue), venue.engine.state, now_ns)
    first = -(-int(tables.header["complete_from_ns"][0]) // NS_PER_MINUTE)
    minute = now_ns // NS_PER_MINUTE
    assert minutes_window(tables.minutes, 1, first, minute) == minutes_window(live.minutes, 1, first, minute)


def test_last_price_of_a_symbol_that_has_been_quiet_for_long_is_found_behind_others(venue: JournaledVenue) -> None:
    venue.apply(crowd(COUNT))
    last = {
        int(trade["symbol"]): int(trade["price_ticks"])
        for _, batch in records(events_of(venue))
        for trade in view_events(batch).trade[view_events(batch).any["kind"] == 4]
    }
    tables = new_tables()
    load_windows(tables, events_of(venue), venue.engine.state, time_of(venue), events_max=0)
    assert {symbol: int(tables.rows[symbol]["last_price_ticks"]) for symbol in last} == last


def test_empty_journal_is_complete_and_reads_nothing(venue: JournaledVenue, tmp_path: pathlib.Path) -> None:
    tables = new_tables()
    assert load_windows(tables, events_of(venue), venue.engine.state, 10**18) == 0
    (tmp_path / "nothing").mkdir()
    assert load_windows(tables, tmp_path / "nothing", venue.engine.state, 10**18) == 0
