"""The HTTP server: connections, limits, dispatch, and an answer for everything that comes in.

Owns the bounds on what a client may do to a connection (bytes, time, number) and the way from a request to its route.
aiohttp's low-level server is used without its router and middlewares: a dict lookup takes their place. Every answer is
JSON but the pages of `exchange/gateway/openapi/pages.py`; an exception that nobody expected becomes a 500 with a
sentence and a line in the log, never a stack trace.

    headers    keepalive_timeout bounds idle connections and trickled headers; size and number are bounded by the parser
    body       EXCHANGE_BODY_BYTES, EXCHANGE_BODY_TIMEOUT; a Content-Encoding is refused; read whatever the Content-Type
    answer     a client that takes nothing of its answer for a keepalive_timeout is cut off (`sweep`); a WebSocket has
               bounds of its own
    number     EXCHANGE_CONNECTIONS_MAX; one more is closed at once
"""

from __future__ import annotations

import asyncio
import functools
import logging
import socket
import time
from collections.abc import Mapping

from aiohttp import web
from aiohttp.http_parser import RawRequestMessage
from aiohttp.streams import StreamReader
from aiohttp.web_protocol import RequestHandler
from multidict import CIMultiDictProxy

from exchange.gateway.address import Address, client_address, limited_client
from exchange.gateway.connection import Connection, Respond
from exchange.gateway.errors import Refusal
from exchange.gateway.forms import BearerCall, FormCall, bearer_session, users_of
from exchange.gateway.limits import Usage, weight_lines
from exchange.gateway.openapi.pages import PATHS, page
from exchange.gateway.parameters import check_names, parse
from exchange.gateway.replies import Answer, answer, refusal_answer
from exchange.gateway.routes import ROUTES, Access, Route
from exchange.gateway.signing import Call, anonymous, authenticate, keyed
from exchange.gateway.strict import request_text
from exchange.gateway.venue import Venue, shutting_down
from exchange.gateway.weights import FREE, UNKNOWN
from exchange.gateway.ws_api.server import WsApi
from exchange.marketdata.server import SHUTDOWN_S_MIN, SHUTDOWN_WAITS, Door, Socket

log = logging.getLogger("exchange.gateway")
Headers = CIMultiDictProxy[str]
BACKLOG = 1024
_READING = ("GET", "HEAD")
_UNITS_NS = {
    None: 1_000_000,
    "MILLISECOND": 1_000_000,
    "MICROSECOND": 1_000,
    "millisecond": 1_000_000,
    "microsecond": 1_000,
}
_BROKEN = Refusal(500, -1000, "The request could not be answered; the operator's log says why.", outcome="unknown")


class _Server(web.Server):
    """Makes our connections, and closes those beyond the limit as soon as they are made."""

    def __init__(
        self, respond: Respond, sockets: Mapping[str, Socket], *, keepalive_timeout_s: float, connections_max: int
    ) -> None:
        super().__init__(_never)
        self._respond = respond
        self._sockets = sockets
        self._keepalive_timeout_s = keepalive_timeout_s
        self._connections_max = connections_max
        self._handed_over = 0
        """Connections that are WebSockets now: who serves them has bounds of their own."""

    def __call__(self) -> RequestHandler:
        return Connection(
            self,
            self._respond,
            self._sockets,
            keepalive_timeout_s=self._keepalive_timeout_s,
            on_socket=self._count_socket,
        )

    def _count_socket(self, more: int) -> None:
        self._handed_over += more

    def connection_made(self, handler: RequestHandler, transport: asyncio.Transport) -> None:
        super().connection_made(handler, transport)
        if len(self.connections) - self._handed_over > self._connections_max:
            transport.abort()


async def _never(_request: web.BaseRequest) -> web.StreamResponse:
    """What aiohttp's own loop would call; ours takes its place."""
    raise NotImplementedError


class Gateway:
    """The REST edge of one venue: `start`, then `sweep` once a second, then `close` and `stop`."""

    def __init__(self, venue: Venue, ws_api: WsApi | None = None) -> None:
        self.venue = venue
        self.ws_api = ws_api or WsApi(venue)
        sockets = {"ws-api": self.ws_api.socket, "ws": self._streams, "stream": self._streams}
        self._sockets = {name: self.admitted(socket) for name, socket in sockets.items()}
        self._routes = {(route.method, route.path): route for route in ROUTES}
        self._routes |= {("HEAD", route.path): route for route in ROUTES if route.method == "GET"}
        self._server: _Server | None = None
        self._listener: asyncio.Server | None = None
        self._stuck: dict[RequestHandler, tuple[int, float]] = {}

    @property
    def door(self) -> Door:
        """What the clients of the streams' own port pass: the same limits, and the WebSocket API there too."""
        return Door(self.admitted, self._host, {"ws-api": self.ws_api.socket})

    async def _streams(self, request: web.BaseRequest) -> web.StreamResponse:
        return await self.venue.market_data.serve(request, self._host(request))

    def _host(self, request: web.BaseRequest) -> str:
        return str(self.address(request.headers, request.transport)) if request.transport is not None else ""

    async def start(self, host: str, port: int) -> int:
        """Listen; returns the port (a free one for 0). Raises OSError."""
        settings = self.venue.settings
        loop = asyncio.get_running_loop()
        server = _Server(
            self._respond,
            self._sockets,
            keepalive_timeout_s=settings.keepalive_timeout_s,
            connections_max=settings.connections_max,
        )
        self._server = server
        self._listener = await loop.create_server(server, host, port, backlog=BACKLOG, reuse_address=True)
        listening: socket.socket = self._listener.sockets[0]
        return int(listening.getsockname()[1])

    def close(self) -> None:
        """Take no new connection and no new request."""
        self.venue.admitting = False
        if self._listener is not None:
            self._listener.close()

    async def stop(self, timeout_s: float) -> None:
        """After `close`: let the requests in flight be answered, close the rest; done within about `timeout_s`."""
        self.close()
        deadline = time.monotonic() + timeout_s
        await self.ws_api.stop(timeout_s)
        if self._server is not None:
            self._server.pre_shutdown()
            await self._server.shutdown(max(SHUTDOWN_S_MIN, deadline - time.monotonic()) / SHUTDOWN_WAITS)

    def sweep(self) -> None:
        """Answer what has waited too long, and cut off clients that do not read. Called once a second."""
        self.venue.give_up_on_late()
        self.venue.listen_keys.sweep()
        self.ws_api.sweep()
        if self._server is None:
            return
        now, limit_s = time.monotonic(), self.venue.settings.keepalive_timeout_s
        stuck: dict[RequestHandler, tuple[int, float]] = {}
        for connection in self._server.connections:
            transport = connection.transport
            unsent = transport.get_write_buffer_size() if transport is not None else 0
            if not unsent or transport is None or not isinstance(connection, Connection) or connection.is_socket:
                continue
            before, since = self._stuck.get(connection, (0, now))
            if unsent != before:
                since = now
            if now - since >= limit_s:
                transport.abort()
            else:
                stuck[connection] = (unsent, since)
        self._stuck = stuck

    async def _respond(
        self, message: RawRequestMessage | None, payload: StreamReader, transport: asyncio.Transport
    ) -> Answer:
        """The answer to anything that comes in; it tells what the address has used."""
        limits, usage = self.venue.limits, self._usage(message.headers if message is not None else None, transport)
        method, target = (message.method, message.path) if message is not None else ("", "")
        path, _, query = target.partition("?")
        route = self._routes.get((method, path))
        weight = route.weight if route is not None else FREE if path in PATHS else UNKNOWN
        allow = ""
        try:
            limits.enter(usage, weight)
            if message is None:
                raise Refusal(400, -1130, "The request is not well-formed HTTP.")
            headers = message.headers
            if route is None and path in PATHS and method in _READING:
                accepted, known = headers.get("Accept-Encoding", ""), headers.get("If-None-Match", "")
                return (await page(path)).answer(accepted, known, weight_lines(usage.weight))
            if route is None:
                allow = ", ".join(_READING if path in PATHS else self._methods(path))
                raise _no_route(allow)
            body = payload.read_nowait() if payload.is_eof() else await self._slow_body(headers, payload, transport)
            call = self._call(route, message, query, body, transport, usage)
            reply = await route.handler(self.venue, call)
            return answer(reply, self._limit_lines(usage, reply.placed_by))
        except Refusal as refusal:
            usage.weight += weight.failed
            close = refusal.status in (408, 413)
            return refusal_answer(refusal, self._limit_lines(usage, refusal.placed_by), close=close, allow=allow)
        except ConnectionError:
            raise
        except Exception:
            log.exception("a request failed unexpectedly")
            return refusal_answer(_BROKEN, weight_lines(usage.weight), close=True)

    def _limit_lines(self, usage: Usage, placed_by: int) -> bytes:
        """The header lines about limits; of the account's unfilled orders too when it has `placed_by` one."""
        lines = weight_lines(usage.weight)
        return lines + self.venue.limits.orders.headers(placed_by) if placed_by else lines

    def _usage(self, headers: Headers | None, transport: asyncio.BaseTransport) -> Usage:
        """What the address that a request comes from has used."""
        trusted = self.venue.settings.trusted_proxies
        forwarded = headers.getall("X-Forwarded-For", []) if trusted and headers is not None else ()
        return self.venue.limits.of(limited_client(transport.get_extra_info("peername"), forwarded, trusted))

    def admitted(self, socket: Socket) -> Socket:
        """The same socket, for addresses that may open one more."""

        async def serve(request: web.BaseRequest) -> web.StreamResponse:
            if request.transport is None:
                raise ConnectionResetError
            usage = self._usage(request.headers, request.transport)
            try:
                self.venue.limits.admit_connection(usage)
            except Refusal as refusal:
                response: web.StreamResponse = web.json_response(refusal.body(), status=refusal.status)
                response.headers["Retry-After"] = str(refusal.retry_after_s)
            else:
                response = await socket(request)
            if not response.prepared:  # a handshake that was refused
                response.headers["X-MBX-USED-WEIGHT"] = response.headers["X-MBX-USED-WEIGHT-1M"] = str(usage.weight)
            return response

        return serve

    def _methods(self, path: str) -> list[str]:
        return sorted(method for method, known in self._routes if known == path)

    def _call(
        self,
        route: Route,
        message: RawRequestMessage,
        query: str,
        body: bytes,
        transport: asyncio.Transport,
        usage: Usage,
    ) -> Call | FormCall:
        """Everything between the bytes and the route: limits, parameters, and whose request it is."""
        access, headers = route.access, message.headers
        if not self.venue.admitting and access is not Access.PUBLIC:
            raise shutting_down()
        if len(body) > self.venue.settings.body_bytes:
            raise self._too_large()
        if "Content-Encoding" in headers:
            raise Refusal(415, -1130, "A body with a Content-Encoding is not accepted.")
        unit_ns = _UNITS_NS.get(headers.get("X-MBX-TIME-UNIT"))
        if unit_ns is None:
            raise Refusal(400, -1194, "Invalid time unit; expected either MICROSECOND or MILLISECOND.")
        if query and access in (Access.FORM, Access.BEARER):
            raise Refusal(400, -1101, "This endpoint takes no query: send the parameters as a form body.")
        signed = parse(query, body)
        if route.weight.more is not None:
            self.venue.limits.add(usage, route.weight.more(signed.params))
        face = self.venue.faces[route.face]
        call: Call | FormCall
        if access is Access.SIGNED or access is Access.KEYED:
            keys, api_keys = self.venue.keys, headers.getall("X-MBX-APIKEY", [])
            client = functools.partial(self.address, headers, transport)
            assert route.permission is not None
            if access is Access.SIGNED:
                hosts = headers.getall("Host", [])
                strict = functools.partial(request_text, message.method, hosts, route.path, query, body)
                call = authenticate(face, keys, api_keys, signed, route.permission, unit_ns, client, strict)
            else:
                call = keyed(face, keys, api_keys, signed.params, route.permission, unit_ns, client)
        elif access is Access.PUBLIC:
            call = anonymous(face, signed.params, unit_ns)
        elif access is Access.BEARER:
            session = bearer_session(users_of(self.venue), headers.getall("Authorization", []))
            call = BearerCall(signed, self.address(headers, transport), unit_ns, session)
        else:
            call = FormCall(signed, self.address(headers, transport), unit_ns)
        check_names(signed.params, route.parameters)
        return call

    def address(self, headers: Headers, transport: asyncio.Transport) -> Address:
        """Where a request comes from."""
        forwarded = headers.getall("X-Forwarded-For", [])
        return client_address(transport.get_extra_info("peername"), forwarded, self.venue.settings.trusted_proxies)

    def _too_large(self) -> Refusal:
        return Refusal(413, -1130, f"The body is larger than {self.venue.settings.body_bytes} bytes.")

    async def _slow_body(self, headers: Headers, payload: StreamReader, transport: asyncio.Transport) -> bytes:
        """A body that did not come with its headers, bounded in bytes and in time."""
        settings = self.venue.settings
        if int(headers.get("Content-Length", "0")) > settings.body_bytes:
            raise self._too_large()
        if headers.get("Expect", "").lower() == "100-continue":
            transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        body = bytearray()
        try:
            async with asyncio.timeout(settings.body_timeout_s):
                while chunk := await payload.readany():
                    body += chunk
                    if len(body) > settings.body_bytes:
                        raise self._too_large()
        except TimeoutError:
            raise Refusal(408, -1130, f"The body did not arrive within {settings.body_timeout_s:g} s.") from None
        except web.RequestPayloadError:
            raise Refusal(400, -1130, "The body is not well-formed HTTP.") from None
        return bytes(body)


def _no_route(allow: str) -> Refusal:
    """`allow`: the methods that the path knows."""
    if allow:
        return Refusal(405, -1020, f"This path knows {allow} and not the method that was sent.")
    return Refusal(404, -1020, "There is no endpoint at this path.")
