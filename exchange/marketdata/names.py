"""Names of the public streams: text as clients write it to a typed value.

Owns the grammar. Never looks a symbol up and never decides whether a stream is served. A name is exact: lower case
symbols without "_", everything else as Binance spells it.

Source: Binance Spot WebSocket streams.
"""

from __future__ import annotations

import enum
import re
from typing import NamedTuple

SYMBOL = r"(?P<symbol>[a-z0-9]{1,32})"
INTERVALS = ("1s", "1m", "3m", "5m", "15m", "30m", "1h", "2h", "4h", "6h", "8h", "12h", "1d", "3d", "1w", "1M")
WINDOWS = ("1h", "4h", "1d")


class Kind(enum.Enum):
    """What a stream tells; one factory each."""

    DEPTH = "depth"
    PARTIAL_DEPTH = "partial depth"
    TRADE = "trade"
    AGG_TRADE = "aggTrade"
    BOOK_TICKER = "bookTicker"
    KLINE = "kline"
    TICKER = "ticker"
    MINI_TICKER = "miniTicker"
    AVG_PRICE = "avgPrice"
    AUCTION = "auction"
    WINDOW_TICKER = "ticker of a window"
    ALL_TICKERS = "tickers of all symbols"
    ALL_MINI_TICKERS = "miniTickers of all symbols"
    ALL_WINDOW_TICKERS = "tickers of a window of all symbols"


class StreamName(NamedTuple):
    """A well-formed name. Fields that its kind does not have are empty or zero."""

    text: str
    kind: Kind
    symbol: str = ""
    """As clients write it: "btcusdt"; empty for a stream of all symbols."""
    levels: int = 0
    """A side, of PARTIAL_DEPTH."""
    is_fast: bool = False
    """`@100ms` of DEPTH and PARTIAL_DEPTH."""
    span: str = ""
    """Interval of KLINE, window of the rolling tickers: "1h"."""
    is_utc8: bool = False
    """`@+08:00` of KLINE: candles begin by the clock of UTC+8."""


_SPEED = r"(?:@(?P<speed>100ms|1000ms))?"
_WINDOW = rf"ticker_(?P<span>{'|'.join(WINDOWS)})"
_GRAMMAR = [
    (Kind.DEPTH, rf"{SYMBOL}@depth{_SPEED}"),
    (Kind.PARTIAL_DEPTH, rf"{SYMBOL}@depth(?P<levels>5|10|20){_SPEED}"),
    (Kind.TRADE, rf"{SYMBOL}@trade"),
    (Kind.AGG_TRADE, rf"{SYMBOL}@aggTrade"),
    (Kind.BOOK_TICKER, rf"{SYMBOL}@bookTicker"),
    (Kind.KLINE, rf"{SYMBOL}@kline_(?P<span>{'|'.join(INTERVALS)})(?P<utc8>@\+08:00)?"),
    (Kind.TICKER, rf"{SYMBOL}@ticker"),
    (Kind.MINI_TICKER, rf"{SYMBOL}@miniTicker"),
    (Kind.AVG_PRICE, rf"{SYMBOL}@avgPrice"),
    (Kind.AUCTION, rf"{SYMBOL}@auction"),
    (Kind.WINDOW_TICKER, rf"{SYMBOL}@{_WINDOW}"),
    (Kind.ALL_TICKERS, r"!ticker@arr"),
    (Kind.ALL_MINI_TICKERS, r"!miniTicker@arr(?:@1000ms)?"),
    (Kind.ALL_WINDOW_TICKERS, rf"!{_WINDOW}@arr"),
]
_PATTERNS = [(kind, re.compile(pattern)) for kind, pattern in _GRAMMAR]


def parse_name(text: str) -> StreamName | None:
    """The stream that a text names; None when it names none."""
    for kind, pattern in _PATTERNS:
        match = pattern.fullmatch(text)
        if match is not None:
            found = match.groupdict("")
            return StreamName(
                text,
                kind,
                found.get("symbol", ""),
                int(found.get("levels") or 0),
                found.get("speed") == "100ms",
                found.get("span", ""),
                bool(found.get("utc8")),
            )
    return None


def stream_symbol(name: str) -> str:
    """The engine's name of a symbol as stream names have it: "btcusdt" of "BTC_USDT"."""
    return wire_symbol(name).lower()


def wire_symbol(name: str) -> str:
    """The engine's name of a symbol as payloads have it: "BTCUSDT" of "BTC_USDT"."""
    return name.replace("_", "")
