"""The compiled aggregator against the real engine's book and against plain-Python models."""

from __future__ import annotations

import random
from collections import defaultdict
from typing import Any

import numpy as np
import pytest

from exchange.core.codes import CommandKind, EventFlag, EventKind, OrderType, Side
from exchange.core.compile import INTERPRETED
from exchange.core.event_records import event_dict
from exchange.marketdata import table
from exchange.marketdata.aggregate import new_tables
from exchange.marketdata.market import MarketData
from tests.marketdata.venue import BTC_USDT, ETH_USDT, Venue, event_count, symbol_fields

ROUNDS = 12 if INTERPRETED else 150


def published(market: MarketData, symbol: int) -> list[list[tuple[int, int]]]:
    return [market._feeds[symbol].book.levels(side) for side in Side]


def model_levels(levels: dict[tuple[int, int, int], int], events: list[dict[str, Any]]) -> None:
    """The depth rules once more, in a dictionary."""
    taker: tuple[int, int, int] | None = None
    for event in events:
        kind = EventKind(event["kind"])
        if kind == EventKind.ORDER_ACCEPTED:
            taker = (event["symbol"], event["side"], event["price_ticks"])
            if event["order_type"] == OrderType.MARKET:
                taker = None
            else:
                levels[taker] += event["qty_lots"]
        elif kind in (EventKind.TRADE, EventKind.PREVENTED):
            maker_lots = event["qty_lots"] if kind == EventKind.TRADE else event["maker_prevented_lots"]
            taker_lots = event["qty_lots"] if kind == EventKind.TRADE else event["taker_prevented_lots"]
            levels[event["symbol"], 1 - event["side"], event["price_ticks"]] -= maker_lots
            if taker is not None:
                levels[taker] -= taker_lots
        elif kind in (EventKind.ORDER_REDUCED, EventKind.ORDER_CLOSED) and event["order_type"] != OrderType.MARKET:
            levels[event["symbol"], event["side"], event["price_ticks"]] -= event["qty_lots"]


@pytest.mark.parametrize("seed", range(3))
def test_published_book_after_every_batch_of_random_commands_equals_engine_book(seed: int) -> None:
    venue = Venue(seed)
    market = MarketData()
    market.seed(venue.engine.state)
    kinds: set[int] = set()
    for _ in range(ROUNDS):
        view = venue.run(venue.some(venue.random.randrange(1, 80)))
        kinds.update(np.frombuffer(view, np.uint8)[16::128].tolist())
        market.on_events(view, event_count(view))
        market.publish()
        for symbol in (BTC_USDT, ETH_USDT):
            assert published(market, symbol) == venue.book(symbol)
    assert market.fault == ""
    assert market.statistics().levels == sum(len(side) for s in (BTC_USDT, ETH_USDT) for side in venue.book(s))
    assert INTERPRETED or kinds >= {1, 2, 4, 5, 6, 7}


def test_level_table_after_every_command_equals_plain_model() -> None:
    venue = Venue(7)
    market = MarketData()
    market.seed(venue.engine.state)
    levels: dict[tuple[int, int, int], int] = defaultdict(int)
    for _ in range(ROUNDS * 10):
        view = venue.run(venue.some(1))
        model_levels(levels, [event_dict(slot) for slot in np.frombuffer(view, np.uint8).reshape(-1, 128)])
        market.on_events(view, event_count(view))
        entries = market._levels.entries
        used = entries[entries["book"] != 0]
        found = {(int(e["book"]) >> 1, int(e["book"]) & 1, int(e["price_ticks"])): int(e["lots"]) for e in used}
        assert {k: v for k, v in found.items() if v} == {k: v for k, v in levels.items() if v}
        if venue.random.random() < 0.2:
            market.publish()


def test_events_cut_into_batches_anywhere_publish_only_between_commands() -> None:
    venue = Venue(3)
    market = MarketData()
    market.seed(venue.engine.state)
    for _ in range(ROUNDS):
        view = venue.run(venue.some(20))
        first = 0
        while first < event_count(view):
            count = min(venue.random.randrange(1, 4), event_count(view) - first)
            market.on_events(view[first * 128 : (first + count) * 128], count)
            before = market.statistics().publications
            market.publish()
            is_last = bool(view[(first + count) * 128 - 128 + 17] & EventFlag.LAST)
            assert (market.statistics().publications > before) == is_last
            first += count
        assert published(market, BTC_USDT) == venue.book(BTC_USDT)


def test_book_due_in_the_middle_of_a_command_is_published_when_the_command_ends() -> None:
    venue = Venue()
    market = MarketData()
    market.seed(venue.engine.state)
    for _ in range(2):
        resting = venue.run([venue.place(Side.SELL, 5_000 + k, 1) for k in range(2)])
        market.on_events(resting, 2)
    market.publish()
    taking = venue.run([venue.place(Side.BUY, 5_010, 9, account=17)])
    after = venue.run([venue.place(Side.BUY, 4_000, 1)])
    assert event_count(taking) == 5
    market.on_events(taking[:256], 2)
    market.publish()
    assert len(published(market, BTC_USDT)[Side.SELL]) == 2
    market.on_events(memoryview(bytes(taking[256:]) + bytes(after)), 4)
    assert published(market, BTC_USDT) == [[(5_010, 5)], []]
    market.publish()
    assert published(market, BTC_USDT) == venue.book(BTC_USDT)


def test_update_ids_are_gapless_and_never_smaller_after_a_restart() -> None:
    venue = Venue(11)
    market = MarketData()
    market.seed(venue.engine.state)
    for _ in range(ROUNDS):
        view = venue.run(venue.some(5))
        market.on_events(view, event_count(view))
        market.publish()
    last = [market._feeds[symbol].book.update_id for symbol in (BTC_USDT, ETH_USDT)]
    again = MarketData()
    again.seed(venue.engine.state)
    for symbol, update_id in zip((BTC_USDT, ETH_USDT), last, strict=True):
        assert again._feeds[symbol].book.update_id >= update_id
        assert published(again, symbol) == venue.book(symbol)


def test_symbol_added_while_running_gets_a_book() -> None:
    venue = Venue()
    market = MarketData()
    market.seed(venue.engine.state)
    fields = {**symbol_fields(3, 2, 1), "name": "ETH_BTC"}
    view = venue.run([(CommandKind.ADD_SYMBOL, fields), venue.place(Side.BUY, 700, 3, symbol=3)])
    market.on_events(view, event_count(view))
    market.publish()
    assert market.depth_snapshot("ETH_BTC", 5).endswith(b'"bids":[["7.00","0.0003"]],"asks":[]}')


def test_missing_event_stops_publication_until_seeded_again() -> None:
    venue = Venue()
    market = MarketData()
    market.seed(venue.engine.state)
    venue.run([venue.place(Side.BUY, 700, 3)])
    view = venue.run([venue.place(Side.BUY, 701, 3)])
    market.on_events(view, 1)
    missing = f"The event after sequence {venue.sequence - 2} is missing"
    assert market.fault == f"{missing}: the next one that came has sequence {venue.sequence}."
    market.seed(venue.engine.state)
    assert published(market, BTC_USDT) == [[(701, 3), (700, 3)], []]


def test_events_of_another_state_are_noticed_when_a_level_falls_below_zero() -> None:
    venue = Venue()
    venue.run([venue.place(Side.BUY, 700, 3)])
    market = MarketData()
    market.seed(venue.engine.state)
    table.load(market._tables.header, *market._levels, np.array([2]), np.array([700]), np.array([-1]))
    view = venue.run([(CommandKind.CANCEL_ALL, {"account": 16})])
    market.on_events(view, 2)
    market.publish()
    assert market.fault == "A price level fell below zero lots: events do not belong to the state that was seeded."


def test_level_table_under_random_changes_and_growth_equals_a_dictionary() -> None:
    pick = random.Random(5)
    header = new_tables().header
    levels = table.new_levels(8)
    model: dict[tuple[int, int], int] = {}
    shown: dict[tuple[int, int], int] = {}
    for _ in range(ROUNDS * 10):
        for _ in range(pick.randrange(12)):
            key = pick.choice([2, 3, 2_049]), pick.choice([1, 2, 1 << 20, 1 << 58]) * pick.randrange(1, 12)
            delta = pick.randrange(5) - min(2, model.get(key, 0))
            while int(header["entries"][0]) > len(levels.entries) // 2 - 2:
                levels = table.grown(levels)
            table.load(header, *levels, *(np.array([x], dtype=np.int64) for x in (*key, delta)))
            model[key] = model.get(key, 0) + delta
        out = [np.empty(int(header["dirty"][0]), dtype=np.int64) for _ in range(3)]
        changed = table.drain(header, *levels, *out)
        for book, price, lots in zip(*(a[:changed].tolist() for a in out), strict=True):
            assert shown.get((book, price), 0) != lots
            shown[book, price] = lots
        assert {k: v for k, v in shown.items() if v} == {k: v for k, v in model.items() if v}
        used = levels.entries[levels.entries["book"] != 0]
        assert len(used) == int(header["entries"][0]) == sum(1 for v in model.values() if v)
        assert (used["lots"] == used["published_lots"]).all()
        assert not used["dirty"].any()
    assert len(levels.entries) > 8
