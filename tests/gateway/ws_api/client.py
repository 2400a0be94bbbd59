"""A client of the WebSocket API that knows nothing but the contract: it signs, asks, and sorts answers from events."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hmac
import itertools
import json
import time
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any, NamedTuple

import aiohttp
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

PATH = "/ws-api/v3"
PATIENCE_S = 30.0
Json = dict[str, Any]


class Identity(NamedTuple):
    """An API key, and what signs for it: an HMAC secret or an Ed25519 key."""

    api_key: str
    secret: str | Ed25519PrivateKey

    def signature(self, payload: bytes) -> str:
        """As a parameter."""
        if isinstance(self.secret, str):
            return hmac.digest(self.secret.encode(), payload, "sha256").hex()
        return base64.b64encode(self.secret.sign(payload)).decode()

    def signed(self, **params: Any) -> Json:
        """Parameters with timestamp, key and signature; numbers and booleans sign as the JSON that they are sent as."""
        everything = {"apiKey": self.api_key, "timestamp": time.time_ns() // 1_000_000, "recvWindow": 60_000} | params
        everything = {name: value for name, value in everything.items() if value is not None}
        return everything | {"signature": self.signature(payload_of(everything).encode())}


def payload_of(params: Mapping[str, Any]) -> str:
    """What is signed: names in order, values as text or as the JSON that they are sent as."""
    texts = {name: value if isinstance(value, str) else json.dumps(value) for name, value in params.items()}
    return "&".join(f"{name}={texts[name]}" for name in sorted(texts))


class Client:
    """One connection. Answers are found by id, whatever comes in between; the rest is in `events`, in order."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket
        self.events: list[Json] = []
        self.answers: list[Json] = []
        self._numbers = itertools.count(1)

    async def send(self, method: str, params: Json | None = None, /, **more: Any) -> int:
        """Send a request; returns its id."""
        number = next(self._numbers)
        message = {"id": number, "method": method} | ({} if params is None else {"params": params}) | more
        await self.socket.send_str(json.dumps(message))
        return number

    async def answer(self, named: Any) -> Json:
        """The answer with that id."""
        return await self._until(lambda: next((one for one in self.answers if one["id"] == named), None))

    async def ask(self, method: str, params: Json | None = None, /, **more: Any) -> Json:
        """Send a request and wait for its answer."""
        named = await self.send(method, params, **more)
        return await self.answer(more.get("id", named))

    async def result(self, method: str, params: Json | None = None, /) -> Any:
        """The same, for a request that must be done."""
        found = await self.ask(method, params)
        assert found["status"] == 200, found
        return found["result"]

    async def refused(self, method: str, params: Json | None = None, /) -> tuple[int, int, str]:
        """The same, for one that must be refused: (status, code, text)."""
        found = await self.ask(method, params)
        assert "result" not in found, found
        return found["status"], found["error"]["code"], found["error"]["msg"]

    async def raw(self, text: str) -> Json:
        """Send exactly this and take the next answer, whose id may be null."""
        before = len(self.answers)
        await self.socket.send_str(text)
        return await self._until(lambda: self.answers[before] if len(self.answers) > before else None)

    async def heard(self, wanted: Callable[[Json], bool]) -> Json:
        """The first event, of those that came and those that come, that is wanted; its envelope too."""
        return await self._until(lambda: next((one for one in self.events if wanted(one)), None))

    async def closed(self) -> tuple[int, str]:
        """Read until the server closes; returns its code and reason."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                message = await self.socket.receive()
                if message.type is aiohttp.WSMsgType.CLOSE:
                    await self.socket.close()
                    return message.data, message.extra or ""
                if message.type is aiohttp.WSMsgType.TEXT:
                    self._sort(message.data)
                    continue
                assert message.type is not aiohttp.WSMsgType.CLOSED, "closed without a close frame"

    async def _until(self, found: Callable[[], Json | None]) -> Json:
        async with asyncio.timeout(PATIENCE_S):
            while (result := found()) is None:
                message = await self.socket.receive()
                assert message.type is aiohttp.WSMsgType.TEXT, message
                self._sort(message.data)
        return result

    def _sort(self, text: str) -> None:
        message = json.loads(text)
        (self.events if "event" in message else self.answers).append(message)


@contextlib.asynccontextmanager
async def connected(url: str, query: str = "", **headers: str) -> AsyncIterator[Client]:
    """A client of the server at `url` (http://host:port)."""
    async with (
        aiohttp.ClientSession() as http,
        http.ws_connect(f"{url}{PATH}{query}", headers=headers, autoclose=False, max_msg_size=0) as socket,
    ):
        yield Client(socket)


def transport_of(client: Client) -> asyncio.Transport:
    """The transport of a client, for what no client library does."""
    connection = client.socket._conn
    assert connection is not None
    assert isinstance(connection.transport, asyncio.Transport)
    return connection.transport
