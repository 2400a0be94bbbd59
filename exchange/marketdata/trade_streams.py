"""The public streams of trades: one by one, and the fills of one order at one price as one.

Owns their payloads and the joining of fills. Both tell facts: nothing is left out.

The id of an aggregate trade is that of its first trade, as in history: it rises, needs no counter and so survives
everything.
"""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

from exchange.core.codes import Side
from exchange.marketdata.feed import Trade
from exchange.marketdata.names import StreamName, wire_symbol
from exchange.marketdata.text import binance_text
from exchange.marketdata.variants import Source, VariantStream

_BOOLEAN = (b"false", b"true")


class Aggregate(NamedTuple):
    """Fills of one order at one price, one after the other."""

    first: Trade
    last_id: int
    qty_lots: int


def _key(trade: Trade) -> tuple[int, int, int]:
    """What neighbours must have in common to be joined: a command may let several orders trade."""
    return trade.sequence, trade.taker_order_id, trade.price_ticks


class TradePrints(VariantStream):
    """`<symbol>@trade`: every trade, at once."""

    def __init__(self, source: Source, name: StreamName) -> None:
        super().__init__(name.text, source)
        self._feed = source.feeds[name.symbol]
        self._symbol = wire_symbol(self._feed.name).encode()

    def open(self) -> None:
        """Take trades."""
        self._feed.add_trade_taker(self)

    def close(self) -> None:
        """Take none."""
        self._feed.drop_trade_taker(self)

    def take_trades(self, trades: list[Trade]) -> None:
        """Tell them."""
        self.publish([partial(self._encode_trade, trade) for trade in trades])

    def _texts(self, price_ticks: int, qty_lots: int) -> tuple[bytes, bytes]:
        price_scale, qty_scale = self._feed.scales
        return binance_text(price_ticks, price_scale), binance_text(qty_lots, qty_scale)

    def _encode_trade(self, trade: Trade, unit_ns: int) -> bytes:
        time = trade.ts_ns // unit_ns
        return b'{"e":"trade","E":%d,"s":"%b","t":%d,"p":"%b","q":"%b","T":%d,"m":%b,"M":true}' % (
            time, self._symbol, trade.trade_id, *self._texts(trade.price_ticks, trade.qty_lots), time,
            _BOOLEAN[trade.side == Side.SELL],
        )  # fmt: skip


class AggTrades(TradePrints):
    """`<symbol>@aggTrade`: each price that an order took, when all its fills are known."""

    def open(self) -> None:
        """Take trades, but none of a command of which some were made before."""
        super().open()
        header = self._source.tables.header
        self._skipped_sequence = 0 if header["is_whole"][0] else int(header["sequence"][0])
        self._finished: list[Aggregate] = []
        self._growing: Aggregate | None = None

    def close(self) -> None:
        """Forget what is unfinished."""
        super().close()
        self._source.unfinished.discard(self)

    def take_trades(self, trades: list[Trade]) -> None:
        """Join them; they are told when the batch ends."""
        growing = self._growing
        for trade in trades:
            if trade.sequence == self._skipped_sequence:
                continue
            if growing is not None:
                first = growing.first
                if _key(trade) == _key(first):
                    growing = Aggregate(first, trade.trade_id, growing.qty_lots + trade.qty_lots)
                    continue
                self._finished.append(growing)
            growing = Aggregate(trade, trade.trade_id, trade.qty_lots)
        self._growing = growing
        self._source.unfinished.add(self)

    def finish(self, is_whole: bool) -> None:
        """Tell what is complete: all of it, once the command has ended."""
        if is_whole:
            self._source.unfinished.discard(self)
            if self._growing is not None:
                self._finished.append(self._growing)
                self._growing = None
        if self._finished:
            finished, self._finished = self._finished, []
            self.publish([partial(self._encode_aggregate, aggregate) for aggregate in finished])

    def _encode_aggregate(self, aggregate: Aggregate, unit_ns: int) -> bytes:
        first = aggregate.first
        time = first.ts_ns // unit_ns
        return b'{"e":"aggTrade","E":%d,"s":"%b","a":%d,"p":"%b","q":"%b","f":%d,"l":%d,"T":%d,"m":%b,"M":true}' % (
            time, self._symbol, first.trade_id, *self._texts(first.price_ticks, aggregate.qty_lots),
            first.trade_id, aggregate.last_id, time, _BOOLEAN[first.side == Side.SELL],
        )  # fmt: skip
