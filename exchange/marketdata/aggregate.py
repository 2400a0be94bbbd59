"""The aggregator: events in, price levels, last trades and 24-hour windows out, compiled.

Owns the reading of events for market data. Never touches a Python object per event; never publishes. How depth follows
from events: an accepted order that is not MARKET adds its lots at its price whatever its time in force; a TRADE and a
PREVENTED take lots off the maker's level and, unless the taker is MARKET, off the taker's own; ORDER_REDUCED and
ORDER_CLOSED take lots off. Between the events of one command the sums mean nothing: publish only when `is_whole`.

The rolling window is made of 1 440 one-minute buckets per symbol, by engine time: it covers the current minute and the
1 439 before it. Sums are kept as two words (the high one counts 2^32) because a day's sum of 63-bit numbers does not
fit in one.

Invariant: events come without a gap. Every sequence is the last one, or the next one after an event with the flag LAST.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from exchange.core.codes import EventFlag, EventKind, Limit, OrderType
from exchange.core.compile import inlined, kernel
from exchange.core.records import RECORD_BYTES
from exchange.core.slots import order_event, prevented_event, trade_event
from exchange.core.state import LIMIT_MAX
from exchange.marketdata.table import HEADER, change, records

SYMBOL_ROWS = LIMIT_MAX[Limit.SYMBOLS] + 1
"""Rows are by symbol id; memory that no symbol touches is never backed by the operating system."""

NS_PER_MINUTE = 60_000_000_000
WINDOW_MINUTES = 1_440
_LOW_32 = (1 << 32) - 1

ROW = np.dtype(
    [
        ("last_price_ticks", "<i8"),  # of the last trade
        ("last_lots", "<i8"),
        ("last_trade_id", "<i8"),  # zero: no trade seen
        ("last_ts_ns", "<i8"),
        ("trades_wanted", "<i8"),  # 1: somebody listens, note this symbol's trades
    ],
    align=True,
)
BUCKET = np.dtype(
    [
        ("minute", "<i8"),  # ts_ns // NS_PER_MINUTE that this bucket holds
        ("count", "<i8"),  # trades
        ("first_trade_id", "<i8"),
        ("open_ticks", "<i8"),
        ("high_ticks", "<i8"),
        ("low_ticks", "<i8"),
        ("lots_high", "<i8"),  # sum of qty_lots: high * 2^32 + low
        ("lots_low", "<i8"),
        ("tick_lots_high", "<i8"),  # sum of price_ticks * qty_lots
        ("tick_lots_low", "<i8"),
    ],
    align=True,
)


Batch = np.ndarray[Any, np.dtype[np.uint8]]


class Tables(NamedTuple):
    """What the aggregator writes beside the level table."""

    header: Any  # 1 HEADER
    rows: Any  # ROW by symbol id
    buckets: Any  # BUCKET by symbol id * WINDOW_MINUTES + minute % WINDOW_MINUTES


class Window(NamedTuple):
    """A symbol's last 24 hours. All zero where nothing was traded."""

    open_ticks: int
    high_ticks: int
    low_ticks: int
    trades: int
    first_trade_id: int
    lots: int
    tick_lots: int  # sum of price_ticks * qty_lots


def new_tables() -> Tables:
    """Tables that have seen nothing."""
    return Tables(
        records(1, HEADER),
        records(SYMBOL_ROWS, ROW),
        records(SYMBOL_ROWS * WINDOW_MINUTES, BUCKET),
    )


def view_batch(view: memoryview, count: int) -> Batch:
    """The first `count` event slots of a buffer of bytes, shape (count, 128) u1, not writable."""
    batch: Batch = np.frombuffer(view, np.uint8, count * RECORD_BYTES).reshape(count, RECORD_BYTES)
    batch.setflags(write=False)
    return batch


@inlined
def _count_trade(rows: Any, buckets: Any, trade: Any) -> None:
    row = rows[trade.symbol]
    row.last_price_ticks = trade.price_ticks
    row.last_lots = trade.qty_lots
    row.last_trade_id = trade.trade_id
    row.last_ts_ns = trade.ts_ns
    minute = trade.ts_ns // NS_PER_MINUTE
    bucket = buckets[trade.symbol * WINDOW_MINUTES + minute % WINDOW_MINUTES]
    if bucket.minute != minute or bucket.count == 0:
        bucket.minute = minute
        bucket.count = 0
        bucket.first_trade_id = trade.trade_id
        bucket.open_ticks = trade.price_ticks
        bucket.high_ticks = trade.price_ticks
        bucket.low_ticks = trade.price_ticks
        bucket.lots_high = 0
        bucket.lots_low = 0
        bucket.tick_lots_high = 0
        bucket.tick_lots_low = 0
    tick_lots = trade.price_ticks * trade.qty_lots
    bucket.count += 1
    bucket.high_ticks = max(bucket.high_ticks, trade.price_ticks)
    bucket.low_ticks = min(bucket.low_ticks, trade.price_ticks)
    bucket.lots_high += trade.qty_lots >> 32
    bucket.lots_low += trade.qty_lots & _LOW_32
    bucket.tick_lots_high += tick_lots >> 32
    bucket.tick_lots_low += tick_lots & _LOW_32


@kernel
def fold(
    header: Any,
    rows: Any,
    buckets: Any,
    entries: Any,
    dirty: Any,
    noted: Any,
    batch: Batch,
    first: int,
) -> int:
    """Fold the events from index `first` on; return the index after the last one folded.

    That is less than the batch's length when the level table must grow first; -1 - index where a sequence is missing.
    `noted` has room for the batch; it receives the indexes of trades that somebody listens to.
    """
    head = header[0]
    room = len(entries) // 2 - 2
    for index in range(first, len(batch)):
        if head.entries > room:
            return index
        event = order_event(batch, index)
        if event.sequence != head.sequence + head.is_whole and head.sequence != 0:
            return -1 - index
        if event.kind == EventKind.ORDER_ACCEPTED:
            head.taker_book = 0
            if event.order_type != OrderType.MARKET:
                head.taker_book = event.symbol * 2 + event.side
                head.taker_price_ticks = event.price_ticks
                change(header, entries, dirty, head.taker_book, event.price_ticks, event.qty_lots)
        elif event.kind == EventKind.TRADE:
            trade = trade_event(batch, index)
            change(header, entries, dirty, trade.symbol * 2 + (trade.side ^ 1), trade.price_ticks, -trade.qty_lots)
            if head.taker_book != 0:
                change(header, entries, dirty, head.taker_book, head.taker_price_ticks, -trade.qty_lots)
            _count_trade(rows, buckets, trade)
            head.trades += 1
            if rows[trade.symbol].trades_wanted != 0:
                noted[head.noted] = index
                head.noted += 1
        elif event.kind == EventKind.ORDER_CLOSED or event.kind == EventKind.ORDER_REDUCED:
            if event.order_type != OrderType.MARKET:
                change(header, entries, dirty, event.symbol * 2 + event.side, event.price_ticks, -event.qty_lots)
        elif event.kind == EventKind.PREVENTED:
            stop = prevented_event(batch, index)
            maker_book = stop.symbol * 2 + (stop.side ^ 1)
            change(header, entries, dirty, maker_book, stop.price_ticks, -stop.maker_prevented_lots)
            if head.taker_book != 0:
                change(header, entries, dirty, head.taker_book, head.taker_price_ticks, -stop.taker_prevented_lots)
        elif event.kind == EventKind.SYMBOL_ADDED:
            head.symbols_added += 1
        head.sequence = event.sequence
        head.ts_ns = event.ts_ns
        head.is_whole = event["flags"] & EventFlag.LAST
        head.events += 1
    return len(batch)


@kernel
def _sum_window(buckets: Any, symbol: int, minute: int, sums: Any) -> None:
    """Fill `sums` (9 i8) from a symbol's buckets of the 1 440 minutes that end with `minute`, oldest first."""
    sums[:] = 0
    for age in range(WINDOW_MINUTES - 1, -1, -1):
        bucket = buckets[symbol * WINDOW_MINUTES + (minute - age) % WINDOW_MINUTES]
        if bucket.minute == minute - age and bucket.count != 0:
            if sums[3] == 0:
                sums[0] = bucket.open_ticks
                sums[1] = bucket.high_ticks
                sums[2] = bucket.low_ticks
                sums[4] = bucket.first_trade_id
            sums[1] = max(sums[1], bucket.high_ticks)
            sums[2] = min(sums[2], bucket.low_ticks)
            sums[3] += bucket.count
            sums[5] += bucket.lots_high
            sums[6] += bucket.lots_low
            sums[7] += bucket.tick_lots_high
            sums[8] += bucket.tick_lots_low


def window(tables: Tables, symbol: int, minute: int) -> Window:
    """A symbol's last 24 hours up to and including `minute` (engine time // NS_PER_MINUTE)."""
    sums = np.zeros(9, dtype=np.int64)
    _sum_window(tables.buckets, symbol, minute, sums)
    opened, high, low, count, first_trade_id, lots_high, lots_low, tick_lots_high, tick_lots_low = sums.tolist()
    return Window(
        opened, high, low, count, first_trade_id, (lots_high << 32) + lots_low, (tick_lots_high << 32) + tick_lots_low
    )
