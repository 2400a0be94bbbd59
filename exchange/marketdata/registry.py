"""The public streams that somebody listens to: made by name, paced by timers, forgotten when the last listener leaves.

Owns the table of factories and the timers. Never writes to a listener. A stream that nobody listens to does not exist,
so it costs nothing and forgets what it told last.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator

from exchange.marketdata import auction_streams, book_streams, kline_streams, ticker_streams, trade_streams
from exchange.marketdata.names import Kind, StreamName, parse_name
from exchange.marketdata.streams import Listener
from exchange.marketdata.variants import Source, VariantStream

TURN_S = 0.002
"""Of one turn of the event loop for streams that speak once a second: thousands would block it for long."""
Factory = Callable[[Source, StreamName], VariantStream | None]

FACTORIES: dict[Kind, Factory] = {
    Kind.DEPTH: book_streams.depth,
    Kind.PARTIAL_DEPTH: book_streams.partial_depth,
    Kind.BOOK_TICKER: book_streams.book_ticker,
    Kind.TRADE: trade_streams.TradePrints,
    Kind.AGG_TRADE: trade_streams.AggTrades,
    Kind.KLINE: kline_streams.kline_stream,
    Kind.TICKER: ticker_streams.ticker,
    Kind.MINI_TICKER: ticker_streams.mini_ticker,
    Kind.AVG_PRICE: ticker_streams.average_price,
    Kind.AUCTION: auction_streams.AuctionStream,
    Kind.WINDOW_TICKER: ticker_streams.window_ticker,
    Kind.ALL_TICKERS: ticker_streams.all_tickers,
    Kind.ALL_MINI_TICKERS: ticker_streams.all_mini_tickers,
    Kind.ALL_WINDOW_TICKERS: ticker_streams.all_window_tickers,
}
"""By kind. The symbol of the name, if it has one, is in `source.feeds`. A kind that is not here is not served."""


class Registry:
    """The streams that are listened to, by name."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._streams: dict[str, VariantStream] = {}
        self._timers: dict[float, asyncio.Handle] = {}

    def join(self, text: str, listener: Listener) -> VariantStream | None:
        """Let `listener` hear the stream of this name; None when there is no such stream."""
        stream = self._streams.get(text) or self._made(text)
        if stream is not None:
            stream.join(listener)
        return stream

    def _made(self, text: str) -> VariantStream | None:
        name = parse_name(text)
        if name is None or name.kind not in FACTORIES or (name.symbol and name.symbol not in self._source.feeds):
            return None
        stream = FACTORIES[name.kind](self._source, name)
        if stream is None:
            return None
        self._streams[text] = stream
        stream.on_empty = lambda: self._forget(text)
        stream.open()
        if stream.period_s and stream.period_s not in self._timers:
            loop = asyncio.get_running_loop()
            self._schedule(loop, loop.time() + stream.period_s, stream.period_s)
        return stream

    def _forget(self, text: str) -> None:
        self._streams.pop(text).close()

    def _schedule(self, loop: asyncio.AbstractEventLoop, when: float, period_s: float) -> None:
        self._timers[period_s] = loop.call_at(when, self._on_timer, loop, when, period_s)

    def _on_timer(self, loop: asyncio.AbstractEventLoop, when: float, period_s: float) -> None:
        streams = self._of_pace(period_s)
        if streams:
            self._tick_some(loop, when, period_s, iter(streams))
        else:
            del self._timers[period_s]

    def _tick_some(
        self, loop: asyncio.AbstractEventLoop, when: float, period_s: float, streams: Iterator[VariantStream]
    ) -> None:
        """Let the next ones tell what is new, and the rest in the next turns of the loop."""
        end = time.perf_counter() + TURN_S
        for stream in streams:
            if stream.has_listeners:
                stream.tick()
            if time.perf_counter() > end:
                self._timers[period_s] = loop.call_soon(self._tick_some, loop, when, period_s, streams)
                return
        self._schedule(loop, max(when + period_s, loop.time()), period_s)

    def _of_pace(self, period_s: float) -> list[VariantStream]:
        return [stream for stream in self._streams.values() if stream.period_s == period_s]

    def tick(self, period_s: float) -> None:
        """Let the streams of this pace tell what is new."""
        for stream in self._of_pace(period_s):
            stream.tick()

    def stop(self) -> None:
        """Stop the timers."""
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
