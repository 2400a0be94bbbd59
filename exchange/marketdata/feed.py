"""Everything that one symbol publishes: its book, its trades, and the three streams of our own protocol.

Owns the order of publication of one symbol, and who takes its trades and diffs. Never folds events and keeps no clock:
the time in a message is that of the engine. Nothing is encoded while nobody listens.
"""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

from exchange.core.codes import Side
from exchange.marketdata import messages
from exchange.marketdata.aggregate import Tables
from exchange.marketdata.auctions import Auction
from exchange.marketdata.book import Book
from exchange.marketdata.messages import Quote
from exchange.marketdata.streams import ConflatedStream, Counts, Listener, Stream
from exchange.marketdata.text import decimal_text
from exchange.marketdata.windows import DAY_MINUTES, NO_TRADES, NS_PER_MINUTE, Window, minutes_window

SNAPSHOT_LEVELS_MAX = 5_000
"""Levels a side of a snapshot, REST or WebSocket."""


class Trade(NamedTuple):
    """One trade, as streams tell it."""

    sequence: int  # of the command that made it
    ts_ns: int
    side: int  # of the taker
    taker_order_id: int
    trade_id: int
    price_ticks: int
    qty_lots: int


class Diff(NamedTuple):
    """What one publication changed in a book."""

    ts_ns: int
    first_id: int
    last_id: int
    changes: list[tuple[int, Any, Any]]  # (side, prices, lots)


class TradeTaker(Protocol):
    """Somebody who wants the trades of a symbol."""

    def take_trades(self, trades: list[Trade]) -> None:
        """Take the trades of one batch of events, in order."""


class AuctionTaker(Protocol):
    """Somebody who wants the auctions of a symbol."""

    def take_auction(self, auction: Auction) -> None:
        """Take how it stands now."""


class DepthTaker(Protocol):
    """Somebody who wants the diffs of a book."""

    def take_diff(self, diff: Diff) -> None:
        """Take one published diff."""

    def flush(self) -> None:
        """Tell all that was taken, because a snapshot is about to be cut."""


class TradeStream(Stream):
    """The trades of a symbol in our own protocol; the feed knows of it while somebody listens."""

    def __init__(self, feed: Feed, counts: Counts) -> None:
        super().__init__(f"{feed.name} trades", counts)
        self._feed = feed
        self._wire_name = feed.name.encode()

    def join(self, listener: Listener) -> None:
        """Send `listener` every trade from now on."""
        super().join(listener)
        self._feed.add_trade_taker(self)

    def leave(self, listener: Listener) -> None:
        """Send `listener` nothing more."""
        super().leave(listener)
        if not self.listeners:
            self._feed.drop_trade_taker(self)

    def take_trades(self, trades: list[Trade]) -> None:
        """Publish trades: a message each, one write a listener."""
        price_scale, qty_scale = self._feed.scales
        frames = [
            messages.text_frame(
                messages.trade(
                    self._wire_name,
                    trade.ts_ns,
                    trade.trade_id,
                    decimal_text(trade.price_ticks, price_scale),
                    decimal_text(trade.qty_lots, qty_scale),
                    trade.side == Side.SELL,
                )
            )
            for trade in trades
        ]
        self.publish(b"".join(frames), len(frames))


class Feed:
    """One symbol's published market data. `book` is replaced when the market data is seeded."""

    def __init__(
        self,
        symbol: int,
        name: str,
        scales: tuple[int, int],
        update_id: int,
        tables: Tables,
        counts: Counts,
        lagging: set[ConflatedStream],
    ) -> None:
        self.name = name
        self.scales = scales
        self.book = Book(*scales, update_id)
        self.depth = ConflatedStream(f"{name} depth", counts, lagging, self._fresh_depth)
        self.trades = TradeStream(self, counts)
        self.ticker = ConflatedStream(f"{name} ticker", counts, lagging, self._fresh_ticker)
        self.symbol = symbol
        self._wire_name = name.encode()
        self._tables = tables
        self._counts = counts
        self._trade_takers: dict[TradeTaker, None] = {}
        self._depth_takers: dict[DepthTaker, None] = {}
        self.auction_takers: dict[AuctionTaker, None] = {}
        self.auction = Auction()
        self.boundary_ts_ns = int(tables.header["ts_ns"][0])
        self._depth_frame = b""
        self._ticker_frame = b""
        self._shown: tuple[Quote, Window] | None = None
        self._window_key = (-1, -1)
        self._window = NO_TRADES

    def streams(self) -> dict[str, Stream]:
        """The streams by channel."""
        return {"depth": self.depth, "trades": self.trades, "ticker": self.ticker}

    def seed(self, levels: list[tuple[Any, Any]], update_id: int) -> None:
        """Begin with this book, (prices, lots) by side, at a boundary of its own. Nobody listens yet."""
        self.book = Book(*self.scales, 0)
        for side, (prices, lots) in zip(Side, levels, strict=True):
            self.book.apply(side, prices, lots)
        self.book.update_id = update_id
        self.boundary_ts_ns = int(self._tables.header["ts_ns"][0])
        self._depth_frame = b""

    def add_trade_taker(self, taker: TradeTaker) -> None:
        """Give `taker` the trades from now on."""
        self._trade_takers[taker] = None
        self._tables.rows[self.symbol]["trades_wanted"] = 1

    def drop_trade_taker(self, taker: TradeTaker) -> None:
        """Give `taker` nothing more; the aggregator notes no trades that nobody wants."""
        self._trade_takers.pop(taker, None)
        self._tables.rows[self.symbol]["trades_wanted"] = bool(self._trade_takers)

    def publish_trades(self, trades: list[Trade]) -> None:
        """Give the trades to all who want them."""
        for taker in tuple(self._trade_takers):
            taker.take_trades(trades)

    def publish_auction(self, auction: Auction) -> None:
        """Remember how the symbol trades now and tell all who want to know."""
        self.auction = auction
        for taker in tuple(self.auction_takers):
            taker.take_auction(auction)

    def add_depth_taker(self, taker: DepthTaker) -> None:
        """Give `taker` the diffs from now on."""
        self._depth_takers[taker] = None

    def drop_depth_taker(self, taker: DepthTaker) -> None:
        """Give `taker` nothing more."""
        self._depth_takers.pop(taker, None)

    def publish_depth(self, changes: list[tuple[int, Any, Any]], ts_ns: int) -> None:
        """Apply the (side, prices, lots) that changed to the book and publish them as one diff."""
        first_id = self.book.update_id + 1
        texts = [b"", b""]
        for side, prices, lots in changes:
            texts[side] = self.book.apply(side, prices, lots)
        self.boundary_ts_ns = ts_ns
        self._depth_frame = b""
        last_id = self.book.update_id
        if self.depth.listeners:
            message = messages.depth_update(
                self._wire_name, ts_ns, first_id, last_id, texts[Side.BUY], texts[Side.SELL]
            )
            self.depth.publish(messages.text_frame(message), 1)
        diff = Diff(ts_ns, first_id, last_id, changes)
        for taker in tuple(self._depth_takers):
            taker.take_diff(diff)

    def snapshot(self, limit: int, decimals_min: int) -> bytes:
        """The book for REST, on a boundary of every stream of diffs: the slow ones are told what they lack first."""
        for taker in tuple(self._depth_takers):
            taker.flush()
        return self.book.snapshot(limit, decimals_min)

    def publish_ticker(self) -> None:
        """Publish the ticker if somebody listens and anything in it but the time has changed."""
        if self.ticker.listeners:
            ticker = self._ticker()
            if ticker != self._shown:
                self.ticker.publish(self._encode_ticker(ticker), 1)

    def _ticker(self) -> tuple[Quote, Window]:
        row = self._tables.rows[self.symbol]
        last = (int(row["last_price_ticks"]), int(row["last_lots"]), int(row["last_trade_id"]))
        key = (int(self._tables.header["ts_ns"][0]) // NS_PER_MINUTE, last[2])
        if key != self._window_key:
            self._window_key = key
            self._window = minutes_window(self._tables.minutes, self.symbol, key[0] - DAY_MINUTES + 1, key[0])
        return Quote(*last, *self.book.best(Side.BUY), *self.book.best(Side.SELL)), self._window

    def _fresh_depth(self) -> bytes:
        if not self._depth_frame:
            members = self.book.snapshot(SNAPSHOT_LEVELS_MAX)
            message = messages.depth_snapshot(self._wire_name, self.boundary_ts_ns, members)
            self._depth_frame = messages.text_frame(message)
            self._counts.messages_encoded += 1
        return self._depth_frame

    def _fresh_ticker(self) -> bytes:
        if not self._ticker_frame or not self.ticker.listeners:
            ticker = self._ticker()
            if not self._ticker_frame or ticker != self._shown:
                self._encode_ticker(ticker)
                self._counts.messages_encoded += 1
        return self._ticker_frame

    def _encode_ticker(self, ticker: tuple[Quote, Window]) -> bytes:
        self._shown = ticker
        ts_ns = int(self._tables.header["ts_ns"][0])
        self._ticker_frame = messages.text_frame(messages.ticker(self.name, ts_ns, self.scales, *ticker))
        return self._ticker_frame
