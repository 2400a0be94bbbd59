"""Clients for these tests: one that follows the documented procedure, and one that reads only when it is told to."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import socket
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

import aiohttp
import orjson
import uvloop

from exchange.core.codes import Side
from exchange.marketdata.connection import Limits
from exchange.marketdata.market import MarketData
from exchange.marketdata.private_streams import Attach
from exchange.marketdata.server import OPEN, Door
from exchange.marketdata.text import BINANCE_DECIMALS
from tests.marketdata.venue import Venue, event_count

HOUR_S = 3_600.0
DEADLINE_S = 300.0
"""Of one test, however busy the machine is."""
CLOSE_S = 0.2
"""The time that a stop waits for clients that do not read any more."""
HANDSHAKE = {"Connection": "Upgrade", "Sec-WebSocket-Key": "A" * 22 + "==", "Sec-WebSocket-Version": "13"}
NAMES = {1: "BTC_USDT", 2: "ETH_USDT"}


async def closing(ws: aiohttp.ClientWebSocketResponse) -> tuple[Any, Any]:
    """(code, reason) of the close frame that follows whatever else was sent."""
    while True:
        message = await ws.receive()
        if message.type == aiohttp.WSMsgType.CLOSE:
            return message.data, message.extra
        assert message.type == aiohttp.WSMsgType.TEXT


def on_uvloop(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Run an async test on the loop that the exchange runs on; a message that never comes fails it."""

    @functools.wraps(test)
    def run(*args: Any, **kwargs: Any) -> None:
        uvloop.run(asyncio.wait_for(test(*args, **kwargs), DEADLINE_S))

    return run


class Stage:
    """A venue whose events go to a served market data; publishes when told, not by the clock."""

    def __init__(self, venue: Venue, market: MarketData, port: int, session: aiohttp.ClientSession) -> None:
        self.venue = venue
        self.market = market
        self.port = port
        self.session = session

    def trade_on(self, commands: int) -> int:
        """Run random commands and publish; returns how many events they gave."""
        view = self.venue.run(self.venue.some(commands))
        self.market.on_events(view, event_count(view))
        self.market.publish()
        return event_count(view)

    def apply(self, *commands: Any) -> None:
        """Run these commands and publish."""
        view = self.venue.run(list(commands))
        self.market.on_events(view, event_count(view))
        self.market.publish()

    def update_id(self, symbol: int) -> int:
        """The boundary on which the published book rests."""
        return self.market._feeds[symbol].book.update_id

    def tick(self) -> None:
        """Let what is told once a second be told, now that a second has passed."""
        self.market._registry.tick(1.0)

    def cut(self, symbol: str = "BTC_USDT", limit: int = 5_000) -> dict[str, Any]:
        """The snapshot that GET /api/v3/depth answers with."""
        snapshot: dict[str, Any] = orjson.loads(self.market.depth_snapshot(symbol, limit, BINANCE_DECIMALS))
        return snapshot

    async def connect(self, path: str = "/ws") -> aiohttp.ClientWebSocketResponse:
        """A WebSocket connection to the streams."""
        return await self.session.ws_connect(f"http://127.0.0.1:{self.port}{path}", max_msg_size=0)

    async def call(self, ws: aiohttp.ClientWebSocketResponse, method: str, *params: Any, call_id: Any = 1) -> Any:
        """Send a call of Binance's protocol; returns the result in its answer, which must be the next message."""
        await ws.send_json({"method": method, "params": params, "id": call_id})
        answer = await ws.receive_json()
        assert answer.pop("id") == call_id
        return answer.pop("result")

    async def refusal(self, path: str = "/ws") -> tuple[int, str | None, Any]:
        """(status, Retry-After, body) of a WebSocket handshake that is refused."""
        url = f"http://127.0.0.1:{self.port}{path}"
        async with self.session.get(url, headers={"Upgrade": "websocket", **HANDSHAKE}) as response:
            return response.status, response.headers.get("Retry-After"), await response.json()

    async def subscribe(
        self, channel: str, symbol: str = "BTC_USDT", ws: aiohttp.ClientWebSocketResponse | None = None
    ) -> aiohttp.ClientWebSocketResponse:
        """Subscribe, on a new connection unless one is given, and read the acknowledgement."""
        ws = ws or await self.connect()
        await ws.send_json({"action": "subscribe", "channel": channel, "symbol": symbol})
        assert await ws.receive_json() == {"e": "subscribed", "channel": channel, "s": symbol}
        return ws


@contextlib.asynccontextmanager
async def staged(
    limits: Limits | None = None,
    interval_s: float = HOUR_S,
    seed: int = 1,
    door: Door = OPEN,
    private: Callable[[str], Attach | None] = lambda _name: None,
) -> AsyncIterator[Stage]:
    """A venue with served market data on a free port."""
    venue = Venue(seed)
    market = MarketData(
        interval_s=interval_s,
        limits=limits or Limits(close_s=CLOSE_S),
        clock_ns=lambda: venue.ts_ns,
        seen_until_ns=lambda: venue.ts_ns,
    )
    market.seed(venue.engine.state)
    port = await market.start("127.0.0.1", 0, door, private)
    async with aiohttp.ClientSession() as session:
        try:
            yield Stage(venue, market, port, session)
        finally:
            await market.stop()


class LocalBook:
    """A client's copy of a book, kept by the documented procedure; refuses anything that breaks it."""

    def __init__(self) -> None:
        self.update_id: int | None = None
        self.sides: list[dict[str, str]] = [{}, {}]
        self.snapshots = 0
        self.diffs = 0

    def restart(self, snapshot: dict[str, Any]) -> None:
        """Begin again with a snapshot of REST or WebSocket."""
        assert self.update_id is None or snapshot["lastUpdateId"] >= self.update_id
        self.update_id = snapshot["lastUpdateId"]
        self.sides = [dict(snapshot["bids"]), dict(snapshot["asks"])]
        self.snapshots += 1

    def take(self, message: dict[str, Any]) -> None:
        """Apply one depth message."""
        if message["e"] == "depthSnapshot":
            self.restart(message)
            return
        assert message["e"] == "depthUpdate"
        assert self.update_id is not None
        if message["u"] <= self.update_id:
            return
        assert message["U"] == self.update_id + 1
        assert message["u"] - message["U"] + 1 == len(message["b"]) + len(message["a"])
        self.update_id = message["u"]
        self.diffs += 1
        self.set_levels(message)

    def set_levels(self, message: dict[str, Any], *, may_remove_unknown: bool = False) -> None:
        """Set the levels of a diff; zero removes one."""
        for side, changes in zip(self.sides, (message["b"], message["a"]), strict=True):
            for price, quantity in changes:
                if float(quantity):
                    side[price] = quantity
                elif price in side or not may_remove_unknown:
                    del side[price]

    def levels(self) -> list[list[tuple[int, int]]]:
        """Both sides in ticks and lots, best first; the test symbols have 2 and 4 decimals."""
        sides = []
        for side, levels in zip(Side, self.sides, strict=True):
            rows = [(round(float(price) * 100), round(float(lots) * 10_000)) for price, lots in levels.items()]
            sides.append(sorted(rows, reverse=side == Side.BUY))
        return sides

    async def follow(self, ws: aiohttp.ClientWebSocketResponse, update_id: int) -> None:
        """Read messages until the book stands at `update_id`."""
        while self.update_id != update_id:
            self.take(await ws.receive_json())


class StubbornClient:
    """A raw connection with a small receive buffer: what it is sent stays in the sender until `read` is called."""

    def __init__(self, port: int) -> None:
        self.socket = socket.socket()
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        self.socket.setblocking(False)
        self._port = port
        self._buffer = b""

    async def connect(self, path: str = "/ws") -> StubbornClient:
        """Connect and shake hands."""
        loop = asyncio.get_running_loop()
        await loop.sock_connect(self.socket, ("127.0.0.1", self._port))
        await loop.sock_sendall(
            self.socket,
            b"GET " + path.encode() + b" HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n",
        )
        while b"\r\n\r\n" not in self._buffer:
            self._buffer += await loop.sock_recv(self.socket, 1_024)
        head, _, self._buffer = self._buffer.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 101 ")
        return self

    async def send(self, payload: bytes, opcode: int = 1) -> None:
        """Send one frame, masked with zeros."""
        assert len(payload) < 126
        frame = bytes((0x80 | opcode, 0x80 | len(payload))) + bytes(4) + payload
        await asyncio.get_running_loop().sock_sendall(self.socket, frame)

    async def _take(self, count: int) -> bytes:
        while len(self._buffer) < count:
            received = await asyncio.get_running_loop().sock_recv(self.socket, 65_536)
            if not received:
                raise ConnectionResetError("the server closed the connection")
            self._buffer += received
        taken, self._buffer = self._buffer[:count], self._buffer[count:]
        return taken

    async def read(self) -> tuple[int, bytes]:
        """(opcode, payload) of the next frame; ConnectionResetError at the end."""
        first, size = await self._take(2)
        assert first & 0x70 == 0
        if size >= 126:
            size = int.from_bytes(await self._take(2 if size == 126 else 8), "big")
        return first & 0x0F, await self._take(size)

    async def read_json(self) -> Any:
        """The next text message."""
        opcode, payload = await self.read()
        assert opcode == 1
        return orjson.loads(payload)

    def close(self) -> None:
        """End the connection."""
        self.socket.close()
