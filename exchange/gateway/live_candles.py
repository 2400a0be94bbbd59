"""What the candle streams ask the history for: the part of a candle that lies before the rolling windows.

Owns the translation of stored candles into the windows of market data, and of intervals into grids. Never reads while
history is behind what market data has told.
"""

from __future__ import annotations

from collections.abc import Iterator

from exchange.core.state import State
from exchange.gateway.candle_grid import CandleGrid
from exchange.gateway.errors import Refusal
from exchange.gateway.venue import Venue
from exchange.marketdata.candles import HistoryAway
from exchange.marketdata.windows import NO_TRADES, Window
from exchange.persistence import history
from exchange.persistence.database import Connection
from exchange.persistence.intervals import SECOND_NS, SPANS

_UTC8_NS = 8 * 3_600 * SECOND_NS
_HOUR_NS = 3_600 * SECOND_NS


def _nothing(_state: State) -> None:
    """What is read to learn the sequence that the engine has come to."""


class LiveCandles:
    """Implements exchange.marketdata.candles.CandleSource."""

    def __init__(self, venue: Venue) -> None:
        self._venue = venue

    def grid(self, interval: str, *, is_utc8: bool) -> CandleGrid:
        """The candles of an interval in UTC, or by the clock of UTC+8."""
        return CandleGrid(SPANS[interval], _UTC8_NS if is_utc8 else 0)

    async def past(self, symbol: int, open_ns: int, end_ns: int) -> Window | None:
        """The trades from `open_ns` to before `end_ns`; None without PostgreSQL. Raises HistoryAway."""
        venue = self._venue
        if not venue.history.is_kept:
            return None
        view = venue.reference.by_id[symbol].view
        span = SPANS["1m" if open_ns % _HOUR_NS or end_ns % _HOUR_NS else "1h"]

        async def query(connection: Connection) -> Window:
            rows = await history.folded_candles(connection, symbol, span, [open_ns], end_ns)
            if not rows:
                return NO_TRADES._replace(close_ticks=await history.close_before(connection, symbol, span, open_ns))
            row = rows[0]
            first_id, last_id = await history.trade_bounds(connection, symbol, open_ns, end_ns - 1)
            return Window(
                *(row[f"{name}_ticks"] for name in ("open", "high", "low", "close")),
                int(row["trades"]),
                first_id,
                last_id,
                int(row["volume_lots"]),
                int(row["quote_atoms"]) // view.quote_atoms_per_tick_lot,
                int(row["taker_buy_lots"]),
                int(row["taker_buy_quote_atoms"]) // view.quote_atoms_per_tick_lot,
            )

        def one(window: Window) -> Iterator[Window]:
            yield window

        _, sequence = venue.read(_nothing)
        try:
            (window,), _ = await venue.history.read(sequence, query, one, is_public=True)
        except Refusal as refusal:
            raise HistoryAway(refusal.msg) from None
        return window
