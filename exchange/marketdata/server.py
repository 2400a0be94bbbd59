"""The WebSocket server of the public streams: paths, handshakes, the reading of messages, the end of connections.

Owns the listening socket of WS_PORT and every connection from its upgrade to its close, wherever it was accepted: the
gateway's listener hands its own to `serve`. Never awaits a write: answers and frames go straight to the transport,
whose kernel buffer is bounded. Never looks into market data.

A connection ends in one of five ways: the client closes it; it breaks a limit or the market data stops (close frame
with code and reason, then `close_s` to read it); it answers no ping; its day is over; its handshake takes longer than
`handshake_s`.

Sources: RFC 6455 section 7 (closing); IANA WebSocket close codes; aiohttp 3.14 `web.Server`.
"""

from __future__ import annotations

import asyncio
import socket
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from types import MappingProxyType
from typing import NamedTuple, cast

import orjson
from aiohttp import WSCloseCode, WSMsgType, web
from aiohttp.web_protocol import RequestHandler

from exchange.marketdata import messages, methods
from exchange.marketdata.connection import Connection, Limits
from exchange.marketdata.messages import NS_PER_MS, NS_PER_US
from exchange.marketdata.protocols import Market, Protocols
from exchange.marketdata.streams import Variant

OWN_PATH = "/ws"
"""Where our own protocol is expected until a message shows that it is not."""
COMBINED_PATH = "/stream"
PATHS = ("/ws", COMBINED_PATH)
SHUTDOWN_WAITS = 2
"""So often may aiohttp's shutdown wait for the time that it is given."""
SHUTDOWN_S_MIN = 0.1
_BAD_REQUEST = 400
UNITS_NS = {"MILLISECOND": NS_PER_MS, "MICROSECOND": NS_PER_US}


Socket = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]
"""Serves a WebSocket from its handshake to its end; returns a response that is not prepared to refuse one."""


def is_handshake(request: web.BaseRequest, response: web.WebSocketResponse) -> bool:
    """Whether a request opens a WebSocket. Headers that are not ASCII are none that do."""
    try:
        return bool(response.can_prepare(request))
    except ValueError:  # out of aiohttp, which takes them for text
        return False


def _remote(request: web.BaseRequest) -> str:
    return request.remote or ""


class Door(NamedTuple):
    """What clients of the streams' own port pass before they are served."""

    admitted: Callable[[Socket], Socket] = lambda socket: socket
    """The same socket, for addresses that may open one more."""
    address: Callable[[web.BaseRequest], str] = _remote
    """Where a client is."""
    others: Mapping[str, Socket] = MappingProxyType({})
    """Who serves paths that are not ours, by the first segment."""


OPEN = Door()


class _Handler(RequestHandler):
    """aiohttp's connection; what is not HTTP is refused like anything else, and what clients do is not logged."""

    __slots__ = ()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """The answer to a request that could not be handled. Raises ConnectionError when the client has gone."""
        if isinstance(exc, ConnectionError):
            raise exc
        if status != _BAD_REQUEST:
            return super().handle_error(request, status, exc, message)
        response = refused(status, -1130, "The request is not well-formed HTTP.")
        response.force_close()
        return response


class _Server(web.Server):
    """Makes our connections."""

    def __call__(self) -> RequestHandler:
        return _Handler(self, loop=self._loop, **self._kwargs)


class StreamServer:
    """Serves the paths of the streams: on a port of its own, and to whom another listener has accepted."""

    def __init__(self, limits: Limits, market: Market, door: Door = OPEN) -> None:
        self.connections: set[Connection] = set()
        self.refused = 0
        self.accepted = 0
        self._limits = limits
        self._market = market
        self._door = door
        self._ours = door.admitted(self._handle)
        self._others = {name: door.admitted(socket) for name, socket in door.others.items()}
        self._protocols = Protocols(limits, market)
        self._is_stopping = False
        self._addresses: Counter[str] = Counter()
        self._nobody = asyncio.Event()
        self._nobody.set()
        self._web = _Server(
            self._dispatch,
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
        listening.setblocking(False)
        self._server = await loop.create_server(self._web, sock=listening)
        return int(listening.getsockname()[1])

    async def stop(self, timeout_s: float) -> None:
        """Stop listening, tell every client, and wait at most `close_s` for their goodbye; done within `timeout_s`.

        The sockets of others on this port have the rest of that time to end.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout_s
        self._is_stopping = True
        self._server.close()
        for connection in tuple(self.connections):
            if connection.is_binance:
                now = self._market.now_ns() // connection.listener.variant.unit_ns
                connection.listener.reply(messages.text_frame(methods.shutdown_message(now)))
        self.close_all(WSCloseCode.GOING_AWAY, "the exchange stops")
        try:
            async with asyncio.timeout(min(self._limits.close_s, timeout_s)):
                await self._nobody.wait()
        except TimeoutError:
            for connection in tuple(self.connections):
                connection.abort()
        self._web.pre_shutdown()
        await self._web.shutdown(max(SHUTDOWN_S_MIN, deadline - loop.time()) / SHUTDOWN_WAITS)

    def close_all(self, code: int, reason: str) -> None:
        """Close every connection with a reason."""
        for connection in tuple(self.connections):
            connection.listener.close(code, reason)

    async def _dispatch(self, request: web.BaseRequest) -> web.StreamResponse:
        return await self._others.get(request.path[1:].partition("/")[0], self._ours)(request)

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        return await self._admitted(request, self._door.address(request), is_binance=request.path != OWN_PATH)

    async def serve(self, request: web.BaseRequest, address: str) -> web.StreamResponse:
        """Serve a client that another listener accepted, until its connection ends."""
        return await self._admitted(request, address, is_binance=True)

    async def _admitted(self, request: web.BaseRequest, address: str, *, is_binance: bool) -> web.StreamResponse:
        response = web.WebSocketResponse(
            compress=False,
            autoping=False,
            autoclose=False,
            timeout=self._limits.close_s,
            max_msg_size=self._limits.method_bytes_max,
        )
        refusal = self._refuse(request, response, address)
        if refusal is not None:
            self.refused += 1
            return refusal
        self._addresses[address] += 1
        try:
            await response.prepare(request)
            if request.transport is not None:
                variant = Variant(_unit_ns(request), is_wrapped=request.path.rstrip("/") == COMBINED_PATH)
                connection = Connection(request.transport, self._limits, variant, is_binance=is_binance)
                await self._serve(response, connection, _names(request))
        finally:
            self._addresses[address] -= 1
            if not self._addresses[address]:
                del self._addresses[address]
        return response

    def _refuse(self, request: web.BaseRequest, response: web.WebSocketResponse, address: str) -> web.Response | None:
        if not any(request.path == path or request.path.startswith(path + "/") for path in PATHS):
            return refused(404, -1000, f"There is nothing here; the streams are at {' and '.join(PATHS)}.")
        if not is_handshake(request, response):
            sentence = f"{request.path} speaks WebSocket, version 13, and nothing else."
            return refused(426, -1000, sentence, Upgrade="websocket")
        if not _unit_ns(request):
            return refused(400, -1194, "Invalid value for time unit; expected either MICROSECOND or MILLISECOND.")
        if self._is_stopping:
            return refused(503, -1001, "The exchange stops; connect again later.")
        if sentence := self._market.refusal():
            return refused(503, -1001, sentence)
        if self._addresses.total() >= self._limits.connections_max:
            return refused(503, -1008, "Too many connections; try again later.", **{"Retry-After": "5"})
        limit = self._limits.connections_per_address
        if self._addresses[address] >= limit:
            sentence = f"Too many connections; current limit is {limit} connections per address."
            return refused(429, -1003, sentence, **{"Retry-After": "5"})
        return None

    async def _serve(self, response: web.WebSocketResponse, connection: Connection, names: list[str]) -> None:
        self.accepted += 1
        self.connections.add(connection)
        self._nobody.clear()
        try:
            await self._protocols.subscribe(connection, names, keeps_unknown=False)
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
        is_within_rate = connection.hear()
        if listener.is_closing:
            return True
        if not is_within_rate:
            limit = self._limits.messages_per_second
            listener.close(WSCloseCode.POLICY_VIOLATION, f"too many messages; current limit is {limit} per second")
        elif message.type is WSMsgType.PING:
            listener.reply(messages.pong_frame(message.data))
        elif message.type is WSMsgType.TEXT:
            await self._protocols.answer(connection, message.data)
        elif message.type is not WSMsgType.PONG:
            listener.close(WSCloseCode.UNSUPPORTED_DATA, "messages must be text")
        return True


def _unit_ns(request: web.BaseRequest) -> int:
    """The unit of time that a connection asks for; zero when there is no such unit."""
    return UNITS_NS.get(request.query.get("timeUnit", "MILLISECOND").upper(), 0)


def _names(request: web.BaseRequest) -> list[str]:
    """The streams that a path names, in order, each once; what is no stream (a number, a key) is left out later."""
    # A plus sign in a query means a space; no name has one, but that of a candle by another clock has a plus.
    streams = request.query.get("streams", "").replace(" ", "+") if request.path.startswith(COMBINED_PATH) else ""
    names = [*request.path.split("/")[2:], *streams.split("/")]
    return [name for name in dict.fromkeys(names) if name]


def refused(status: int, code: int, sentence: str, **headers: str) -> web.Response:
    """The answer to a handshake that is not accepted; the connection ends with it."""
    body = orjson.dumps({"code": code, "msg": sentence})
    response = web.Response(status=status, body=body, content_type="application/json", headers=headers)
    response.force_close()
    return response
