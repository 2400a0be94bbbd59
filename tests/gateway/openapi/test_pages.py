"""The pages for people: everything comes from here, browsers may do little, and nothing is sent twice."""

from __future__ import annotations

import gzip
import hashlib
import http.client
import re
from typing import NamedTuple

import orjson
import pytest

from exchange.gateway.openapi.document import document
from exchange.gateway.openapi.pages import PATHS
from tests.gateway.running import Exchange

SWAGGER_UI = {
    "/docs/swagger-ui/swagger-ui-bundle.js": "e6a898692f2d768e807c3ba4626068a69a2c5dd960dd6c76f3e4d3a3de180af2",
    "/docs/swagger-ui/swagger-ui.css": "5ed08757e53da3e026d6cbecc61fe5d43585c9560b302d534ad56692519a273d",
}
"""SHA-256 of the files of swagger-ui-dist 5.35.0 as they were published."""


class Got(NamedTuple):
    """An answer."""

    status: int
    headers: dict[str, str]
    body: bytes


def get(exchange: Exchange, path: str, method: str = "GET", **headers: str) -> Got:
    """A request as a browser makes it."""
    connection = http.client.HTTPConnection("127.0.0.1", exchange.ports["http"], timeout=30)
    try:
        connection.request(method, path, headers={name.replace("_", "-"): text for name, text in headers.items()})
        answer = connection.getresponse()
        return Got(answer.status, {name.lower(): text for name, text in answer.getheaders()}, answer.read())
    finally:
        connection.close()


def test_page_needs_nothing_from_elsewhere_and_has_no_script_of_its_own(exchange: Exchange) -> None:
    for path in sorted(path for path in PATHS if path.startswith("/docs") and "." not in path):
        page = get(exchange, path)
        assert page.status == 200
        text = page.body.decode()
        loaded = re.findall(r'(?:src|href)="([^"]*)"', text)
        assert loaded
        for address in loaded:
            assert address.startswith(("/", "data:,", "#")), address
            if address.startswith("/"):
                assert get(exchange, address).status == 200, address
        assert not re.search(r"<script(?![^>]*\ssrc=)|\son[a-z]+=|<style|\sstyle=", text)


@pytest.mark.parametrize("path", sorted(PATHS))
def test_browser_may_load_from_here_only_and_run_no_inline_script(exchange: Exchange, path: str) -> None:
    headers = get(exchange, path).headers
    policy = dict(piece.split(" ", 1) for piece in headers["content-security-policy"].split("; "))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
    assert policy["frame-ancestors"] == policy["form-action"] == policy["base-uri"] == "'none'"
    assert headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("path", sorted(PATHS))
def test_content_type_fits(exchange: Exchange, path: str) -> None:
    kind = {"js": "text/javascript; charset=utf-8", "css": "text/css; charset=utf-8", "json": "application/json"}
    ending = path.rpartition(".")[2]
    assert get(exchange, path).headers["content-type"] == kind.get(ending, "text/html; charset=utf-8")


@pytest.mark.parametrize("path", sorted(PATHS))
def test_page_is_sent_once_and_head_has_its_headers(exchange: Exchange, path: str) -> None:
    for accepted in ("gzip, br", "identity"):
        first = get(exchange, path, Accept_Encoding=accepted)
        again = get(exchange, path, Accept_Encoding=accepted, If_None_Match=first.headers["etag"])
        assert (again.status, again.body) == (304, b"")
        assert again.headers["etag"] == first.headers["etag"]
        head = get(exchange, path, "HEAD", Accept_Encoding=accepted)
        assert (head.status, head.body) == (200, b"")
        assert int(head.headers["content-length"]) == len(first.body)
        assert first.headers["vary"] == "Accept-Encoding"
        assert first.headers["cache-control"] == "no-cache"


def test_gzipped_and_plain_are_the_same_page(exchange: Exchange) -> None:
    for path in PATHS:
        zipped, plain = get(exchange, path, Accept_Encoding="gzip"), get(exchange, path)
        is_zipped = zipped.headers.get("content-encoding") == "gzip"
        assert (gzip.decompress(zipped.body) if is_zipped else zipped.body) == plain.body
        assert "content-encoding" not in plain.headers


def test_swagger_ui_is_what_was_published(exchange: Exchange) -> None:
    assert {path: hashlib.sha256(get(exchange, path).body).hexdigest() for path in SWAGGER_UI} == SWAGGER_UI


def test_openapi_json_is_the_document(exchange: Exchange) -> None:
    assert orjson.loads(get(exchange, "/openapi.json").body) == orjson.loads(orjson.dumps(document()))


def test_other_methods_are_refused_and_other_paths_are_not_there(exchange: Exchange) -> None:
    refused = get(exchange, "/docs", "POST")
    assert (refused.status, refused.headers["allow"]) == (405, "GET, HEAD")
    for path in ("/docs/", "/docs/../pages.py", "/docs/swagger-ui/", "/docs/page.html", "/docs/%2e%2e/pages.py"):
        assert get(exchange, path).status == 404
