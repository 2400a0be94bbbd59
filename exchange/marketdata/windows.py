"""Rolling windows: the trades of the last seven days summed up by the minute, and the last minutes by the second.

Owns two rings of buckets for every symbol and its last trade, in compiled code. Never reads a clock: minutes and
seconds are those of the trades' engine time. A bucket is overwritten only by the trade that needs its slot; the close
of the newest one that went that way stays in the symbol's row, so the price before a window is known for every window.

Sums are exact. They are kept as two words (the high one counts 2^32) because a day's sum of 63-bit numbers does not fit
in one.

Memory: 1.3 MB for a symbol that traded in every minute of a week, and nothing for a minute without trades but the 4 KiB
page that it shares with its 31 neighbours. Huge pages are refused, since one trade would then cost 2 MB.
"""

from __future__ import annotations

import mmap
from typing import Any, NamedTuple

import numpy as np

from exchange.core.codes import Limit, Side
from exchange.core.compile import INTERPRETED, inlined, kernel
from exchange.core.state import LIMIT_MAX

SYMBOL_ROWS = LIMIT_MAX[Limit.SYMBOLS] + 1
"""Rows are by symbol id; memory that no symbol touches is never backed by the operating system."""

NS_PER_SECOND = 1_000_000_000
NS_PER_MINUTE = 60 * NS_PER_SECOND
DAY_MINUTES = 1_440
MINUTE_SLOTS = 7 * DAY_MINUTES + 1
"""A window of seven days begins on a minute and ends within one."""
SECOND_SLOTS = 128
_LOW_32 = (1 << 32) - 1
_SUMS = 15

ROW = np.dtype(
    [
        ("last_price_ticks", "<i8"),  # of the last trade
        ("last_lots", "<i8"),
        ("last_trade_id", "<i8"),  # zero: no trade seen
        ("last_ts_ns", "<i8"),
        ("older_minute", "<i8"),  # of the newest trade that no bucket holds any more
        ("older_close_ticks", "<i8"),  # its price; zero: there is none
        ("trades_wanted", "<i8"),  # 1: somebody listens, note this symbol's trades
    ],
    align=True,
)
BUCKET = np.dtype(
    [
        ("number", "<i8"),  # of its minute or second since 1970
        ("count", "<i8"),  # trades; zero: never used
        ("first_trade_id", "<i8"),
        ("last_trade_id", "<i8"),
        ("open_ticks", "<i8"),
        ("high_ticks", "<i8"),
        ("low_ticks", "<i8"),
        ("close_ticks", "<i8"),
        ("lots_high", "<i8"),  # sum of qty_lots: high * 2^32 + low
        ("lots_low", "<i8"),
        ("tick_lots_high", "<i8"),  # sum of price_ticks * qty_lots
        ("tick_lots_low", "<i8"),
        ("bought_lots_high", "<i8"),  # the same two sums of the trades whose taker bought
        ("bought_lots_low", "<i8"),
        ("bought_tick_lots_high", "<i8"),
        ("bought_tick_lots_low", "<i8"),
    ],
    align=True,
)


class Window(NamedTuple):
    """The trades between two times. All zero where nothing was traded."""

    open_ticks: int
    high_ticks: int
    low_ticks: int
    close_ticks: int
    trades: int
    first_trade_id: int
    last_trade_id: int
    lots: int
    tick_lots: int  # sum of price_ticks * qty_lots
    bought_lots: int  # the same two of the trades whose taker bought
    bought_tick_lots: int


NO_TRADES = Window(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)


def _sparse(count: int, dtype: np.dtype[Any]) -> Any:
    """Zeroed records of which only touched pages exist."""
    flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | getattr(mmap, "MAP_NORESERVE", 0)
    memory = mmap.mmap(-1, count * dtype.itemsize, flags=flags)
    memory.madvise(mmap.MADV_NOHUGEPAGE)
    array = np.frombuffer(memory, dtype, count)
    return array.view(np.recarray) if INTERPRETED else array


def new_windows() -> tuple[Any, Any, Any]:
    """Windows that have seen nothing: rows by symbol id, and the buckets of minutes and of seconds.

    The bucket of a minute lies at symbol id * MINUTE_SLOTS + minute % MINUTE_SLOTS, and likewise that of a second.
    """
    rows = _sparse(SYMBOL_ROWS, ROW)
    minutes = _sparse(SYMBOL_ROWS * MINUTE_SLOTS, BUCKET)
    # Nobody shall wait for these to be compiled later on.
    minutes_window(minutes, 0, 0, 0)
    close_before(rows, minutes, 0, 0)
    return rows, minutes, _sparse(SYMBOL_ROWS * SECOND_SLOTS, BUCKET)


@inlined
def _add(bucket: Any, number: int, trade: Any) -> None:
    """Count a trade in a bucket, which is begun anew when it holds another minute or second."""
    if bucket.number != number or bucket.count == 0:
        bucket.number = number
        bucket.count = 0
        bucket.first_trade_id = trade.trade_id
        bucket.open_ticks = trade.price_ticks
        bucket.high_ticks = trade.price_ticks
        bucket.low_ticks = trade.price_ticks
        bucket.lots_high = 0
        bucket.lots_low = 0
        bucket.tick_lots_high = 0
        bucket.tick_lots_low = 0
        bucket.bought_lots_high = 0
        bucket.bought_lots_low = 0
        bucket.bought_tick_lots_high = 0
        bucket.bought_tick_lots_low = 0
    tick_lots = trade.price_ticks * trade.qty_lots
    bucket.count += 1
    bucket.last_trade_id = trade.trade_id
    bucket.high_ticks = max(bucket.high_ticks, trade.price_ticks)
    bucket.low_ticks = min(bucket.low_ticks, trade.price_ticks)
    bucket.close_ticks = trade.price_ticks
    bucket.lots_high += trade.qty_lots >> 32
    bucket.lots_low += trade.qty_lots & _LOW_32
    bucket.tick_lots_high += tick_lots >> 32
    bucket.tick_lots_low += tick_lots & _LOW_32
    if trade.side == Side.BUY:
        bucket.bought_lots_high += trade.qty_lots >> 32
        bucket.bought_lots_low += trade.qty_lots & _LOW_32
        bucket.bought_tick_lots_high += tick_lots >> 32
        bucket.bought_tick_lots_low += tick_lots & _LOW_32


@inlined
def count_trade(rows: Any, minutes: Any, seconds: Any, trade: Any) -> None:
    """Count a trade in its minute and its second. Trades come in the order of their times."""
    row = rows[trade.symbol]
    row.last_price_ticks = trade.price_ticks
    row.last_lots = trade.qty_lots
    row.last_trade_id = trade.trade_id
    row.last_ts_ns = trade.ts_ns
    minute = trade.ts_ns // NS_PER_MINUTE
    bucket = minutes[trade.symbol * MINUTE_SLOTS + minute % MINUTE_SLOTS]
    if bucket.count != 0 and bucket.number != minute and bucket.number >= row.older_minute:
        row.older_minute = bucket.number
        row.older_close_ticks = bucket.close_ticks
    _add(bucket, minute, trade)
    second = trade.ts_ns // NS_PER_SECOND
    _add(seconds[trade.symbol * SECOND_SLOTS + second % SECOND_SLOTS], second, trade)


@kernel
def _sum(ring: Any, slots: int, symbol: int, first: int, last: int, sums: Any) -> None:
    """Fill `sums` from a symbol's buckets `first` to `last`, both included and at most `slots` of them."""
    sums[:] = 0
    for number in range(first, last + 1):
        bucket = ring[symbol * slots + number % slots]
        if bucket.number == number and bucket.count != 0:
            if sums[4] == 0:
                sums[0] = bucket.open_ticks
                sums[1] = bucket.high_ticks
                sums[2] = bucket.low_ticks
                sums[5] = bucket.first_trade_id
            sums[1] = max(sums[1], bucket.high_ticks)
            sums[2] = min(sums[2], bucket.low_ticks)
            sums[3] = bucket.close_ticks
            sums[4] += bucket.count
            sums[6] = bucket.last_trade_id
            sums[7] += bucket.lots_high
            sums[8] += bucket.lots_low
            sums[9] += bucket.tick_lots_high
            sums[10] += bucket.tick_lots_low
            sums[11] += bucket.bought_lots_high
            sums[12] += bucket.bought_lots_low
            sums[13] += bucket.bought_tick_lots_high
            sums[14] += bucket.bought_tick_lots_low


def _window(ring: Any, slots: int, symbol: int, first: int, last: int) -> Window:
    sums = np.zeros(_SUMS, dtype=np.int64)
    _sum(ring, slots, symbol, max(first, last - slots + 1), last, sums)
    found = sums.tolist()
    return Window(*found[:7], *((high << 32) + low for high, low in zip(found[7::2], found[8::2], strict=True)))


def minutes_window(minutes: Any, symbol: int, first: int, last: int) -> Window:
    """A symbol's trades of the minutes `first` to `last`, both included (engine time // NS_PER_MINUTE)."""
    return _window(minutes, MINUTE_SLOTS, symbol, first, last)


def second_window(seconds: Any, symbol: int, second: int) -> Window:
    """A symbol's trades of one of the last seconds (engine time // NS_PER_SECOND)."""
    return _window(seconds, SECOND_SLOTS, symbol, second, second)


@kernel
def _close_before(ring: Any, slots: int, symbol: int, number: int, older: int, older_close_ticks: int) -> Any:
    """The close of a symbol's newest bucket before `number`, or of an older one that the ring lost."""
    for age in range(1, slots + 1):
        bucket = ring[symbol * slots + (number - age) % slots]
        if bucket.number == number - age and bucket.count != 0:
            return bucket.close_ticks
    close_ticks = older_close_ticks
    for slot in range(symbol * slots, (symbol + 1) * slots):
        bucket = ring[slot]
        if bucket.count != 0 and older <= bucket.number < number:
            older = bucket.number
            close_ticks = bucket.close_ticks
    return close_ticks


def close_before(rows: Any, minutes: Any, symbol: int, minute: int) -> int:
    """The last price in ticks before a minute of the last seven days; 0 when there was none."""
    row = rows[symbol]
    older = int(row["older_minute"]), int(row["older_close_ticks"])
    return int(_close_before(minutes, MINUTE_SLOTS, symbol, minute, *older))
