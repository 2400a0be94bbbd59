"""Everything that one symbol publishes: its book, its three streams and their messages.

Owns the order of publication of one symbol. Never folds events and keeps no clock: the time in a message is that of the
engine. Nothing is encoded while nobody listens.
"""

from __future__ import annotations

from typing import Any

from exchange.core.codes import Side
from exchange.marketdata import messages
from exchange.marketdata.aggregate import Tables
from exchange.marketdata.book import Book
from exchange.marketdata.messages import Quote
from exchange.marketdata.streams import ConflatedStream, Counts, Listener, Stream
from exchange.marketdata.text import decimal_text
from exchange.marketdata.windows import DAY_MINUTES, NO_TRADES, NS_PER_MINUTE, Window, minutes_window

SNAPSHOT_LEVELS_MAX = 5_000
"""Levels a side of a snapshot, REST or WebSocket."""


class TradeStream(Stream):
    """The trades of a symbol; tells the aggregator whether anybody wants them."""

    def __init__(self, name: str, counts: Counts, row: Any) -> None:
        super().__init__(name, counts)
        self._row = row

    def join(self, listener: Listener) -> None:
        """Send `listener` every trade from now on."""
        super().join(listener)
        self._row["trades_wanted"] = 1

    def leave(self, listener: Listener) -> None:
        """Send `listener` nothing more."""
        super().leave(listener)
        self._row["trades_wanted"] = bool(self.listeners)


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
        self.trades = TradeStream(f"{name} trades", counts, tables.rows[symbol])
        self.ticker = ConflatedStream(f"{name} ticker", counts, lagging, self._fresh_ticker)
        self.symbol = symbol
        self._wire_name = name.encode()
        self._tables = tables
        self._counts = counts
        self._boundary_ts_ns = int(tables.header["ts_ns"][0])
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
        self._boundary_ts_ns = int(self._tables.header["ts_ns"][0])
        self._depth_frame = b""

    def publish_depth(self, changes: list[tuple[int, Any, Any]], ts_ns: int) -> None:
        """Apply the (side, prices, lots) that changed to the book and publish them as one diff."""
        first_id = self.book.update_id + 1
        sides = [b"", b""]
        for side, prices, lots in changes:
            sides[side] = self.book.apply(side, prices, lots)
        self._boundary_ts_ns = ts_ns
        self._depth_frame = b""
        if self.depth.listeners:
            last_id = self.book.update_id
            message = messages.depth_update(self._wire_name, ts_ns, first_id, last_id, *sides)
            self.depth.publish(messages.text_frame(message), 1)

    def publish_trades(self, trades: list[tuple[int, int, int, int, int]]) -> None:
        """Publish (ts_ns, side, trade_id, price_ticks, qty_lots) of trades: a message each, one write a listener."""
        price_scale, qty_scale = self.scales
        frames = [
            messages.text_frame(
                messages.trade(
                    self._wire_name,
                    ts_ns,
                    trade_id,
                    decimal_text(price, price_scale),
                    decimal_text(lots, qty_scale),
                    side == Side.SELL,
                )
            )
            for ts_ns, side, trade_id, price, lots in trades
        ]
        self.trades.publish(b"".join(frames), len(frames))

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
            message = messages.depth_snapshot(self._wire_name, self._boundary_ts_ns, members)
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
