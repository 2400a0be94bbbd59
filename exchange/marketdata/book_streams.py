"""The public streams of a book: its diffs at two paces, its first levels, its best prices.

Owns their payloads. Never changes a book. Diffs at 100 ms are those that the feed publishes; those at 1000 ms end on
boundaries of these, once a second and whenever a snapshot is cut, so a snapshot lies on a boundary of both.

Invariant: of each stream of diffs, `U` is the previous `u` + 1.
"""

from __future__ import annotations

from functools import partial

from exchange.core.codes import Side
from exchange.marketdata import messages
from exchange.marketdata.feed import Diff, Feed
from exchange.marketdata.names import StreamName, wire_symbol
from exchange.marketdata.text import BINANCE_DECIMALS, binance_text, levels_text
from exchange.marketdata.variants import Encode, PacedStream, Source, VariantStream

EVERY_BOOK_S = 0.0
SECOND_S = 1.0


def depth(source: Source, name: StreamName) -> VariantStream:
    """`<symbol>@depth`, at either pace."""
    return (FastDepth if name.is_fast else SlowDepth)(source, name)


class FastDepth(VariantStream):
    """`<symbol>@depth@100ms`: every published diff."""

    def __init__(self, source: Source, name: StreamName) -> None:
        super().__init__(name.text, source)
        self._feed = source.feeds[name.symbol]
        self._symbol = wire_symbol(self._feed.name).encode()

    def open(self) -> None:
        """Take diffs."""
        self._feed.add_depth_taker(self)

    def close(self) -> None:
        """Take none."""
        self._feed.drop_depth_taker(self)

    def take_diff(self, diff: Diff) -> None:
        """Tell it."""
        texts = [b"", b""]
        for side, prices, lots in diff.changes:
            texts[side] = levels_text(prices, lots, *self._feed.scales, BINANCE_DECIMALS)[0]
        self._tell(diff.ts_ns, diff.first_id, diff.last_id, texts[Side.BUY], texts[Side.SELL])

    def _tell(self, ts_ns: int, first_id: int, last_id: int, bids: bytes, asks: bytes) -> None:
        self.publish([partial(messages.depth_update, self._symbol, ts_ns, first_id, last_id, bids, asks)])

    def flush(self) -> None:
        """Nothing waits here."""


class SlowDepth(FastDepth):
    """`<symbol>@depth`: once a second, and before a snapshot is cut, the levels that changed since the last time."""

    period_s = SECOND_S

    def open(self) -> None:
        """Take diffs from the present boundary on."""
        super().open()
        self._told_id = self._feed.book.update_id
        self._changed: tuple[set[int], set[int]] = (set(), set())

    def take_diff(self, diff: Diff) -> None:
        """Remember which levels changed."""
        for side, prices, _ in diff.changes:
            self._changed[side].update(prices.tolist())

    def tick(self) -> None:
        """Tell them as they are now."""
        book = self._feed.book
        if book.update_id == self._told_id:
            return
        bids, asks = (book.changes(side, self._changed[side], BINANCE_DECIMALS) for side in Side)
        first_id, self._told_id = self._told_id + 1, book.update_id
        for prices in self._changed:
            prices.clear()
        self._tell(self._feed.boundary_ts_ns, first_id, book.update_id, bids, asks)

    def flush(self) -> None:
        """Tell what waits before its time."""
        self.tick()


def partial_depth(source: Source, name: StreamName) -> PacedStream:
    """`<symbol>@depth<levels>`: the first levels of each side when they changed."""
    feed = source.feeds[name.symbol]
    shown = b""

    def make() -> Encode | None:
        nonlocal shown
        members = feed.book.snapshot(name.levels, BINANCE_DECIMALS)
        levels = members.partition(b",")[2]
        if levels == shown:
            return None
        shown = levels
        return lambda _unit_ns: b"{%b}" % members

    return PacedStream(name.text, source, EVERY_BOOK_S if name.is_fast else SECOND_S, make)


def book_ticker(source: Source, name: StreamName) -> PacedStream:
    """`<symbol>@bookTicker`: the best of each side when it changed, at most once a published book."""
    feed = source.feeds[name.symbol]
    shown: tuple[int, int, int, int] | None = None

    def make() -> Encode | None:
        nonlocal shown
        best = feed.book.best(Side.BUY) + feed.book.best(Side.SELL)
        if best == shown:
            return None
        shown = best
        update_id = feed.book.update_id
        return lambda _unit_ns: _book_ticker(feed, update_id, best)

    return PacedStream(name.text, source, EVERY_BOOK_S, make)


def _book_ticker(feed: Feed, update_id: int, best: tuple[int, int, int, int]) -> bytes:
    bid, bid_lots, ask, ask_lots = (
        binance_text(value, scale) for value, scale in zip(best, feed.scales * 2, strict=True)
    )
    return b'{"u":%d,"s":"%b","b":"%b","B":"%b","a":"%b","A":"%b"}' % (
        update_id, wire_symbol(feed.name).encode(), bid, bid_lots, ask, ask_lots,
    )  # fmt: skip
