"""The WebSocket API, `/ws-api/v3`: from a handshake to the end of the connection, and from a message to its answer.

Owns the connections and the way of a request to the handler that REST has too. Requests of one connection run at the
same time, begun in the order in which they came (orders reach the ring in that order), and are answered as they are
done. Nothing that a client does makes another one wait; what one may have in flight is bounded.

A page of a foreign site can open a connection from a browser and can do nothing with it that it could not do without
the browser: no cookie and no address means anything here, every request is signed or public. So `Origin` is not looked
at.

Sources: the API contract, sections "Private stream" and "Rate limits"; RFC 6455.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import socket
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, NamedTuple

import orjson
from aiohttp import WSCloseCode, WSMessage, WSMsgType, web

from exchange.gateway.address import Address, client_address
from exchange.gateway.errors import Refusal
from exchange.gateway.limits import Usage
from exchange.gateway.replies import Reply
from exchange.gateway.routes import ROUTES, Route
from exchange.gateway.strict import WS_API_PATH
from exchange.gateway.venue import Venue, shutting_down
from exchange.gateway.weights import UNKNOWN, Weight
from exchange.gateway.ws_api import calls, messages, methods
from exchange.gateway.ws_api.connection import Connection, Limits
from exchange.gateway.ws_api.dead_man import DeadMan
from exchange.gateway.ws_api.messages import Request, Unreadable
from exchange.gateway.ws_api.rate_limits import RateLimits
from exchange.gateway.ws_api.receiving import ReceivingSocket
from exchange.gateway.ws_api.sessions import Sessions
from exchange.gateway.ws_api.user_data import UserStreams
from exchange.marketdata.messages import pong_frame
from exchange.marketdata.server import is_handshake

Begin = Callable[[Connection, Request], Awaitable[Reply]]
log = logging.getLogger("exchange.gateway")
DEFAULTS = Limits()
SESSION_WEIGHT = Weight(2)
"""Of everything about the session and its streams."""
_UNITS_NS = {"": 1_000_000, "MILLISECOND": 1_000_000, "MICROSECOND": 1_000}
_BROKEN = Refusal(500, -1000, "The request could not be answered; the operator's log says why.", outcome="unknown")
_BUSY = "Too many requests of this connection wait for their answers; current limit is {}."


class Method(NamedTuple):
    """What a method weighs, what begins it (Refusal at once or in the end), and whether what is begun needs no task."""

    weight: Weight
    begin: Begin
    is_at_once: bool


async def _no_method(_connection: Connection, _request: Request) -> Reply:
    raise Refusal(400, -1020, "Unknown method.")


_NO_METHOD = Method(UNKNOWN, _no_method, is_at_once=True)


class WsApi:
    """Serves `WS_API_PATH`: `socket` for each handshake, `sweep` once a second, `stop` at the end."""

    def __init__(self, venue: Venue, limits: Limits = DEFAULTS) -> None:
        self.connections: set[Connection] = set()
        self._venue = venue
        self._limits = limits
        self._rate_limits = RateLimits(venue.limits)
        self._sessions = Sessions(venue)
        self._dead_man = DeadMan(venue)
        self.methods = self._every_method()
        self._addresses: Counter[Address] = Counter()
        self._in_flight = 0
        self._tasks: set[asyncio.Future[Reply]] = set()
        """What is in flight and has a task; the event loop alone would not keep it alive."""
        self._stopping: asyncio.Event | None = None
        """Set when nothing is in flight any more."""
        self._loop = asyncio.get_running_loop()
        self._nobody = asyncio.Event()
        self._nobody.set()

    def _every_method(self) -> dict[str, Method]:
        sessions, streams = self._sessions, UserStreams(self._venue, self._sessions, self._limits.subscriptions_max)
        own: dict[str, Begin] = {
            "session.logon": sessions.logon,
            "session.status": sessions.status,
            "session.logout": sessions.logout,
            "session.cancelOnDisconnect": self._dead_man.set,
            "session.subscriptions": streams.subscriptions,
            "userDataStream.subscribe": streams.subscribe,
            "userDataStream.subscribe.signature": streams.subscribe_signed,
            "userDataStream.unsubscribe": streams.unsubscribe,
        }
        found = {name: Method(SESSION_WEIGHT, begin, is_at_once=True) for name, begin in own.items()}
        for name, route in methods.routed(ROUTES).items():
            begin = functools.partial(self._endpoint, route)
            found[name] = Method(route.weight, begin, is_at_once=name in methods.AT_ONCE)
        return found

    # ---- connections ----------------------------------------------------------------------------------------------

    async def socket(self, request: web.BaseRequest) -> web.StreamResponse:
        """Serve a connection from its handshake to its end."""
        response = ReceivingSocket(self._limits.message_bytes_max)
        forwarded = request.headers.getall("X-Forwarded-For", [])
        peer = request.transport.get_extra_info("peername") if request.transport is not None else None
        address = client_address(peer, forwarded, self._venue.settings.trusted_proxies)
        try:
            self._admit(request, response, address)
            unit_ns = _unit_ns(request.query.get("timeUnit", ""))
            shows_limits = calls.shows_limits(dict(request.query), default=True)
        except Refusal as refusal:
            return _refused(refusal)
        self._addresses[address] += 1
        try:
            writer = await response.prepare(request)
            transport = request.transport
            if transport is not None:
                kernel: socket.socket = transport.get_extra_info("socket")
                kernel.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, self._limits.buffer_bytes)
                connection = Connection(
                    transport,
                    writer,
                    address,
                    ",".join(request.headers.getall("Host", [])),
                    self._limits,
                    unit_ns=unit_ns,
                    shows_limits=shows_limits,
                    since_ns=time.time_ns(),
                )
                await self._serve(response, connection)
        finally:
            self._addresses[address] -= 1
            if not self._addresses[address]:
                del self._addresses[address]
        return response

    def _admit(self, request: web.BaseRequest, response: ReceivingSocket, address: Address) -> None:
        """Refuses a handshake that can not be served."""
        limits = self._limits
        if request.path != WS_API_PATH:
            raise Refusal(404, -1020, f"There is nothing here; the WebSocket API is at {WS_API_PATH}.")
        if not is_handshake(request, response):
            raise Refusal(426, -1020, f"{WS_API_PATH} speaks WebSocket, version 13, and nothing else.")
        if not self._venue.admitting:
            raise shutting_down()
        if self._addresses.total() >= limits.connections_max:
            raise Refusal(503, -1008, "Too many connections; try again later.", retry_after_s=5)
        if self._addresses[address] >= limits.connections_per_address:
            sentence = f"Too many connections; current limit is {limits.connections_per_address} per address."
            raise Refusal(429, -1003, sentence, retry_after_s=5)

    async def _serve(self, response: ReceivingSocket, connection: Connection) -> None:
        self.connections.add(connection)
        self._nobody.clear()
        try:
            response.receive_with(functools.partial(self._receive, response, connection))
            code, reason = await response.ended()
            connection.close(code, reason)
        finally:
            connection.end()
            self._sessions.leave(connection)
            self._dead_man.leave(connection)
            self.connections.discard(connection)
            if not self.connections:
                self._nobody.set()

    def _receive(self, response: ReceivingSocket, connection: Connection, message: WSMessage) -> None:
        """Do what a message says."""
        kind = message.type
        if kind is WSMsgType.CLOSE:
            connection.close(WSCloseCode.OK, "")  # now: what the client sent behind its goodbye is not done any more
            response.finish(WSCloseCode.OK)
        elif connection.is_closing:
            return
        elif not connection.hear():
            limit = self._limits.messages_per_second
            reason = f"too many messages; current limit is {limit} per second"
            connection.close(WSCloseCode.POLICY_VIOLATION, reason)
        elif kind is WSMsgType.TEXT:
            self._take(connection, message.data)
        elif kind is WSMsgType.PING:
            connection.write(pong_frame(message.data))
        elif kind is WSMsgType.BINARY:
            connection.close(WSCloseCode.UNSUPPORTED_DATA, "messages must be text")

    def sweep(self) -> None:
        """Ping, and end what has to end. Called once a second."""
        now = asyncio.get_running_loop().time()
        for connection in tuple(self.connections):
            connection.check(now)
        self._sessions.sweep()
        self._dead_man.sweep()

    async def stop(self, timeout_s: float) -> None:
        """Answer what is in flight, tell every client, and wait at most `timeout_s` for their goodbye."""
        deadline = asyncio.get_running_loop().time() + timeout_s
        self._stopping = asyncio.Event()
        if self._in_flight:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(deadline):
                    await self._stopping.wait()
        shutdown = b'{"event":{"e":"serverShutdown","E":%d}}' % (time.time_ns() // 1_000_000)
        for connection in tuple(self.connections):
            connection.tell(shutdown)
            connection.close(WSCloseCode.GOING_AWAY, "the exchange stops")
        try:
            async with asyncio.timeout_at(deadline):
                await self._nobody.wait()
        except TimeoutError:
            for connection in tuple(self.connections):
                connection.abort()
        await self._dead_man.stop()

    # ---- requests -------------------------------------------------------------------------------------------------

    def _take(self, connection: Connection, message: str) -> None:
        """Begin what a message asks for."""
        limits = self._venue.limits
        usage, shows_limits = limits.of(connection.limited), connection.shows_limits
        named, method = messages.NO_ID, _NO_METHOD
        try:
            request = messages.read(message)
            named, method = request.id, self.methods.get(request.method, _NO_METHOD)
            shows_limits = calls.shows_limits(request.params, shows_limits)
            limits.enter(usage, method.weight)
            if method.weight.more is not None:
                limits.add(usage, method.weight.more(request.params))
            if connection.in_flight >= self._limits.in_flight_max:
                raise Refusal(503, -1008, _BUSY.format(self._limits.in_flight_max), retry_after_s=1)
        except Unreadable as error:
            self._refuse_unreadable(connection, error, usage)
        except Refusal as refusal:
            self._refuse(connection, named, refusal, usage, shows_limits)
        else:
            connection.begin()
            self._in_flight += 1
            self._go_on(self._answer(connection, request, method, usage, shows_limits))

    def _go_on(self, doing: Coroutine[asyncio.Future[Any] | None, None, None], _done: object = None) -> None:
        """Run until the next future that it waits for, or until it leaves the rest of a turn to others.

        A task would do the same and cost 5 us more (`bench.wsapi`).
        """
        try:
            waits_for = doing.send(None)
        except (StopIteration, asyncio.CancelledError):  # it is answered, or what it waited for is given up at the end
            return
        if waits_for is None:
            self._loop.call_soon(self._go_on, doing)
        else:
            waits_for.add_done_callback(functools.partial(self._go_on, doing))

    async def _answer(
        self, connection: Connection, request: Request, method: Method, usage: Usage, shows_limits: bool
    ) -> None:
        """Do what a request asks for and answer it; whether the client is still there makes no difference."""
        try:
            doing = method.begin(connection, request)
            reply = await (doing if method.is_at_once else self._as_task(doing))
        except Refusal as refusal:
            usage.weight += method.weight.failed
            self._refuse(connection, request.id, refusal, usage, shows_limits)
        except Exception:
            log.exception("a request failed unexpectedly")
            self._refuse(connection, request.id, _BROKEN, usage, shows_limits)
        else:
            body = reply.body if type(reply.body) is bytes else orjson.dumps(reply.body)
            limits = self._rate_limits.member(usage.weight, reply.placed_by) if shows_limits else b""
            connection.tell(messages.answer(request.id, reply.status, body, limits))
        finally:
            connection.in_flight -= 1
            self._in_flight -= 1
            if self._stopping is not None and not self._in_flight:
                self._stopping.set()

    def _as_task(self, doing: Awaitable[Reply]) -> asyncio.Future[Reply]:
        """The rest of a method that needs a task; whose it is was settled in the turn of its message."""
        task = asyncio.ensure_future(doing)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def _endpoint(self, route: Route, connection: Connection, request: Request) -> Awaitable[Reply]:
        """Begin a method that is an endpoint. Raises Refusal."""
        return route.handler(self._venue, calls.route_call(self._venue, connection, route, request))

    def _refuse(self, connection: Connection, named: bytes, refusal: Refusal, usage: Usage, shows_limits: bool) -> None:
        limits = self._rate_limits.member(usage.weight, refusal.placed_by) if shows_limits else b""
        connection.tell(messages.refusal_answer(named, refusal, limits))

    def _refuse_unreadable(self, connection: Connection, error: Unreadable, usage: Usage) -> None:
        refusal = error.refusal
        try:
            self._venue.limits.enter(usage, UNKNOWN)
        except Refusal as limited:
            refusal = limited
        self._refuse(connection, error.id, refusal, usage, connection.shows_limits)


def _unit_ns(name: str) -> int:
    unit_ns = _UNITS_NS.get(name.upper())
    if unit_ns is None:
        raise Refusal(400, -1194, "Invalid time unit; expected either MICROSECOND or MILLISECOND.")
    return unit_ns


def _refused(refusal: Refusal) -> web.Response:
    headers = {"Retry-After": str(refusal.retry_after_s)} if refusal.retry_after_s else {}
    if refusal.status == 426:
        headers["Upgrade"] = "websocket"
    body = orjson.dumps(refusal.body())
    response = web.Response(status=refusal.status, body=body, content_type="application/json", headers=headers)
    response.force_close()
    return response
