"""Market data as the rest of the exchange sees it: events in, depth snapshots and streams out.

Owns the aggregator's memory, the feeds and the publishing timer. Never asks the engine anything after `seed`. It
publishes at most once an interval and only when events came; the first change after a quiet time goes out at once.

Update ids: a symbol's id counts its published level changes. It starts at twice the engine's event count, and an event
changes at most two levels, so that ids never go backwards over a restart, whatever had been published before it.

Invariants: the book is only published between commands; a diff's `U` is the previous `u` + 1; every snapshot lies on a
published boundary; when events are missing nothing is published any more.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Iterable
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from aiohttp import web

from exchange.core import readers
from exchange.core.codes import EventFlag, EventKind, Side
from exchange.core.event_records import AUCTION_EVENT, TRADE
from exchange.core.readers import SymbolView
from exchange.core.records import ANY, NAME_BYTES, RECORD_BYTES, SYMBOL
from exchange.core.state import State
from exchange.marketdata import auctions, table
from exchange.marketdata.aggregate import Batch, fold, new_tables, view_batch
from exchange.marketdata.book import SIGN
from exchange.marketdata.candles import Candles
from exchange.marketdata.connection import Limits
from exchange.marketdata.feed import SNAPSHOT_LEVELS_MAX, Feed, Trade
from exchange.marketdata.names import stream_symbol
from exchange.marketdata.private_streams import Attach, PrivateStream
from exchange.marketdata.protocols import Market
from exchange.marketdata.registry import Registry
from exchange.marketdata.server import OPEN, Door, StreamServer, refused
from exchange.marketdata.streams import ConflatedStream, Counts, Listener, Stream
from exchange.marketdata.text import levels_text
from exchange.marketdata.tickers import Tickers
from exchange.marketdata.variants import Source, VariantStream
from exchange.marketdata.warmup import load_windows

INTERVAL_S = 0.1
STOP_S = 5.0
LEVEL_SLOTS = 1 << 14
LEVELS_PER_EVENT = 2
_NOTHING_WRONG = ""


class MarketDataError(Exception):
    """Market data that can not be had: a code of the API and a sentence."""

    def __init__(self, code: int, detail: str, hint: str) -> None:
        super().__init__(f"{detail} {hint}")
        self.code = code
        self.detail = detail
        self.hint = hint


class Statistics(NamedTuple):
    """Counters since the start, and sizes as they are now."""

    events: int
    trades: int
    publications: int
    levels: int
    symbols: int
    connections: int
    connections_accepted: int
    connections_refused: int
    messages_encoded: int
    messages_written: int
    conflated: int
    refreshed: int
    dropped: int
    fault: str


class MarketData:
    """Books, trades and tickers of every symbol, and the WebSocket port that serves them.

    `load_windows` from the event journal, if tickers shall know the trades of the past; then `seed` it with the
    engine's state; then give it every event after that state, in order; and `start` the port. All calls come from one
    thread, the event loop's.
    """

    def __init__(
        self,
        symbols: Iterable[SymbolView] = (),
        *,
        interval_s: float = INTERVAL_S,
        limits: Limits | None = None,
        clock_ns: Callable[[], int] = time.time_ns,
        seen_until_ns: Callable[[], int] = lambda: 0,
    ) -> None:
        """`seen_until_ns`: every event with an earlier time has been given to `on_events`. It closes candles."""
        self.fault = _NOTHING_WRONG
        self._interval_s = interval_s
        self._clock_ns = clock_ns
        self._limits = limits or Limits()
        self._tables = new_tables()
        self._levels = table.new_levels(LEVEL_SLOTS)
        self._noted = np.zeros(1, dtype=np.int64)
        self._header = {name: self._tables.header[name] for name in table.HEADER.names or ()}
        self._feeds: dict[int, Feed] = {}
        self._streams: dict[tuple[str, str], Stream] = {}
        self._named: dict[str, Feed] = {}
        self._counts = Counts()
        self._lagging: set[ConflatedStream] = set()
        self.candles = Candles(self._tables, self._present_ns, seen_until_ns)
        tickers = Tickers(self._tables, self._feeds, self._present_ns)
        self._source = Source({}, self._tables, self._counts, self._lagging, set(), tickers, self.candles)
        self._registry = Registry(self._source)
        self._publications = 0
        self._update_id_base = 0
        self._is_late = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._published_at = -math.inf
        self._server: StreamServer | None = None
        self._private: Callable[[str], Attach | None] = lambda _name: None
        for view in symbols:
            self._add(view.symbol, view.name, (view.price_scale, view.qty_scale))
        # Compiled now, if they are not yet, and not when the first order comes.
        self._fold(view_batch(memoryview(bytes(RECORD_BYTES)), 0))
        levels_text(*self._drain()[1:], 1, 1)

    def _add(self, symbol: int, name: str, scales: tuple[int, int]) -> None:
        feed = Feed(symbol, name, scales, self._update_id_base, self._tables, self._counts, self._lagging)
        self._feeds[symbol] = feed
        self._named[name] = feed
        self._source.feeds.setdefault(stream_symbol(name), feed)  # of two names spelled alike the older has it
        for channel, stream in feed.streams().items():
            self._streams[channel, name] = stream

    def _present_ns(self) -> int:
        return max(self._clock_ns(), int(self._header["ts_ns"][0]))

    def load_windows(self, place: Path, state: State, show: Callable[[int, int], None]) -> int:
        """Count the trades of the last seven days in the event journal at `place`; returns how many events were read.

        The journal ends where `state` is; `show` is told how far it is. Raises journal.errors.Refused, OSError.
        """
        return load_windows(self._tables, place, state, self._clock_ns(), show)

    def seed(self, state: State) -> None:
        """Begin with the open orders of an engine's state; the next event must be the one that follows it.

        Nobody may listen yet: call it before `start`, or after a fault.
        """
        head = state.header[0]
        count = int(head.levels)
        self._levels = table.new_levels(max(LEVEL_SLOTS, 1 << (2 * count + 4).bit_length()))
        self._update_id_base = LEVELS_PER_EVENT * int(head.event_count)
        for name, value in (("entries", 0), ("dirty", 0), ("taker_book", 0), ("is_whole", 1)):
            self._header[name][0] = value
        self._header["sequence"][0] = head.sequence
        self._header["ts_ns"][0] = head.ts_ns
        symbols = readers.symbols(state)
        self._begin_windows(int(head.ts_ns), symbols)
        for view in symbols:
            if view.symbol not in self._feeds:
                self._add(view.symbol, view.name, (view.price_scale, view.qty_scale))
            sides = []
            for side in Side:
                rows = np.array(readers.depth(state, view.symbol, side, count), dtype=np.int64).reshape(-1, 2)
                prices, lots = rows[:, 0].copy(), rows[:, 1].copy()
                books = np.full(len(prices), view.symbol * 2 + side, dtype=np.int64)
                table.load(self._tables.header, *self._levels, books, prices, lots)
                sides.append((prices, lots))
            feed = self._feeds[view.symbol]
            feed.seed(sides, self._update_id_base)
            feed.publish_auction(auctions.seeded(state, view.symbol))
        self._drain()
        self._is_late = False
        self.fault = _NOTHING_WRONG

    def _begin_windows(self, ts_ns: int, symbols: list[SymbolView]) -> None:
        """Say since when the windows are complete, unless the trades before now were loaded into them."""
        rows = self._tables.rows
        for view in symbols:
            rows[view.symbol]["last_trade_id"] = view.trades
        is_again = self._header["events"][0] > 0
        if is_again or self._header["complete_from_ns"][0] < 0:
            self._header["complete_from_ns"][0] = ts_ns + 1 if any(view.trades for view in symbols) else 0

    def on_events(self, view: memoryview, count: int) -> None:
        """Fold `count` events of 128 bytes; they follow the last ones without a gap. The view is not kept.

        Trades that somebody listens to are sent before this returns; the rest waits for the interval.
        """
        if self.fault:
            return
        batch = view_batch(view, count)
        if self._is_late:
            ends = np.flatnonzero(batch.view(ANY)["flags"][:, 0] & EventFlag.LAST)
            if len(ends):
                cut = int(ends[0]) + 1
                self._fold(batch[:cut])
                self.publish()
                batch = batch[cut:]
        self._fold(batch)
        self._arm()

    def _fold(self, batch: Batch) -> None:
        count = len(batch)
        if count > len(self._noted):
            self._noted = np.zeros(2 * count, dtype=np.int64)
        index = 0
        while True:
            index = fold(*self._tables, *self._levels, self._noted, batch, index)
            if index >= count:
                break
            if index < 0:
                last, came = self._header["sequence"][0], batch[-1 - index].view(ANY)["sequence"][0]
                self._halt(f"The event after sequence {last} is missing: the next one that came has sequence {came}.")
                return
            self._levels = table.grown(self._levels)
        if self._header["symbols_added"][0]:
            self._header["symbols_added"][0] = 0
            self._add_symbols(batch)
        if self._header["noted"][0]:
            self._publish_noted(batch[self._noted[: self._header["noted"][0]]])
            self._header["noted"][0] = 0
        for stream in tuple(self._source.unfinished):
            stream.finish(bool(self._header["is_whole"][0]))

    def _add_symbols(self, batch: Batch) -> None:
        for slot in batch[batch.view(ANY)["kind"][:, 0] == EventKind.SYMBOL_ADDED]:
            record = slot.view(SYMBOL)[0]
            name = bytes(slot[RECORD_BYTES - NAME_BYTES :]).rstrip(b"\0").decode("ascii")
            if int(record["symbol"]) not in self._feeds:
                self._add(int(record["symbol"]), name, (int(record["price_scale"]), int(record["qty_scale"])))

    def _publish_noted(self, slots: Batch) -> None:
        is_trade = slots.view(ANY)["kind"][:, 0] == EventKind.TRADE
        for event in slots[~is_trade].view(AUCTION_EVENT)[:, 0]:
            feed = self._feeds[int(event["symbol"])]
            feed.publish_auction(auctions.after(feed.auction, event))
        trades = slots[is_trade].view(TRADE)[:, 0]
        columns = (trades[name].tolist() for name in Trade._fields)
        by_symbol: dict[int, list[Trade]] = {}
        for symbol, trade in zip(trades["symbol"].tolist(), map(Trade, *columns), strict=True):
            by_symbol.setdefault(symbol, []).append(trade)
        for symbol, facts in by_symbol.items():
            self._feeds[symbol].publish_trades(facts)

    def _drain(self) -> tuple[Any, Any, Any]:
        """(books, prices, lots) of the levels that changed, each book from its best level on."""
        listed = int(self._header["dirty"][0])
        books, prices, lots = (np.empty(listed, dtype=np.int64) for _ in range(3))
        changed = table.drain(self._tables.header, *self._levels, books, prices, lots)
        if changed < 0:
            self._halt("A price level fell below zero lots: events do not belong to the state that was seeded.")
            changed = 0
        books, prices, lots = books[:changed], prices[:changed], lots[:changed]
        order = np.lexsort((prices * np.array(SIGN)[books & 1], books))
        return books[order], prices[order], lots[order]

    def publish(self) -> None:
        """Bring published books up to the last event and tell listeners: between commands, else when this one ends."""
        if not self._header["is_whole"][0] and self._header["sequence"][0]:
            self._is_late = True
            return
        self._is_late = False
        self._publications += 1
        if self._header["dirty"][0]:
            books, prices, lots = self._drain()
            ts_ns = int(self._header["ts_ns"][0])
            changes: dict[int, list[tuple[int, Any, Any]]] = {}
            for start, end in pairwise(np.flatnonzero(np.diff(books, prepend=-1, append=-1)).tolist()):
                symbol, side = divmod(int(books[start]), 2)
                changes.setdefault(symbol, []).append((side, prices[start:end], lots[start:end]))
            for symbol, sides in changes.items():
                self._feeds[symbol].publish_depth(sides, ts_ns)
        for feed in self._feeds.values():
            feed.publish_ticker()
        self._registry.tick(0.0)
        for stream in tuple(self._lagging):
            stream.catch_up()

    def _arm(self) -> None:
        if self._timer is None and self._loop is not None and not self.fault:
            when = max(self._loop.time(), self._published_at + self._interval_s)
            self._timer = self._loop.call_at(when, self._on_interval)

    def _on_interval(self) -> None:
        self._timer = None
        self._published_at = self._loop.time() if self._loop else 0.0
        self.publish()
        if self._lagging:
            self._arm()

    def _halt(self, sentence: str) -> None:
        self.fault = sentence
        if self._server is not None:
            self._server.close_all(1011, "market data stopped; connect again later")

    def _refuse_after_fault(self) -> None:
        if self.fault:
            raise MarketDataError(-1001, "Market data has stopped.", "Try again later.")

    @property
    def tickers(self) -> Tickers:
        """What is said of every symbol. Raises MarketDataError."""
        self._refuse_after_fault()
        return self._source.tickers

    def depth_snapshot(self, symbol: str, limit: int, decimals_min: int = 0) -> bytes:
        """The JSON of GET depth: lastUpdateId, bids and asks with at most `limit` levels (1 to 5 000) a side.

        Prices and quantities have all decimals of the symbol, and at least `decimals_min`. It lies on the last boundary
        that was published and is encoded once for it. Raises MarketDataError.
        """
        self._refuse_after_fault()
        feed = self._named.get(symbol)
        if feed is None:
            raise MarketDataError(-1121, "Invalid symbol.", "GET /v1/exchangeInfo lists the symbols.")
        if not 1 <= limit <= SNAPSHOT_LEVELS_MAX:
            raise MarketDataError(-1130, f"Data sent for parameter 'limit' is not valid: {limit}.", "Send 1 to 5000.")
        return b"{%b}" % feed.snapshot(limit, decimals_min)

    async def start(
        self,
        host: str,
        port: int,
        door: Door = OPEN,
        private: Callable[[str], Attach | None] = lambda _name: None,
    ) -> int:
        """Serve the streams on host and port (0: a free one); returns the port. Raises OSError.

        `private(name)` tells how to listen to a name that is no public stream, if that can be.
        """
        self._private = private
        self._loop = asyncio.get_running_loop()
        market = Market(self._find, self._join, self._arm, lambda: self.fault, self._now_ns)
        self._server = StreamServer(self._limits, market, door)
        bound = await self._server.start(host, port)
        self._arm()
        return bound

    async def serve(self, request: web.BaseRequest, address: str) -> web.StreamResponse:
        """Serve a WebSocket client of the stream paths that another listener accepted; it begins after `start`."""
        if self._server is None:
            return refused(503, -1001, "The streams are not served yet; connect again later.")
        return await self._server.serve(request, address)

    def _now_ns(self) -> int:
        return int(self._header["ts_ns"][0])

    async def stop(self, timeout_s: float = STOP_S) -> None:
        """Publish what is left, say goodbye to every client and stop listening, within about `timeout_s`."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._server is not None:
            self.publish()
            self._registry.stop()
            await self._server.stop(timeout_s)
        self._loop = None

    def _join(self, name: str, listener: Listener) -> VariantStream | None:
        stream = self._registry.join(name, listener)
        if stream is None and (attach := self._private(name)) is not None:
            stream = PrivateStream(name, self._source, attach, listener)
        return stream

    def _find(self, channel: str, symbol: str) -> Stream | None:
        return self._streams.get((channel, symbol))

    def statistics(self) -> Statistics:
        """What happened so far."""
        server = self._server
        return Statistics(
            events=int(self._header["events"][0]),
            trades=int(self._header["trades"][0]),
            publications=self._publications,
            levels=int(self._header["entries"][0]),
            symbols=len(self._feeds),
            connections=len(server.connections) if server else 0,
            connections_accepted=server.accepted if server else 0,
            connections_refused=server.refused if server else 0,
            messages_encoded=self._counts.messages_encoded,
            messages_written=self._counts.messages_written,
            conflated=self._counts.conflated,
            refreshed=self._counts.refreshed,
            dropped=self._counts.dropped,
            fault=self.fault,
        )
