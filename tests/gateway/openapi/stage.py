"""A venue in this process whose parts are real and within reach, so that every documented error can be provoked.

Pipeline, people, keys, PostgreSQL and the gateway on a socket; what a test changes about them it changes back.
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import pathlib
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Any, NamedTuple
from urllib.parse import urlencode

import aiohttp
import orjson

from exchange.core.kernel import Engine
from exchange.gateway import demo
from exchange.gateway.faces import BINANCE
from exchange.gateway.history_reading import History
from exchange.gateway.private.user_data import UserData
from exchange.gateway.routes import Access, Route
from exchange.gateway.server import Gateway
from exchange.gateway.venue import Venue
from exchange.marketdata.market import MarketData
from exchange.persistence.database import Target
from exchange.persistence.watermark import Watermark
from exchange.settings import load
from exchange.users.keys import Permission
from tests.disruptor.running import running
from tests.gateway.list_forms import FORMS
from tests.users.office import Office, Somebody, open_people, settled

ALICE = 16
ENVIRON = {
    "EXCHANGE_TRUSTED_PROXIES": "127.0.0.0/8",
    "AUTH_TOKEN_SECRET": "a-secret-of-this-test",
    "EXCHANGE_BODY_TIMEOUT": "100ms",
    "EXCHANGE_ORDER_TIMEOUT": "100ms",
    "EXCHANGE_KYC_PROVIDER": "webhook",
    "EXCHANGE_KYC_SECRET": "the-secret-of-the-identity-service",
    "EXCHANGE_KYC_URL": "http://127.0.0.1:9/nobody-listens-here",
}
LIMIT = {"side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "quantity": "0.01", "price": "10000"}
_OF_ONE_ORDER = ("/order", "/order/amendments", "/myPreventedMatches")
WAIT_S = 30.0


class Answer(NamedTuple):
    """An HTTP answer, and the route that was asked."""

    status: int
    json: Any

    @property
    def kind(self) -> tuple[int, int]:
        """HTTP status and code; (status, 0) of a success."""
        return self.status, self.json.get("code", 0) if isinstance(self.json, dict) else 0


class Stage:
    """The parts, and requests of any shape."""

    def __init__(self, office: Office, venue: Venue, gateway: Gateway, http: aiohttp.ClientSession) -> None:
        self.office = office
        self.venue = venue
        self.gateway = gateway
        self.http = http
        self.port = 0
        self.api_key = ""
        self.secret = ""
        self.person: Somebody
        self.guarded: Somebody
        """Somebody with a second factor."""

    async def send(
        self,
        route: Route,
        query: str = "",
        body: bytes = b"",
        headers: Mapping[str, str] = {},
        token: str | None = None,
    ) -> Answer:
        """Exactly this request; whose it is goes into the headers that the route needs."""
        given = dict(headers)
        if route.access in (Access.SIGNED, Access.KEYED):
            given.setdefault("X-MBX-APIKEY", self.api_key)
        elif route.access is Access.BEARER:
            given.setdefault("Authorization", f"Bearer {self.person.token if token is None else token}")
        url = f"http://127.0.0.1:{self.port}{route.path}" + (f"?{query}" if query else "")
        async with self.http.request(
            route.method, url, data=body or None, headers={**given, "Content-Type": "text/plain"}
        ) as answer:
            raw = await answer.read()
            return Answer(answer.status, orjson.loads(raw) if raw else None)

    async def ask(
        self, route: Route, form: Mapping[str, str], token: str | None = None, headers: Mapping[str, str] = {}
    ) -> Answer:
        """A request with these parameters where the document shows them, signed if the route is."""
        if route.access is Access.SIGNED:
            form = {"timestamp": str(time.time_ns() // 1_000_000), "recvWindow": "60000", **form}
        text = urlencode(form)
        if route.access is Access.SIGNED:
            text += f"&signature={self.signature(text)}"
        in_body = route.method in ("POST", "PUT") or route.access in (Access.FORM, Access.BEARER)
        return await self.send(route, "" if in_body else text, text.encode() if in_body else b"", headers, token)

    def signature(self, text: str) -> str:
        """Alice's HMAC."""
        return hmac.digest(self.secret.encode(), text.encode(), "sha256").hex()

    def symbol(self, route: Route) -> str:
        """A symbol as the route's face spells it."""
        return "BTCUSDT" if route.face == BINANCE else "BTC_USDT"

    async def raw(self, payload: bytes) -> Answer:
        """The answer to bytes."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            writer.write(payload)
            async with asyncio.timeout(WAIT_S):
                head = await reader.readuntil(b"\r\n\r\n")
                body = await reader.readexactly(int(head.partition(b"Content-Length: ")[2].split()[0]))
        finally:
            writer.close()
        return Answer(int(head.split()[1]), orjson.loads(body))


def base(stage: Stage, route: Route) -> dict[str, str]:
    """Parameters that a route of trading does not mind; what an order of these does is not important."""
    if "/orderList/" in route.path:
        return {"symbol": stage.symbol(route), **FORMS[route.path.rpartition("/")[2]]}
    asked = {
        **LIMIT,
        "symbol": stage.symbol(route),
        "interval": "1m",
        "orderId": "999999",
        "newQty": "0.01",
        "cancelReplaceMode": "STOP_ON_FAILURE",
        "countdownTime": "0",
        "cancelOrderId": "999999",
        "orderListId": "999999",
    }
    wanted = {"symbol"} if route.method == "GET" else set(asked)
    wanted |= {"interval"} | ({"orderId"} if route.path.endswith(_OF_ONE_ORDER) else set())
    wanted |= {"orderListId"} if route.path.endswith("/orderList") else set()
    return {name: value for name, value in asked.items() if name in wanted & route.parameters}


@contextlib.contextmanager
def changed(part: object, **attributes: object) -> Iterator[None]:
    """Attributes of a part are others for the body."""
    before = {name: getattr(part, name) for name in attributes}
    for name, value in attributes.items():
        setattr(part, name, value)
    try:
        yield
    finally:
        for name, value in before.items():
            setattr(part, name, value)


@contextlib.asynccontextmanager
async def open_stage(target: Target, folder: pathlib.Path) -> AsyncIterator[Stage]:
    """Everything, furnished like the demo, settled and listening."""
    settings = load(ENVIRON, demo=True, data_dir=folder)
    async with contextlib.AsyncExitStack() as stack:
        pipeline = await stack.enter_async_context(
            running(folder, engine=Engine(), segment_bytes=1 << 20, ring_slots=1024, event_slots=2048)
        )
        await demo.furnish(pipeline)
        people = open_people(settings, target, pipeline, folder / "keyring.jsonl")
        office = await stack.enter_async_context(people)
        http = await stack.enter_async_context(aiohttp.ClientSession())
        await settled(office)
        market_data = MarketData(interval_s=1.0)
        market_data.seed(pipeline._engine.state)
        history = History(office.database, Watermark(lambda: None), 0.05)
        state = pipeline._engine.state
        user_data = UserData(pipeline.read, folder / "events", int(state.header[0].event_count))
        venue = Venue(settings, pipeline, office.keys, market_data, user_data, history=history, users=office.users)
        gateway = Gateway(venue)
        stage = Stage(office, venue, gateway, http)
        stage.port = await gateway.start("127.0.0.1", 0)
        office.url, office.http = f"http://127.0.0.1:{stage.port}", http
        rights = (Permission.READ, Permission.TRADE, Permission.WITHDRAW)
        here = settings.trusted_proxies
        key, secret = await office.keys.create(ALICE, rights, addresses=here, totp_enabled=True)
        stage.api_key, stage.secret = key.api_key, secret
        stage.person, stage.guarded = await office.somebody().arrive(), await office.somebody().arrive()
        await stage.guarded.turn_on_second_factor()
        try:
            yield stage
        finally:
            await gateway.stop(5.0)
