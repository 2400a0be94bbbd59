"""The public streams of trades and books: payloads, aggregates that equal those of history, slow readers."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import aiohttp
import numpy as np
import orjson
import pytest

from exchange.core.codes import Side
from exchange.core.compile import INTERPRETED
from exchange.marketdata.connection import Limits
from exchange.persistence.fold_market import fold_market
from exchange.persistence.slots import Slots
from tests.marketdata.client import CLOSE_S, Stage, StubbornClient, on_uvloop, staged
from tests.marketdata.venue import BTC_USDT, ETH_USDT, event_count

ROUNDS = 8 if INTERPRETED else 60
SMALL_BUFFERS = Limits(buffer_bytes=8_192, close_s=CLOSE_S, messages_per_second=1_000_000)
SYMBOLS = {BTC_USDT: "BTCUSDT", ETH_USDT: "ETHUSDT"}


async def listening(stage: Stage, *names: str) -> aiohttp.ClientWebSocketResponse:
    """A connection that hears these streams."""
    ws = await stage.connect("/ws")
    assert await stage.call(ws, "SUBSCRIBE", *names) is None
    return ws


def expected_of_history(views: list[memoryview]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The trades and aggregate trades that the projection makes of these events, as the streams show them."""
    events = np.concatenate([np.frombuffer(view, np.uint8).reshape(-1, 128) for view in views])
    shown = []
    for columns in fold_market(Slots(events, 1))[:2]:
        names = [name for name in columns if name in ("agg_id", "first_id", "last_id", "trade_id")]
        rows = []
        columns_read = ("symbol", "ts_ns", "side", "price_ticks", "qty_lots", *names)
        for row in zip(*(columns[name].tolist() for name in columns_read), strict=True):
            symbol, ts_ns, side, price_ticks, qty_lots, *ids = row
            time = ts_ns // 1_000_000
            texts = {"p": f"{price_ticks / 100:.8f}", "q": f"{qty_lots / 10_000:.8f}"}
            letters = ({"agg_id": "a", "first_id": "f", "last_id": "l", "trade_id": "t"}[name] for name in names)
            told = dict(zip(letters, ids, strict=True)) | texts | {"s": SYMBOLS[symbol], "E": time, "T": time}
            rows.append(told | {"m": side == Side.SELL, "M": True, "e": "trade" if "t" in told else "aggTrade"})
        shown.append(rows)
    return shown[0], shown[1]


@pytest.mark.parametrize("batch", [0, 1, 3])
@on_uvloop
async def test_trades_and_aggregates_are_those_of_history_however_events_are_cut(batch: int) -> None:
    async with staged(seed=5) as stage:
        sockets = {kind: await listening(stage, f"btcusdt@{kind}", f"ethusdt@{kind}") for kind in ("trade", "aggTrade")}
        views = []
        for _ in range(ROUNDS):
            sweep = [stage.venue.place(Side.SELL, 5_000 + k // 3, 1, account=17) for k in range(9)]
            views.append(stage.venue.run([*stage.venue.some(40), *sweep, stage.venue.place(Side.BUY, 5_001, 5)]))
            step = batch or event_count(views[-1])
            for first in range(0, event_count(views[-1]), step):
                count = min(step, event_count(views[-1]) - first)
                stage.market.on_events(views[-1][first * 128 : (first + count) * 128], count)
        trades, aggregates = expected_of_history(views)
        assert len(trades) > len(aggregates) > ROUNDS
        for kind, expected in (("trade", trades), ("aggTrade", aggregates)):
            found = [await sockets[kind].receive_json() for _ in expected]
            for symbol in SYMBOLS.values():
                assert [one for one in found if one["s"] == symbol] == [one for one in expected if one["s"] == symbol]


@on_uvloop
async def test_aggregate_of_a_command_that_had_begun_before_is_left_out() -> None:
    async with staged() as stage:
        for _ in range(4):
            stage.apply(stage.venue.place(Side.SELL, 5_000, 1))
        view = stage.venue.run([stage.venue.place(Side.BUY, 5_000, 4, account=17)])
        middle = 2 * 128
        stage.market.on_events(view[:middle], 2)
        ws = await listening(stage, "btcusdt@aggTrade")
        stage.market.on_events(view[middle:], event_count(view) - 2)
        stage.apply(*(stage.venue.place(side, 6_000, 1) for side in Side))
        told = await ws.receive_json()
        assert (told["a"], told["f"], told["l"], told["p"]) == (5, 5, 5, "60.00000000")


@on_uvloop
async def test_best_prices_are_told_when_they_change() -> None:
    async with staged() as stage:
        ws = await listening(stage, "btcusdt@bookTicker")
        nothing = await ws.receive_json()
        assert (nothing["b"], nothing["A"]) == ("0.00000000", "0.00000000")
        stage.apply(stage.venue.place(Side.BUY, 4_000, 5), stage.venue.place(Side.BUY, 3_000, 5))
        stage.apply(stage.venue.place(Side.BUY, 3_500, 5))
        stage.apply(stage.venue.place(Side.SELL, 6_000, 7))
        at = stage.update_id(BTC_USDT)
        first, second = await ws.receive_json(), await ws.receive_json()
        assert first == {
            "u": at - 2,
            "s": "BTCUSDT",
            "b": "40.00000000",
            "B": "0.00050000",
            "a": "0.00000000",
            "A": "0.00000000",
        }
        assert second == {
            "u": at,
            "s": "BTCUSDT",
            "b": "40.00000000",
            "B": "0.00050000",
            "a": "60.00000000",
            "A": "0.00070000",
        }


@on_uvloop
async def test_first_levels_are_told_at_both_paces_when_they_change() -> None:
    async with staged() as stage:
        fast, slow = [await listening(stage, f"btcusdt@depth5{speed}") for speed in ("@100ms", "")]
        for ws in (fast, slow):
            assert (await ws.receive_json())["bids"] == []
        for k in range(8):
            stage.apply(stage.venue.place(Side.BUY, 4_000 - k, 1))
        stage.apply(stage.venue.place(Side.SELL, 6_000, 1))
        told = [await fast.receive_json() for _ in range(6)]
        assert [len(one["bids"]) for one in told] == [1, 2, 3, 4, 5, 5]
        assert told[-1] == {
            "lastUpdateId": stage.update_id(BTC_USDT),
            "bids": [[f"{40 - k / 100:.8f}", "0.00010000"] for k in range(5)],
            "asks": [["60.00000000", "0.00010000"]],
        }
        stage.tick()
        stage.tick()
        assert await slow.receive_json() == told[-1]
        stage.apply(stage.venue.place(Side.BUY, 4_000, 1))
        stage.tick()
        assert (await slow.receive_json())["bids"][0] == ["40.00000000", "0.00020000"]


async def stalled(stage: Stage, name: str) -> StubbornClient:
    """A client that listens to a stream, has read the acknowledgement and reads nothing more."""
    client = await StubbornClient(stage.port).connect()
    await client.send(orjson.dumps({"method": "SUBSCRIBE", "params": [name], "id": 1}))
    assert await client.read_json() == {"result": None, "id": 1}
    return client


@pytest.mark.parametrize("name", ["btcusdt@depth@100ms", "btcusdt@depth", "btcusdt@trade", "btcusdt@aggTrade"])
@on_uvloop
async def test_slow_reader_of_facts_is_closed_with_a_reason_and_nobody_else_misses_anything(name: str) -> None:
    async with staged(SMALL_BUFFERS) as stage:
        slow, ws = await stalled(stage, name), await listening(stage, name)
        told: list[bytes] = []
        while stage.market.statistics().dropped == 0:
            stage.trade_on(60)
            stage.tick()
            # An answer comes behind everything that was told before it.
            await ws.send_json({"method": "GET_PROPERTY", "params": ["combined"], "id": 1})
            while (text := (await ws.receive_str()).encode()) != b'{"result":false,"id":1}':
                told.append(text)
        got = []
        while (frame := await slow.read())[0] == 1:
            got.append(frame[1])
        assert 0 < len(got) < len(told)
        assert got == told[: len(got)]
        code, reason = int.from_bytes(frame[1][:2], "big"), frame[1][2:].decode()
        assert (code, reason) == (4_008, f"slow_consumer: more than 8192 bytes wait, {name} goes on")
        with contextlib.suppress(ConnectionError):
            await slow.send(frame[1], opcode=8)
        slow.close()


@pytest.mark.parametrize("name", ["btcusdt@depth20@100ms", "btcusdt@depth20", "btcusdt@bookTicker"])
@on_uvloop
async def test_slow_reader_of_the_latest_gets_the_latest_once_it_has_drained(name: str) -> None:
    async with staged(SMALL_BUFFERS) as stage:
        slow, ws = await stalled(stage, name), await listening(stage, name)
        told = [await ws.receive_str()]
        rounds = 0
        while rounds < ROUNDS or stage.market.statistics().conflated == 0:
            rounds = rounds + 1 if stage.market.statistics().conflated else 0
            stage.trade_on(5)
            stage.tick()
            await ws.send_json({"method": "GET_PROPERTY", "params": ["combined"], "id": 1})
            while (text := await ws.receive_str()) != '{"result":false,"id":1}':
                told.append(text)
        stage.apply(stage.venue.place(Side.BUY, 100_000, 1))
        stage.tick()
        got: list[str] = []

        async def read() -> None:
            told.append(last := await ws.receive_str())
            while not got or got[-1] != last:
                got.append((await slow.read())[1].decode())

        reading = asyncio.create_task(read())
        while not reading.done():
            stage.market.publish()
            await asyncio.wait({reading}, timeout=0.001)
        await reading
        assert stage.market.statistics().dropped == 0
        assert len(got) < len(told)
        later = iter(told)
        assert all(one in later for one in got)
        slow.close()


@on_uvloop
async def test_many_variants_of_many_streams_leave_nothing_behind() -> None:
    async with staged() as stage:
        kinds = ("depth", "depth@100ms", "depth5", "depth10@100ms", "trade", "aggTrade", "bookTicker")
        names = [f"{symbol}@{kind}" for symbol in ("btcusdt", "ethusdt") for kind in kinds]
        forms = ("/ws/", "/stream?streams=", "/stream?timeUnit=MICROSECOND&streams=")
        paths = [form + "/".join(names) for form in forms]
        sockets = [await stage.connect(path) for path in paths]
        for ws in sockets:
            while (await ws.receive_json()).get("stream", "") not in ("", "ethusdt@bookTicker"):
                pass
        assert sorted(stage.market._registry._streams) == sorted(names)
        stage.trade_on(100)
        for ws in sockets:
            await ws.close()
        while stage.market.statistics().connections:  # noqa: ASYNC110  a connection tells nobody that it has ended
            await asyncio.sleep(0)
        assert not stage.market._registry._streams
        assert not stage.market._source.unfinished
        assert not stage.market._lagging
        assert not any(feed._trade_takers or feed._depth_takers for feed in stage.market._feeds.values())
        assert not stage.market._tables.rows["trades_wanted"].any()
        stage.tick()
        stage.trade_on(100)
