"""Trades for these tests: made at random, folded by the compiled aggregator, summed up once more in plain Python."""

from __future__ import annotations

import random
from typing import Any, NamedTuple

import numpy as np

from exchange.core.codes import EventFlag, EventKind
from exchange.core.event_records import view_events
from exchange.core.records import slots
from exchange.marketdata import table
from exchange.marketdata.aggregate import Tables, fold, view_batch
from exchange.marketdata.windows import NO_TRADES, Window

Events = np.ndarray[Any, np.dtype[np.uint8]]


class Trade(NamedTuple):
    """One trade as the oracle sees it."""

    symbol: int
    trade_id: int
    ts_ns: int
    side: int
    price_ticks: int
    qty_lots: int


def random_trades(
    pick: random.Random, symbol: int, start_ns: int, steps_ns: tuple[int, ...], count: int, first_id: int = 1
) -> list[Trade]:
    """Trades of one symbol; each comes up to one of `steps_ns`, drawn at random, after the one before."""
    trades = []
    ts_ns = start_ns
    for k in range(count):
        ts_ns += pick.randrange(pick.choice(steps_ns))
        price, lots = pick.randrange(1, 1 << 20), pick.randrange(1, 1 << 40)
        trades.append(Trade(symbol, first_id + k, ts_ns, pick.randrange(2), price, lots))
    return trades


def events_of(trades: list[Trade]) -> Events:
    """The events of these trades, each of a command of its own; sequences count from 1."""
    buffer = slots(len(trades))
    view = view_events(buffer).trade
    for k, trade in enumerate(trades):
        view[k].sequence = k + 1
        view[k].kind = EventKind.TRADE
        view[k].flags = EventFlag.LAST
        for name, value in trade._asdict().items():
            setattr(view[k], name, value)
    return buffer


def trades_in(events: Events) -> list[Trade]:
    """The trades among events."""
    view = view_events(events)
    found = view.trade[view.any["kind"] == EventKind.TRADE]
    return [Trade(*(int(one[name]) for name in Trade._fields)) for one in found]


def fold_events(tables: Tables, events: Events) -> None:
    """Fold events as the market data does."""
    view = memoryview(events.tobytes())
    noted = np.zeros(len(events), dtype=np.int64)
    batch = view_batch(view, len(events))
    assert fold(*tables, *table.new_levels(1 << 16), noted, batch, 0) == len(events)


def summed(trades: list[Trade], first_ns: int, end_ns: int) -> Window:
    """What a window that begins at `first_ns` and ends before `end_ns` must hold."""
    past = [trade for trade in trades if first_ns <= trade.ts_ns < end_ns]
    if not past:
        return NO_TRADES
    prices = [trade.price_ticks for trade in past]
    bought = [trade for trade in past if trade.side == 0]
    return Window(
        prices[0],
        max(prices),
        min(prices),
        prices[-1],
        len(past),
        past[0].trade_id,
        past[-1].trade_id,
        sum(trade.qty_lots for trade in past),
        sum(trade.price_ticks * trade.qty_lots for trade in past),
        sum(trade.qty_lots for trade in bought),
        sum(trade.price_ticks * trade.qty_lots for trade in bought),
    )


def last_price_before(trades: list[Trade], ts_ns: int) -> int:
    """The price of the last trade before a time; 0 when there was none."""
    return next((trade.price_ticks for trade in reversed(trades) if trade.ts_ns < ts_ns), 0)
