"""The public stream of auctions: `<symbol>@auction`.

Owns its payload. Every change of a phase and of what an auction would come to is told, at once; who comes later, or was
too slow, gets the last one.
"""

from __future__ import annotations

from functools import partial

from exchange.core.codes import Phase
from exchange.marketdata.auctions import Auction
from exchange.marketdata.names import StreamName, wire_symbol
from exchange.marketdata.text import binance_text
from exchange.marketdata.variants import Encode, PacedStream, Source

_PHASES = [Phase(phase).name.encode() for phase in sorted(Phase)]


class AuctionStream(PacedStream):
    """The auctions of one symbol."""

    def __init__(self, source: Source, name: StreamName) -> None:
        super().__init__(name.text, source, None, self._present)
        self._feed = source.feeds[name.symbol]
        self._symbol = wire_symbol(self._feed.name).encode()

    def open(self) -> None:
        """Take what happens."""
        super().open()
        self._feed.auction_takers[self] = None

    def close(self) -> None:
        """Take nothing more."""
        self._feed.auction_takers.pop(self, None)

    def take_auction(self, auction: Auction) -> None:
        """Tell it."""
        message = partial(self._encode, auction)
        self.tell([message], message)

    def _present(self) -> Encode:
        return partial(self._encode, self._feed.auction)

    def _encode(self, auction: Auction, unit_ns: int) -> bytes:
        price_scale, qty_scale = self._feed.scales
        return b'{"e":"auction","E":%d,"s":"%b","phase":"%b","p":"%b","q":"%b","i":"%b","T":%d}' % (
            auction.ts_ns // unit_ns, self._symbol, _PHASES[auction.phase],
            binance_text(auction.price_ticks, price_scale), binance_text(auction.qty_lots, qty_scale),
            binance_text(auction.imbalance_lots, qty_scale), auction.end_ts_ns // unit_ns,
        )  # fmt: skip
