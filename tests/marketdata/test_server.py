"""What clients may not do: malformed messages, limits, silence; and how each is answered."""

from __future__ import annotations

import asyncio
import socket
import struct

import orjson
import pytest

from exchange.core.codes import Side
from exchange.marketdata.book import SNAPSHOTS_MAX
from exchange.marketdata.connection import Limits
from exchange.marketdata.market import MarketDataError
from tests.marketdata.client import CLOSE_S, HANDSHAKE, StubbornClient, closing, on_uvloop, staged

LIMITS = Limits(close_s=CLOSE_S)
GONE = 50
"""Clients that are gone at once; a few of them are in the middle of a handshake then."""
SUBSCRIBE = '{"action":"subscribe","channel":"depth","symbol":"BTC_USDT"}'
NEEDED = "was not sent, was empty/null, or malformed: send a text."
NOT_JSON = (-1135, "The message is not valid JSON.")
NOT_OBJECT = (-1135, "The message must be a JSON object with action, channel and symbol.")

MALFORMED = [
    ("", NOT_JSON),
    ("{", NOT_JSON),
    ("subscribe", NOT_JSON),
    (SUBSCRIBE + SUBSCRIBE, NOT_JSON),
    ("{'action':'subscribe'}", NOT_JSON),
    ('{"action":"\\ud800","channel":"depth","symbol":"BTC_USDT"}', NOT_JSON),
    ('{"action":NaN}', NOT_JSON),
    ("[" * 4_000, NOT_JSON),
    ("null", NOT_OBJECT),
    ("[]", NOT_OBJECT),
    ("1e999999", NOT_JSON),
    ('"subscribe"', NOT_OBJECT),
    ("{}", (-1102, f"Mandatory parameter 'action' {NEEDED}")),
    ('{"action":"subscribe"}', (-1102, f"Mandatory parameter 'channel' {NEEDED}")),
    ('{"action":"subscribe","channel":"depth"}', (-1102, f"Mandatory parameter 'symbol' {NEEDED}")),
    ('{"action":"subscribe","channel":"depth","symbol":""}', (-1102, f"Mandatory parameter 'symbol' {NEEDED}")),
    ('{"action":"subscribe","channel":"depth","symbol":null}', (-1102, f"Mandatory parameter 'symbol' {NEEDED}")),
    ('{"action":"subscribe","channel":[],"symbol":"BTC_USDT"}', (-1102, f"Mandatory parameter 'channel' {NEEDED}")),
    ('{"action":1,"channel":"depth","symbol":"BTC_USDT"}', (-1102, f"Mandatory parameter 'action' {NEEDED}")),
    (
        '{"action":"subscribe","method":"SUBSCRIBE","params":["btcusdt@depth"],"id":1}',
        (-1103, "Parameter 'method' is not known; send action, channel and symbol."),
    ),
    (
        '{"action":"drop","channel":"depth","symbol":"BTC_USDT"}',
        (-1020, "Action 'drop' is not supported; send subscribe or unsubscribe."),
    ),
    (
        '{"action":"subscribe","channel":"klines","symbol":"BTC_USDT"}',
        (-1130, "Channel 'klines' does not exist; take depth, trades, ticker."),
    ),
    (
        '{"action":"subscribe","channel":"depth","symbol":"btc_usdt"}',
        (-1121, "Invalid symbol. 'btc_usdt' is not traded here."),
    ),
    (
        '{"action":"subscribe","channel":"depth","symbol":"' + "B" * 100 + '"}',
        (-1121, "Invalid symbol. '" + "B" * 40 + "…' is not traded here."),
    ),
    (
        '{"action":"unsubscribe","channel":"depth","symbol":"BTC_USDT"}',
        (-2036, "There is no active subscription to BTC_USDT depth."),
    ),
]  # fmt: skip


@on_uvloop
async def test_malformed_messages_get_a_code_and_a_sentence_and_the_connection_lives() -> None:
    async with staged(LIMITS) as stage:
        ws = await stage.connect()
        for text, (code, sentence) in MALFORMED:
            await ws.send_str(text)
            assert await ws.receive_json() == {"error": {"code": code, "msg": sentence}}, text
        await stage.subscribe("depth", ws=ws)
        assert (await ws.receive_json())["e"] == "depthSnapshot"
        await ws.send_str(SUBSCRIBE)
        assert await ws.receive_json() == {
            "error": {"code": -2035, "msg": "The subscription to BTC_USDT depth is already active."}
        }


@on_uvloop
async def test_too_many_messages_a_second_close_the_connection_with_a_reason() -> None:
    async with staged(LIMITS._replace(messages_per_second=5)) as stage:
        ws = await stage.connect()
        for _ in range(20):
            await ws.send_str("{}")
        assert await closing(ws) == (1_008, "too many messages; current limit is 5 per second")


@on_uvloop
async def test_too_many_subscriptions_close_the_connection_with_a_reason() -> None:
    async with staged(LIMITS._replace(subscriptions_max=2)) as stage:
        ws = await stage.subscribe("trades")
        await stage.subscribe("trades", "ETH_USDT", ws)
        await ws.send_str(SUBSCRIBE)
        assert await closing(ws) == (1_008, "too many subscriptions; current limit is 2")


@on_uvloop
async def test_oversized_message_closes_the_connection_as_too_big() -> None:
    async with staged(LIMITS) as stage:
        ws = await stage.connect()
        await ws.send_str("x" * 8_193)
        assert (await closing(ws))[0] == 1_009


@on_uvloop
async def test_binary_message_closes_the_connection_with_a_reason() -> None:
    async with staged(LIMITS) as stage:
        ws = await stage.connect()
        await ws.send_bytes(SUBSCRIBE.encode())
        assert await closing(ws) == (1_003, "messages must be text")


@on_uvloop
async def test_connection_without_subscription_is_closed_as_idle() -> None:
    async with staged(LIMITS._replace(idle_s=0.05)) as stage:
        ws = await stage.connect()
        assert await closing(ws) == (1_008, "idle: no subscription for 0.05 s")
        ws = await stage.subscribe("trades")
        await ws.send_json({"action": "unsubscribe", "channel": "trades", "symbol": "BTC_USDT"})
        assert await closing(ws) == (1_008, "idle: no subscription for 0.05 s")


@on_uvloop
async def test_client_that_answers_no_ping_is_disconnected() -> None:
    async with staged(LIMITS._replace(ping_s=0.05)) as stage:
        client = await StubbornClient(stage.port).connect()
        await client.send(SUBSCRIBE.encode())
        opcodes = []
        try:
            while True:
                opcodes.append((await client.read())[0])
        except ConnectionResetError:
            pass
        assert opcodes[2] == 9
        client.close()


@on_uvloop
async def test_client_ping_gets_a_pong_with_its_payload() -> None:
    async with staged(LIMITS) as stage:
        client = await StubbornClient(stage.port).connect()
        await client.send(b"are you there", opcode=9)
        assert await client.read() == (10, b"are you there")
        await client.send((1_000).to_bytes(2, "big"), opcode=8)
        assert await client.read() == (8, (1_000).to_bytes(2, "big"))
        with pytest.raises(ConnectionResetError):
            await client.read()
        client.close()


@on_uvloop
async def test_connection_that_never_shakes_hands_is_disconnected() -> None:
    async with staged(LIMITS._replace(handshake_s=0.05)) as stage:
        reader, writer = await asyncio.open_connection("127.0.0.1", stage.port)
        writer.write(b"GET /ws HTTP/1.1\r\nHost: x\r\nX-Slow:")
        assert await reader.read() == b""
        writer.close()


@on_uvloop
async def test_connections_beyond_the_limits_are_refused_before_the_upgrade() -> None:
    async with staged(LIMITS._replace(connections_per_address=2)) as stage:
        held = [await stage.connect(), await stage.connect()]
        too_many = {"code": -1003, "msg": "Too many connections; current limit is 2 connections per address."}
        assert await stage.refusal() == (429, "5", too_many)
        await held[0].close()
        await stage.subscribe("trades", ws=await stage.connect())
        assert stage.market.statistics().connections_refused == 1
    async with staged(LIMITS._replace(connections_max=1)) as stage:
        held = [await stage.connect()]
        assert await stage.refusal() == (503, "5", {"code": -1008, "msg": "Too many connections; try again later."})
        await held[0].close()
        await (await stage.connect()).close()


@on_uvloop
async def test_plain_http_gets_an_error_with_a_code() -> None:
    async with staged(LIMITS) as stage:
        for path, status in (
            ("/", 404),
            ("/wss", 404),
            ("/streams", 404),
            ("/ws", 426),
            ("/ws/x", 426),
            ("/stream", 426),
        ):
            async with stage.session.get(f"http://127.0.0.1:{stage.port}{path}") as response:
                assert response.status == status
                assert (await response.json())["code"] == -1000


@pytest.mark.parametrize(
    ("target", "status"), [("OPTIONS *", b"404"), ("CONNECT localhost:80", b"404"), ("GET x", b"400")]
)
@on_uvloop
async def test_target_that_is_no_path_is_refused_and_is_no_fault(
    target: str, status: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    async with staged(LIMITS) as stage:
        reader, writer = await asyncio.open_connection("127.0.0.1", stage.port)
        writer.write(f"{target} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        assert (await reader.read()).split()[1] == status
        writer.close()
        await writer.wait_closed()
    assert not caplog.records


@on_uvloop
async def test_client_that_is_gone_before_the_answer_to_its_handshake_is_no_fault(
    caplog: pytest.LogCaptureFixture,
) -> None:
    head = "".join(f"{name}: {value}\r\n" for name, value in {"Upgrade": "websocket", **HANDSHAKE}.items())
    async with staged(LIMITS) as stage:
        for _ in range(GONE):
            with socket.create_connection(("127.0.0.1", stage.port)) as client:
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                client.sendall(f"GET /ws/btcusdt@trade HTTP/1.1\r\nHost: localhost\r\n{head}\r\n".encode())
                await asyncio.sleep(0)
        await (await stage.subscribe("trades")).close()
        while stage.market.statistics().connections:  # noqa: ASYNC110  a connection tells nobody that it has ended
            await asyncio.sleep(0)
    assert not caplog.records


@on_uvloop
async def test_snapshots_of_every_size_fill_no_memory_while_the_book_rests() -> None:
    async with staged(LIMITS) as stage:
        stage.apply(*(stage.venue.place(Side.BUY, 5_000 - k, 1) for k in range(50)))
        for limit in range(1, 200):
            assert len(stage.cut(limit=limit)["bids"]) == min(limit, 50)
        assert len(stage.market._feeds[1].book._snapshots) == SNAPSHOTS_MAX


@on_uvloop
async def test_lost_connection_leaves_no_listener_and_disturbs_nobody() -> None:
    async with staged(LIMITS) as stage:
        clients = []
        for channel in ("depth", "trades", "ticker"):
            client = await StubbornClient(stage.port).connect()
            await client.send(orjson.dumps({"action": "subscribe", "channel": channel, "symbol": "BTC_USDT"}))
            await client.read_json()
            clients.append(client)
        ws = await stage.subscribe("trades")
        for client in clients:
            client.close()
        while stage.market.statistics().connections > 1:
            stage.apply(*(stage.venue.place(side, 5_000, 1) for side in Side))
            assert (await ws.receive_json())["e"] == "trade"
        feed = stage.market._feeds[1]
        assert [len(s.listeners) for s in feed.streams().values()] == [0, 1, 0]
        assert not feed.depth.behind
        assert not feed.ticker.behind


@on_uvloop
async def test_depth_snapshot_is_encoded_once_a_boundary_and_refuses_what_it_can_not_serve() -> None:
    async with staged(LIMITS) as stage:
        market = stage.market
        stage.apply(*(stage.venue.place(Side.BUY, 4_000 + k, 1) for k in range(5)))
        first = market._feeds[1].book.snapshot(2)
        assert market._feeds[1].book.snapshot(2) is first
        book = orjson.loads(market.depth_snapshot("BTC_USDT", 2))
        assert book["bids"] == [["40.04", "0.0001"], ["40.03", "0.0001"]]
        assert book["asks"] == []
        stage.apply(stage.venue.place(Side.SELL, 6_000, 1))
        assert orjson.loads(market.depth_snapshot("BTC_USDT", 2))["lastUpdateId"] == book["lastUpdateId"] + 1
        for symbol, limit, code in (("XRP_USDT", 5, -1121), ("BTC_USDT", 0, -1130), ("BTC_USDT", 5_001, -1130)):
            with pytest.raises(MarketDataError) as refused:
                market.depth_snapshot(symbol, limit)
            assert refused.value.code == code
