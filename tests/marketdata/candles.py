"""Candles made of trades in plain Python, as the candle streams must tell them."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from exchange.marketdata.names import INTERVALS
from exchange.marketdata.windows import NO_TRADES, NS_PER_MINUTE
from exchange.persistence.intervals import SPANS, floor_ns, next_ns
from tests.marketdata.trading import Trade, last_price_before, summed

MS_NS = 1_000_000
UTC8_NS = 8 * 60 * NS_PER_MINUTE
PRICE_SCALE = 2


class Named(NamedTuple):
    """The candles of an interval, in UTC or by the clock of UTC+8."""

    interval: str
    zone: str = ""

    @property
    def stream(self) -> str:
        """The stream that tells them."""
        return f"btcusdt@kline_{self.interval}{self.zone}"

    def open_ns(self, ts_ns: int) -> int:
        """Where the candle begins that a time lies in."""
        shift_ns = UTC8_NS if self.zone else 0
        return int(floor_ns(np.array([ts_ns + shift_ns]), SPANS[self.interval])[0]) - shift_ns

    def end_ns(self, open_ns: int) -> int:
        """Where the candle ends that begins there."""
        shift_ns = UTC8_NS if self.zone else 0
        return next_ns(open_ns + shift_ns, SPANS[self.interval]) - shift_ns


EVERY = [Named(interval, zone) for interval in INTERVALS for zone in ("", "@+08:00")]


def decimals(units: int, scale: int) -> str:
    """An integer whose last digits stand behind a point, and zeros up to eight."""
    return f"{units // 10**scale}.{units % 10**scale:0{scale}d}".ljust(len(str(units // 10**scale)) + 9, "0")


def candle_of(
    named: Named, trades: list[Trade], open_ns: int, *, is_closed: bool, qty_scale: int = 4
) -> dict[str, Any]:
    """The candle that begins at `open_ns`, out of all trades of a symbol."""
    end_ns = named.end_ns(open_ns)
    window = summed(trades, open_ns, end_ns)
    if not window.trades:
        close = last_price_before(trades, open_ns)
        window = NO_TRADES._replace(
            open_ticks=close, high_ticks=close, low_ticks=close, close_ticks=close, first_trade_id=-1, last_trade_id=-1
        )
    return {
        "t": open_ns // MS_NS,
        "T": end_ns // MS_NS - 1,
        "s": "BTCUSDT",
        "i": named.interval,
        "f": window.first_trade_id,
        "L": window.last_trade_id,
        "o": decimals(window.open_ticks, PRICE_SCALE),
        "c": decimals(window.close_ticks, PRICE_SCALE),
        "h": decimals(window.high_ticks, PRICE_SCALE),
        "l": decimals(window.low_ticks, PRICE_SCALE),
        "v": decimals(window.lots, qty_scale),
        "n": window.trades,
        "x": is_closed,
        "q": decimals(window.tick_lots, PRICE_SCALE + qty_scale),
        "V": decimals(window.bought_lots, qty_scale),
        "Q": decimals(window.bought_tick_lots, PRICE_SCALE + qty_scale),
        "B": "0",
    }


def all_candles(
    named: Named, trades: list[Trade], first_ns: int, last_ns: int, qty_scale: int = 4
) -> list[dict[str, Any]]:
    """The candles from that in which `first_ns` lies to that of `last_ns`, which alone is not closed."""
    candles = []
    open_ns = named.open_ns(first_ns)
    while open_ns <= last_ns:
        end_ns = named.end_ns(open_ns)
        candles.append(candle_of(named, trades, open_ns, is_closed=end_ns <= last_ns, qty_scale=qty_scale))
        open_ns = end_ns
    return candles
