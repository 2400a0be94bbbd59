"""The HTTP server: connections, limits, dispatch, and an answer for everything that comes in.

Owns the bounds on what a client may do to a connection (bytes, time, number) and the way from a request to its route.
aiohttp's low-level server is used without its router and middlewares: a dict lookup takes their place. Every answer is
JSON; an exception that nobody expected becomes a 500 with a sentence and a line in the log, never a stack trace.

    headers    keepalive_timeout bounds idle connections and trickled headers; size and number are bounded by the parser
    body       EXCHANGE_BODY_BYTES, EXCHANGE_BODY_TIMEOUT; a Content-Encoding is refused; read whatever the Content-Type
    answer     a client that takes nothing of its answer for a keepalive_timeout is cut off (`sweep`)
    number     EXCHANGE_CONNECTIONS_MAX; one more is closed at once
"""

from __future__ import annotations

import asyncio
import logging
import socket
import time

from aiohttp import web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.http_parser import RawRequestMessage
from aiohttp.streams import StreamReader
from aiohttp.web_protocol import RequestHandler

from exchange.gateway.errors import Refusal
from exchange.gateway.keys import Key
from exchange.gateway.parameters import check_names, parse
from exchange.gateway.replies import Answer, answer, refusal_answer
from exchange.gateway.routes import ROUTES, Route
from exchange.gateway.signing import Call, authenticate
from exchange.gateway.venue import Venue, shutting_down

log = logging.getLogger("exchange.gateway")
HEADER_BYTES_MAX = 8190
HEADERS_MAX = 64
LINGERING_S = 1.0
BACKLOG = 1024
_UNITS_NS = {None: 1_000_000, "MILLISECOND": 1_000_000, "MICROSECOND": 1_000}
_NOBODY = Key("", "", 0, frozenset())
_BROKEN = Refusal(500, -1000, "The request could not be answered; the operator's log says why.", outcome="unknown")


class Connection(RequestHandler):
    """One client connection; what aiohttp would answer by itself is answered in JSON here."""

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """The answer to a request that is not HTTP, or to an exception that nobody expected; closes the connection."""
        if status < 500:
            refusal = Refusal(status, -1130, "The request is not well-formed HTTP.")
            return refusal_answer(refusal, close=True)
        log.error("a request failed unexpectedly", exc_info=exc)
        return refusal_answer(_BROKEN, close=True)


class _Server(web.Server):
    """Makes our connections, and closes those beyond the limit as soon as they are made."""

    connections_max = 0
    keepalive_timeout_s = 0.0

    def __call__(self) -> RequestHandler:
        return Connection(
            self,
            loop=asyncio.get_running_loop(),
            keepalive_timeout=self.keepalive_timeout_s,
            lingering_time=LINGERING_S,
            max_line_size=HEADER_BYTES_MAX,
            max_field_size=HEADER_BYTES_MAX,
            max_headers=HEADERS_MAX,
            auto_decompress=False,
            access_log=None,  # type: ignore[arg-type]  # None is how aiohttp turns the log off
        )

    def connection_made(self, handler: RequestHandler, transport: asyncio.Transport) -> None:
        super().connection_made(handler, transport)
        if len(self.connections) > self.connections_max:
            transport.abort()


class Gateway:
    """The REST edge of one venue: `start`, then `sweep` once a second, then `stop`."""

    def __init__(self, venue: Venue) -> None:
        self.venue = venue
        self._routes = {(route.method, route.path): route for route in ROUTES}
        self._routes |= {("HEAD", route.path): route for route in ROUTES if route.method == "GET"}
        self._server: _Server | None = None
        self._listener: asyncio.Server | None = None
        self._stuck: dict[RequestHandler, tuple[int, float]] = {}

    async def start(self, host: str, port: int) -> int:
        """Listen; returns the port (a free one for 0). Raises OSError."""
        settings = self.venue.settings
        loop = asyncio.get_running_loop()
        server = _Server(self._handle, request_factory=self._make_request)
        server.connections_max = settings.connections_max
        server.keepalive_timeout_s = settings.keepalive_timeout_s
        self._server = server
        self._listener = await loop.create_server(server, host, port, backlog=BACKLOG, reuse_address=True)
        listening: socket.socket = self._listener.sockets[0]
        return int(listening.getsockname()[1])

    async def stop(self, timeout_s: float) -> None:
        """Take no new connection, let the requests in flight be answered, close the rest after `timeout_s`."""
        self.venue.admitting = False
        if self._listener is not None:
            self._listener.close()
        if self._server is not None:
            self._server.pre_shutdown()
            await self._server.shutdown(timeout_s)

    def sweep(self) -> None:
        """Answer what has waited too long, and cut off clients that do not read. Called once a second."""
        self.venue.give_up_on_late()
        if self._server is None:
            return
        now, limit_s = time.monotonic(), self.venue.settings.keepalive_timeout_s
        stuck: dict[RequestHandler, tuple[int, float]] = {}
        for connection in self._server.connections:
            transport = connection.transport
            unsent = transport.get_write_buffer_size() if transport is not None else 0
            if not unsent or transport is None:
                continue
            before, since = self._stuck.get(connection, (0, now))
            if unsent != before:
                since = now
            if now - since >= limit_s:
                transport.abort()
            else:
                stuck[connection] = (unsent, since)
        self._stuck = stuck

    def _make_request(
        self,
        message: RawRequestMessage,
        payload: StreamReader,
        protocol: RequestHandler,
        writer: AbstractStreamWriter,
        task: asyncio.Task[None],
    ) -> web.BaseRequest:
        return web.BaseRequest(
            message,
            payload,
            protocol,
            writer,
            task,
            asyncio.get_running_loop(),
            client_max_size=self.venue.settings.body_bytes,
        )

    async def _handle(self, request: web.BaseRequest) -> Answer:
        try:
            path, _, query = request.raw_path.partition("?")
            route = self._routes.get((request.method, path))
            if route is None:
                return self._no_route(request.method, path)
            content = request.content
            body = content.read_nowait() if content.is_eof() else await self._slow_body(request)
            call = self._call(route, request, query, body)
            return answer(await route.handler(self.venue, call))
        except Refusal as refusal:
            return refusal_answer(refusal, close=refusal.status in (408, 413))

    def _no_route(self, method: str, path: str) -> Answer:
        methods = sorted(other for other, known in self._routes if known == path)
        if methods:
            sentence = f"This path knows {', '.join(methods)} and not the method that was sent."
            return refusal_answer(Refusal(405, -1020, sentence), allow=", ".join(methods))
        return refusal_answer(Refusal(404, -1020, "There is no endpoint at this path."))

    def _call(self, route: Route, request: web.BaseRequest, query: str, body: bytes) -> Call:
        """Everything between the bytes and the route: limits, parameters, signature."""
        headers = request.headers
        if not self.venue.admitting and route.permission is not None:
            raise shutting_down()
        if len(body) > self.venue.settings.body_bytes:
            raise self._too_large()
        if "Content-Encoding" in headers:
            raise Refusal(415, -1130, "A body with a Content-Encoding is not accepted.")
        unit_ns = _UNITS_NS.get(headers.get("X-MBX-TIME-UNIT"))
        if unit_ns is None:
            raise Refusal(400, -1194, "Invalid time unit; expected either MICROSECOND or MILLISECOND.")
        signed = parse(query, body)
        if route.permission is None:
            call = Call(_NOBODY, signed.params, 0, 0, unit_ns)
        else:
            api_keys = headers.getall("X-MBX-APIKEY", [])
            call = authenticate(self.venue.keys, api_keys, signed, route.permission, unit_ns)
        check_names(signed.params, route.parameters)
        return call

    def _too_large(self) -> Refusal:
        return Refusal(413, -1130, f"The body is larger than {self.venue.settings.body_bytes} bytes.")

    async def _slow_body(self, request: web.BaseRequest) -> bytes:
        """A body that did not come with its headers, bounded in bytes and in time."""
        settings = self.venue.settings
        if (request.content_length or 0) > settings.body_bytes:
            raise self._too_large()
        if request.headers.get("Expect", "").lower() == "100-continue" and request.transport is not None:
            request.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        try:
            async with asyncio.timeout(settings.body_timeout_s):
                return await request.read()
        except TimeoutError:
            raise Refusal(408, -1130, f"The body did not arrive within {settings.body_timeout_s:g} s.") from None
        except web.HTTPRequestEntityTooLarge:
            raise self._too_large() from None
        except web.RequestPayloadError:
            raise Refusal(400, -1130, "The body is not well-formed HTTP.") from None
