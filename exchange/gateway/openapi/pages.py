"""The pages for people and the two documents, as HTTP answers: /docs, /docs/..., /openapi.json, /asyncapi.json.

Owns their heads: content types, caching, and what a browser may do there. Everything a page needs is served from
`assets/`: nothing is loaded from elsewhere, no script stands in a page, nothing is sent elsewhere. Swagger UI is
release 5.35.0, whose two files are kept as the bytes that browsers get. A page is made at the first request for it, by
a thread, because a document takes longer than orders may wait.
"""

from __future__ import annotations

import asyncio
import functools
import gzip
import hashlib
import pathlib
from typing import NamedTuple

import orjson

from exchange.gateway.openapi import asyncapi, streams_page
from exchange.gateway.openapi.document import document
from exchange.gateway.replies import Answer, date_line, status_line

_ASSETS = pathlib.Path(__file__).parent / "assets"
_HTML, _CSS, _SCRIPT = b"text/html; charset=utf-8", b"text/css; charset=utf-8", b"text/javascript; charset=utf-8"
_JSON = b"application/json"
_POLICY = b"; ".join(
    (
        b"default-src 'none'",
        b"script-src 'self'",
        b"style-src 'self'",
        b"img-src 'self' data:",
        b"connect-src 'self'",
        b"base-uri 'none'",
        b"form-action 'none'",
        b"frame-ancestors 'none'",
    )
)
_EVERYWHERE = (
    b"Content-Security-Policy: " + _POLICY + b"\r\n"
    b"X-Content-Type-Options: nosniff\r\n"
    b"Referrer-Policy: no-referrer\r\n"
    b"Cache-Control: no-cache\r\n"
    b"Vary: Accept-Encoding\r\n"
)


class Page(NamedTuple):
    """What stands at a path: plain bytes and the same gzipped, or "" where that is not worth it."""

    content_type: bytes
    plain: bytes
    zipped: bytes
    tag: str

    def answer(self, accepted: str, known: str, more: bytes) -> Answer:
        """The answer to a client that accepts some encodings and knows a version; `more` are header lines."""
        is_zipped = bool(self.zipped) and "gzip" in accepted
        tag = f'"{self.tag}-gzip"' if is_zipped else f'"{self.tag}"'
        more += _EVERYWHERE + b"ETag: %s\r\n" % tag.encode()
        if tag in known:
            return Answer(b"%s%s%s" % (status_line(304), date_line(), more), b"")
        body = self.zipped if is_zipped else self.plain
        encoding = b"Content-Encoding: gzip\r\n" if is_zipped else b""
        head = b"%s%sContent-Type: %s\r\n%s%sContent-Length: %d\r\n"
        return Answer(head % (status_line(200), date_line(), self.content_type, more, encoding, len(body)), body)


def _page(content_type: bytes, plain: bytes, zipped: bytes = b"") -> Page:
    return Page(content_type, plain, zipped, hashlib.sha256(plain).hexdigest()[:16])


def _asset(name: str, content_type: bytes) -> Page:
    return _page(content_type, (_ASSETS / name).read_bytes())


def _zipped_asset(name: str, content_type: bytes) -> Page:
    zipped = (_ASSETS / f"{name}.gz").read_bytes()
    return _page(content_type, gzip.decompress(zipped), zipped)


def _document(made: object) -> Page:
    plain = orjson.dumps(made)
    return _page(_JSON, plain, gzip.compress(plain, mtime=0))


_PAGES = {
    "/docs": lambda: _asset("page.html", _HTML),
    "/docs/page.css": lambda: _asset("page.css", _CSS),
    "/docs/page.js": lambda: _asset("page.js", _SCRIPT),
    "/docs/swagger-ui/swagger-ui.css": lambda: _zipped_asset("swagger-ui/swagger-ui.css", _CSS),
    "/docs/swagger-ui/swagger-ui-bundle.js": lambda: _zipped_asset("swagger-ui/swagger-ui-bundle.js", _SCRIPT),
    "/docs/streams": lambda: _page(_HTML, streams_page.html(asyncapi.document()).encode()),
    "/openapi.json": lambda: _document(document()),
    "/asyncapi.json": lambda: _document(asyncapi.document()),
}
PATHS = frozenset(_PAGES)


@functools.cache
def _made(path: str) -> Page:
    return _PAGES[path]()


async def page(path: str) -> Page:
    """The page at a path of PATHS."""
    return await asyncio.to_thread(_made, path)
