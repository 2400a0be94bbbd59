"""listenKeys: making, refreshing and ending one over REST and over a socket, and what a socket hears by it."""

from __future__ import annotations

import asyncio
import json

import aiohttp
import pytest

from exchange.gateway.listen_keys import ENDED, LIFE_S, REVOKED, ListenKeys
from exchange.gateway.private.user_data import UserData
from exchange.users.keys import Permission
from tests.gateway.running import Exchange
from tests.gateway.ws_api.client import PATIENCE_S, Client, Identity, Json, connected
from tests.gateway.ws_api.stage import ALICE, Stage
from tests.gateway.ws_api.test_methods import ORDER

PATH = "/api/v3/userDataStream"
NS_PER_MS, NS_PER_US = 1_000_000, 1_000
UNKNOWN = (400, -1125, "This listenKey does not exist.")


class Ear:
    """A socket of the market data server."""

    def __init__(self) -> None:
        self.heard: list[Json] = []
        self.closed: list[tuple[int, str]] = []

    def send(self, payload: bytes) -> None:
        self.heard.append(json.loads(payload))

    def close(self, code: int, reason: str) -> None:
        self.closed.append((code, reason))


async def keyed(stage: Stage, method: str, api_key: str, **params: str) -> tuple[int, Json]:
    """A request with the name of a key and no signature."""
    return await stage.keyed(method, PATH, api_key, params)


async def test_listen_key_lives_over_rest(stage: Stage, alice: Identity) -> None:
    status, made = await keyed(stage, "POST", alice.api_key)
    assert (status, len(made["listenKey"])) == (200, 60)
    assert await keyed(stage, "POST", alice.api_key) == (200, made)
    assert await keyed(stage, "PUT", alice.api_key, **made) == (200, {})
    assert await keyed(stage, "DELETE", alice.api_key, **made) == (200, {})
    for method in ("PUT", "DELETE"):
        status, body = await keyed(stage, method, alice.api_key, **made)
        assert (status, body["code"], body["msg"]) == UNKNOWN


async def test_listen_key_lives_over_a_socket(client: Client, alice: Identity) -> None:
    made = await client.result("userDataStream.start", {"apiKey": alice.api_key})
    both = {"apiKey": alice.api_key, **made}
    assert await client.result("userDataStream.ping", both) == {}
    assert await client.result("userDataStream.stop", both) == {}
    assert await client.refused("userDataStream.ping", both) == UNKNOWN


async def test_listen_key_wants_a_key_that_may_read(stage: Stage, alice: Identity) -> None:
    _, trader = await stage.key(ALICE, Permission.TRADE)
    assert (await keyed(stage, "POST", trader.api_key))[1]["code"] == -2015
    assert (await keyed(stage, "POST", "k" * 64))[1]["code"] == -2015
    assert (await keyed(stage, "POST", "k"))[1]["code"] == -2014
    assert (await keyed(stage, "PUT", alice.api_key))[1]["code"] == -1102
    assert (await keyed(stage, "POST", alice.api_key, listenKey="x"))[1]["code"] == -1103


async def test_listen_key_of_another_account_is_none(stage: Stage, alice: Identity, bob: Identity) -> None:
    _, made = await keyed(stage, "POST", alice.api_key)
    assert (await keyed(stage, "DELETE", bob.api_key, **made))[1]["code"] == -1125
    assert (await keyed(stage, "PUT", alice.api_key, **made))[0] == 200


async def listening(stage: Stage, api_key: str) -> tuple[Ear, str]:
    """A socket that listens by a new name."""
    _, made = await keyed(stage, "POST", api_key)
    attach = stage.gateway.venue.listen_keys.find(made["listenKey"])
    assert attach is not None
    ear = Ear()
    await attach(ear.send, ear.close, NS_PER_MS)
    return ear, made["listenKey"]


async def test_socket_hears_bare_events_until_it_leaves(stage: Stage, client: Client, alice: Identity) -> None:
    name = (await client.result("userDataStream.start", {"apiKey": alice.api_key}))["listenKey"]
    attach = stage.gateway.venue.listen_keys.find(name)
    assert attach is not None
    ear = Ear()
    detach = await attach(ear.send, ear.close, NS_PER_MS)
    await client.result("order.place", alice.signed(**ORDER))
    async with asyncio.timeout(PATIENCE_S):
        while len(ear.heard) < 2:
            await client.result("ping")
    assert [event["e"] for event in ear.heard] == ["executionReport", "outboundAccountPosition"]
    detach()
    detach()
    assert stage.gateway.venue.user_data.statistics().subscriptions == 0


async def test_ended_listen_key_tells_its_sockets(stage: Stage, alice: Identity) -> None:
    ear, name = await listening(stage, alice.api_key)
    await keyed(stage, "DELETE", alice.api_key, listenKey=name)
    (event,) = ear.heard
    assert (event["e"], event["listenKey"]) == ("listenKeyExpired", name)
    assert ear.closed == [(1008, ENDED)]
    assert stage.gateway.venue.listen_keys.find(name) is None
    assert stage.gateway.venue.user_data.statistics().subscriptions == 0


async def test_socket_has_its_unit_of_time(stage: Stage, client: Client, alice: Identity) -> None:
    _, made = await keyed(stage, "POST", alice.api_key)
    attach = stage.gateway.venue.listen_keys.find(made["listenKey"])
    assert attach is not None
    ear = Ear()
    await attach(ear.send, ear.close, NS_PER_US)
    placed = await client.result("order.place", alice.signed(**ORDER))
    async with asyncio.timeout(PATIENCE_S):
        while len(ear.heard) < 2:
            await client.result("ping")
    await keyed(stage, "DELETE", alice.api_key, **made)
    assert [event["E"] // 1_000 - placed["transactTime"] for event in ear.heard[:2]] == [0, 0]
    assert ear.heard[2]["E"] >= ear.heard[1]["E"]


@pytest.mark.parametrize("end", ["stop", "revoke"])
async def test_listen_key_that_ends_before_its_socket_attaches_is_none(stage: Stage, alice: Identity, end: str) -> None:
    _, made = await keyed(stage, "POST", alice.api_key)
    attach = stage.gateway.venue.listen_keys.find(made["listenKey"])
    assert attach is not None
    if end == "stop":
        await keyed(stage, "DELETE", alice.api_key, **made)
    else:
        await stage.keys.revoke(alice.api_key)
    ear = Ear()
    await attach(ear.send, ear.close, NS_PER_MS)
    assert [code for code, _ in ear.closed] == [1008]
    assert stage.gateway.venue.user_data.statistics().subscriptions == 0


async def test_revoked_key_ends_its_listen_key(stage: Stage, alice: Identity) -> None:
    ear, name = await listening(stage, alice.api_key)
    await stage.keys.revoke(alice.api_key)
    (event,) = ear.heard
    assert (event["e"], event["reason"]) == ("eventStreamTerminated", REVOKED)
    assert ear.closed == [(1008, REVOKED)]
    assert stage.gateway.venue.listen_keys.find(name) is None


async def test_listen_key_lives_an_hour_from_its_last_refresh(stage: Stage, alice: Identity) -> None:
    now = [0.0]
    user_data: UserData = stage.gateway.venue.user_data
    listen_keys = ListenKeys(stage.keys, user_data, lambda: now[0])
    key = stage.keys.find(alice.api_key)
    assert key is not None
    name = listen_keys.start(key)
    ear = Ear()
    attach = listen_keys.find(name)
    assert attach is not None
    await attach(ear.send, ear.close, NS_PER_MS)
    now[0] = LIFE_S - 1
    listen_keys.refresh(key, name)
    now[0] = 2 * LIFE_S - 2
    listen_keys.sweep()
    assert ear.heard == []
    now[0] = 2 * LIFE_S - 1
    assert listen_keys.find(name) is None
    listen_keys.sweep()
    assert [event["e"] for event in ear.heard] == ["listenKeyExpired"]
    assert listen_keys.start(key) != name


@pytest.mark.parametrize("name", ["", "x", "a" * 60, "btcusdt@trade"])
async def test_name_that_is_no_listen_key_is_none(stage: Stage, name: str) -> None:
    assert stage.gateway.venue.listen_keys.find(name) is None


@pytest.mark.parametrize("port", ["http", "ws"])
async def test_listen_key_of_a_running_exchange_is_wrapped_among_streams(exchange: Exchange, port: str) -> None:
    trader = exchange.trader("alice")
    alice = Identity(trader.api_key, trader.secret)
    base = f"http://127.0.0.1:{exchange.ports[port]}"
    async with connected(base) as client, aiohttp.ClientSession() as http:
        name = (await client.result("userDataStream.start", {"apiKey": alice.api_key}))["listenKey"]
        path = f"/stream?streams=btcusdt@trade/{name}&timeUnit=MICROSECOND"
        async with http.ws_connect(base + path) as socket, asyncio.timeout(PATIENCE_S):
            await socket.send_json({"method": "LIST_SUBSCRIPTIONS", "id": 1})
            assert (await socket.receive_json())["result"] == ["btcusdt@trade", name]
            placed = await client.result("order.place", alice.signed(**ORDER))
            await client.result("order.cancel", alice.signed(symbol="BTCUSDT", orderId=placed["orderId"]))
            report = await socket.receive_json()
            assert (report["stream"], report["data"]["i"]) == (name, placed["orderId"])
            assert report["data"]["E"] // 1_000 == placed["transactTime"]
            await client.result("userDataStream.stop", {"apiKey": alice.api_key, "listenKey": name})
            while (told := await socket.receive_json())["data"]["e"] != "listenKeyExpired":
                pass
            assert told["stream"] == name
            assert (await socket.receive()).data == aiohttp.WSCloseCode.POLICY_VIOLATION
