"""Connections: handshakes that are refused, limits, pings, ends; and that one client never stands in another's way."""

from __future__ import annotations

import asyncio
import json
import pathlib
import socket
import struct
from collections.abc import AsyncIterator

import aiohttp
import pytest

from exchange.gateway.ws_api.connection import Connection, Limits
from exchange.marketdata.messages import text_frame
from tests.gateway.running import Exchange
from tests.gateway.ws_api.client import PATH, PATIENCE_S, Client, Identity, connected, transport_of
from tests.gateway.ws_api.stage import ALICE, Stage, opened
from tests.gateway.ws_api.test_methods import ORDER

SMALL = Limits(
    connections_max=3,
    connections_per_address=2,
    message_bytes_max=2_000,
    messages_per_second=50,
    in_flight_max=4,
    ping_s=0.0,
    close_s=PATIENCE_S,
)


@pytest.fixture
async def small(tmp_path: pathlib.Path) -> AsyncIterator[Stage]:
    """A venue with small limits, behind a proxy that tells addresses."""
    async with opened(tmp_path, SMALL, {"EXCHANGE_TRUSTED_PROXIES": "127.0.0.0/8"}) as made:
        yield made


async def refused(stage: Stage, path: str = PATH, **headers: str) -> tuple[int, int]:
    """(status, code) of a handshake that is refused."""
    upgrade = {
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    }
    async with aiohttp.ClientSession() as http, http.get(stage.url + path, headers=upgrade | headers) as answer:
        return answer.status, (await answer.json())["code"]


async def test_handshake_that_is_none_is_refused(stage: Stage) -> None:
    assert await refused(stage, "/ws-api/v4") == (404, -1020)
    assert await refused(stage, "/ws-api") == (404, -1020)
    assert await refused(stage, Upgrade="h2c") == (426, -1020)
    assert await refused(stage, **{"Sec-WebSocket-Version": "12"}) == (426, -1020)
    assert await refused(stage, **{"Sec-WebSocket-Key": "short"}) == (426, -1020)
    assert await refused(stage, PATH + "?timeUnit=SECOND") == (400, -1194)
    assert await refused(stage, PATH + "?returnRateLimits=maybe") == (400, -1130)


async def test_page_of_another_site_can_do_no_more_than_anybody(stage: Stage) -> None:
    async with stage.connect(Origin="https://evil.example", Cookie="session=1") as client:
        assert await client.result("ping") == {}
        assert (await client.refused("account.status"))[1] == -1102


async def test_connections_are_bounded_by_address_and_altogether(small: Stage) -> None:
    one, two = {"X-Forwarded-For": "203.0.113.1"}, {"X-Forwarded-For": "203.0.113.2"}
    async with small.connect(**one) as first, small.connect(**one) as second:
        assert await refused(small, **one) == (429, -1003)
        async with small.connect(**two):
            assert await refused(small, **two) == (503, -1008)
        await second.socket.close()
        async with asyncio.timeout(PATIENCE_S):
            while len(small.ws_api.connections) > 1:
                await first.result("ping")
        async with small.connect(**one) as third:
            assert await third.result("ping") == {}


async def test_message_that_is_too_large_closes_with_1009(small: Stage) -> None:
    async with small.connect() as client:
        assert (await client.refused("x" * 1_900))[1] == -1020
        await client.socket.send_str("x" * 2_000)
        assert (await client.closed())[0] == 1009


async def test_too_many_messages_close_with_a_reason(small: Stage) -> None:
    async with small.connect() as client:
        for _ in range(60):
            await client.socket.send_str("{}")
        assert await client.closed() == (1008, "too many messages; current limit is 50 per second")


async def test_too_many_requests_in_flight_are_refused(small: Stage) -> None:
    _, alice = await small.key()
    async with small.connect() as client:
        sent = [await client.send("order.place", alice.signed(**ORDER)) for _ in range(20)]
        answers = [await client.answer(named) for named in sent]
    busy = [answer["error"] for answer in answers if answer["status"] == 503]
    assert all(error["code"] == -1008 and "current limit is 4" in error["msg"] for error in busy)
    assert sum(answer["status"] == 200 for answer in answers) == 20 - len(busy) >= 4


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        (b"\x82\x80\0\0\0\0", 1003),  # binary
        (b"\x81\x82\0\0\0\0\xff\xff", 1007),  # not UTF-8
        (b"\x83\x80\0\0\0\0", 1002),  # an opcode that does not exist
        (b"\xc1\x80\0\0\0\0", 1002),  # compressed, which was not agreed
        (b"\x80\x80\0\0\0\0", 1002),  # the end of nothing
    ],
)
async def test_frame_that_is_none_closes_with_its_code(stage: Stage, frame: bytes, code: int) -> None:
    async with stage.connect() as client:
        transport_of(client).write(frame)
        assert (await client.closed())[0] == code


async def test_fragments_are_one_message(client: Client) -> None:
    message = json.dumps({"id": 1, "method": "ping"}).encode()
    for first, part in ((0x01, message[:5]), (0x00, message[5:9]), (0x80, message[9:])):
        transport_of(client).write(bytes((first, 0x80 | len(part))) + bytes(4) + part)
    assert (await client.answer(1))["result"] == {}


async def test_client_is_pinged_and_may_ping(small: Stage) -> None:
    async with small.connect() as client:
        assert await client.result("ping") == {}
        small.ws_api.sweep()
        raw = client.socket
        raw._autoping = False
        await raw.ping(b"hello")
        kinds = [(message := await raw.receive()).type, (await raw.receive()).type]
        assert kinds == [aiohttp.WSMsgType.PING, aiohttp.WSMsgType.PONG]
        assert message.data == b""


async def test_client_that_answers_no_ping_is_dropped(tmp_path: pathlib.Path) -> None:
    async with opened(tmp_path, Limits(pong_s=0.0)) as stage, stage.connect() as client:
        await client.result("ping")
        stage.ws_api.sweep()
        async with asyncio.timeout(PATIENCE_S):
            message = await client.socket.receive()
        assert message.type in (aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR)


async def test_idle_connection_ends_unless_it_has_shown_a_key(tmp_path: pathlib.Path) -> None:
    async with opened(tmp_path, Limits(idle_s=0.0)) as stage, stage.connect() as public, stage.connect() as known:
        _, alice = await stage.key()
        await public.result("ping")
        await known.result("account.status", alice.signed())
        stage.ws_api.sweep()
        assert await public.closed() == (1008, "idle: no request for 0 s and no key")
        assert await known.result("ping") == {}


async def test_connection_lives_for_a_day(tmp_path: pathlib.Path) -> None:
    async with opened(tmp_path, Limits(life_s=0.0)) as stage, stage.connect() as client:
        await client.result("ping")
        stage.ws_api.sweep()
        assert await client.closed() == (1001, "a connection lives for 0 h; connect again")


async def test_stop_answers_what_is_in_flight_and_says_goodbye(stage: Stage, client: Client, alice: Identity) -> None:
    sent = [await client.send("order.place", alice.signed(**ORDER)) for _ in range(5)]
    await client.result("ping")
    stopping = asyncio.create_task(stage.ws_api.stop(PATIENCE_S))
    assert await client.closed() == (1001, "the exchange stops")
    await stopping
    assert [event["event"]["e"] for event in client.events] == ["serverShutdown"]
    assert sorted(answer["id"] for answer in client.answers if "result" in answer) == [*sent, sent[-1] + 1]


async def test_client_that_reads_nothing_holds_up_nobody(tmp_path: pathlib.Path) -> None:
    async with opened(tmp_path, Limits(buffer_bytes=50_000, close_s=PATIENCE_S)) as stage:
        async with stage.connect() as deaf, stage.connect() as other:
            reading = transport_of(deaf)
            reading.pause_reading()
            async with asyncio.timeout(PATIENCE_S):
                while not any(one.is_closing for one in stage.ws_api.connections):
                    for _ in range(100):
                        await deaf.send("exchangeInfo")
                    assert await other.result("ping") == {}
            reading.resume_reading()
            code, reason = await deaf.closed()
        assert (code, reason) == (4008, "slow_consumer: more than 50000 bytes wait")


async def stuck(stage: Stage, client: Client) -> Connection:
    """The connection of a client that does not read; so much was written that nothing more is taken."""
    transport_of(client).pause_reading()
    (served,) = stage.ws_api.connections
    for _ in range(200):
        served.write(text_frame(b'{"event":"%065535d"}' % 0))
    return served


async def test_slow_reader_of_many_streams_is_told_whole_numbers(stage: Stage, client: Client) -> None:
    """A close frame holds 123 bytes: what does not fit is left out, and no sequence is cut to a smaller one."""
    stands = []
    for account in range(ALICE, ALICE + 16):
        _, identity = await stage.key(account)
        subscribed = await client.result("userDataStream.subscribe.signature", identity.signed())
        stands.append(f"{subscribed['subscriptionId']}:{subscribed['sequence']}")
    served = await stuck(stage, client)
    served.tell(b"{}")
    transport_of(client).resume_reading()
    code, reason = await client.closed()
    told = reason.removeprefix("slow_consumer: more than 1048576 bytes wait; fromSequence ").split(" ")
    assert code == 4008
    assert told == stands[: len(told)]
    assert 8 < len(told) < 16


async def test_who_stops_waiting_for_a_reader_leaves_the_others_waiting(stage: Stage, client: Client) -> None:
    served = await stuck(stage, client)
    leaving, staying = (asyncio.create_task(served.drain()) for _ in range(2))
    await stage.keyed("GET", "/api/v3/ping", "", {})
    assert not leaving.done()
    leaving.cancel()
    await stage.keyed("GET", "/api/v3/ping", "", {})
    assert leaving.cancelled()
    assert not staying.done()
    transport_of(client).resume_reading()
    async with asyncio.timeout(PATIENCE_S):
        while not staying.done():
            await client.socket.receive()
    await staying


async def test_who_waits_for_a_reader_that_resets_is_told_nothing(stage: Stage, client: Client) -> None:
    served = await stuck(stage, client)
    waiting = asyncio.create_task(served.drain())
    await stage.keyed("GET", "/api/v3/ping", "", {})
    assert not waiting.done()
    transport_of(client).get_extra_info("socket").setsockopt(
        socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
    )
    transport_of(client).abort()
    async with asyncio.timeout(PATIENCE_S):
        await waiting


async def test_what_comes_behind_a_goodbye_is_not_done(stage: Stage, client: Client, alice: Identity) -> None:
    """All in one segment, as no client library sends it: the connection must not end before what it has open."""
    before = stage.pipeline.last_sequence
    requests = (
        {"id": 1, "method": "userDataStream.subscribe.signature", "params": alice.signed()},
        {"id": 2, "method": "order.place", "params": alice.signed(**ORDER)},
    )
    frames = [masked(0x88, b"\x03\xe8"), *(masked(0x81, json.dumps(request).encode()) for request in requests)]
    transport_of(client).write(b"".join(frames))
    assert await client.closed() == (1000, "")
    async with asyncio.timeout(PATIENCE_S):
        while stage.ws_api.connections:
            await stage.keyed("GET", "/api/v3/ping", "", {})
    await stage.keyed("GET", "/api/v3/ping", "", {})
    assert stage.gateway.venue.user_data.statistics().subscriptions == 0
    assert stage.pipeline.last_sequence == before


def masked(first: int, payload: bytes) -> bytes:
    """A frame of a client, whose mask changes nothing."""
    size = bytes([0x80 | len(payload)]) if len(payload) < 126 else b"\xfe" + len(payload).to_bytes(2, "big")
    return bytes([first]) + size + bytes(4) + payload


@pytest.mark.parametrize("port", ["http", "ws"])
async def test_both_ports_of_a_running_exchange_serve_it(exchange: Exchange, port: str) -> None:
    trader = exchange.trader("alice")
    alice = Identity(trader.api_key, trader.secret)
    async with connected(f"http://127.0.0.1:{exchange.ports[port]}") as client:
        account = await client.result("account.status", alice.signed())
        subscribed = await client.result("userDataStream.subscribe.signature", alice.signed())
        assert subscribed["sequence"] >= account["sequence"]
        placed = await client.result("order.place", alice.signed(**ORDER))
        await client.heard(lambda event: event["event"].get("i") == placed["orderId"])
        await client.result("order.cancel", alice.signed(symbol="BTCUSDT", orderId=placed["orderId"]))
