"""The grammar of stream names."""

from __future__ import annotations

from typing import Any

import pytest

from exchange.marketdata.names import INTERVALS, WINDOWS, Kind, StreamName, parse_name, stream_symbol, wire_symbol

NAMES: dict[str, tuple[Any, ...]] = {
    "btcusdt@depth": (Kind.DEPTH, "btcusdt"),
    "btcusdt@depth@1000ms": (Kind.DEPTH, "btcusdt"),
    "btcusdt@depth@100ms": (Kind.DEPTH, "btcusdt", 0, True),
    "btcusdt@depth5": (Kind.PARTIAL_DEPTH, "btcusdt", 5),
    "btcusdt@depth10@1000ms": (Kind.PARTIAL_DEPTH, "btcusdt", 10),
    "1inchbtc@depth20@100ms": (Kind.PARTIAL_DEPTH, "1inchbtc", 20, True),
    "btcusdt@trade": (Kind.TRADE, "btcusdt"),
    "btcusdt@aggTrade": (Kind.AGG_TRADE, "btcusdt"),
    "btcusdt@bookTicker": (Kind.BOOK_TICKER, "btcusdt"),
    "btcusdt@ticker": (Kind.TICKER, "btcusdt"),
    "btcusdt@miniTicker": (Kind.MINI_TICKER, "btcusdt"),
    "btcusdt@avgPrice": (Kind.AVG_PRICE, "btcusdt"),
    "btcusdt@auction": (Kind.AUCTION, "btcusdt"),
    "!ticker@arr": (Kind.ALL_TICKERS,),
    "!miniTicker@arr": (Kind.ALL_MINI_TICKERS,),
    "!miniTicker@arr@1000ms": (Kind.ALL_MINI_TICKERS,),  # how python-binance asks for it
    **{f"btcusdt@ticker_{w}": (Kind.WINDOW_TICKER, "btcusdt", 0, False, w) for w in WINDOWS},
    **{f"!ticker_{w}@arr": (Kind.ALL_WINDOW_TICKERS, "", 0, False, w) for w in WINDOWS},
    **{f"btcusdt@kline_{i}": (Kind.KLINE, "btcusdt", 0, False, i) for i in INTERVALS},
    **{f"btcusdt@kline_{i}@+08:00": (Kind.KLINE, "btcusdt", 0, False, i, True) for i in INTERVALS},
}
NO_NAMES = [
    *("", "0", "17", "btcusdt", "@trade", "btcusdt@", "btcusdt@trades", "BTCUSDT@trade", "btc_usdt@trade"),
    *("btcusdt@depth7", "btcusdt@depth@10ms", "btcusdt@depth5@", "btcusdt@depth@100ms@100ms", "btcusdt@kline_2m"),
    *("btcusdt@kline_", "btcusdt@kline_1m@+09:00", "btcusdt@ticker_2h", "!ticker", "!trade@arr", "btcusdt@trade\n"),
    *("ｂtcusdt@trade", "b" * 33 + "@trade", "btcusdt@Trade", "btcusdt@depth٥", "!ticker_1h", "!miniTicker@arr@100ms"),
]  # fmt: skip


@pytest.mark.parametrize("text", NAMES)
def test_name_is_read_into_its_parts(text: str) -> None:
    assert parse_name(text) == StreamName(text, *NAMES[text])


@pytest.mark.parametrize("text", NO_NAMES)
def test_text_that_names_no_stream_is_none(text: str) -> None:
    assert parse_name(text) is None


def test_symbol_of_the_engine_loses_its_underscore() -> None:
    assert (wire_symbol("BTC_USDT"), stream_symbol("BTC_USDT")) == ("BTCUSDT", "btcusdt")
