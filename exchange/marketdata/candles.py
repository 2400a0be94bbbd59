"""Candles as they stand now: out of the minute windows, with what lies before them out of history.

Owns when a candle is closed, and which part of it comes from where. Never knows how long an interval is: the grid of
its candles is given by the source, which the edge with the history implements.

    open ──── past, from the source ──── end of past ──── minutes of the windows ──── now
    (only where the windows do not reach back to the open: months, or a journal that was cut)

A candle is closed when no trade with an earlier time can come any more: when an event with a later time has come, or
`seen_until_ns` says so. A candle without trades has the last price before it for its four prices.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Protocol

from exchange.marketdata.aggregate import Tables
from exchange.marketdata.tickers import NO_TRADE_ID
from exchange.marketdata.windows import (
    DAY_MINUTES,
    MINUTE_SLOTS,
    NO_TRADES,
    NS_PER_MINUTE,
    NS_PER_SECOND,
    Window,
    close_before,
    minutes_window,
    second_window,
)

_NS_PER_HOUR = 60 * NS_PER_MINUTE
_RENEW_NS = DAY_MINUTES * NS_PER_MINUTE
"""How long before the windows forget its end a past is asked for anew."""


class HistoryAway(Exception):
    """History can not be read at the moment; ask again."""


class Grid(Protocol):
    """Where the candles of an interval begin."""

    def number(self, ts_ns: int) -> int:
        """The number of the candle that a time lies in."""

    def open_ns(self, number: int) -> int:
        """When the candle of that number begins."""


class CandleSource(Protocol):
    """What market data does not know by itself."""

    def grid(self, interval: str, *, is_utc8: bool) -> Grid:
        """The candles of an interval in UTC, or by the clock of UTC+8."""

    async def past(self, symbol: int, open_ns: int, end_ns: int) -> Window | None:
        """The trades from `open_ns` to before `end_ns`, both whole minutes and long seen by everybody.

        Without any, `close_ticks` is the last price before. None: there is no history here. Raises HistoryAway.
        """


class Past(NamedTuple):
    """The first part of a candle."""

    number: int
    end_ns: int
    window: Window
    is_read: bool
    """Out of history; else nobody knows more than that it is missing."""


class Candle(NamedTuple):
    """One candle. Without trades its four prices are the last price before it, its trade ids -1."""

    open_ns: int
    end_ns: int
    is_closed: bool
    window: Window


class Candles:
    """What every candle stream works with. `source` is set before the first of them is opened."""

    def __init__(self, tables: Tables, now_ns: Callable[[], int], seen_until_ns: Callable[[], int]) -> None:
        self.source: CandleSource | None = None
        self.now_ns = now_ns
        self._tables = tables
        self._seen_until_ns = seen_until_ns

    def settled_ns(self) -> int:
        """Every trade with an earlier time is in the windows."""
        return max(int(self._tables.header["ts_ns"][0]), self._seen_until_ns())

    def last_trade_id(self, symbol: int) -> int:
        """Changes when a candle of the symbol does."""
        return int(self._tables.rows[symbol]["last_trade_id"])

    def known_from_ns(self, settled_ns: int) -> int:
        """The first minute since which the windows hold every trade."""
        complete_from_ns = int(self._tables.header["complete_from_ns"][0])
        return max(self._remembered_from_ns(settled_ns), -(-complete_from_ns // NS_PER_MINUTE) * NS_PER_MINUTE)

    def reaches_back_to(self, open_ns: int, settled_ns: int) -> bool:
        """Whether the windows hold every trade since then."""
        return open_ns >= self.known_from_ns(settled_ns)

    def is_usable(self, past: Past | None, number: int, settled_ns: int) -> bool:
        """Whether the windows continue that past of candle `number`."""
        return past is not None and past.number == number and self.reaches_back_to(past.end_ns, settled_ns)

    def wants_renewal(self, past: Past, settled_ns: int) -> bool:
        """Whether the windows are about to forget where that past ends."""
        return past.is_read and past.end_ns < self._remembered_from_ns(settled_ns) + _RENEW_NS

    def end_of_past_ns(self, open_ns: int, end_ns: int, settled_ns: int) -> int | None:
        """Where to end the past of the candle from `open_ns` to `end_ns`; None: it can not be ended yet.

        On an hour if it can be, which is quicker to read; else on a minute.
        """
        latest_ns = min(end_ns, settled_ns)
        for step_ns in (_NS_PER_HOUR, NS_PER_MINUTE):
            past_end_ns = latest_ns // step_ns * step_ns
            if past_end_ns > open_ns and self.reaches_back_to(past_end_ns, settled_ns):
                return past_end_ns
        return None

    def candle(self, symbol: int, open_ns: int, end_ns: int, past: Past | None, *, is_closed: bool) -> Candle:
        """The candle from `open_ns` to before `end_ns`; its first part is `past`, if it has one."""
        tables = self._tables
        if end_ns - open_ns == NS_PER_SECOND:
            window = second_window(tables.seconds, symbol, open_ns // NS_PER_SECOND)
        else:
            from_ns = open_ns if past is None else past.end_ns
            newest_minute = int(tables.header["ts_ns"][0]) // NS_PER_MINUTE
            last_minute = min(end_ns // NS_PER_MINUTE - 1, newest_minute)
            window = minutes_window(tables.minutes, symbol, from_ns // NS_PER_MINUTE, last_minute)
        if past is not None:
            window = joined(past.window, window)
        if not window.trades:
            close_ticks = self._close_before(symbol, open_ns) or window.close_ticks
            window = NO_TRADES._replace(
                open_ticks=close_ticks,
                high_ticks=close_ticks,
                low_ticks=close_ticks,
                close_ticks=close_ticks,
                first_trade_id=NO_TRADE_ID,
                last_trade_id=NO_TRADE_ID,
            )
        return Candle(open_ns, end_ns, is_closed, window)

    def _close_before(self, symbol: int, open_ns: int) -> int:
        """The last price before a time, which may lie within a minute."""
        row = self._tables.rows[symbol]
        if int(row["last_ts_ns"]) < open_ns:
            return int(row["last_price_ticks"])
        seconds, minute = self._tables.seconds, open_ns // NS_PER_MINUTE
        for second in range(open_ns // NS_PER_SECOND - 1, minute * (NS_PER_MINUTE // NS_PER_SECOND) - 1, -1):
            window = second_window(seconds, symbol, second)
            if window.trades:
                return window.close_ticks
        return close_before(self._tables.rows, self._tables.minutes, symbol, minute)

    @staticmethod
    def _remembered_from_ns(settled_ns: int) -> int:
        return (settled_ns // NS_PER_MINUTE - MINUTE_SLOTS + 1) * NS_PER_MINUTE


def joined(past: Window, later: Window) -> Window:
    """Two windows, one after the other, as one."""
    if not later.trades:
        return past
    if not past.trades:
        return later
    return Window(
        past.open_ticks,
        max(past.high_ticks, later.high_ticks),
        min(past.low_ticks, later.low_ticks),
        later.close_ticks,
        past.trades + later.trades,
        past.first_trade_id,
        later.last_trade_id,
        *(one + other for one, other in zip(past[7:], later[7:], strict=True)),
    )
