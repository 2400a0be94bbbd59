"""The messages of the WebSocket API: what a client sends, the bytes that its signature covers, what it is told.

Owns the reading of a request and the writing of an answer. Numbers keep the text that they were sent with (0.10 stays
0.10, 1e-05 stays 1e-05), because that text is what was signed; a parameter is its text from here on, whether it came
as a string or a number; a boolean is `true` or `false`, an array is its JSON. Of a name that stands twice the last one
counts, for the signature as for the request. Never knows a method.

Cost: 1.0 us to read an order with msgspec, 2.8 us with `json` and its `parse_float` (`python -m bench.wsapi --parse`).

Sources: the API contract, sections "Signing" and "Private stream"; RFC 8259.
"""

from __future__ import annotations

import functools
import operator
import re
import time
from collections.abc import Callable
from typing import Any

import msgspec
import orjson

from exchange.gateway.errors import Refusal, mandatory, not_valid
from exchange.gateway.parameters import INT64_MAX, Params, Signed

ID_CHARACTERS_MAX = 36
NO_ID = b"null"
_FORM = "The message must be a JSON object with id, method and params, and nothing else."
_integer = re.compile(rb"-?(?:0|[1-9][0-9]{0,18})").fullmatch
_control = re.compile(r"[\x00-\x1f\x7f]").search


class _Message(msgspec.Struct, forbid_unknown_fields=True):
    method: str
    id: msgspec.Raw = msgspec.Raw(NO_ID)
    params: dict[str, Any] = {}


class _Texts(msgspec.Struct):
    params: dict[str, msgspec.Raw]


class _Named(msgspec.Struct):
    id: msgspec.Raw = msgspec.Raw(NO_ID)


_decode = msgspec.json.Decoder(_Message, float_hook=str).decode
_decode_texts = msgspec.json.Decoder(_Texts).decode
_decode_id = msgspec.json.Decoder(_Named).decode
_decode_text = msgspec.json.Decoder(str).decode
_MALFORMED = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


class Unreadable(Exception):
    """A message that is no request; `id` is the id to answer with."""

    def __init__(self, named: bytes, refusal: Refusal) -> None:
        super().__init__(refusal.msg)
        self.id = named
        self.refusal = refusal


class Request:
    """A well-formed message. `id` is JSON, as it was sent; `params` are texts."""

    __slots__ = ("id", "method", "params")

    def __init__(self, named: bytes, method: str, params: Params) -> None:
        self.id = named
        self.method = method
        self.params = params


def read(message: str) -> Request:
    """The request in a message. Raises Unreadable."""
    try:
        found = _decode(message)
    except _MALFORMED as error:
        raise _unreadable(message, error) from None
    named = bytes(found.id)
    if not (named.isdigit() and len(named) < 19) and not _is_id(named):
        raise Unreadable(NO_ID, not_valid("id"))
    params: dict[str, Any] = found.params
    for name, value in params.items():
        kind = type(value)
        if kind is int and value:  # of nought only the message knows how it was written
            params[name] = str(value)
        elif kind is bool:
            params[name] = "true" if value else "false"
        elif kind is not str:
            try:
                params = _texts(message, params)
            except Refusal as refusal:
                raise Unreadable(named, refusal) from None
            break
    if ("\\" in message or "\x7f" in message) and any(_control(text) for pair in params.items() for text in pair):
        sentence = "Illegal characters found in a parameter; control characters are not allowed."
        raise Unreadable(named, Refusal(400, -1100, sentence))
    return Request(named, found.method, params)


def _texts(message: str, params: dict[str, Any]) -> Params:
    """The same for parameters among which there are others than texts and usual numbers."""
    raw = _decode_texts(message).params
    found: Params = {}
    for name, value in params.items():
        if value is None:
            raise mandatory(name if name.isidentifier() and name.isascii() and len(name) <= 40 else "?")
        text = bytes(raw[name])
        found[name] = value if text.startswith(b'"') else text.decode()
    return found


def _is_id(text: bytes) -> bool:
    if text == NO_ID:
        return True
    if text.startswith(b'"'):
        try:
            return len(_decode_text(text)) <= ID_CHARACTERS_MAX
        except _MALFORMED:
            return False
    return _integer(text) is not None and -INT64_MAX - 1 <= int(text) <= INT64_MAX


def _unreadable(message: str, error: Exception) -> Unreadable:
    if not isinstance(error, msgspec.ValidationError):
        return Unreadable(NO_ID, Refusal(400, -1135, "Invalid JSON Request: the message is not well-formed JSON."))
    try:
        named = bytes(_decode_id(message).id)
    except _MALFORMED:
        named = NO_ID
    is_missing = "`method`" in str(error)
    refusal = mandatory("method") if is_missing else Refusal(400, -1135, f"Invalid JSON Request: {_FORM}")
    return Unreadable(named if _is_id(named) else NO_ID, refusal)


@functools.lru_cache(maxsize=256)
def _payload_of(names: tuple[str, ...]) -> tuple[str, Callable[[Params], Any]]:
    """What is signed of parameters with these names: a form, and what takes the values that it needs out of them."""
    covered = sorted(name for name in names if name != "signature")
    form = "&".join(f"{name.replace('%', '%%')}=%s" for name in covered)
    return form, operator.itemgetter(*covered) if covered else lambda _params: ()


def signed(params: Params) -> Signed:
    """The parameters with what their signature covers: all the others by name, `name=value` joined by `&`, not encoded.

    Clients send the same names again and again, so the form is remembered: 3.8 -> 1.6 us an order.
    """
    form, values = _payload_of(tuple(params))
    return Signed(params, (form % values(params)).encode(), params.get("signature", ""))


def answer(named: bytes, status: int, body: bytes, rate_limits: bytes) -> bytes:
    """The answer to a request that was done. `rate_limits`: `,"rateLimits":[...]` or nothing."""
    return b'{"id":%b,"status":%d,"result":%b%b}' % (named, status, body, rate_limits)


def refusal_answer(named: bytes, refusal: Refusal, rate_limits: bytes) -> bytes:
    """The answer to a request that was refused. What says when to come back is in `data`, in milliseconds."""
    error = refusal.body()
    if refusal.retry_after_s:
        now_ms = time.time_ns() // 1_000_000
        error["data"] = {"serverTime": now_ms, "retryAfter": now_ms + 1_000 * refusal.retry_after_s}
    return b'{"id":%b,"status":%d,"error":%b%b}' % (named, refusal.status, orjson.dumps(error), rate_limits)
