"""What a route gives back, and how it becomes the bytes of an HTTP answer.

Owns the head of every answer. An answer is written to the connection in one piece, head and body. Answers are never
cached and never compressed.
"""

from __future__ import annotations

import email.utils
import http
import time
from typing import Any, NamedTuple

import orjson

from exchange.gateway.errors import Refusal

_STATUS_LINES = {status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode() for status in http.HTTPStatus}
_DATE: list[bytes | int] = [0, b""]


class Reply(NamedTuple):
    """What a route answers: a JSON value or its bytes, and the sequence that it is current to (0: none).

    `placed_by`: the account whose order was accepted and whose unfilled orders the answer tells (0: none was).
    """

    body: Any
    sequence: int = 0
    status: int = 200
    placed_by: int = 0


def status_line(status: int) -> bytes:
    """The first line of an answer."""
    return _STATUS_LINES[status]


def date_line() -> bytes:
    """The Date header, made once a second."""
    now = int(time.time())
    if _DATE[0] != now:
        _DATE[:] = [now, f"Date: {email.utils.formatdate(now, usegmt=True)}\r\n".encode()]
    line = _DATE[1]
    assert isinstance(line, bytes)
    return line


class Answer(NamedTuple):
    """An HTTP answer: its head but for the line about the connection, its body, and whether it is the last."""

    head: bytes
    body: bytes
    close: bool = False

    def encode(self, *, goes_on: bool, old: bool, is_head: bool) -> bytes:
        """The bytes to write. `old`: to an HTTP/1.0 client; `is_head`: without the body."""
        connection = b""
        if not goes_on:
            connection = b"Connection: close\r\n"
        elif old:
            connection = b"Connection: keep-alive\r\n"
        return b"%b%b\r\n%b" % (self.head, connection, b"" if is_head else self.body)


def _head(status: int, length: int, more: bytes) -> bytes:
    return b"%sContent-Type: application/json\r\nCache-Control: no-store\r\n%s%sContent-Length: %d\r\n" % (
        _STATUS_LINES[status],
        date_line(),
        more,
        length,
    )


def answer(reply: Reply, more: bytes) -> Answer:
    """The answer of a route that did what it was asked; `more` are header lines about limits."""
    body = reply.body if type(reply.body) is bytes else orjson.dumps(reply.body)
    if reply.sequence:
        more += b"X-Exchange-Sequence: %d\r\n" % reply.sequence
    return Answer(_head(reply.status, len(body), more), body)


def refusal_answer(refusal: Refusal, more: bytes, *, close: bool = False, allow: str = "") -> Answer:
    """The answer to a request that was refused; `allow` lists the methods of a path for 405."""
    body = orjson.dumps(refusal.body())
    if refusal.retry_after_s:
        more += b"Retry-After: %d\r\n" % refusal.retry_after_s
    if allow:
        more += b"Allow: %s\r\n" % allow.encode()
    return Answer(_head(refusal.status, len(body), more), body, close)
