"""The WebSocket server of the public streams: connections, their limits, their requests.

Owns the listening socket, every connection from accept to close, and what a client may take. Never awaits a write:
answers and frames go straight to the transport, whose kernel buffer is bounded. Never looks into market data: `find`
names a stream, `on_join` tells that somebody joined one.

A connection ends in one of four ways: the client closes it; it breaks a limit or the market data stops (close frame
with code and reason, then `close_s` to read it); it answers no ping; its handshake takes longer than `handshake_s`.

Sources: RFC 6455 section 7 (closing); IANA WebSocket close codes; aiohttp 3.14 `web.Server`.
"""

from __future__ import annotations

import asyncio
import socket
from collections import Counter
from collections.abc import Callable
from typing import NamedTuple, cast

import orjson
from aiohttp import WSCloseCode, WSMsgType, web

from exchange.marketdata import messages
from exchange.marketdata.messages import RequestError
from exchange.marketdata.streams import Listener, Stream

PATH = "/ws"


class Limits(NamedTuple):
    """What one client, and all of them together, may take. docs/marketdata.md says how each shows."""

    connections_max: int = 10_000
    connections_per_address: int = 300
    subscriptions_max: int = 1_024  # of one connection
    message_bytes_max: int = 8_192  # of one client message
    messages_per_second: int = 50  # client messages of one connection, pings included
    buffer_bytes: int = 256 * 1_024  # waiting for one reader, in the process and again in the kernel
    ping_s: float = 20.0  # silence after which a client is pinged; it has half that time to answer
    idle_s: float = 60.0  # a connection may be without a subscription
    handshake_s: float = 5.0  # from accept to upgrade
    close_s: float = 5.0  # from our close frame to the end of the connection


class Connection:
    """One client: its listener and what it has used of its limits."""

    def __init__(self, transport: asyncio.Transport, limits: Limits, loop: asyncio.AbstractEventLoop) -> None:
        self.listener = Listener(transport, limits.buffer_bytes, self._closing)
        self.idle_since = loop.time()
        self._transport = transport
        self._limits = limits
        self._loop = loop
        self._second = 0.0
        self._messages = 0

    def _closing(self) -> None:
        self._loop.call_later(self._limits.close_s, self._transport.abort)

    def end(self) -> None:
        """Leave every stream and end the transport, by force if its peer does not read what waits."""
        self.listener.leave_all()
        self._transport.close()
        self._loop.call_later(self._limits.close_s, self._transport.abort)

    def is_within_rate(self) -> bool:
        """Count one client message; False when this second already had its share."""
        now = self._loop.time()
        if now - self._second >= 1.0:
            self._second = now
            self._messages = 0
        self._messages += 1
        return self._messages <= self._limits.messages_per_second

    def idle_left(self) -> float | None:
        """Seconds until the connection is closed for listening to nothing; None while it listens."""
        if self.listener.subscriptions or self.listener.is_closing:
            return None
        return max(self.idle_since + self._limits.idle_s - self._loop.time(), 0.001)


class StreamServer:
    """Serves `PATH` on one port.

    `find(channel, symbol)` returns the stream, or None for an unknown symbol; `on_join()` is called after each
    subscription; `refusal()` returns why nobody is served now, or an empty text.
    """

    def __init__(
        self,
        limits: Limits,
        find: Callable[[str, str], Stream | None],
        on_join: Callable[[], None],
        refusal: Callable[[], str],
    ) -> None:
        self.connections: set[Connection] = set()
        self.refused = 0
        self.accepted = 0
        self._limits = limits
        self._find = find
        self._on_join = on_join
        self._refusal = refusal
        self._addresses: Counter[str] = Counter()
        self._nobody = asyncio.Event()
        self._nobody.set()
        self._web = web.Server(
            self._handle,
            access_log=None,
            keepalive_timeout=limits.handshake_s,
            lingering_time=1.0,
            max_headers=64,
            auto_decompress=False,
        )

    async def start(self, host: str, port: int) -> int:
        """Listen on host and port (0: a free one); returns the port. Raises OSError."""
        loop = asyncio.get_running_loop()
        family, _, _, _, address = (await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM))[0]
        listening = socket.create_server(cast("tuple[str, int]", address), family=family, backlog=1_024)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, self._limits.buffer_bytes)
        listening.setblocking(False)
        self._server = await loop.create_server(self._web, sock=listening)
        return int(listening.getsockname()[1])

    async def stop(self) -> None:
        """Stop listening, tell every client, and wait at most `close_s` for their goodbye."""
        self._server.close()
        self.close_all(WSCloseCode.GOING_AWAY, "the exchange stops")
        try:
            async with asyncio.timeout(self._limits.close_s):
                await self._nobody.wait()
        except TimeoutError:
            for connection in tuple(self.connections):
                connection.end()
        await self._web.shutdown(self._limits.close_s)

    def close_all(self, code: int, reason: str) -> None:
        """Close every connection with a reason."""
        for connection in tuple(self.connections):
            connection.listener.close(code, reason)

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        address = request.remote or ""
        response = web.WebSocketResponse(
            compress=False,
            autoping=False,
            autoclose=False,
            heartbeat=self._limits.ping_s,
            timeout=self._limits.close_s,
            max_msg_size=self._limits.message_bytes_max,
        )
        refused = self._refuse(request, response, address)
        if refused is not None:
            self.refused += 1
            return refused
        self._addresses[address] += 1
        try:
            await response.prepare(request)
            transport = request.transport
            if transport is not None:
                await self._serve(response, transport)
        finally:
            self._addresses[address] -= 1
            if not self._addresses[address]:
                del self._addresses[address]
        return response

    def _refuse(self, request: web.BaseRequest, response: web.WebSocketResponse, address: str) -> web.Response | None:
        if request.path != PATH:
            return _refused(404, -1000, f"There is nothing here; the streams are at {PATH}.")
        if not response.can_prepare(request):
            return _refused(426, -1000, f"{PATH} speaks WebSocket, version 13, and nothing else.", Upgrade="websocket")
        if sentence := self._refusal():
            return _refused(503, -1001, sentence)
        if self._addresses.total() >= self._limits.connections_max:
            return _refused(503, -1008, "Too many connections; try again later.", **{"Retry-After": "5"})
        if self._addresses[address] >= self._limits.connections_per_address:
            limit = self._limits.connections_per_address
            sentence = f"Too many connections; current limit is {limit} connections per address."
            return _refused(429, -1003, sentence, **{"Retry-After": "5"})
        return None

    async def _serve(self, response: web.WebSocketResponse, transport: asyncio.Transport) -> None:
        connection = Connection(transport, self._limits, asyncio.get_running_loop())
        self.accepted += 1
        self.connections.add(connection)
        self._nobody.clear()
        try:
            while await self._next(response, connection):
                pass
        finally:
            connection.end()
            self.connections.discard(connection)
            if not self.connections:
                self._nobody.set()

    async def _next(self, response: web.WebSocketResponse, connection: Connection) -> bool:
        """Receive one message and do what it says; False when the connection is over."""
        listener = connection.listener
        try:
            message = await response.receive(connection.idle_left())
        except TimeoutError:
            listener.close(WSCloseCode.POLICY_VIOLATION, f"idle: no subscription for {self._limits.idle_s:g} s")
            return True
        if message.type in (WSMsgType.CLOSE, WSMsgType.CLOSING, WSMsgType.CLOSED, WSMsgType.ERROR):
            listener.close(WSCloseCode.OK, "")
            return False
        if listener.is_closing or message.type is WSMsgType.PONG:
            return True
        if not connection.is_within_rate():
            limit = self._limits.messages_per_second
            listener.close(WSCloseCode.POLICY_VIOLATION, f"too many messages; current limit is {limit} per second")
        elif message.type is WSMsgType.PING:
            listener.reply(messages.pong_frame(message.data))
        elif message.type is WSMsgType.TEXT:
            self._answer(connection, message.data)
        else:
            listener.close(WSCloseCode.UNSUPPORTED_DATA, "messages must be text")
        return True

    def _answer(self, connection: Connection, text: str) -> None:
        listener = connection.listener
        try:
            request = messages.parse_request(text)
            stream = self._find(request.channel, request.symbol)
            if stream is None:
                raise messages.unknown_symbol(request.symbol)
            if request.action == "unsubscribe":
                self._unsubscribe(connection, stream)
            elif stream in listener.subscriptions:
                raise RequestError(-2035, f"The subscription to {stream.name} is already active.")
        except RequestError as error:
            listener.reply(messages.text_frame(messages.error_message(error)))
            return
        if request.action == "subscribe" and len(listener.subscriptions) >= self._limits.subscriptions_max:
            limit = self._limits.subscriptions_max
            listener.close(WSCloseCode.POLICY_VIOLATION, f"too many subscriptions; current limit is {limit}")
            return
        listener.reply(messages.text_frame(messages.done_message(request)))
        if request.action == "subscribe" and not listener.is_closing:
            stream.join(listener)
            self._on_join()

    def _unsubscribe(self, connection: Connection, stream: Stream) -> None:
        if stream not in connection.listener.subscriptions:
            raise RequestError(-2036, f"There is no active subscription to {stream.name}.")
        stream.leave(connection.listener)
        if not connection.listener.subscriptions:
            connection.idle_since = asyncio.get_running_loop().time()


def _refused(status: int, code: int, sentence: str, **headers: str) -> web.Response:
    body = orjson.dumps({"code": code, "msg": sentence})
    response = web.Response(status=status, body=body, content_type="application/json", headers=headers)
    response.force_close()
    return response
