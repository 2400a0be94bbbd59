"""Query and body to parameters, once and strictly.

Owns the splitting of `name=value&name=value`, percent-decoding, and the refusal of duplicates, unknown names and empty
values. Body and query are one set of parameters, whatever the Content-Type says: clients differ. Never guesses: a piece
that is not `name=value`, a byte that is not ASCII, a broken percent escape or a control character is refused.
"""

from __future__ import annotations

import re
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

from exchange.gateway.errors import Refusal, illegal_characters, mandatory, out_of_range

CLIENT_ID_PATTERN = "^[a-zA-Z0-9-_]{1,36}$"
INTEGER_PATTERN = "^[0-9]{1,20}$"
INT64_MAX = (1 << 63) - 1
_MICROSECONDS_FROM = 10**14
"""A time of this size or more is in microseconds: in milliseconds it would be the year 5138."""
_client_id = re.compile(r"[a-zA-Z0-9_-]{1,36}", re.ASCII).fullmatch
_digits = re.compile(r"[0-9]{1,20}", re.ASCII).fullmatch
_special = re.compile(r"[%+\x00-\x1f\x7f]").search
_ESCAPES = b"%+\x7f" + bytes(range(32))
_control = re.compile(r"[\x00-\x1f\x7f]").search
_NOT_ASCII = "Illegal characters found in the {}; bytes that are not ASCII must be percent-encoded."
_broken_escape = re.compile(r"%(?![0-9a-fA-F]{2})").search

Params = dict[str, str]


class Signed(NamedTuple):
    """What came, and the bytes that its signature covers (query and body without the signature, nothing between)."""

    params: Params
    payload: bytes
    signature: str


def _decoded(text: str) -> str:
    if _broken_escape(text):
        raise Refusal(400, -1100, "Illegal characters found in a parameter; '%' must be followed by two hex digits.")
    try:
        return unquote_to_bytes(text.replace("+", " ")).decode("utf-8")
    except UnicodeDecodeError:
        raise Refusal(400, -1100, "Illegal characters found in a parameter; its bytes are not UTF-8.") from None


def _pairs(pieces: list[str]) -> Params:
    """Pieces to parameters, percent escapes included; the slow path, which also finds out what is wrong."""
    params: Params = {}
    for piece in pieces:
        name, equals, value = piece.partition("=")
        if not equals or not name:
            raise Refusal(400, -1100, "Illegal characters found in the parameters; each must be name=value.")
        name, value = _decoded(name), _decoded(value)
        if _control(name) or _control(value):
            raise Refusal(400, -1100, "Illegal characters found in a parameter; control characters are not allowed.")
        if name in params:
            raise Refusal(400, -1101, "Duplicate values for a parameter detected.")
        params[name] = value
    return params


def without_signature(text: str) -> str:
    """A query or a form without its signature, and without the `&` that joined it."""
    return "&".join(piece for piece in text.split("&") if not piece.startswith("signature="))


def parse(query: str, body: bytes) -> Signed:
    """Parameters of a request; `query` as sent, without the question mark. Raises Refusal.

    The signature is "" when there is none. Parameters keep it under "signature", so that it counts as known.
    """
    try:
        form = body.decode("ascii")
    except UnicodeDecodeError:
        raise Refusal(400, -1100, _NOT_ASCII.format("body")) from None
    if not query.isascii():
        raise Refusal(400, -1100, _NOT_ASCII.format("query"))
    joined = f"{query}&{form}" if query and form else query or form
    pieces = joined.split("&") if joined else []
    plain = len(body.translate(None, _ESCAPES)) == len(body) and (not query or _special(query) is None)
    if not plain:
        params = _pairs(pieces)
    else:
        try:
            params = dict([piece.split("=", 1) for piece in pieces])
        except ValueError:
            params = _pairs(pieces)
        if len(params) != len(pieces) or "" in params:
            params = _pairs(pieces)
    signature = params.get("signature", "")
    if not signature:
        return Signed(params, f"{query}{form}".encode("ascii"), "")
    head, mark, tail = form.rpartition("&signature=")
    payload = query + head if mark and "&" not in tail else without_signature(query) + without_signature(form)
    return Signed(params, payload.encode("ascii"), signature)


def unit_of(stamp: int) -> int:
    """The unit of a time that a client sent, in nanoseconds: milliseconds or microseconds, told by their size."""
    return 1_000 if stamp >= _MICROSECONDS_FROM else 1_000_000


def microseconds(stamp: int) -> int:
    """A time that a client sent, in whichever unit, in microseconds."""
    return stamp * unit_of(stamp) // 1_000


def check_names(params: Params, allowed: frozenset[str]) -> None:
    """Refuses names that the endpoint does not know and values that are empty."""
    if not params.keys() <= allowed:
        unknown = min(params.keys() - allowed)
        shown = unknown if unknown.isascii() and unknown.isidentifier() and len(unknown) <= 40 else "?"
        raise Refusal(400, -1103, f"An unknown parameter was sent: '{shown}'.")
    if "" in params.values():
        empty = next(name for name, value in params.items() if not value)
        if empty == "newClientOrderId":
            raise Refusal(400, -1118, "New client order ID was empty.")
        if empty == "origClientOrderId":
            raise Refusal(400, -1119, "Original client order ID was empty.")
        raise Refusal(400, -1105, f"Parameter '{empty}' was empty.")


def client_id(params: Params, name: str) -> str:
    """A client order id, or "" when it was not sent."""
    text = params.get(name, "")
    if text and not _client_id(text):
        raise illegal_characters(name, CLIENT_ID_PATTERN)
    return text


def integer(params: Params, name: str, *, low: int = 0, high: int = INT64_MAX, default: int | None = None) -> int:
    """A whole number in [low, high]; `default` when it was not sent (None: it must be)."""
    text = params.get(name)
    if text is None:
        if default is None:
            raise mandatory(name)
        return default
    if not _digits(text):
        raise illegal_characters(name, INTEGER_PATTERN)
    value = int(text)
    if not low <= value <= high:
        raise out_of_range(name, low, high)
    return value
