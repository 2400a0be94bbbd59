"""The streams of statistics: tickers of one symbol and of all, and the average price.

Owns how often they speak and what counts as a change: anything in the message but its times. A stream of all symbols
tells those that changed; who comes later, or was too slow, gets all of them.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import orjson

from exchange.marketdata import ticker_messages
from exchange.marketdata.feed import Feed
from exchange.marketdata.names import StreamName, wire_symbol
from exchange.marketdata.ticker_messages import Shown
from exchange.marketdata.tickers import Average, Ticker
from exchange.marketdata.variants import Encode, PacedStream, Source
from exchange.marketdata.windows import DAY_MINUTES

PERIOD_S = 1.0
WINDOW_MINUTES = {"1h": 60, "4h": 240, "1d": DAY_MINUTES}
_Write = Callable[[Shown, Ticker, int], dict[str, Any]]


def shown_of(feed: Feed) -> Shown:
    """How the values of a symbol are written."""
    return Shown(wire_symbol(feed.name), *feed.scales)


def _write_window(span: str) -> _Write:
    def write(shown: Shown, ticker: Ticker, unit_ns: int) -> dict[str, Any]:
        return ticker_messages.window_ticker(span, shown, ticker, unit_ns)

    return write


class _OneTicker:
    """The ticker of one symbol, when it has changed."""

    def __init__(self, source: Source, feed: Feed, minutes: int, write: _Write, *, with_best: bool) -> None:
        self._source = source
        self._feed = feed
        self._minutes = minutes
        self._write = write
        self._with_best = with_best
        self._key: tuple[int, ...] = ()
        self.told: Ticker | None = None
        """What was told last."""

    def changed(self) -> bool:
        """Look again; whether there is something to tell."""
        tickers, feed = self._source.tickers, self._feed
        key = tickers.key(feed.symbol)
        if key == self._key:
            return False
        self._key = key
        ticker = tickers.ticker(feed.symbol, self._minutes, with_best=self._with_best)
        if not ticker.differs(self.told):
            return False
        self.told = ticker
        return True

    def message(self) -> Callable[[int], dict[str, Any]]:
        """What was told last as a function of the unit of time."""
        ticker, shown, write = self.told, shown_of(self._feed), self._write
        assert ticker is not None
        return lambda unit_ns: write(shown, ticker, unit_ns)


def _of_one(source: Source, name: StreamName, minutes: int, write: _Write, *, with_best: bool) -> PacedStream:
    one = _OneTicker(source, source.feeds[name.symbol], minutes, write, with_best=with_best)

    def make() -> Encode | None:
        if not one.changed():
            return None
        message = one.message()
        return lambda unit_ns: orjson.dumps(message(unit_ns))

    return PacedStream(name.text, source, PERIOD_S, make)


class _AllTickers(PacedStream):
    """The tickers of all symbols that changed."""

    def __init__(self, source: Source, name: StreamName, minutes: int, write: _Write, *, with_best: bool) -> None:
        super().__init__(name.text, source, PERIOD_S, self._everything)
        self._ones: dict[str, _OneTicker] = {}
        self._new_one: Callable[[Feed], _OneTicker] = functools.partial(
            _OneTicker, source, minutes=minutes, write=write, with_best=with_best
        )

    def tick(self) -> None:
        """Tell what has changed."""
        changed = self._changed()
        if changed:
            self.tell([_array(changed)], _array(list(self._ones.values())))

    def _everything(self) -> Encode:
        self._changed()
        return _array(list(self._ones.values()))

    def _changed(self) -> list[_OneTicker]:
        for symbol, feed in self._source.feeds.items():
            if symbol not in self._ones:
                self._ones[symbol] = self._new_one(feed)
        return [one for one in self._ones.values() if one.changed()]


def _array(ones: list[_OneTicker]) -> Encode:
    messages = [one.message() for one in ones]
    return lambda unit_ns: orjson.dumps([message(unit_ns) for message in messages])


def ticker(source: Source, name: StreamName) -> PacedStream:
    """`<symbol>@ticker`."""
    return _of_one(source, name, DAY_MINUTES, ticker_messages.day_ticker, with_best=True)


def mini_ticker(source: Source, name: StreamName) -> PacedStream:
    """`<symbol>@miniTicker`."""
    return _of_one(source, name, DAY_MINUTES, ticker_messages.mini_ticker, with_best=False)


def window_ticker(source: Source, name: StreamName) -> PacedStream:
    """`<symbol>@ticker_1h` and its kind."""
    return _of_one(source, name, WINDOW_MINUTES[name.span], _write_window(name.span), with_best=False)


def all_tickers(source: Source, name: StreamName) -> PacedStream:
    """`!ticker@arr`."""
    return _AllTickers(source, name, DAY_MINUTES, ticker_messages.day_ticker, with_best=True)


def all_mini_tickers(source: Source, name: StreamName) -> PacedStream:
    """`!miniTicker@arr`."""
    return _AllTickers(source, name, DAY_MINUTES, ticker_messages.mini_ticker, with_best=False)


def all_window_tickers(source: Source, name: StreamName) -> PacedStream:
    """`!ticker_1h@arr` and its kind."""
    return _AllTickers(source, name, WINDOW_MINUTES[name.span], _write_window(name.span), with_best=False)


def average_price(source: Source, name: StreamName) -> PacedStream:
    """`<symbol>@avgPrice`."""
    feed = source.feeds[name.symbol]
    shown = shown_of(feed)
    told: Average | None = None

    def make() -> Encode | None:
        nonlocal told
        average = source.tickers.average(feed.symbol)
        if average == told:
            return None
        told = average
        now_ns = source.tickers.now_ns()
        return lambda unit_ns: ticker_messages.average_price(shown, average, now_ns, unit_ns)

    return PacedStream(name.text, source, PERIOD_S, make)
