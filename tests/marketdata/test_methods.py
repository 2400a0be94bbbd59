"""Binance's protocol on the streams: its paths, its calls and their errors, its properties, its limits."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import aiohttp
import orjson
import pytest
from aiohttp import web

from exchange.core.codes import Side
from exchange.marketdata.connection import Limits
from exchange.marketdata.server import Door, Socket, refused
from tests.marketdata.client import CLOSE_S, Stage, StubbornClient, closing, on_uvloop, staged

LIMITS = Limits(close_s=CLOSE_S)
TRADE, OTHER_TRADE = "btcusdt@trade", "ethusdt@trade"


def trade_once(stage: Stage, price_ticks: int = 5_000) -> None:
    """Make one trade of BTC_USDT, and publish."""
    stage.apply(*(stage.venue.place(side, price_ticks, 1) for side in Side))


PATHS: list[tuple[str, list[str], bool]] = [
    ("/ws", [], False),
    ("/ws/", [], False),
    ("/ws/0", [], False),
    ("/ws/pqia91ma19a5s61cv6a81va65sdf19v8a65a1a5s61cv6a81va65sdf19v8a65a1", [], False),
    ("/ws/btcusdt@trade", [TRADE], False),
    ("/ws/btcusdt@trade/17/ethusdt@trade/btcusdt@trade", [TRADE, OTHER_TRADE], False),
    ("/ws/btcusdt%40trade", [TRADE], False),
    ("/ws/xrpusdt@trade", [], False),
    ("/stream", [], True),
    ("/stream/", [], True),
    ("/stream?streams=", [], True),
    ("/stream?streams=btcusdt@trade/ethusdt@trade", [TRADE, OTHER_TRADE], True),
    ("/stream?timeUnit=MILLISECOND&streams=btcusdt@trade/nothing", [TRADE], True),
    ("/stream/?streams=btcusdt@trade", [TRADE], True),
    ("/stream/ws", [], False),
    ("/stream/ws/0", [], False),
    ("/stream/ws/btcusdt@trade", [TRADE], False),
    ("/stream/0", [], False),
]


@pytest.mark.parametrize(("path", "names", "is_combined"), PATHS, ids=[path for path, _, _ in PATHS])
@on_uvloop
async def test_path_names_streams_and_form(path: str, names: list[str], is_combined: bool) -> None:
    async with staged(LIMITS) as stage:
        ws = await stage.connect(path)
        assert await stage.call(ws, "LIST_SUBSCRIPTIONS") == names
        assert await stage.call(ws, "GET_PROPERTY", "combined") is is_combined
        if not names:
            assert await stage.call(ws, "SUBSCRIBE", TRADE) is None
        trade_once(stage)
        told = await ws.receive_json()
        if is_combined:
            assert sorted(told) == ["data", "stream"]
            assert told["stream"] == TRADE
            told = told["data"]
        assert (told["e"], told["s"]) == ("trade", "BTCUSDT")


@on_uvloop
async def test_calls_change_and_list_subscriptions() -> None:
    async with staged(LIMITS) as stage:
        ws = await stage.connect()
        for call_id in (0, -1, (1 << 63) - 1, -(1 << 63), "", "7", "x" * 36, None):
            assert await stage.call(ws, "LIST_SUBSCRIPTIONS", call_id=call_id) == []
        unknown = "xrpusdt@trade"
        assert await stage.call(ws, "SUBSCRIBE", TRADE, "0", unknown, TRADE, call_id="a") is None
        assert await stage.call(ws, "SUBSCRIBE", OTHER_TRADE, TRADE) is None
        assert await stage.call(ws, "LIST_SUBSCRIPTIONS") == [TRADE, "0", unknown, OTHER_TRADE]
        trade_once(stage)
        assert (await ws.receive_json())["t"] == 1
        assert await stage.call(ws, "UNSUBSCRIBE", TRADE, unknown, "never") is None
        trade_once(stage)
        assert await stage.call(ws, "LIST_SUBSCRIPTIONS") == ["0", OTHER_TRADE]
        assert await stage.call(ws, "SUBSCRIBE", TRADE) is None
        trade_once(stage)
        assert (await ws.receive_json())["t"] == 3


IDS = "Invalid request: request ID must be a 64-bit integer, a string of at most 36 characters, or null"
VARIANTS = "expected one of SUBSCRIBE, UNSUBSCRIBE, LIST_SUBSCRIPTIONS, SET_PROPERTY, GET_PROPERTY"
NAME = "Invalid request: property name must be a string"
ERRORS: list[tuple[str, int, str, Any]] = [
    ("", 3, "Invalid JSON: expected value at line 1 column 1", None),
    ('{"method":\n x', 3, "Invalid JSON: expected value at line 2 column 2", None),
    ("[" * 4_000, 3, "Invalid JSON: expected value at line 1 column 1026", None),
    ("null", 2, "Invalid request: expected an object", None),
    ("[]", 2, "Invalid request: expected an object", None),
    ("{}", 2, "Invalid request: missing field `method`", None),
    ('{"id":3}', 2, "Invalid request: missing field `method`", 3),
    ('{"method":"SUBSCRIBE","params":["btcusdt@trade"],"id":1.5}', 2, IDS, None),
    ('{"method":"SUBSCRIBE","params":["btcusdt@trade"],"id":true}', 2, IDS, None),
    ('{"method":"SUBSCRIBE","params":["btcusdt@trade"],"id":[1]}', 2, IDS, None),
    ('{"method":"LIST_SUBSCRIPTIONS","id":9223372036854775808}', 2, IDS, None),
    (f'{{"method":"LIST_SUBSCRIPTIONS","id":"{"x" * 37}"}}', 2, IDS, None),
    ('{"method":"subscribe","id":4}', 2, f"Invalid request: unknown variant `subscribe`, {VARIANTS}", 4),
    ('{"method":null,"id":4}', 2, f"Invalid request: unknown variant `null`, {VARIANTS}", 4),
    ('{"method":"SUBSCRIBE","id":5}', 2, "Invalid request: params must be an array of stream names", 5),
    ('{"method":"SUBSCRIBE","params":{},"id":5}', 2, "Invalid request: params must be an array of stream names", 5),
    ('{"method":"UNSUBSCRIBE","params":[1],"id":5}', 2, "Invalid request: stream name must be a string", 5),
    (
        f'{{"method":"SUBSCRIBE","params":["{"x" * 65}"],"id":5}}',
        2,
        "Invalid request: stream name must have at most 64 characters",
        5,
    ),
    ('{"method":"SET_PROPERTY","id":6}', 2, NAME, 6),
    ('{"method":"SET_PROPERTY","params":[],"id":6}', 2, NAME, 6),
    ('{"method":"SET_PROPERTY","params":[1,true],"id":6}', 2, NAME, 6),
    ('{"method":"GET_PROPERTY","params":[null],"id":6}', 2, NAME, 6),
    ('{"method":"SET_PROPERTY","params":["combined"],"id":6}', 2, "Invalid request: missing property value", 6),
    ('{"method":"GET_PROPERTY","params":["combined",1],"id":6}', 2, "Invalid request: too many parameters", 6),
    ('{"method":"SET_PROPERTY","params":["combined",true,1],"id":6}', 2, "Invalid request: too many parameters", 6),
    ('{"method":"SET_PROPERTY","params":["separate",true],"id":6}', 0, "Unknown property", 6),
    ('{"method":"GET_PROPERTY","params":["separate"],"id":6}', 0, "Unknown property", 6),
    ('{"method":"SET_PROPERTY","params":["combined","true"],"id":6}', 1, "Invalid value type: expected Boolean", 6),
    ('{"method":"SET_PROPERTY","params":["combined",1],"id":6}', 1, "Invalid value type: expected Boolean", 6),
]


@on_uvloop
async def test_calls_that_can_not_be_served_get_binances_codes_and_the_connection_lives() -> None:
    async with staged(LIMITS) as stage:
        ws = await stage.connect("/ws/0")
        for text, code, sentence, call_id in ERRORS:
            await ws.send_str(text)
            assert await ws.receive_json() == {"error": {"code": code, "msg": sentence}, "id": call_id}, text
        assert await stage.call(ws, "LIST_SUBSCRIPTIONS") == []


@on_uvloop
async def test_both_protocols_live_on_one_connection() -> None:
    async with staged(LIMITS) as stage:
        ws = await stage.subscribe("trades")
        assert await stage.call(ws, "SUBSCRIBE", TRADE) is None
        trade_once(stage)
        assert [(await ws.receive_json())["s"] for _ in range(2)] == ["BTC_USDT", "BTCUSDT"]
        await ws.send_json({"action": "unsubscribe", "channel": "trades", "symbol": "BTC_USDT"})
        assert (await ws.receive_json())["e"] == "unsubscribed"
        trade_once(stage)
        assert (await ws.receive_json())["s"] == "BTCUSDT"
        await ws.send_str("{}")
        assert (await ws.receive_json())["error"]["code"] == 2


@on_uvloop
async def test_property_changes_the_form_of_what_follows_and_leaves_no_hole() -> None:
    async with staged(LIMITS) as stage:
        names = ["btcusdt@depth", "btcusdt@aggTrade"]
        ws = await stage.connect("/ws/" + "/".join(names))
        assert await stage.call(ws, "GET_PROPERTY", "combined") is False
        trade_once(stage, 5_000)
        raw = await ws.receive_json()
        assert (raw["e"], raw["f"]) == ("aggTrade", 1)
        stage.apply(stage.venue.place(Side.BUY, 4_000, 1))
        at = stage.update_id(1)
        for _ in range(2):
            assert await stage.call(ws, "SET_PROPERTY", "combined", True) is None
        assert await stage.call(ws, "GET_PROPERTY", "combined") is True
        assert await stage.call(ws, "LIST_SUBSCRIPTIONS") == names
        stage.tick()
        wrapped = await ws.receive_json()
        assert wrapped["stream"] == names[0]
        assert (wrapped["data"]["u"], wrapped["data"]["b"]) == (at, [["40.00000000", "0.00010000"]])
        trade_once(stage, 5_000)
        assert (await ws.receive_json())["data"]["f"] == 2
        await stage.call(ws, "SET_PROPERTY", "combined", False)
        await stage.call(ws, "UNSUBSCRIBE", *names)
        assert not stage.market._registry._streams


@on_uvloop
async def test_microseconds_are_told_to_those_who_want_them_and_encoded_once_a_variant() -> None:
    async with staged(LIMITS) as stage:
        queries = ["", "?timeUnit=MICROSECOND", "?timeUnit=microsecond", "?timeUnit=MILLISECOND"]
        sockets = [await stage.connect(f"/ws/btcusdt@trade{query}") for query in queries]
        sockets += [await stage.connect(f"/stream{query}") for query in ("?streams=btcusdt@trade", *queries[1:3])]
        for ws in sockets:
            await stage.call(ws, "SUBSCRIBE", TRADE)
        before = stage.market.statistics()
        trade_once(stage)
        after = stage.market.statistics()
        assert after.messages_encoded - before.messages_encoded == 4
        assert after.messages_written - before.messages_written == len(sockets)
        told = [await ws.receive_json() for ws in sockets]
        millis, micros = stage.venue.ts_ns // 1_000_000, stage.venue.ts_ns // 1_000
        assert [one["T"] for one in told[:4]] == [millis, micros, micros, millis]
        assert [one["data"]["T"] for one in told[4:]] == [millis, micros, micros]
        assert await stage.refusal("/ws?timeUnit=SECOND") == (
            400,
            None,
            {"code": -1194, "msg": "Invalid value for time unit; expected either MICROSECOND or MILLISECOND."},
        )


@on_uvloop
async def test_candle_name_with_a_plus_in_a_query_is_not_torn() -> None:
    async with staged(LIMITS) as stage:
        ws = await stage.connect("/stream?streams=btcusdt@trade")
        name = "btcusdt@kline_1m@+08:00"
        assert await stage.call(ws, "SUBSCRIBE", name) is None
        assert await stage.call(ws, "LIST_SUBSCRIPTIONS") == [TRADE, name]


@on_uvloop
async def test_subscriptions_beyond_the_limit_close_the_connection() -> None:
    async with staged(LIMITS._replace(subscriptions_max=3)) as stage:
        ws = await stage.connect("/ws/btcusdt@trade/ethusdt@trade")
        assert await stage.call(ws, "SUBSCRIBE", TRADE, "unknown") is None
        await ws.send_json({"method": "SUBSCRIBE", "params": ["another"], "id": 1})
        assert await closing(ws) == (1_008, "too many subscriptions; current limit is 3")
        ws = await stage.connect("/stream?streams=" + "/".join(f"{n}@trade" for n in "abcd"))
        assert await closing(ws) == (1_008, "too many subscriptions; current limit is 3")


@on_uvloop
async def test_call_that_names_a_thousand_streams_is_served_and_a_bigger_message_is_not() -> None:
    async with staged(LIMITS) as stage:
        ws = await stage.connect("/ws/0")
        names = [f"symbol{k}usdt@kline_15m@+08:00" for k in range(1_023)] + [TRADE]
        assert await stage.call(ws, "SUBSCRIBE", *names) is None
        trade_once(stage)
        assert (await ws.receive_json())["t"] == 1
        await ws.send_str("x" * (LIMITS.method_bytes_max + 1))
        assert (await closing(ws))[0] == 1_009


@on_uvloop
async def test_connection_without_subscription_is_kept_once_it_speaks_this_protocol() -> None:
    async with staged(LIMITS._replace(idle_s=0.02)) as stage:
        sockets = [await stage.connect("/ws/0"), await stage.connect("/stream"), await stage.connect("/ws")]
        await stage.call(sockets[2], "LIST_SUBSCRIPTIONS")
        ours = await stage.connect("/ws")
        assert (await closing(ours))[0] == 1_008
        for ws in sockets:
            assert await stage.call(ws, "LIST_SUBSCRIPTIONS") == []


@on_uvloop
async def test_connection_is_pinged_and_lives_a_day() -> None:
    async with staged(LIMITS._replace(ping_s=0.02, life_s=0.2)) as stage:
        client = await StubbornClient(stage.port).connect("/ws/0")
        opcodes = []
        while (frame := await client.read())[0] != 8:
            opcodes.append(frame[0])
            await client.send(frame[1], opcode=10)
        assert set(opcodes) == {9}
        assert len(opcodes) > 3
        assert frame[1] == (1_001).to_bytes(2, "big") + b"a connection lives 0.2 s; connect again"
        client.close()
        ours = asyncio.create_task((await stage.subscribe("trades")).receive_json())
        assert (await closing(await stage.connect("/ws/btcusdt@trade")))[0] == 1_001
        trade_once(stage)
        assert (await ours)["e"] == "trade"


@on_uvloop
async def test_client_that_answers_no_ping_is_disconnected_and_unsolicited_pongs_keep_it() -> None:
    async with staged(LIMITS._replace(ping_s=0.03)) as stage:
        client = await StubbornClient(stage.port).connect("/ws/0")
        for _ in range(6):
            await client.send(b"", opcode=10)
            assert await client.read() == (9, b"")
        frames: list[tuple[int, bytes]] = []
        with contextlib.suppress(ConnectionResetError):
            while len(frames) < 9:
                frames.append(await client.read())
        assert frames in ([(9, b"")], [(9, b"")] * 2)
        client.close()


@on_uvloop
async def test_client_ping_is_answered_on_a_stream_connection() -> None:
    async with staged(LIMITS) as stage:
        client = await StubbornClient(stage.port).connect("/ws/btcusdt@trade")
        await client.send(b"still there", opcode=9)
        assert await client.read() == (10, b"still there")
        client.close()


@on_uvloop
async def test_address_that_connects_too_often_is_refused_with_the_sentence() -> None:
    asked: list[str] = []

    def admitted(socket: Socket) -> Socket:
        async def serve(request: web.BaseRequest) -> web.StreamResponse:
            asked.append(request.remote or "")
            if len(asked) <= 2:
                return await socket(request)
            return refused(429, -1003, "Too many connections within 5 minutes.", **{"Retry-After": "9"})

        return serve

    async with staged(LIMITS, door=Door(admitted)) as stage:
        for _ in range(2):
            await (await stage.connect("/ws/0")).close()
        status, retry_after, body = await stage.refusal("/stream")
        assert (status, body) == (429, {"code": -1003, "msg": "Too many connections within 5 minutes."})
        assert retry_after == "9"
        assert asked == ["127.0.0.1"] * 3


@on_uvloop
async def test_stop_tells_that_the_server_shuts_down_before_it_closes() -> None:
    async with staged(LIMITS) as stage:
        paths = ("/ws/0", "/stream?streams=btcusdt@trade&timeUnit=MICROSECOND", "/ws")
        sockets = [await stage.connect(path) for path in paths]
        await stage.call(sockets[0], "LIST_SUBSCRIPTIONS")
        ours = await stage.subscribe("trades", ws=sockets.pop())
        stopping = stage.market.stop()
        now_ns = stage.venue.ts_ns
        task = asyncio.create_task(stopping)
        for ws, unit in zip(sockets, (1_000_000, 1_000), strict=True):
            assert await ws.receive_json() == {"e": "serverShutdown", "E": now_ns // unit}
            message = await ws.receive()
            assert (message.type, message.data, message.extra) == (aiohttp.WSMsgType.CLOSE, 1_001, "the exchange stops")
        assert (await ours.receive()).type is aiohttp.WSMsgType.CLOSE
        await task


@on_uvloop
async def test_two_listeners_serve_one_market() -> None:
    async with staged(LIMITS._replace(idle_s=0.02)) as stage:
        addresses = []

        async def handler(request: web.BaseRequest) -> web.StreamResponse:
            addresses.append("10.0.0.7")
            return await stage.market.serve(request, addresses[-1])

        other = web.ServerRunner(web.Server(handler))
        await other.setup()
        site = web.TCPSite(other, "127.0.0.1", 0)
        await site.start()
        address = other.addresses[0]
        async with stage.session.ws_connect(f"http://{address[0]}:{address[1]}/ws") as there:
            assert (await closing(await stage.connect("/ws")))[0] == 1_008
            assert await stage.call(there, "SUBSCRIBE", TRADE) is None
            here = await stage.connect("/ws/btcusdt@trade")
            await stage.call(here, "LIST_SUBSCRIPTIONS")
            before = stage.market.statistics()
            trade_once(stage)
            assert await there.receive_json() == await here.receive_json()
            assert stage.market.statistics().messages_encoded == before.messages_encoded + 1
            assert stage.market.statistics().connections == 2
            async with stage.session.get(f"http://{address[0]}:{address[1]}/ws/x") as response:
                assert (response.status, orjson.loads(await response.read())["code"]) == (426, -1000)
        await other.cleanup()
