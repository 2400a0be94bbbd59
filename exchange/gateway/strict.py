"""What the signature of a strict key covers: a request as a whole, and not its parameters alone.

    EXCHANGE-SIGNATURE-1    this form of the text
    POST                    method; of the WebSocket API the name of its method
    127.0.0.1:8080          the Host header as sent, in lower case
    /v1/order               path as sent, without the query
    symbol=BTC_USDT&...     query as sent, without `signature` and its &
    e3b0c442...             SHA-256 of the body as sent, without `signature` and its &, in lower-case hex
    1764041427000           `timestamp`
    vmPUZE6m...             name of the key

Owns the text, one function for both interfaces. Eight lines with a line feed between them and none at the end. No line
can hold a line feed: methods and paths are the router's, a query is printable ASCII, the rest has a form of its own.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable

from exchange.gateway.parameters import without_signature

FORM = "EXCHANGE-SIGNATURE-1"
WS_API_PATH = "/ws-api/v3"

StrictText = Callable[[str, str], bytes]
"""(timestamp, name of the key) to the text of a request."""


def strict_text(method: str, host: str, path: str, query: str, body: bytes, timestamp: str, api_key: str) -> bytes:
    """The text that a strict key signs. `query` and `body` are without the signature.

    Of the WebSocket API: the name of the method, the Host of the handshake, WS_API_PATH, no query, and as body what a
    plain key signs there: all parameters but the signature, sorted by name, `name=value` joined by `&`.
    """
    lines = (FORM, method, host.lower(), path, query, hashlib.sha256(body).hexdigest(), timestamp, api_key)
    return "\n".join(lines).encode("utf-8", "surrogateescape")


def request_text(
    method: str, hosts: Iterable[str], path: str, query: str, body: bytes, timestamp: str, api_key: str
) -> bytes:
    """The text of a REST request, from what was sent; `hosts` is every Host header."""
    form = without_signature(body.decode("ascii")).encode("ascii")
    return strict_text(method, ",".join(hosts), path, without_signature(query), form, timestamp, api_key)
