"""A real exchange: its candle stream says what `klines` and `trades` say, and a restart forgets no statistics."""

from __future__ import annotations

import asyncio
import pathlib
import random
import signal
import time
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import aiohttp
import pytest

from tests.gateway.running import Exchange, Trader

Json = dict[str, Any]
WAIT_S = 60.0
CANDLES = 5
STATISTICS = ("ticker/24hr", "ticker/price", "avgPrice", "ticker")
TIMES = ("openTime", "closeTime")


@pytest.fixture
def exchange(tmp_path: pathlib.Path) -> Iterator[Exchange]:
    """A demo exchange of this test."""
    running = Exchange(tmp_path / "var").start()
    yield running
    running.ensure_gone()


def trade_once(pick: random.Random, traders: list[Trader]) -> None:
    """One taker order, mostly at a new price, that one or two makers fill."""
    pick.shuffle(traders)
    price, lots = pick.randrange(50_000, 50_100), pick.randrange(30, 100)
    side, other = pick.choice([("BUY", "SELL"), ("SELL", "BUY")])
    for part in range(1, pick.choice((2, 3))):
        assert traders[0].order(side, f"0.{lots * part:05d}", f"{price}").status == 200
    assert traders[1].order(other, "0.00150", f"{price}", timeInForce="IOC").status == 200


def body(trader: Trader, path: str) -> Any:
    answer = trader.public(path)
    assert answer.status == 200, answer
    return answer.json


def recomputed(trades: list[Json], begin_ms: int, end_ms: int) -> list[Fraction | int]:
    """The candle of a second out of the trades: prices, volume, quote volume, count, of buying takers: volumes."""
    inside = [trade for trade in trades if begin_ms <= trade["time"] <= end_ms]
    if not inside:
        close = next(Fraction(trade["price"]) for trade in reversed(trades) if trade["time"] < begin_ms)
        return [close] * 4 + [0] * 5
    prices = [Fraction(trade["price"]) for trade in inside]
    bought = [trade for trade in inside if not trade["isBuyerMaker"]]

    def total(rows: list[Json], name: str) -> Fraction:
        return sum((Fraction(row[name]) for row in rows), Fraction())

    return [
        *(prices[0], max(prices), min(prices), prices[-1], total(inside, "qty"), total(inside, "quoteQty")),
        *(len(inside), total(bought, "qty"), total(bought, "quoteQty")),
    ]


def of_stream(candle: Json) -> list[Fraction | int]:
    return [
        *(Fraction(candle[letter]) for letter in "ohlcvq"),
        candle["n"],
        Fraction(candle["V"]),
        Fraction(candle["Q"]),
    ]


def of_klines(row: list[Any]) -> list[Fraction | int]:
    order = (1, 2, 3, 4, 5, 7, 8, 9, 10)
    return [Fraction(row[at]) if isinstance(row[at], str) else row[at] for at in order]


async def test_candles_from_the_stream_equal_candles_from_klines_equal_candles_of_the_trades(
    exchange: Exchange,
) -> None:
    pick, traders = random.Random(6), [exchange.trader("alice"), exchange.trader("bob")]
    await asyncio.to_thread(trade_once, pick, traders)
    closed: list[Json] = []
    streams = "btcusdt@kline_1s/btcusdt@kline_1m"
    last: dict[str, Json] = {}
    async with asyncio.timeout(WAIT_S), aiohttp.ClientSession() as session:
        ws = await session.ws_connect(f"http://127.0.0.1:{exchange.ports['http']}/stream?streams={streams}")
        while sum(candle["n"] > 0 for candle in closed) < CANDLES:
            is_pause = closed and all(candle["n"] for candle in closed)  # until a second without a trade has passed
            if not is_pause:
                await asyncio.to_thread(trade_once, pick, traders)
            while (message := await _at_once(ws)) is not None:
                candle = message["data"]["k"]
                last[candle["i"]] = candle
                if candle["i"] == "1s" and candle["x"]:
                    closed.append(candle)
        await ws.close()
    anybody = traders[0]
    trades = body(anybody, "/api/v3/trades?symbol=BTCUSDT&limit=1000")
    assert trades[0]["id"] == 1
    begin, end = closed[0]["t"], closed[-1]["T"]
    klines = body(anybody, f"/api/v3/klines?symbol=BTCUSDT&interval=1s&startTime={begin}&endTime={end}&limit=1000")
    assert [row[0] for row in klines] == [candle["t"] for candle in closed]
    for candle, row in zip(closed, klines, strict=True):
        assert of_stream(candle) == of_klines(row) == recomputed(trades, candle["t"], candle["T"])
        ids = [trade["id"] for trade in trades if candle["t"] <= trade["time"] <= candle["T"]]
        assert (candle["f"], candle["L"]) == ((ids[0], ids[-1]) if ids else (-1, -1))
    minute = last["1m"]
    upto = [trade for trade in trades if trade["id"] <= minute["L"]]
    assert of_stream(minute) == recomputed(upto, minute["t"], minute["T"])


async def _at_once(ws: aiohttp.ClientWebSocketResponse) -> Any:
    """The next message if it is there already, else None."""
    try:
        return await ws.receive_json(timeout=0.01)
    except TimeoutError:
        return None


def statistics(trader: Trader) -> list[Json]:
    """All statistics of a symbol but for their times."""
    found = [body(trader, f"/api/v3/{path}?symbol=BTCUSDT") for path in STATISTICS]
    return [{name: value for name, value in one.items() if name not in TIMES} for one in found]


def test_tickers_after_a_stop_and_after_a_kill_are_those_from_before(tmp_path: pathlib.Path) -> None:
    exchange = Exchange(tmp_path / "var", environ={"EXCHANGE_DATABASE": "off"}).start()
    pick, traders = random.Random(7), [exchange.trader("alice"), exchange.trader("bob")]
    for _ in range(5):
        trade_once(pick, traders)
    for trader in traders:
        trader.call("DELETE", "/v1/openOrders", symbol="BTC_USDT")
    deadline_s = time.monotonic() + WAIT_S
    while any(float(body(traders[0], "/v1/ticker/bookTicker?symbol=BTC_USDT")[name]) for name in ("bidQty", "askQty")):
        assert time.monotonic() < deadline_s  # until the published book is empty
    for number in (signal.SIGTERM, signal.SIGKILL):
        before = statistics(exchange.trader("alice"))
        assert before[0]["count"] >= 5
        exchange.stop(number)
        exchange.start()
        after = statistics(exchange.trader("alice"))
        # Five minutes may have gone by since a trade, which is the one thing that time may change here.
        assert after[:2] == before[:2]
        assert after[3] == before[3]
    assert exchange.stop() == 0
