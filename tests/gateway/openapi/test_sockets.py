"""The AsyncAPI document against real sockets: every kind of message is received and decoded by its type, strictly."""

from __future__ import annotations

import asyncio
import hmac
import json
import pathlib
import re
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import msgspec
import pytest

from exchange.gateway.openapi import private_messages as private
from exchange.gateway.openapi import stream_messages as told
from exchange.gateway.openapi.asyncapi import document
from exchange.gateway.openapi.operations import operation
from exchange.gateway.openapi.sockets import OWN_CHANNELS, PARAMETERS, SESSION_METHODS, STREAMS
from exchange.gateway.routes import ROUTES
from exchange.gateway.ws_api.methods import ENDPOINTS, routed
from exchange.marketdata.messages import CHANNELS
from exchange.marketdata.methods import METHODS
from exchange.marketdata.names import INTERVALS, parse_name
from exchange.marketdata.registry import FACTORIES
from tests.gateway.list_forms import FORMS
from tests.gateway.openapi.stage import Stage
from tests.gateway.running import Exchange, Trader

WAIT_S = 30.0
PAGE = pathlib.Path(__file__).parents[3] / "docs" / "private-events.md"
Json = dict[str, Any]
Socket = aiohttp.ClientWebSocketResponse


@pytest.fixture(scope="module")
def exchange(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exchange]:
    """An exchange of this module."""
    running = Exchange(tmp_path_factory.mktemp("sockets") / "var").start()
    yield running
    assert running.stop() == 0, running.errors


@asynccontextmanager
async def connected(exchange: Exchange, path: str, port: str = "http") -> AsyncIterator[Socket]:
    """A WebSocket."""
    async with (
        aiohttp.ClientSession() as http,
        http.ws_connect(f"ws://127.0.0.1:{exchange.ports[port]}{path}") as socket,
    ):
        yield socket


async def received(socket: Socket) -> Any:
    """The JSON of the next message."""
    async with asyncio.timeout(WAIT_S):
        return await socket.receive_json()


async def until(socket: Socket, is_last: Callable[[Any], bool]) -> list[Any]:
    """Messages up to the first that is the last one."""
    found = [await received(socket)]
    while not is_last(found[-1]):
        found.append(await received(socket))
    return found


def decoded(value: Any, kind: Any) -> Any:
    """A value as its type, strictly."""
    return msgspec.json.decode(json.dumps(value), type=kind, strict=True)


def trade(exchange: Exchange) -> None:
    """A trade, and an order that stays for a moment."""
    alice, bob = exchange.trader("alice"), exchange.trader("bob")
    assert alice.order("SELL", "0.02", "60000").status == 200
    assert bob.order("BUY", "0.01", "60000").status == 200
    assert bob.order("BUY", "0.01", "50000").status == 200
    for trader in (alice, bob):
        assert trader.call("DELETE", "/v1/openOrders", symbol="BTC_USDT").status == 200


@asynccontextmanager
async def trading(exchange: Exchange) -> AsyncIterator[None]:
    """Somebody trades again and again."""

    enough = asyncio.Event()

    async def trade_on() -> None:
        while not enough.is_set():
            await asyncio.to_thread(trade, exchange)

    task = asyncio.create_task(trade_on())
    try:
        yield
    finally:
        enough.set()
        await task


# ---- the tables -----------------------------------------------------------------------------------------------------


def test_every_kind_of_stream_has_a_row_whose_example_is_of_it() -> None:
    missing = FACTORIES.keys() - STREAMS.keys()
    assert missing == set(), f"add rows for these to STREAMS in exchange/gateway/openapi/sockets.py: {missing}"
    for kind, row in STREAMS.items():
        name = parse_name(row.example)
        assert name is not None
        assert name.kind is kind
        shape = re.escape(row.name)
        for parameter in re.findall(r"\{(\w+)\}", row.name):
            assert parameter in PARAMETERS
            shape = shape.replace(rf"\{{{parameter}\}}", ".*")
        assert re.fullmatch(shape, row.example)


def test_types_name_the_intervals_methods_and_channels_that_are_served() -> None:
    assert set(msgspec.json.schema(told.Interval)["enum"]) == set(INTERVALS)
    calls = msgspec.json.schema(told.StreamCall)["$defs"]["StreamCall"]["properties"]["method"]["enum"]
    assert set(calls) == set(METHODS)
    assert tuple(OWN_CHANNELS) == CHANNELS


@pytest.mark.asyncio(loop_scope="module")
async def test_every_method_of_the_web_socket_api_is_described(stage: Stage) -> None:
    described = routed(ROUTES).keys() | SESSION_METHODS.keys()
    served = stage.gateway.ws_api.methods.keys()
    assert served == described, "add the others to SESSION_METHODS in exchange/gateway/openapi/sockets.py"
    titles = {one.get("title") for one in document()["operations"].values()}
    assert served <= titles


def test_every_reference_leads_somewhere() -> None:
    made = document()

    def check(value: object) -> None:
        if isinstance(value, dict):
            if isinstance(value.get("$ref"), str):
                place: Any = made
                for name in value["$ref"].removeprefix("#/").split("/"):
                    place = place[name]
            for inner in value.values():
                check(inner)
        elif isinstance(value, list):
            for inner in value:
                check(inner)

    check(made)


def test_examples_of_private_events_are_of_their_types() -> None:
    page = PAGE.read_text(encoding="utf-8")
    examples = re.findall(r"```json\n(.*?)```", page, re.DOTALL)
    examples += re.findall(r"^    (\{\"e\":.*\n     .*\})$", page, re.MULTILINE)
    kinds = {type(decoded(json.loads(one), private.PrivateEvent)) for one in examples}
    assert kinds == set(private.PrivateEvent.__args__)


# ---- public streams -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("port", ["http", "ws"])
async def test_streams_tell_messages_of_their_types(exchange: Exchange, port: str) -> None:
    types = {row.example: row.message for row in STREAMS.values()}
    async with connected(exchange, f"/stream?streams={'/'.join(types)}", port) as socket:
        waiting = set(types)
        async with asyncio.timeout(WAIT_S), trading(exchange):
            while waiting:
                wrapped = decoded(await received(socket), told.Wrapped)
                decoded(wrapped.data, types[wrapped.stream])
                waiting.discard(wrapped.stream)


async def test_calls_are_answered_as_described(exchange: Exchange) -> None:
    async with connected(exchange, "/ws") as socket:
        for call in (
            {"method": "SUBSCRIBE", "params": ["btcusdt@trade"], "id": 1},
            {"method": "LIST_SUBSCRIPTIONS", "id": "two"},
            {"method": "SET_PROPERTY", "params": ["combined", True], "id": None},
            {"method": "GET_PROPERTY", "params": ["combined"], "id": 4},
            {"method": "UNSUBSCRIBE", "params": ["btcusdt@trade"], "id": 5},
        ):
            decoded(call, told.StreamCall)
            await socket.send_json(call)
            assert decoded(await received(socket), told.StreamResult).id == call["id"]
        for text, code in (
            ('{"method":"SET_PROPERTY","params":["x",true],"id":1}', 0),
            ('{"method":"SET_PROPERTY","params":["combined",1],"id":1}', 1),
            ('{"method":"NONE","id":1}', 2),
            ("{", 3),
        ):
            await socket.send_str(text)
            assert decoded(await received(socket), told.StreamError).error.code == code


async def test_our_own_channels_tell_messages_of_their_types(exchange: Exchange) -> None:
    for channel, types in OWN_CHANNELS.items():
        async with connected(exchange, "/ws") as socket:
            request = {"action": "subscribe", "channel": channel, "symbol": "BTC_USDT"}
            decoded(request, told.OwnRequest)
            await socket.send_json(request)
            assert decoded(await received(socket), told.OwnDone).kind == "subscribed"
            waiting = {kind.__name__ for kind in types}
            async with asyncio.timeout(WAIT_S), trading(exchange):
                while waiting:
                    message = await received(socket)
                    kind = next(one for one in types if is_of(message, one))
                    waiting.discard(kind.__name__)
            await socket.send_json({"action": "dance"})
            answers = await until(socket, lambda message: "error" in message)
            assert decoded(answers[-1], told.OwnError).error.code < 0


def is_of(message: Any, kind: Any) -> bool:
    """Whether a message is of a type."""
    try:
        decoded(message, kind)
    except msgspec.ValidationError:
        return False
    return True


# ---- the WebSocket API ----------------------------------------------------------------------------------------------


class Api:
    """Asks methods, and decodes every answer."""

    def __init__(self, socket: Socket, trader: Trader) -> None:
        self.socket = socket
        self.trader = trader
        self.number = 0
        self.events: list[Json] = []
        self.asked: set[str] = set()

    async def __call__(self, method: str, *, is_signed: bool = True, **params: object) -> Any:
        """The result of a method, decoded by the type that the document names."""
        if is_signed:
            stamp = time.time_ns() // 1_000_000
            params = {**params, "apiKey": self.trader.api_key, "timestamp": stamp, "recvWindow": 60_000}
            payload = "&".join(f"{name}={value}" for name, value in sorted(params.items()))
            params["signature"] = hmac.digest(self.trader.secret.encode(), payload.encode(), "sha256").hex()
        self.number += 1
        await self.socket.send_json({"id": self.number, "method": method, "params": params})
        while (message := await received(self.socket)).get("id") != self.number:
            self.events.append(message)
        answer = decoded(message, private.ApiAnswer)
        assert answer.status == 200, message
        self.asked.add(method)
        if method in SESSION_METHODS:
            decoded(message["result"], SESSION_METHODS[method].result)
        else:
            decoded(message["result"], operation(routed(ROUTES)[method]).answers[200])
        return message["result"]


async def ask_public(api: Api) -> None:
    """Every method that anybody may ask."""
    for method in ("ping", "time", "exchangeInfo", "session.status", "session.logout", "session.subscriptions"):
        await api(method, is_signed=False)
    for method in (
        "depth",
        "trades.recent",
        "trades.historical",
        "trades.aggregate",
        "avgPrice",
        "executionRules",
        "referencePrice",
    ):
        await api(method, is_signed=False, symbol="BTCUSDT")
    for method in ("ticker.24hr", "ticker", "ticker.price", "ticker.book"):
        await api(method, is_signed=False, symbol="BTCUSDT")
    for method in ("klines", "uiKlines"):
        await api(method, is_signed=False, symbol="BTCUSDT", interval="1s")


async def ask_signed(api: Api) -> None:
    """Every method of an account."""
    cheap: dict[str, Any] = {"side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "quantity": "0.01", "price": "10000"}
    cheap |= {"symbol": "BTCUSDT"}
    await api("order.test", **cheap)
    placed = await api("order.place", **cheap)
    order: dict[str, Any] = {"symbol": "BTCUSDT", "orderId": placed["orderId"]}
    await api("order.status", **order)
    await api("order.amend.keepPriority", **order, newQty="0.006")
    await api("order.amendments", **order)
    replaced = await api(
        "order.cancelReplace", **cheap, cancelReplaceMode="STOP_ON_FAILURE", cancelOrderId=order["orderId"]
    )
    await api("order.cancel", symbol="BTCUSDT", orderId=replaced["newOrderResponse"]["orderId"])
    await api("order.place", **cheap)
    for kind, form in FORMS.items():
        new_list: dict[str, Any] = {"symbol": "BTCUSDT", **form}
        listed = await api(f"orderList.place.{kind}", **new_list)
        await api("orderList.cancel", symbol="BTCUSDT", orderListId=listed["orderListId"])
    await api("openOrders.status")
    await api("openOrders.cancelAll", symbol="BTCUSDT")
    for method in ("account.status", "account.rateLimits.orders"):
        await api(method)
    for method in ("allOrders", "myTrades", "myFilters", "account.commission"):
        await api(method, symbol="BTCUSDT")
    await api("myPreventedMatches", **order)
    await api("countdownCancelAll", symbol="BTCUSDT", countdownTime="0")


async def test_methods_answer_what_is_described(exchange: Exchange) -> None:
    await asyncio.to_thread(trade, exchange)
    async with connected(exchange, "/ws-api/v3") as socket:
        api = Api(socket, exchange.trader("alice"))
        await ask_public(api)
        await ask_signed(api)
        key: dict[str, Any] = {"apiKey": api.trader.api_key}
        name = (await api("userDataStream.start", is_signed=False, **key))["listenKey"]
        for method in ("userDataStream.ping", "userDataStream.stop"):
            await api(method, is_signed=False, listenKey=name, **key)
        await api("userDataStream.subscribe.signature")
        await api("userDataStream.unsubscribe", is_signed=False)
        # they need an Ed25519 key
        of_session = {"session.logon", "session.cancelOnDisconnect", "userDataStream.subscribe"}
        assert ENDPOINTS.keys() | SESSION_METHODS.keys() == api.asked | of_session


async def test_private_events_come_in_their_envelope(exchange: Exchange) -> None:
    async with connected(exchange, "/ws-api/v3", "ws") as socket:
        api = Api(socket, exchange.trader("alice"))
        await api("userDataStream.subscribe.signature")
        waiting: set[type] = {private.ExecutionReport, private.AccountPosition}
        async with asyncio.timeout(WAIT_S), trading(exchange):
            while waiting:
                waiting.discard(type(decoded(await received(socket), private.SubscribedEvent).event))
        await api("userDataStream.unsubscribe", is_signed=False)
        ended = decoded(api.events[-1], private.SubscribedEvent).event
        assert isinstance(ended, private.StreamTerminated)


async def test_listen_key_names_a_stream_of_private_events(exchange: Exchange) -> None:
    alice = exchange.trader("alice")
    key = {"X-MBX-APIKEY": alice.api_key}
    name = alice.send("POST", "/api/v3/userDataStream", b"", key).json["listenKey"]
    async with connected(exchange, f"/ws/{name}") as socket:
        waiting: set[type] = {private.ExecutionReport, private.AccountPosition}
        async with asyncio.timeout(WAIT_S), trading(exchange):
            while waiting:
                waiting.discard(type(decoded(await received(socket), private.PrivateEvent)))
        assert alice.send("DELETE", f"/api/v3/userDataStream?listenKey={name}", b"", key).status == 200
        messages = await until(socket, lambda message: message["e"] == "listenKeyExpired")
        assert decoded(messages[-1], private.ListenKeyExpired).listen_key == name


async def test_listeners_are_told_that_the_exchange_stops(tmp_path: pathlib.Path) -> None:
    running = Exchange(tmp_path / "var", environ={"EXCHANGE_DATABASE": "off"}).start()
    try:
        async with connected(running, "/ws/btcusdt@trade") as stream, connected(running, "/ws-api/v3") as api:
            stopping = asyncio.create_task(asyncio.to_thread(running.stop))
            decoded(await received(stream), told.Shutdown)
            decoded(await received(api), private.ShutdownEvent)
            for socket in (stream, api):
                assert (await socket.receive()).type is aiohttp.WSMsgType.CLOSE
        assert await stopping == 0
    finally:
        running.ensure_gone()
