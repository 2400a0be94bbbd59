"""The rolling windows against plain sums over the same trades."""

from __future__ import annotations

import random

import pytest

from exchange.core.compile import INTERPRETED
from exchange.core.state import MAX_ATOMS
from exchange.marketdata.aggregate import new_tables
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
from tests.marketdata.trading import Trade, events_of, fold_events, last_price_before, random_trades, summed
from tests.marketdata.venue import BTC_USDT, ETH_USDT, START_NS

COUNT = 200 if INTERPRETED else 3_000
SIZES = (1, 5, 59, 60, 240, DAY_MINUTES, 3 * DAY_MINUTES, MINUTE_SLOTS)
PACES = {
    "busy": (NS_PER_SECOND, 5 * NS_PER_SECOND),
    "over minutes": (NS_PER_MINUTE, 3 * NS_PER_MINUTE),
    "over weeks": (NS_PER_MINUTE, 60 * NS_PER_MINUTE, 2_000 * NS_PER_MINUTE),
    "with long pauses": (NS_PER_SECOND, NS_PER_SECOND, 9 * DAY_MINUTES * NS_PER_MINUTE),
}


@pytest.mark.parametrize("pace", PACES)
def test_window_of_every_size_over_random_trades_equals_plain_sums(pace: str) -> None:
    pick = random.Random(pace)
    trades = random_trades(pick, BTC_USDT, START_NS, PACES[pace], COUNT)
    tables = new_tables()
    events = events_of(trades)
    for end in range(COUNT // 10, COUNT + 1, COUNT // 10):
        fold_events(tables, events[end - COUNT // 10 : end])
        minute = trades[end - 1].ts_ns // NS_PER_MINUTE + pick.choice((0, 0, 1, 30))
        for size in SIZES:
            first = minute - size + 1
            found = minutes_window(tables.minutes, BTC_USDT, first, minute)
            assert found == summed(trades[:end], first * NS_PER_MINUTE, (minute + 1) * NS_PER_MINUTE)
            before = close_before(tables.rows, tables.minutes, BTC_USDT, first)
            assert before == last_price_before(trades[:end], first * NS_PER_MINUTE)
    assert minutes_window(tables.minutes, ETH_USDT, minute - 9, minute) == NO_TRADES
    assert close_before(tables.rows, tables.minutes, ETH_USDT, minute) == 0


def test_every_one_of_the_last_seconds_equals_plain_sums() -> None:
    trades = random_trades(random.Random(4), BTC_USDT, START_NS, (NS_PER_SECOND // 4, 3 * NS_PER_SECOND), COUNT)
    tables = new_tables()
    fold_events(tables, events_of(trades))
    last = trades[-1].ts_ns // NS_PER_SECOND
    for second in range(last - SECOND_SLOTS + 1, last + 3):
        found = second_window(tables.seconds, BTC_USDT, second)
        assert found == summed(trades, second * NS_PER_SECOND, (second + 1) * NS_PER_SECOND)
    assert second_window(tables.seconds, BTC_USDT, last - SECOND_SLOTS) == NO_TRADES


def test_trades_on_the_edges_of_a_minute_lie_in_the_minute_that_begins_there() -> None:
    minute = START_NS // NS_PER_MINUTE
    edges = [minute * NS_PER_MINUTE - 1, minute * NS_PER_MINUTE, (minute + 1) * NS_PER_MINUTE - 1]
    trades = [Trade(BTC_USDT, k + 1, ts_ns, 0, 10 + k, 1) for k, ts_ns in enumerate(edges)]
    tables = new_tables()
    fold_events(tables, events_of(trades))
    found = minutes_window(tables.minutes, BTC_USDT, minute, minute)
    assert (found.trades, found.first_trade_id, found.open_ticks, found.close_ticks) == (2, 2, 11, 12)
    assert close_before(tables.rows, tables.minutes, BTC_USDT, minute) == 10


def test_price_before_a_window_is_known_when_its_bucket_was_overwritten() -> None:
    minute = START_NS // NS_PER_MINUTE
    minutes = [minute - 3 * MINUTE_SLOTS, minute - MINUTE_SLOTS, minute]  # all in one slot
    trades = [Trade(BTC_USDT, k + 1, at * NS_PER_MINUTE, 0, 10 + k, 1) for k, at in enumerate(minutes)]
    tables = new_tables()
    fold_events(tables, events_of(trades))
    assert close_before(tables.rows, tables.minutes, BTC_USDT, minute) == 11
    assert close_before(tables.rows, tables.minutes, BTC_USDT, minute - 5) == 11


def test_window_sums_beyond_64_bits_are_exact() -> None:
    trades = [Trade(BTC_USDT, k, START_NS + k, k % 2, k, MAX_ATOMS // k) for k in range(1, 17)]
    tables = new_tables()
    fold_events(tables, events_of(trades))
    minute = START_NS // NS_PER_MINUTE
    found = minutes_window(tables.minutes, BTC_USDT, minute, minute)
    assert found == summed(trades, 0, 2 * START_NS)
    assert found.lots > 1 << 63
    assert found.tick_lots > 1 << 65
    assert found.bought_tick_lots > 1 << 63
