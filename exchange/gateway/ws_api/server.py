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
import logging
import time
from collections import Counter
from collections.abc import Awaitable, Callable

import orjson
from aiohttp import WSCloseCode, WSMsgType, web

from exchange.gateway.address import Address, client_address
from exchange.gateway.errors import Refusal
from exchange.gateway.replies import Reply
from exchange.gateway.routes import ROUTES
from exchange.gateway.venue import Venue, shutting_down
from exchange.gateway.ws_api import calls, messages, methods
from exchange.gateway.ws_api.connection import Connection, Limits
from exchange.gateway.ws_api.messages import Request, Unreadable
from exchange.gateway.ws_api.sessions import Sessions
from exchange.marketdata.messages import pong_frame

Own = Callable[[Connection, Request], Awaitable[Reply]]
log = logging.getLogger("exchange.gateway")
PATH = "/ws-api/v3"
DEFAULTS = Limits()
_UNITS_NS = {"": 1_000_000, "MILLISECOND": 1_000_000, "MICROSECOND": 1_000}
_BROKEN = Refusal(500, -1000, "The request could not be answered; the operator's log says why.", outcome="unknown")
_BUSY = "Too many requests of this connection wait for their answers; current limit is {}."
_OVER = (WSMsgType.CLOSE, WSMsgType.CLOSING, WSMsgType.CLOSED, WSMsgType.ERROR)


class WsApi:
    """Serves `PATH`: `socket` for each handshake, `sweep` once a second, `stop` at the end."""

    def __init__(self, venue: Venue, limits: Limits = DEFAULTS) -> None:
        self.connections: set[Connection] = set()
        self._venue = venue
        self._limits = limits
        self._routes = methods.routed(ROUTES)
        self._sessions = sessions = Sessions(venue)
        self._own: dict[str, Own] = {
            "session.logon": sessions.logon,
            "session.status": sessions.status,
            "session.logout": sessions.logout,
        }
        self._addresses: Counter[Address] = Counter()
        self._tasks: set[asyncio.Task[None]] = set()
        self._nobody = asyncio.Event()
        self._nobody.set()

    # ---- connections ----------------------------------------------------------------------------------------------

    async def socket(self, request: web.BaseRequest) -> web.StreamResponse:
        """Serve a connection from its handshake to its end."""
        response = web.WebSocketResponse(
            compress=False,
            autoping=False,
            autoclose=False,
            timeout=self._limits.close_s,
            max_msg_size=self._limits.message_bytes_max,
        )
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
            await response.prepare(request)
            transport = request.transport
            if transport is not None:
                connection = Connection(
                    transport,
                    address,
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

    def _admit(self, request: web.BaseRequest, response: web.WebSocketResponse, address: Address) -> None:
        """Refuses a handshake that can not be served."""
        limits = self._limits
        if request.path != PATH:
            raise Refusal(404, -1020, f"There is nothing here; the WebSocket API is at {PATH}.")
        if not response.can_prepare(request):
            raise Refusal(426, -1020, f"{PATH} speaks WebSocket, version 13, and nothing else.")
        if not self._venue.admitting:
            raise shutting_down()
        if self._addresses.total() >= limits.connections_max:
            raise Refusal(503, -1008, "Too many connections; try again later.", retry_after_s=5)
        if self._addresses[address] >= limits.connections_per_address:
            sentence = f"Too many connections; current limit is {limits.connections_per_address} per address."
            raise Refusal(429, -1003, sentence, retry_after_s=5)

    async def _serve(self, response: web.WebSocketResponse, connection: Connection) -> None:
        self.connections.add(connection)
        self._nobody.clear()
        try:
            while await self._next(response, connection):
                pass
        finally:
            connection.end()
            self._sessions.leave(connection)
            self.connections.discard(connection)
            if not self.connections:
                self._nobody.set()

    async def _next(self, response: web.WebSocketResponse, connection: Connection) -> bool:
        """Receive one message and do what it says; False when the connection is over."""
        message = await response.receive()
        kind = message.type
        if kind in _OVER:
            connection.close(WSCloseCode.OK, "")
            return False
        if connection.is_closing:
            return True
        if not connection.hear():
            limit = self._limits.messages_per_second
            reason = f"too many messages; current limit is {limit} per second"
            connection.close(WSCloseCode.POLICY_VIOLATION, reason)
        elif kind is WSMsgType.TEXT:
            self._take(connection, message.data)
        elif kind is WSMsgType.PING:
            connection.write(pong_frame(message.data))
        elif kind is WSMsgType.BINARY:
            connection.close(WSCloseCode.UNSUPPORTED_DATA, "messages must be text")
        return True

    def sweep(self) -> None:
        """Ping, and end what has to end. Called once a second."""
        now = asyncio.get_running_loop().time()
        for connection in tuple(self.connections):
            connection.check(now)
        self._sessions.sweep()

    async def stop(self, timeout_s: float) -> None:
        """Answer what is in flight, tell every client, and wait at most `timeout_s` for their goodbye."""
        deadline = asyncio.get_running_loop().time() + timeout_s
        if self._tasks:
            await asyncio.wait(tuple(self._tasks), timeout=timeout_s)
        shutdown = b'{"event":{"e":"serverShutdown","E":%d}}' % (time.time_ns() // 1_000_000)
        for connection in tuple(self.connections):
            connection.tell(shutdown)
            connection.close(WSCloseCode.GOING_AWAY, "the exchange stops")
        try:
            async with asyncio.timeout_at(deadline):
                await self._nobody.wait()
        except TimeoutError:
            for connection in tuple(self.connections):
                connection.end()

    # ---- requests -------------------------------------------------------------------------------------------------

    def _take(self, connection: Connection, message: str) -> None:
        """Begin what a message asks for."""
        shows_limits = connection.shows_limits
        try:
            request = messages.read(message)
            shows_limits = calls.shows_limits(request.params, shows_limits)
        except Unreadable as error:
            self._refuse(connection, error.id, error.refusal, shows_limits)
            return
        except Refusal as refusal:
            self._refuse(connection, request.id, refusal, shows_limits)
            return
        if connection.in_flight >= self._limits.in_flight_max:
            refusal = Refusal(503, -1008, _BUSY.format(self._limits.in_flight_max), retry_after_s=1)
            self._refuse(connection, request.id, refusal, shows_limits)
            return
        connection.begin()
        task = asyncio.create_task(self._answer(connection, request, shows_limits))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _answer(self, connection: Connection, request: Request, shows_limits: bool) -> None:
        """Do what a request asks for and answer it; whether the client is still there makes no difference."""
        try:
            reply = await self._do(connection, request)
        except Refusal as refusal:
            self._refuse(connection, request.id, refusal, shows_limits)
        except Exception:
            log.exception("a request failed unexpectedly")
            self._refuse(connection, request.id, _BROKEN, shows_limits)
        else:
            body = reply.body if type(reply.body) is bytes else orjson.dumps(reply.body)
            limits = self._limits_of(connection) if shows_limits else b""
            connection.tell(messages.answer(request.id, reply.status, body, limits))
        finally:
            connection.in_flight -= 1

    def _do(self, connection: Connection, request: Request) -> Awaitable[Reply]:
        route = self._routes.get(request.method)
        if route is not None:
            return route.handler(self._venue, calls.route_call(self._venue, connection, route, request.params))
        own = self._own.get(request.method)
        if own is None:
            raise Refusal(400, -1020, "Unknown method.")
        return own(connection, request)

    def _refuse(self, connection: Connection, named: bytes, refusal: Refusal, shows_limits: bool) -> None:
        limits = self._limits_of(connection) if shows_limits else b""
        connection.tell(messages.refusal_answer(named, refusal, limits))

    def _limits_of(self, connection: Connection) -> bytes:
        """What the address of a connection has used, as a member of an answer."""
        return b',"rateLimits":[]'


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
