"""Tickers over real HTTP, in both faces: what was traded is in them, exactly, and strange requests are refused."""

from __future__ import annotations

import json
import time
from typing import Any
from urllib.parse import quote

import pytest

from tests.gateway.running import Answer, Exchange, Trader

FACES = {"/v1": "BTC_USDT", "/api/v3": "BTCUSDT"}
DAY_FIELDS = (
    "symbol",
    "priceChange",
    "priceChangePercent",
    "weightedAvgPrice",
    "prevClosePrice",
    "lastPrice",
    "lastQty",
    "bidPrice",
    "bidQty",
    "askPrice",
    "askQty",
    "openPrice",
    "highPrice",
    "lowPrice",
    "volume",
    "quoteVolume",
    "openTime",
    "closeTime",
    "firstId",
    "lastId",
    "count",
)
ROLLING_FIELDS = (
    "symbol",
    "priceChange",
    "priceChangePercent",
    "weightedAvgPrice",
    "openPrice",
    "highPrice",
    "lowPrice",
    "lastPrice",
    "volume",
    "quoteVolume",
    "openTime",
    "closeTime",
    "firstId",
    "lastId",
    "count",
)
MINI_FIELDS = (
    "symbol",
    "openPrice",
    "highPrice",
    "lowPrice",
    "lastPrice",
    "volume",
    "quoteVolume",
    "openTime",
    "closeTime",
    "firstId",
    "lastId",
    "count",
)
MINUTE_MS, DAY_MS = 60_000, 86_400_000


@pytest.fixture(scope="module")
def exchange(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """An exchange in which BTC was sold at 50000, 60000 and 45000, and nothing else was traded."""
    running = Exchange(tmp_path_factory.mktemp("tickers") / "var", environ={"EXCHANGE_DATABASE": "off"}).start()
    alice, bob = running.trader("alice"), running.trader("bob")
    for amount, price in (("0.01", "50000"), ("0.03", "60000"), ("0.02", "45000")):
        for trader, side in ((alice, "SELL"), (bob, "BUY")):
            assert trader.order(side, amount, price).status == 200
    assert bob.order("BUY", "0.5", "40000").status == 200
    assert alice.order("SELL", "0.25", "70000").status == 200
    deadline_s = time.monotonic() + 30
    while float(alice.public("/v1/ticker/bookTicker?symbol=BTC_USDT").json["askPrice"]) != 70_000:
        assert time.monotonic() < deadline_s
    yield running
    assert running.stop() == 0, running.errors


@pytest.fixture
def anybody(exchange: Exchange) -> Trader:
    """Somebody without a key's worth."""
    return exchange.trader("alice")


def asked(anybody: Trader, path: str, **params: str) -> Answer:
    query = "&".join(f"{name}={quote(value)}" for name, value in params.items())
    return anybody.public(f"{path}?{query}" if query else path)


def body(anybody: Trader, path: str, **params: str) -> Any:
    """The body of an answer that must be a success."""
    answer = asked(anybody, path, **params)
    assert answer.status == 200, answer
    return answer.json


def decimals(found: dict[str, Any]) -> dict[str, float]:
    return {name: float(value) for name, value in found.items() if isinstance(value, str) and name != "symbol"}


TRADED = {
    "priceChange": -5_000.0,
    "priceChangePercent": -10.0,
    "weightedAvgPrice": 53_333.33,
    "lastPrice": 45_000.0,
    "openPrice": 50_000.0,
    "highPrice": 60_000.0,
    "lowPrice": 45_000.0,
    "volume": 0.06,
    "quoteVolume": 3_200.0,
}


@pytest.mark.parametrize(("face", "symbol"), FACES.items())
def test_day_ticker_says_what_was_traded_and_the_best_prices(anybody: Trader, face: str, symbol: str) -> None:
    found = body(anybody, f"{face}/ticker/24hr", symbol=symbol)
    assert tuple(found) == DAY_FIELDS
    assert (found["symbol"], found["firstId"], found["lastId"], found["count"]) == (symbol, 1, 3, 3)
    best = {"bidPrice": 40_000.0, "bidQty": 0.5, "askPrice": 70_000.0, "askQty": 0.25}
    assert decimals(found) == TRADED | best | {"prevClosePrice": 0.0, "lastQty": 0.02}
    assert found["openTime"] % MINUTE_MS == 0
    assert DAY_MS <= found["closeTime"] - found["openTime"] < DAY_MS + MINUTE_MS


@pytest.mark.parametrize(("face", "symbol"), FACES.items())
@pytest.mark.parametrize(("size", "minutes"), [("5m", 5), ("59m", 59), ("1h", 60), ("23h", 1_380), ("7d", 10_080)])
def test_rolling_ticker_covers_its_window(anybody: Trader, face: str, symbol: str, size: str, minutes: int) -> None:
    found = body(anybody, f"{face}/ticker", symbol=symbol, windowSize=size)
    assert tuple(found) == ROLLING_FIELDS
    assert decimals(found) == TRADED
    assert minutes * MINUTE_MS <= found["closeTime"] - found["openTime"] < (minutes + 1) * MINUTE_MS


@pytest.mark.parametrize("path", ["/api/v3/ticker/24hr", "/api/v3/ticker"])
def test_mini_ticker_says_less(anybody: Trader, path: str) -> None:
    (found,) = body(anybody, path, symbols='["BTCUSDT"]', type="MINI")
    assert tuple(found) == MINI_FIELDS
    assert decimals(found).items() <= TRADED.items()


def test_times_are_told_in_microseconds_to_whoever_asks(anybody: Trader) -> None:
    answer = anybody.public("/api/v3/ticker?symbol=BTCUSDT", **{"X-MBX-TIME-UNIT": "MICROSECOND"})
    assert answer.json["openTime"] > 10**15


@pytest.mark.parametrize(("face", "symbol"), FACES.items())
def test_last_price_best_prices_and_average_price(anybody: Trader, face: str, symbol: str) -> None:
    assert body(anybody, f"{face}/ticker/price", symbol=symbol) == {"symbol": symbol, "price": "45000.00000000"}
    assert body(anybody, f"{face}/ticker/bookTicker", symbol=symbol) == {
        "symbol": symbol,
        "bidPrice": "40000.00000000",
        "bidQty": "0.50000000",
        "askPrice": "70000.00000000",
        "askQty": "0.25000000",
    }
    average = body(anybody, f"{face}/avgPrice", symbol=symbol)
    assert list(average) == ["mins", "price", "closeTime"]
    assert (average["mins"], float(average["price"])) in [(5, 53_333.33), (5, 45_000.0)]


@pytest.mark.parametrize("path", ["ticker/24hr", "ticker/price", "ticker/bookTicker"])
def test_one_symbol_is_an_object_a_list_of_one_and_all_are_arrays(anybody: Trader, path: str) -> None:
    one = body(anybody, f"/api/v3/{path}", symbol="BTCUSDT")
    listed = body(anybody, f"/api/v3/{path}", symbols='["BTCUSDT"]')
    everything = body(anybody, f"/api/v3/{path}")
    assert [list(row) for row in listed] == [list(one)]
    assert {row["symbol"] for row in everything} > {"BTCUSDT"}
    ordered = body(anybody, f"/api/v3/{path}", symbols='["ETHUSDT","BTCUSDT"]')
    assert [row["symbol"] for row in ordered] == ["ETHUSDT", "BTCUSDT"]


def test_symbol_that_was_never_traded_shows_zeros_and_has_no_window(anybody: Trader) -> None:
    found = body(anybody, "/api/v3/ticker/24hr", symbol="ETHUSDT")
    assert set(decimals(found).values()) == {0.0}
    assert (found["firstId"], found["lastId"], found["count"]) == (-1, -1, 0)
    (listed,) = body(anybody, "/api/v3/ticker", symbols='["ETHUSDT"]')
    assert set(decimals(listed).values()) == {0.0}
    answer = asked(anybody, "/api/v3/ticker", symbol="ETHUSDT")
    assert (answer.status, answer.json["code"]) == (400, -2016)
    assert answer.json["msg"] == "No trading window could be found for the symbol. Try ticker/24hrs instead."


REFUSED: list[tuple[str, dict[str, str], int]] = [
    ("ticker/24hr", {"symbol": "btcusdt"}, -1121),
    ("ticker/24hr", {"symbol": "BTC_USDT"}, -1121),
    ("ticker/price", {"symbols": '["BTCUSDT","NOTHING"]'}, -1121),
    ("ticker/24hr", {"symbol": "BTCUSDT", "symbols": '["BTCUSDT"]'}, -1128),
    ("ticker/bookTicker", {"symbols": '["BTCUSDT","BTCUSDT"]'}, -1151),
    ("ticker/price", {"symbols": "BTCUSDT"}, -1130),
    ("ticker/24hr", {"type": "HUGE"}, -1139),
    ("ticker", {"symbol": "BTCUSDT", "type": "mini"}, -1139),
    ("ticker", {}, -1102),
    *(("ticker", {"symbol": "BTCUSDT", "windowSize": size}, -1100) for size in ("60m", "0h", "24h", "8d", "1w", "1D")),
    ("ticker", {"symbol": "BTCUSDT", "windowSize": ""}, -1105),
    ("ticker", {"symbol": "BTCUSDT", "window": "1d"}, -1103),
    ("ticker", {"symbols": json.dumps([f"S{number}" for number in range(101)])}, -1121),
    ("avgPrice", {}, -1102),
    ("avgPrice", {"symbol": "NOTHING"}, -1121),
]


@pytest.mark.parametrize(("path", "params", "code"), REFUSED)
def test_strange_request_is_refused(anybody: Trader, path: str, params: dict[str, str], code: int) -> None:
    answer = asked(anybody, f"/api/v3/{path}", **params)
    assert (answer.status, answer.json["code"]) == (400, code)
