"""What a route gives back, and how it becomes the bytes of an HTTP answer.

Owns the head of every answer. An answer is written to the connection in one piece, head and body: aiohttp's own
response takes 20 us more (`python -m bench.rest`). Answers are never cached and never compressed.
"""

from __future__ import annotations

import email.utils
import http
import time
from typing import Any, NamedTuple

import orjson
from aiohttp import web
from aiohttp.abc import AbstractStreamWriter

from exchange.gateway.errors import Refusal

SEQUENCE_HEADER = "X-Exchange-Sequence"
_STATUS_LINES = {status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode() for status in http.HTTPStatus}
_DATE: list[bytes | int] = [0, b""]


class Reply(NamedTuple):
    """What a route answers: a JSON value or its bytes, and the sequence that it is current to (0: none)."""

    body: Any
    sequence: int = 0
    status: int = 200


def _date_line() -> bytes:
    """The Date header, made once a second."""
    now = int(time.time())
    if _DATE[0] != now:
        _DATE[:] = [now, f"Date: {email.utils.formatdate(now, usegmt=True)}\r\n".encode()]
    line = _DATE[1]
    assert isinstance(line, bytes)
    return line


class Answer(web.StreamResponse):
    """A whole HTTP answer as bytes, in the shape that aiohttp's connection writes."""

    def __init__(self, head: bytes, body: bytes, *, close: bool = False) -> None:
        # The base class builds header tables that this answer does not use, so its constructor is not called.
        self._head = head
        self._content = body
        self._close = close
        self._writer: AbstractStreamWriter | None = None
        self._keep = False

    @property
    def keep_alive(self) -> bool:
        """Whether the connection goes on after this answer."""
        return self._keep

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        """Write everything; a connection that is gone takes nothing."""
        self._keep = request.keep_alive and not self._close
        transport = request.transport
        if transport is None:
            return None
        connection = b""
        if not self._keep:
            connection = b"Connection: close\r\n"
        elif request.version < (1, 1):
            connection = b"Connection: keep-alive\r\n"
        body = b"" if request.method == "HEAD" else self._content
        transport.write(b"".join((self._head, connection, b"\r\n", body)))
        self._writer = request.writer
        return self._writer

    async def write_eof(self, data: bytes = b"") -> None:
        """Wait until a client that reads slowly has taken what it was sent before."""
        if self._writer is not None:
            await self._writer.drain()


def _head(status: int, length: int, more: bytes) -> bytes:
    return b"%sContent-Type: application/json\r\nCache-Control: no-store\r\n%s%sContent-Length: %d\r\n" % (
        _STATUS_LINES[status],
        _date_line(),
        more,
        length,
    )


def answer(reply: Reply) -> Answer:
    """The answer of a route that did what it was asked."""
    body = reply.body if type(reply.body) is bytes else orjson.dumps(reply.body)
    more = b"X-Exchange-Sequence: %d\r\n" % reply.sequence if reply.sequence else b""
    return Answer(_head(reply.status, len(body), more), body)


def refusal_answer(refusal: Refusal, *, close: bool = False, allow: str = "") -> Answer:
    """The answer to a request that was refused; `allow` lists the methods of a path for 405."""
    body = orjson.dumps(refusal.body())
    more = b""
    if refusal.retry_after_s:
        more += b"Retry-After: %d\r\n" % refusal.retry_after_s
    if allow:
        more += b"Allow: %s\r\n" % allow.encode()
    return Answer(_head(refusal.status, len(body), more), body, close=close)
