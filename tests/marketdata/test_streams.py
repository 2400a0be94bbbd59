"""The streams over real connections: the client procedure, one encoding, slow readers."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import numpy as np
import orjson
import pytest

from exchange.core.codes import EventKind, OrderType, Side, TimeInForce
from exchange.core.compile import INTERPRETED
from exchange.core.event_records import event_dict
from exchange.marketdata.connection import Limits
from exchange.marketdata.market import MarketDataError
from tests.marketdata.client import CLOSE_S, NAMES, LocalBook, Stage, StubbornClient, on_uvloop, staged
from tests.marketdata.venue import BTC_USDT, ETH_USDT, event_count

ROUNDS = 8 if INTERPRETED else 60
SMALL_BUFFERS = Limits(buffer_bytes=8_192, close_s=CLOSE_S)


@on_uvloop
async def test_depth_client_after_every_batch_and_reconnect_holds_the_engine_book() -> None:
    async with staged() as stage:
        for symbol, name in NAMES.items():
            book, ws = LocalBook(), await stage.subscribe("depth", name)
            for _ in range(ROUNDS):
                stage.trade_on(25)
                await book.follow(ws, stage.update_id(symbol))
                assert book.levels() == stage.venue.book(symbol)
                rest = orjson.loads(stage.market.depth_snapshot(name, 5_000))
                again = LocalBook()
                again.restart(rest)
                assert (again.update_id, again.levels()) == (book.update_id, book.levels())
                if stage.venue.random.random() < 0.2:
                    await ws.close()
                    stage.trade_on(25)
                    ws = await stage.subscribe("depth", name)
            assert book.diffs > ROUNDS // 2
            assert book.snapshots > 1


@on_uvloop
async def test_depth_client_that_buffers_diffs_and_fetches_a_rest_snapshot_holds_the_engine_book() -> None:
    async with staged(seed=2) as stage:
        ws = await stage.subscribe("depth")
        buffered: list[dict[str, Any]] = [await ws.receive_json()]
        cuts: list[dict[str, Any]] = []
        for _ in range(ROUNDS):
            stage.trade_on(10)
            cuts.append(orjson.loads(stage.market.depth_snapshot("BTC_USDT", 5_000)))
        while buffered[-1].get("u") != stage.update_id(BTC_USDT):
            buffered.append(await ws.receive_json())
        boundaries = {message["u"] for message in buffered[1:]} | {buffered[0]["lastUpdateId"]}
        for cut in cuts:
            assert cut["lastUpdateId"] in boundaries
            book = LocalBook()
            book.restart(cut)
            for message in buffered[1:]:
                book.take(message)
            assert book.levels() == stage.venue.book(BTC_USDT)


@on_uvloop
async def test_nothing_is_published_when_nothing_changed() -> None:
    async with staged() as stage:
        depth, ticker = await stage.subscribe("depth"), await stage.subscribe("ticker")
        await depth.receive_json(), await ticker.receive_json()
        stage.apply(stage.venue.place(Side.BUY, 4_000, 5))
        first = await depth.receive_json()
        assert (first["U"], first["u"], first["b"]) == (first["u"], first["u"], [["40.00", "0.0005"]])
        assert (await ticker.receive_json())["b"] == "40.00"
        encoded = stage.market.statistics().messages_encoded
        view = stage.venue.run(
            [
                stage.venue.place(Side.BUY, 4_100, 5, order_type=OrderType.LIMIT, time_in_force=TimeInForce.IOC),
                stage.venue.place(Side.BUY, 0, 5),
            ]
        )
        stage.market.on_events(view, event_count(view))
        stage.market.publish()
        assert stage.market.statistics().messages_encoded == encoded
        stage.apply(stage.venue.place(Side.BUY, 4_000, 1))
        assert (await depth.receive_json())["U"] == first["u"] + 1


@on_uvloop
async def test_trades_arrive_one_by_one_as_the_engine_made_them() -> None:
    async with staged() as stage:
        ws = await stage.subscribe("trades")
        expected = []
        for _ in range(ROUNDS):
            view = stage.venue.run(stage.venue.some(25))
            events = [event_dict(slot) for slot in np.frombuffer(view, np.uint8).reshape(-1, 128)]
            expected += [e for e in events if e["kind"] == EventKind.TRADE and e["symbol"] == BTC_USDT]
            stage.market.on_events(view, event_count(view))
        assert len(expected) > ROUNDS
        for trade in expected:
            assert await ws.receive_json() == {
                "e": "trade",
                "E": trade["ts_ns"] // 1_000_000,
                "s": "BTC_USDT",
                "t": trade["trade_id"],
                "p": f"{trade['price_ticks'] / 100:.2f}",
                "q": f"{trade['qty_lots'] / 10_000:.4f}",
                "T": trade["ts_ns"] // 1_000_000,
                "m": trade["side"] == Side.SELL,
            }


@on_uvloop
async def test_ticker_tells_the_window_and_the_best_prices() -> None:
    async with staged() as stage:
        ws = await stage.subscribe("ticker")
        assert (await ws.receive_json())["n"] == 0
        place, buy, sell = stage.venue.place, Side.BUY, Side.SELL
        stage.apply(place(sell, 5_000, 10), place(buy, 5_000, 10), place(sell, 5_500, 30), place(buy, 5_500, 20))
        await ws.receive_json()
        stage.apply(place(buy, 4_900, 7))
        found = await ws.receive_json()
        assert found.pop("E") == found.pop("C") == stage.venue.ts_ns // 1_000_000
        assert found.pop("O") == (stage.venue.ts_ns // 60_000_000_000 - 1_439) * 60_000
        assert found == {
            "e": "24hrTicker", "s": "BTC_USDT", "p": "5.00", "P": "10.000", "w": "53.33", "c": "55.00", "Q": "0.0020",
            "b": "49.00", "B": "0.0007", "a": "55.00", "A": "0.0010", "o": "50.00", "h": "55.00", "l": "50.00",
            "v": "0.0030", "q": "0.160000", "F": 1, "L": 2, "n": 2,
        }  # fmt: skip
        stage.venue.ts_ns += 86_400_000_000_000
        stage.apply(place(sell, 4_800, 7))
        later = await ws.receive_json()
        assert (later["n"], later["o"], later["c"], later["P"], later["F"]) == (1, "49.00", "49.00", "0.000", 3)


@on_uvloop
async def test_second_ticker_subscriber_takes_no_change_away_from_the_first() -> None:
    async with staged() as stage:
        first = await stage.subscribe("ticker")
        await first.receive_json()
        view = stage.venue.run([stage.venue.place(Side.SELL, 5_000, 1), stage.venue.place(Side.BUY, 5_000, 1)])
        stage.market.on_events(view, event_count(view))
        second = await stage.subscribe("ticker")
        await second.receive_json()
        stage.market.publish()
        assert (await first.receive_json())["n"] == (await second.receive_json())["n"] == 1


@on_uvloop
async def test_each_message_is_encoded_once_for_all_listeners() -> None:
    async with staged() as stage:
        count = 5 if INTERPRETED else 40
        sockets = [await stage.subscribe("depth") for _ in range(count)]
        assert stage.market.statistics().messages_encoded == 1
        for _ in range(ROUNDS):
            before, at = stage.market.statistics(), stage.update_id(BTC_USDT)
            stage.trade_on(10)
            after = stage.market.statistics()
            changed = int(stage.update_id(BTC_USDT) > at)
            assert after.messages_encoded - before.messages_encoded == changed
            assert after.messages_written - before.messages_written == changed * count
        for ws in sockets:
            book = LocalBook()
            await book.follow(ws, stage.update_id(BTC_USDT))
            assert book.levels() == stage.venue.book(BTC_USDT)


@on_uvloop
async def test_interval_timer_publishes_without_being_told() -> None:
    async with staged(interval_s=0.001) as stage:
        ws, book = await stage.subscribe("depth"), LocalBook()
        for _ in range(ROUNDS):
            view = stage.venue.run(stage.venue.some(20))
            stage.market.on_events(view, event_count(view))
            wanted = stage.venue.book(BTC_USDT)
            while book.update_id is None or book.levels() != wanted:
                book.take(await ws.receive_json())


async def _stall(stage: Stage, channel: str) -> StubbornClient:
    """A subscribed client that has read its acknowledgement and reads nothing more."""
    client = await StubbornClient(stage.port).connect()
    await client.send(orjson.dumps({"action": "subscribe", "channel": channel, "symbol": "BTC_USDT"}))
    assert (await client.read_json())["e"] == "subscribed"
    return client


@on_uvloop
async def test_slow_depth_reader_is_conflated_and_everybody_else_gets_everything() -> None:
    async with staged(SMALL_BUFFERS) as stage:
        slow = await _stall(stage, "depth")
        ws, book = await stage.subscribe("depth"), LocalBook()
        while stage.market.statistics().conflated == 0:
            stage.trade_on(40)
            await book.follow(ws, stage.update_id(BTC_USDT))
            assert book.levels() == stage.venue.book(BTC_USDT)
        for _ in range(ROUNDS):
            stage.trade_on(40)
            await book.follow(ws, stage.update_id(BTC_USDT))
        assert (book.snapshots, stage.market.statistics().dropped) == (1, 0)
        wanted = stage.update_id(BTC_USDT)
        late = LocalBook()
        reading = asyncio.create_task(_read_book(slow, late, wanted))
        while not reading.done():
            stage.market.publish()
            await asyncio.wait({reading}, timeout=0.001)
        await reading
        assert late.snapshots == 2
        assert late.diffs < book.diffs
        assert late.levels() == stage.venue.book(BTC_USDT)
        slow.close()


async def _read_book(client: StubbornClient, book: LocalBook, update_id: int) -> None:
    while book.update_id != update_id:
        book.take(await client.read_json())


@on_uvloop
async def test_slow_reader_that_drains_in_a_quiet_market_gets_its_snapshot_from_the_timer() -> None:
    async with staged(SMALL_BUFFERS, interval_s=0.001) as stage:
        slow = await _stall(stage, "depth")
        ws, book = await stage.subscribe("depth"), LocalBook()
        while stage.market.statistics().conflated == 0:
            stage.trade_on(40)
            await book.follow(ws, stage.update_id(BTC_USDT))
        late = LocalBook()
        await _read_book(slow, late, stage.update_id(BTC_USDT))
        assert late.levels() == stage.venue.book(BTC_USDT)
        slow.close()


@on_uvloop
async def test_slow_trade_reader_is_dropped_with_a_reason_and_everybody_else_gets_everything() -> None:
    async with staged(SMALL_BUFFERS) as stage:
        slow = await _stall(stage, "trades")
        ws = await stage.subscribe("trades")
        last = 0
        while stage.market.statistics().dropped == 0:
            view = stage.venue.run(stage.venue.some(40))
            kinds = np.frombuffer(view, np.uint8).reshape(-1, 128)
            count = sum(1 for s in kinds if s[16] == EventKind.TRADE and event_dict(s)["symbol"] == BTC_USDT)
            stage.market.on_events(view, event_count(view))
            for _ in range(count):
                last += 1
                assert (await ws.receive_json())["t"] == last
        seen = 0
        while True:
            opcode, payload = await slow.read()
            if opcode == 8:
                break
            seen += 1
            assert orjson.loads(payload)["t"] == seen
        assert int.from_bytes(payload[:2], "big") == 4_008
        assert payload[2:] == b"slow_consumer: more than 8192 bytes wait, BTC_USDT trades goes on"
        assert 0 < seen < last
        with contextlib.suppress(ConnectionError):
            await slow.send(payload, opcode=8)
        slow.close()


@on_uvloop
async def test_client_that_asks_and_never_reads_answers_is_dropped() -> None:
    async with staged(SMALL_BUFFERS._replace(messages_per_second=1_000_000)) as stage:
        client = await StubbornClient(stage.port).connect()
        with contextlib.suppress(ConnectionError):
            while stage.market.statistics().connections:
                await client.send(b"{}" * 50)
        client.close()


@on_uvloop
async def test_unsubscribed_stream_is_silent_and_leaves_no_work() -> None:
    async with staged() as stage:
        ws = await stage.subscribe("trades")
        await stage.subscribe("trades", "ETH_USDT", ws)
        await ws.send_json({"action": "unsubscribe", "channel": "trades", "symbol": "BTC_USDT"})
        assert await ws.receive_json() == {"e": "unsubscribed", "channel": "trades", "s": "BTC_USDT"}
        assert stage.market._tables.rows[BTC_USDT]["trades_wanted"] == 0
        both = [stage.venue.place(side, 5_000, 1, symbol=s) for s in (BTC_USDT, ETH_USDT) for side in Side]
        stage.apply(*both)
        assert (await ws.receive_json())["s"] == "ETH_USDT"


@on_uvloop
async def test_stop_publishes_what_is_left_and_says_goodbye() -> None:
    async with staged() as stage:
        ws, book = await stage.subscribe("depth"), LocalBook()
        view = stage.venue.run(stage.venue.some(30))
        stage.market.on_events(view, event_count(view))
        stopping = asyncio.create_task(stage.market.stop())
        await book.follow(ws, await _final_update_id(stage, stopping, ws, book))
        assert book.levels() == stage.venue.book(BTC_USDT)
        message = await ws.receive()
        assert (message.data, message.extra) == (1_001, "the exchange stops")
        await stopping


async def _final_update_id(stage: Stage, stopping: asyncio.Task[None], ws: Any, book: LocalBook) -> int:
    book.take(await ws.receive_json())
    book.take(await ws.receive_json())
    assert not stopping.cancelled()
    return stage.update_id(BTC_USDT)


@on_uvloop
async def test_missing_events_close_every_connection_and_refuse_new_ones() -> None:
    async with staged() as stage:
        ws = await stage.subscribe("trades")
        stage.venue.run([stage.venue.place(Side.BUY, 700, 3)])
        stage.apply(stage.venue.place(Side.BUY, 701, 3))
        message = await ws.receive()
        assert (message.data, message.extra) == (1_011, "market data stopped; connect again later")
        status, _, body = await stage.refusal()
        assert (status, body["code"]) == (503, -1001)
        with pytest.raises(MarketDataError, match="Market data has stopped"):
            stage.market.depth_snapshot("BTC_USDT", 5)
