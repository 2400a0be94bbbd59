"""The candle streams: the current candle while it changes, and each candle once more when it is closed.

Owns which candle comes next, so that none is left out and each is closed once, in order. A candle whose first part must
come from history is told when it has come; until then the stream waits and asks again.
"""

from __future__ import annotations

import asyncio
import functools
import logging

import orjson

from exchange.marketdata.candles import Candle, CandleSource, HistoryAway, Past
from exchange.marketdata.names import StreamName
from exchange.marketdata.ticker_messages import Shown
from exchange.marketdata.ticker_streams import shown_of
from exchange.marketdata.variants import Encode, PacedStream, Source
from exchange.marketdata.windows import NO_TRADES

log = logging.getLogger("exchange.marketdata")
PERIOD_S = 1.0
"""How soon a close is told. Changes are told once in two seconds, those of candles of a second once in one."""
CLOSES_MAX = 100
"""Candles that are closed at once after a pause; the windows of seconds do not remember many more."""


def kline(shown: Shown, interval: str, candle: Candle, now_ns: int, unit_ns: int) -> bytes:
    """The message of a candle."""
    price, window = shown.price, candle.window
    return orjson.dumps(
        {
            "e": "kline",
            "E": now_ns // unit_ns,
            "s": shown.symbol,
            "k": {
                "t": candle.open_ns // unit_ns,
                "T": candle.end_ns // unit_ns - 1,
                "s": shown.symbol,
                "i": interval,
                "f": window.first_trade_id,
                "L": window.last_trade_id,
                "o": price(window.open_ticks),
                "c": price(window.close_ticks),
                "h": price(window.high_ticks),
                "l": price(window.low_ticks),
                "v": shown.quantity(window.lots),
                "n": window.trades,
                "x": candle.is_closed,
                "q": shown.quote(window.tick_lots),
                "V": shown.quantity(window.bought_lots),
                "Q": shown.quote(window.bought_tick_lots),
                "B": "0",
            },
        }
    )


class KlineStream(PacedStream):
    """The candles of one symbol and interval."""

    def __init__(self, source: Source, name: StreamName, candle_source: CandleSource) -> None:
        super().__init__(name.text, source, PERIOD_S, self._first)
        feed = source.feeds[name.symbol]
        self._symbol = feed.symbol
        self._interval = name.span
        self._shown = shown_of(feed)
        self._candles = source.candles
        self._candle_source = candle_source
        self._grid = candle_source.grid(name.span, is_utc8=name.is_utc8)
        self._is_second = name.span == "1s"
        self._ticks_between = 1 if self._is_second else 2
        self._ticks = 0
        """Since the current candle was told last."""
        self._number = self._grid.number(self._candles.settled_ns())
        """Of the oldest candle that is not closed yet."""
        self._told = (-1, -1)
        """Number of the candle told last, and the last trade id then."""
        self._past: Past | None = None
        self._asking: asyncio.Task[None] | None = None
        self._is_waiting = False
        """History was away when it was last asked; that is said once."""

    def close(self) -> None:
        """The last listener has gone."""
        if self._asking is not None:
            self._asking.cancel()

    def tick(self) -> None:
        """Tell which candles have closed, and how the current one stands."""
        self._ticks += 1
        messages = self._due(with_current=self._ticks >= self._ticks_between)
        if messages:
            self.tell(messages, messages[-1])

    def _first(self) -> Encode | None:
        messages = self._due(with_current=True)
        return messages[-1] if messages else None

    def _due(self, *, with_current: bool) -> list[Encode]:
        """Messages of the candles that closed; of the one that follows them too, or `with_current` if it changed."""
        settled_ns = self._candles.settled_ns()
        current = self._grid.number(settled_ns)
        self._number = max(self._number, current - CLOSES_MAX)
        messages: list[Encode] = []
        while self._number < current and self._is_known(self._number, settled_ns):
            messages.append(self._message(self._number, is_closed=True))
            self._number += 1
        state = self._number, self._candles.last_trade_id(self._symbol)
        is_due = with_current or messages or self._told[0] < 0
        if self._number == current and is_due and state != self._told and self._is_known(current, settled_ns):
            self._told = state
            self._ticks = 0
            messages.append(self._message(current, is_closed=False))
        return messages

    def _message(self, number: int, *, is_closed: bool) -> Encode:
        open_ns, end_ns = self._grid.open_ns(number), self._grid.open_ns(number + 1)
        past = self._past if self._past is not None and self._past.number == number else None
        candle = self._candles.candle(self._symbol, open_ns, end_ns, past, is_closed=is_closed)
        return functools.partial(kline, self._shown, self._interval, candle, self._candles.now_ns())

    def _is_known(self, number: int, settled_ns: int) -> bool:
        """Whether all of a candle is at hand; if not, history is asked for the rest."""
        open_ns = self._grid.open_ns(number)
        if self._is_second or self._candles.reaches_back_to(open_ns, settled_ns):
            self._past = None
            return True
        is_usable = self._candles.is_usable(self._past, number, settled_ns)
        is_old = self._past is not None and self._candles.wants_renewal(self._past, settled_ns)
        if (not is_usable or is_old) and self._asking is None:
            end_ns = self._candles.end_of_past_ns(open_ns, self._grid.open_ns(number + 1), settled_ns)
            if end_ns is not None:
                self._asking = asyncio.get_running_loop().create_task(self._ask(number, open_ns, end_ns))
        return is_usable

    async def _ask(self, number: int, open_ns: int, end_ns: int) -> None:
        try:
            window = await self._candle_source.past(self._symbol, open_ns, end_ns)
            if window is None:
                # The candle begins with what the windows hold.
                known_from_ns = self._candles.known_from_ns(self._candles.settled_ns())
                self._past = Past(number, known_from_ns, NO_TRADES, is_read=False)
            else:
                self._past = Past(number, end_ns, window, is_read=True)
            self._is_waiting = False
        except HistoryAway as away:
            if not self._is_waiting:
                log.warning("the candles of %s wait for history: %s", self.name, away)
            self._is_waiting = True
        finally:
            self._asking = None


def kline_stream(source: Source, name: StreamName) -> KlineStream | None:
    """`<symbol>@kline_<interval>`, with `@+08:00` or without; None where nobody says how long intervals are."""
    candle_source = source.candles.source
    return None if candle_source is None else KlineStream(source, name, candle_source)
