"""One client connection: takes requests from aiohttp's parser one after the other and writes one answer for each.

Owns the loop of a connection, which takes the place of aiohttp's own: that one makes a task, a request object and a
writer for every request, 15 of the 39 us of a bare POST echo (`python -m bench.rest`). Parsing, limits of the parser,
keep-alive timers, flow control and the end of a connection stay aiohttp's. Never interprets a request.

Invariants: answers leave in the order of the requests; a request that is not HTTP, wants an upgrade, or has a body
that does not end within LINGERING_S of its answer, is the last of its connection. A path that belongs to a socket
(`Socket`) is handed over for good, with aiohttp's own request object. Source: `RequestHandler.start` of aiohttp 3.14,
whose attributes this loop uses; the lock files pin it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Mapping

from aiohttp import web
from aiohttp.http_parser import RawRequestMessage
from aiohttp.http_writer import StreamWriter
from aiohttp.streams import StreamReader
from aiohttp.web_protocol import RequestHandler

from exchange.gateway.replies import Answer
from exchange.marketdata.server import Socket

log = logging.getLogger("exchange.gateway")
HEADER_BYTES_MAX = 8190
HEADERS_MAX = 64
LINGERING_S = 1.0

Respond = Callable[[RawRequestMessage | None, StreamReader, asyncio.Transport], Awaitable[Answer]]
"""Answers a request, or what came and is not HTTP (None)."""


def first_segment(path: str) -> str:
    """What stands between the first two slashes of a request's path: "ws" of /ws/btcusdt@trade?timeUnit=..."""
    return path[1:].partition("?")[0].partition("/")[0]


class Connection(RequestHandler):
    """Calls `respond` for each request and writes what it returns; it never raises."""

    __slots__ = ("_on_socket", "_respond", "_sockets", "is_socket")

    def __init__(
        self,
        server: web.Server,
        respond: Respond,
        sockets: Mapping[str, Socket],
        *,
        keepalive_timeout_s: float,
        on_socket: Callable[[int], None],
    ) -> None:
        """`on_socket` is called with 1 when the connection becomes a socket and with -1 at the end of that."""
        super().__init__(
            server,
            loop=asyncio.get_running_loop(),
            keepalive_timeout=keepalive_timeout_s,
            max_line_size=HEADER_BYTES_MAX,
            max_field_size=HEADER_BYTES_MAX,
            max_headers=HEADERS_MAX,
            auto_decompress=False,
            access_log=None,  # type: ignore[arg-type]  # None is how aiohttp turns the log off
        )
        self._respond = respond
        self._sockets = sockets
        self.is_socket = False
        self._on_socket = on_socket

    async def start(self) -> None:
        """The loop of the connection; aiohttp runs it as a task from the moment the connection is made."""
        try:
            while not self._force_close:
                if not self._messages:
                    await self._wait_for_message()
                message, payload = self._messages.popleft()
                if self._parser is not None:
                    self._parser.message_consumed()
                if self._buffer_paused and len(self._messages) <= self._msg_queue_resume_size:
                    self._resume_reading_if_drained()
                self._request_in_progress = True
                try:
                    goes_on = await self._serve(message, payload)
                finally:
                    self._request_in_progress = False
                    if self._handler_waiter is not None and not self._handler_waiter.done():
                        self._handler_waiter.set_result(None)
                if not goes_on or self._close or self._force_close:
                    break
                self._arm_keepalive()
        except ConnectionError:
            pass
        except BaseException:
            self.force_close()
            raise
        if not self._force_close and self.transport is not None:
            self._task_handler = None
            self.transport.close()

    async def _wait_for_message(self) -> None:
        self._waiter = self._loop.create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def _arm_keepalive(self) -> None:
        self._next_keepalive_close_time = self._loop.time() + self._keepalive_timeout
        if self._keepalive_handle is None:
            self._keepalive_handle = self._loop.call_at(self._next_keepalive_close_time, self._process_keepalive)

    async def _serve(self, message: object, payload: StreamReader) -> bool:
        """Answer one request; returns whether the connection goes on after it."""
        transport = self.transport
        if transport is None:
            return False
        if not isinstance(message, RawRequestMessage):
            answer = await self._respond(None, payload, transport)
            transport.write(answer.encode(goes_on=False, old=False, is_head=False))
            return False
        socket = self._sockets.get(first_segment(message.path))
        if socket is not None:
            await self._hand_over(socket, message, payload)
            return False
        answer = await self._respond(message, payload, transport)
        goes_on = not (message.should_close or message.upgrade or answer.close)
        if self.transport is None:
            return False
        old = message.version < (1, 1)
        transport.write(answer.encode(goes_on=goes_on, old=old, is_head=message.method == "HEAD"))
        if self._paused:
            await self._drain_helper()
        return goes_on if payload.is_eof() else await self._drop(payload) and goes_on

    async def _hand_over(self, socket: Socket, message: RawRequestMessage, payload: StreamReader) -> None:
        assert self._task_handler is not None
        self.is_socket = True
        self._on_socket(1)
        writer = StreamWriter(self, self._loop)
        request = web.BaseRequest(message, payload, self, writer, self._task_handler, self._loop)
        try:
            response = await socket(request)
            if not response.prepared:
                await response.prepare(request)
            await response.write_eof()
        except ConnectionError:
            raise
        except Exception:
            log.exception("a socket failed unexpectedly")
        finally:
            self._on_socket(-1)

    async def _drop(self, payload: StreamReader) -> bool:
        """Read and forget what is left of a body, for a moment; returns whether it has ended."""
        with contextlib.suppress(TimeoutError, web.RequestPayloadError):
            async with asyncio.timeout(LINGERING_S):
                while not payload.is_eof():
                    await payload.readany()
        return payload.is_eof()
