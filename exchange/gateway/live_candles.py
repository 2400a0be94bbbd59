"""What the candle streams ask the history for: the part of a candle that lies before the rolling windows.

Owns the translation of stored candles into the windows of market data, and of intervals into grids. Never reads while
history is behind what market data has told.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from exchange.core.readers import SymbolView
from exchange.gateway.candle_grid import CandleGrid
from exchange.gateway.errors import Refusal
from exchange.gateway.history_reading import History
from exchange.marketdata.candles import HistoryAway
from exchange.marketdata.windows import NO_TRADES, Window
from exchange.persistence import history as rows_of
from exchange.persistence.database import Connection
from exchange.persistence.intervals import SECOND_NS, SPANS

_UTC8_NS = 8 * 3_600 * SECOND_NS
_HOUR_NS = 3_600 * SECOND_NS


class LiveCandles:
    """Implements exchange.marketdata.candles.CandleSource.

    `last_sequence` is that of a command after every trade that market data has told.
    """

    def __init__(self, history: History, last_sequence: Callable[[], int], symbols: Iterable[SymbolView]) -> None:
        self._history = history
        self._last_sequence = last_sequence
        self._atoms = {view.symbol: view.quote_atoms_per_tick_lot for view in symbols}

    def grid(self, interval: str, *, is_utc8: bool) -> CandleGrid:
        """The candles of an interval in UTC, or by the clock of UTC+8."""
        return CandleGrid(SPANS[interval], _UTC8_NS if is_utc8 else 0)

    async def past(self, symbol: int, open_ns: int, end_ns: int) -> Window | None:
        """The trades from `open_ns` to before `end_ns`; None of a new symbol and without PostgreSQL.

        Raises HistoryAway.
        """
        atoms = self._atoms.get(symbol)
        if atoms is None or not self._history.is_kept:
            return None
        span = SPANS["1m" if open_ns % _HOUR_NS or end_ns % _HOUR_NS else "1h"]

        async def query(connection: Connection) -> Window:
            rows = await rows_of.folded_candles(connection, symbol, span, [open_ns], end_ns)
            if not rows:
                return NO_TRADES._replace(close_ticks=await rows_of.close_before(connection, symbol, span, open_ns))
            row = rows[0]
            first_id, last_id = await rows_of.trade_bounds(connection, symbol, open_ns, end_ns - 1)
            return Window(
                row["open_ticks"],
                row["high_ticks"],
                row["low_ticks"],
                row["close_ticks"],
                int(row["trades"]),
                first_id,
                last_id,
                int(row["volume_lots"]),
                int(row["quote_atoms"]) // atoms,
                int(row["taker_buy_lots"]),
                int(row["taker_buy_quote_atoms"]) // atoms,
            )

        def one(window: Window) -> Iterator[Window]:
            yield window

        try:
            (window,), _ = await self._history.read(self._last_sequence(), query, one, is_public=True)
        except Refusal as refusal:
            raise HistoryAway(refusal.msg) from None
        return window
