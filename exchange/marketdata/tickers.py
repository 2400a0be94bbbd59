"""Tickers: what is said of a symbol over a window that ends now.

Owns what a window without trades shows, and how much of a window is remembered between two looks. Never rounds: prices
are ticks, sums are exact; only averages and percents are cut towards zero, by whoever asks for them.

A window of n minutes begins with the minute that lies n minutes before now, so it holds what was asked for and up to
59.999 s more. A window without trades looks like a candle without trades: its prices are the last price before it.

`now` is the wall clock, or the engine's clock where that is ahead: in a quiet market old trades leave their windows.

Source: Binance Spot API, rolling window price change statistics.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from exchange.core.codes import Side
from exchange.marketdata.aggregate import Tables
from exchange.marketdata.feed import Feed
from exchange.marketdata.text import decimal_text
from exchange.marketdata.windows import DAY_MINUTES, NS_PER_MINUTE, Window, close_before, minutes_window

AVERAGE_MINUTES = 5
PERCENT_SCALE = 3
NO_TRADE_ID = -1
_REMEMBERED_MINUTES = frozenset((AVERAGE_MINUTES, 60, 240, DAY_MINUTES))
"""Windows that are looked at again and again; others are summed up anew, which takes 40 us for seven days."""


class Best(NamedTuple):
    """The best prices of a published book; zeros for an empty side."""

    bid_ticks: int
    bid_lots: int
    ask_ticks: int
    ask_lots: int


NO_BEST = Best(0, 0, 0, 0)


class Ticker(NamedTuple):
    """A window, and the prices around it."""

    window: Window
    """Without trades its four prices are the last price before it, its trade ids -1."""
    last_price_ticks: int
    last_lots: int
    last_trade_id: int
    previous_close_ticks: int
    """The last price before the window; 0: there was none."""
    best: Best
    open_ts_ns: int
    close_ts_ns: int

    @property
    def change_ticks(self) -> int:
        """From the first price to the last."""
        return self.last_price_ticks - self.window.open_ticks

    @property
    def change_percent(self) -> str:
        """The same as a share of the first price, in percent."""
        change = self.change_ticks
        percent = abs(change) * 10 ** (2 + PERCENT_SCALE) // self.window.open_ticks if change else 0
        return decimal_text(-percent if change < 0 else percent, PERCENT_SCALE)

    @property
    def average_ticks(self) -> int:
        """The average price weighted by quantity; the last price where nothing was traded."""
        window = self.window
        return window.tick_lots // window.lots if window.lots else self.last_price_ticks

    def differs(self, other: Ticker | None) -> bool:
        """Whether anything but its times is different."""
        return other is None or self[:-2] != other[:-2]


class Average(NamedTuple):
    """The average price of the last minutes."""

    price_ticks: int
    last_ts_ns: int
    """When the last trade was; 0: there was none."""


class Tickers:
    """Tickers of every symbol, out of the aggregator's tables and the published books of `feeds`, by symbol id."""

    def __init__(self, tables: Tables, feeds: Mapping[int, Feed], now_ns: Callable[[], int]) -> None:
        self._tables = tables
        names = ("last_price_ticks", "last_lots", "last_trade_id", "last_ts_ns")
        self._last_price_ticks, self._last_lots, self._last_trade_id, self._last_ts_ns = (
            tables.rows[name] for name in names
        )
        self._feeds = feeds
        self.now_ns = now_ns
        self._remembered: dict[tuple[int, int], tuple[tuple[int, int], Window, int]] = {}

    def ticker(self, symbol: int, minutes: int, *, with_best: bool = True) -> Ticker:
        """The ticker of a symbol over a window of 1 minute to 7 days."""
        now_ns = self.now_ns()
        last_price_ticks, last_trade_id = int(self._last_price_ticks[symbol]), int(self._last_trade_id[symbol])
        window, previous = self._window(symbol, minutes, now_ns // NS_PER_MINUTE, last_trade_id)
        if not window.trades:
            window = window._replace(
                open_ticks=last_price_ticks,
                high_ticks=last_price_ticks,
                low_ticks=last_price_ticks,
                close_ticks=last_price_ticks,
                first_trade_id=NO_TRADE_ID,
                last_trade_id=NO_TRADE_ID,
            )
        return Ticker(
            window,
            last_price_ticks,
            int(self._last_lots[symbol]),
            last_trade_id,
            previous,
            self.best(symbol) if with_best else NO_BEST,
            max(now_ns // NS_PER_MINUTE - minutes, 0) * NS_PER_MINUTE,
            now_ns,
        )

    def average(self, symbol: int) -> Average:
        """The average price of the last AVERAGE_MINUTES; the last price where nothing was traded in them."""
        minute, last_trade_id = self.now_ns() // NS_PER_MINUTE, int(self._last_trade_id[symbol])
        window, _ = self._window(symbol, AVERAGE_MINUTES, minute, last_trade_id)
        price_ticks = window.tick_lots // window.lots if window.lots else int(self._last_price_ticks[symbol])
        return Average(price_ticks, int(self._last_ts_ns[symbol]))

    def best(self, symbol: int) -> Best:
        """The best prices of the published book."""
        book = self._feeds[symbol].book
        return Best(*book.best(Side.BUY), *book.best(Side.SELL))

    def key(self, symbol: int) -> tuple[int, int, int]:
        """Changes when anything in a ticker of the symbol does, but its times; the last one with the book."""
        return self.now_ns() // NS_PER_MINUTE, int(self._last_trade_id[symbol]), self._feeds[symbol].book.update_id

    def last_price_ticks(self, symbol: int) -> int:
        """The price of the last trade; 0: there was none."""
        return int(self._last_price_ticks[symbol])

    def _window(self, symbol: int, minutes: int, minute: int, last_trade_id: int) -> tuple[Window, int]:
        """The window that ends with `minute`, and the last price before it."""
        key = minute, last_trade_id
        known = self._remembered.get((symbol, minutes))
        if known is not None and known[0] == key:
            return known[1], known[2]
        tables = self._tables
        window = minutes_window(tables.minutes, symbol, minute - minutes, minute)
        if not window.trades:
            previous = int(self._last_price_ticks[symbol])
        elif window.first_trade_id == 1:
            previous = 0
        else:
            previous = close_before(tables.rows, tables.minutes, symbol, minute - minutes)
        if minutes in _REMEMBERED_MINUTES:
            self._remembered[symbol, minutes] = key, window, previous
        return window, previous
