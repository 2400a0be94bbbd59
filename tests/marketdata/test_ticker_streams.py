"""The streams of statistics against the trades that they sum up, in exact fractions."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import aiohttp
import numpy as np
import pytest

from exchange.core.codes import Side
from exchange.core.compile import INTERPRETED
from exchange.marketdata.connection import Limits
from exchange.marketdata.windows import NS_PER_MINUTE, Window
from tests.marketdata.client import CLOSE_S, Stage, on_uvloop, staged
from tests.marketdata.trading import Trade, last_price_before, summed, trades_in
from tests.marketdata.venue import BTC_USDT, ETH_USDT

Json = dict[str, Any]
MS_NS = 1_000_000
MINUTES = {"@ticker": 1_440, "@miniTicker": 1_440, "@ticker_1h": 60, "@ticker_4h": 240, "@ticker_1d": 1_440}
UNLIMITED = Limits(close_s=CLOSE_S, messages_per_second=1_000_000)
ROUNDS = 20 if INTERPRETED else 60


async def heard(ws: aiohttp.ClientWebSocketResponse) -> list[Any]:
    """The messages that have been written to a connection so far."""
    await ws.send_json({"method": "LIST_SUBSCRIPTIONS", "id": "so far"})
    messages: list[Any] = []
    while True:
        message = await ws.receive_json()
        if isinstance(message, dict) and message.get("id") == "so far":
            return messages
        messages.append(message)


def decimal(units: Fraction | int, scale: int) -> str:
    """A number cut towards zero to so many decimals."""
    value = Fraction(units) * 10**scale
    whole = abs(value.numerator) // value.denominator
    sign = "-" if value < 0 and whole else ""
    return f"{sign}{whole // 10**scale}.{whole % 10**scale:0{scale}d}"


def shown(units: Fraction | int, scale: int) -> str:
    """The same with zeros up to eight decimals."""
    return decimal(units, scale) + "0" * (8 - scale)


def price(ticks: Fraction | int) -> str:
    return shown(Fraction(ticks) / 100, 2)


def of_window(window: Window) -> Json:
    """The fields that come from the window, by their letters; it holds at least one trade."""
    change = window.close_ticks - window.open_ticks
    return {
        "p": f"{'-' if change < 0 else ''}{price(abs(change))}",
        "P": decimal(Fraction(change * 100, window.open_ticks), 3),
        "w": price(Fraction(window.tick_lots, window.lots)),
        "c": price(window.close_ticks),
        "o": price(window.open_ticks),
        "h": price(window.high_ticks),
        "l": price(window.low_ticks),
        "v": shown(Fraction(window.lots, 10_000), 4),
        "q": shown(Fraction(window.tick_lots, 1_000_000), 6),
        "F": window.first_trade_id,
        "L": window.last_trade_id,
        "n": window.trades,
    }


def expected(stream: str, trades: list[Trade], now_ns: int) -> Json:
    """What the ticker of a stream must say of these trades but for the best prices."""
    begin_ns = (now_ns // NS_PER_MINUTE - MINUTES[stream]) * NS_PER_MINUTE
    found = of_window(summed(trades, begin_ns, now_ns + 1))
    if stream == "@miniTicker":
        return {"e": "24hrMiniTicker", **{letter: found[letter] for letter in "cohlvq"}}
    times = {"O": begin_ns // MS_NS, "C": now_ns // MS_NS}
    if stream != "@ticker":
        return {"e": f"{stream.removeprefix('@ticker_')}Ticker", **found, **times}
    before = price(last_price_before(trades, begin_ns))
    lots = shown(Fraction(trades[-1].qty_lots, 10_000), 4)
    return {"e": "24hrTicker", **found, **times, "x": before, "Q": lots}


@pytest.mark.parametrize("stream", MINUTES)
@on_uvloop
async def test_ticker_after_random_commands_over_days_is_what_the_trades_sum_up_to(stream: str) -> None:
    async with staged(UNLIMITED, seed=len(stream)) as stage:
        ws = await stage.connect(f"/ws/btcusdt{stream}")
        await heard(ws)
        trades: list[Trade] = []
        told = 0
        for _ in range(ROUNDS):
            step_ns = stage.venue.random.choice((10**6, 10**9, 10**10, 10**11, 10**12))
            view = stage.venue.run(stage.venue.some(10), step_ns)
            trades += [t for t in trades_in(np.frombuffer(view, np.uint8).reshape(-1, 128)) if t.symbol == BTC_USDT]
            stage.market.on_events(view, len(view) // 128)
            stage.market.publish()
            stage.tick()
            messages = await heard(ws)
            if not messages:
                continue
            message = messages[-1]
            now_ns = stage.venue.ts_ns
            assert (message.pop("s"), message.pop("E")) == ("BTCUSDT", now_ns // MS_NS)
            if summed(trades, now_ns - MINUTES[stream] * NS_PER_MINUTE, now_ns + 1).trades:
                if stream == "@ticker":
                    bids, asks = stage.venue.book(BTC_USDT)
                    best = [*(bids[0] if bids else (0, 0)), *(asks[0] if asks else (0, 0))]
                    assert [message.pop(letter) for letter in "bBaA"] == [
                        shown(Fraction(units, 10**scale), scale)
                        for units, scale in zip(best, (2, 4, 2, 4), strict=True)
                    ]
                assert message == expected(stream, trades, now_ns)
                told += 1
        assert told > ROUNDS // 8


@on_uvloop
async def test_fields_stand_in_the_order_of_the_contract() -> None:
    orders = {
        "@ticker": "e E s p P w x c Q b B a A o h l v q O C F L n",
        "@miniTicker": "e E s c o h l v q",
        "@ticker_1h": "e E s p P o h l c w v q O C F L n",
        "@avgPrice": "e E s i w T",
    }
    async with staged() as stage:
        for stream, order in orders.items():
            ws = await stage.connect(f"/ws/btcusdt{stream}")
            assert list((await heard(ws))[0]) == order.split()


def traded(stage: Stage, price_ticks: int, lots: int, symbol: int = BTC_USDT) -> None:
    """One trade."""
    place = stage.venue.place
    stage.apply(*(place(side, price_ticks, lots, symbol=symbol) for side in (Side.SELL, Side.BUY)))


@on_uvloop
async def test_symbol_that_never_traded_shows_zeros_and_no_trade_ids() -> None:
    async with staged() as stage:
        ws = await stage.connect("/ws/btcusdt@ticker")
        (message,) = await heard(ws)
        assert (message["F"], message["L"], message["n"]) == (-1, -1, 0)
        assert {message[letter] for letter in "pwxcoahlb"} == {"0.00000000"}
        assert (message["P"], message["v"], message["q"]) == ("0.000", "0.00000000", "0.00000000")


@on_uvloop
async def test_window_that_time_has_emptied_repeats_the_last_price_and_is_told_without_any_event() -> None:
    async with staged() as stage:
        ws = await stage.connect("/ws/btcusdt@ticker_1h")
        traded(stage, 5_000, 10)
        traded(stage, 6_000, 10)
        stage.tick()
        assert [m["n"] for m in await heard(ws)] == [0, 2]
        stage.venue.ts_ns += 60 * NS_PER_MINUTE
        stage.tick()
        assert await heard(ws) == []  # a window is never shorter than an hour
        stage.venue.ts_ns += NS_PER_MINUTE
        stage.tick()
        (message,) = await heard(ws)
        assert {message[letter] for letter in "cohlw"} == {"60.00000000"}
        assert (message["p"], message["P"], message["v"], message["F"], message["n"]) == (
            "0.00000000",
            "0.000",
            "0.00000000",
            -1,
            0,
        )


@on_uvloop
async def test_average_price_is_weighted_over_five_minutes_and_then_the_last_price() -> None:
    async with staged() as stage:
        ws = await stage.connect("/ws/btcusdt@avgPrice?timeUnit=MICROSECOND")
        assert [m["w"] for m in await heard(ws)] == ["0.00000000"]
        traded(stage, 5_000, 10)
        traded(stage, 6_000, 20)
        at_us = stage.venue.ts_ns // 1_000
        stage.tick()
        (message,) = await heard(ws)
        assert message == {"e": "avgPrice", "E": at_us, "s": "BTCUSDT", "i": "5m", "w": "56.66000000", "T": at_us}
        stage.venue.ts_ns += 6 * NS_PER_MINUTE
        stage.tick()
        (message,) = await heard(ws)
        assert (message["w"], message["T"]) == ("60.00000000", at_us)
        stage.tick()
        assert await heard(ws) == []


@pytest.mark.parametrize(
    "stream", ["!ticker@arr", "!miniTicker@arr", "!ticker_1h@arr", "!ticker_4h@arr", "!ticker_1d@arr"]
)
@on_uvloop
async def test_stream_of_all_symbols_tells_only_those_that_changed(stream: str) -> None:
    async with staged() as stage:
        ws = await stage.connect(f"/ws/{stream}")
        assert [[one["s"] for one in m] for m in await heard(ws)] == [["BTCUSDT", "ETHUSDT"]]
        traded(stage, 5_000, 10, ETH_USDT)
        stage.tick()
        ((one,),) = await heard(ws)
        assert (one["s"], one["c"]) == ("ETHUSDT", "50.00000000")
        stage.tick()
        assert await heard(ws) == []
        late = await stage.connect(f"/ws/{stream}")
        assert [[one["c"] for one in m] for m in await heard(late)] == [["0.00000000", "50.00000000"]]


CHANGES: dict[str, Callable[[Stage], None]] = {
    "a quote": lambda stage: stage.apply(stage.venue.place(Side.BUY, 4_000, 5)),
    "a second": lambda stage: setattr(stage.venue, "ts_ns", stage.venue.ts_ns + 10**9),
}


@pytest.mark.parametrize("what", CHANGES)
@on_uvloop
async def test_mini_ticker_is_silent_when_nothing_of_it_changes(what: str) -> None:
    async with staged() as stage:
        ws = await stage.connect(
            "/stream?streams=btcusdt@miniTicker/!miniTicker@arr/btcusdt@ticker_1d/btcusdt@avgPrice"
        )
        await heard(ws)
        CHANGES[what](stage)
        stage.tick()
        assert await heard(ws) == []
