"""The messages of the ticker streams: one value to the JSON bytes that everybody is sent.

Owns field names and their order, which are Binance's. Pure functions: times are given in ns and written in `unit_ns`,
prices and quantities with all decimals of the symbol.

Source: Binance Spot WebSocket streams.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import orjson

from exchange.marketdata.text import binance_text
from exchange.marketdata.tickers import AVERAGE_MINUTES, Average, Ticker


class Shown(NamedTuple):
    """How a symbol's values are written."""

    symbol: str
    """As payloads have it: BTCUSDT."""
    price_scale: int
    qty_scale: int

    def price(self, ticks: int) -> str:
        """A price."""
        return binance_text(ticks, self.price_scale).decode()

    def quantity(self, lots: int) -> str:
        """A quantity of the base asset."""
        return binance_text(lots, self.qty_scale).decode()

    def quote(self, tick_lots: int) -> str:
        """An amount of the quote asset."""
        return binance_text(tick_lots, self.price_scale + self.qty_scale).decode()


def day_ticker(shown: Shown, ticker: Ticker, unit_ns: int) -> dict[str, Any]:
    """`24hrTicker`."""
    price, quantity, window = shown.price, shown.quantity, ticker.window
    return {
        "e": "24hrTicker",
        "E": ticker.close_ts_ns // unit_ns,
        "s": shown.symbol,
        "p": price(ticker.change_ticks),
        "P": ticker.change_percent,
        "w": price(ticker.average_ticks),
        "x": price(ticker.previous_close_ticks),
        "c": price(ticker.last_price_ticks),
        "Q": quantity(ticker.last_lots),
        "b": price(ticker.best.bid_ticks),
        "B": quantity(ticker.best.bid_lots),
        "a": price(ticker.best.ask_ticks),
        "A": quantity(ticker.best.ask_lots),
        "o": price(window.open_ticks),
        "h": price(window.high_ticks),
        "l": price(window.low_ticks),
        "v": quantity(window.lots),
        "q": shown.quote(window.tick_lots),
        "O": ticker.open_ts_ns // unit_ns,
        "C": ticker.close_ts_ns // unit_ns,
        "F": window.first_trade_id,
        "L": window.last_trade_id,
        "n": window.trades,
    }


def mini_ticker(shown: Shown, ticker: Ticker, unit_ns: int) -> dict[str, Any]:
    """`24hrMiniTicker`."""
    price, window = shown.price, ticker.window
    return {
        "e": "24hrMiniTicker",
        "E": ticker.close_ts_ns // unit_ns,
        "s": shown.symbol,
        "c": price(ticker.last_price_ticks),
        "o": price(window.open_ticks),
        "h": price(window.high_ticks),
        "l": price(window.low_ticks),
        "v": shown.quantity(window.lots),
        "q": shown.quote(window.tick_lots),
    }


def window_ticker(span: str, shown: Shown, ticker: Ticker, unit_ns: int) -> dict[str, Any]:
    """`1hTicker`, `4hTicker`, `1dTicker`."""
    price, window = shown.price, ticker.window
    return {
        "e": f"{span}Ticker",
        "E": ticker.close_ts_ns // unit_ns,
        "s": shown.symbol,
        "p": price(ticker.change_ticks),
        "P": ticker.change_percent,
        "o": price(window.open_ticks),
        "h": price(window.high_ticks),
        "l": price(window.low_ticks),
        "c": price(ticker.last_price_ticks),
        "w": price(ticker.average_ticks),
        "v": shown.quantity(window.lots),
        "q": shown.quote(window.tick_lots),
        "O": ticker.open_ts_ns // unit_ns,
        "C": ticker.close_ts_ns // unit_ns,
        "F": window.first_trade_id,
        "L": window.last_trade_id,
        "n": window.trades,
    }


def average_price(shown: Shown, average: Average, now_ns: int, unit_ns: int) -> bytes:
    """`avgPrice`."""
    return orjson.dumps(
        {
            "e": "avgPrice",
            "E": now_ns // unit_ns,
            "s": shown.symbol,
            "i": f"{AVERAGE_MINUTES}m",
            "w": shown.price(average.price_ticks),
            "T": average.last_ts_ns // unit_ns,
        }
    )
