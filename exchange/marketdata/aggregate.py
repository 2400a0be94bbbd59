"""The aggregator: events in, price levels and rolling windows out, compiled.

Owns the reading of events for market data. Never touches a Python object per event; never publishes. How depth follows
from events: an accepted order that is not MARKET adds its lots at its price whatever its time in force; a TRADE and a
PREVENTED take lots off the maker's level and, unless the taker is MARKET, off the taker's own; ORDER_REDUCED and
ORDER_CLOSED take lots off. What has the flag OFF_BOOK changes no level, but ORDER_SHOWN, which says by how many lots
one changed; an order that was accepted with it, or that entered, takes nothing off a level of its own. Between the
events of one command the sums mean nothing: publish only when `is_whole`.

Invariant: events come without a gap. Every sequence is the last one, or the next one after an event with the flag LAST.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from exchange.core.codes import EventFlag, EventKind, OrderType
from exchange.core.compile import kernel
from exchange.core.records import RECORD_BYTES
from exchange.core.slots import order_event, prevented_event, trade_event
from exchange.marketdata.table import HEADER, change, records
from exchange.marketdata.windows import count_trade, new_windows

Batch = np.ndarray[Any, np.dtype[np.uint8]]


class Tables(NamedTuple):
    """What the aggregator writes beside the level table."""

    header: Any  # 1 HEADER
    rows: Any  # these three are those of windows.new_windows
    minutes: Any
    seconds: Any


def new_tables() -> Tables:
    """Tables that have seen nothing."""
    header = records(1, HEADER)
    header["complete_from_ns"] = -1
    return Tables(header, *new_windows())


def view_batch(view: memoryview, count: int) -> Batch:
    """The first `count` event slots of a buffer of bytes, shape (count, 128) u1, not writable."""
    batch: Batch = np.frombuffer(view, np.uint8, count * RECORD_BYTES).reshape(count, RECORD_BYTES)
    batch.setflags(write=False)
    return batch


@kernel
def fold(
    header: Any,
    rows: Any,
    minutes: Any,
    seconds: Any,
    entries: Any,
    dirty: Any,
    noted: Any,
    batch: Batch,
    first: int,
) -> int:
    """Fold the events from index `first` on; return the index after the last one folded.

    That is less than the batch's length when the level table must grow first; -1 - index where a sequence is missing.
    `noted` has room for the batch; it receives the indexes of trades that somebody listens to and of AUCTION_EVENTs.
    """
    head = header[0]
    room = len(entries) // 2 - 2
    for index in range(first, len(batch)):
        if head.entries > room:
            return index
        event = order_event(batch, index)
        if event.sequence != head.sequence + head.is_whole and head.sequence != 0:
            return -1 - index
        on_book = event["flags"] & EventFlag.OFF_BOOK == 0
        if event.kind == EventKind.ORDER_ACCEPTED:
            head.taker_book = 0
            if on_book and event.order_type != OrderType.MARKET:
                head.taker_book = event.symbol * 2 + event.side
                head.taker_price_ticks = event.price_ticks
                change(header, entries, dirty, head.taker_book, event.price_ticks, event.qty_lots)
        elif event.kind == EventKind.TRADE:
            trade = trade_event(batch, index)
            if on_book:
                change(header, entries, dirty, trade.symbol * 2 + (trade.side ^ 1), trade.price_ticks, -trade.qty_lots)
                if head.taker_book != 0:
                    change(header, entries, dirty, head.taker_book, head.taker_price_ticks, -trade.qty_lots)
            count_trade(rows, minutes, seconds, trade)
            head.trades += 1
            if rows[trade.symbol].trades_wanted != 0:
                noted[head.noted] = index
                head.noted += 1
        elif event.kind == EventKind.ORDER_CLOSED or event.kind == EventKind.ORDER_REDUCED:
            if on_book and event.order_type != OrderType.MARKET:
                change(header, entries, dirty, event.symbol * 2 + event.side, event.price_ticks, -event.qty_lots)
        elif event.kind == EventKind.PREVENTED:
            stop = prevented_event(batch, index)
            if on_book:
                maker_book = stop.symbol * 2 + (stop.side ^ 1)
                change(header, entries, dirty, maker_book, stop.price_ticks, -stop.maker_prevented_lots)
                if head.taker_book != 0:
                    change(header, entries, dirty, head.taker_book, head.taker_price_ticks, -stop.taker_prevented_lots)
        elif event.kind == EventKind.ORDER_ENTERED:
            head.taker_book = 0
        elif event.kind == EventKind.ORDER_SHOWN:
            change(header, entries, dirty, event.symbol * 2 + event.side, event.price_ticks, event.qty_lots)
        elif EventKind.AUCTION_STARTED <= event.kind <= EventKind.BREAKER_TRIPPED:
            noted[head.noted] = index
            head.noted += 1
        elif event.kind == EventKind.SYMBOL_ADDED:
            head.symbols_added += 1
        head.sequence = event.sequence
        head.ts_ns = event.ts_ns
        head.is_whole = event["flags"] & EventFlag.LAST
        head.events += 1
    return len(batch)
