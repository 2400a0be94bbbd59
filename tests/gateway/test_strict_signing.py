"""Strict keys: the text that they sign, as the page has it, and that nothing else counts for them."""

from __future__ import annotations

import base64
import functools
import hashlib
import hmac
import pathlib
import time
from typing import Any, NamedTuple
from urllib.parse import quote

import pytest

from exchange.gateway.errors import Refusal
from exchange.gateway.faces import OURS, faces
from exchange.gateway.parameters import Signed, parse
from exchange.gateway.signing import authenticate, keyed
from exchange.gateway.strict import WS_API_PATH, request_text, strict_text
from exchange.users.keys import Key, KeyKind, Permission, Scheme
from tests.gateway.test_signing import API_KEY, PRIVATE, SECRET, nowhere

PAGE = (pathlib.Path(__file__).resolve().parent.parent.parent / "docs" / "keys.md").read_text(encoding="utf-8")
SECTION = PAGE[PAGE.index("## 2.") : PAGE.index("## 3.")]
VECTORS = [
    [cell.strip(" `") for cell in line.strip("|").split("|")]
    for line in SECTION[SECTION.index("| Method |") :].splitlines()[2:]
    if line.startswith("|")
]
FACE = faces((), ())[OURS]
NOW_US = 1_499_827_319_559_000
STAMP = "1499827319559"
KINDS = pytest.mark.parametrize("kind", list(KeyKind))


def strict_key(kind: KeyKind, scheme: Scheme = Scheme.STRICT) -> Key:
    """A key that may trade, with the secret of the documents or a private key of the tests."""
    material: dict[str, Any] = {"secret": SECRET.encode()}
    if kind is KeyKind.ED25519:
        material = {"public_key": PRIVATE.public_key().public_bytes_raw()}
    permissions = frozenset((Permission.READ, Permission.TRADE))
    return Key(api_key=API_KEY, account=16, kind=kind, permissions=permissions, scheme=scheme, **material)


def signed_with(kind: KeyKind, text: bytes) -> str:
    """The signature of a text."""
    if kind is KeyKind.HMAC:
        return hmac.digest(SECRET.encode(), text, "sha256").hex()
    return base64.b64encode(PRIVATE.sign(text)).decode()


class Request(NamedTuple):
    """What is signed, and what is sent."""

    method: str = "POST"
    host: str = "exchange.example:8080"
    path: str = "/v1/order"
    query: str = f"symbol=BTC_USDT&timestamp={STAMP}"
    body: str = "side=BUY&quantity=1"
    timestamp: str = STAMP
    api_key: str = API_KEY

    def text(self) -> bytes:
        """Its text, made by hand as the page says."""
        digest = hashlib.sha256(self.body.encode()).hexdigest()
        lines = ["EXCHANGE-SIGNATURE-1", self.method, self.host, self.path, self.query, digest]
        return "\n".join([*lines, self.timestamp, self.api_key]).encode()


class OneKey:
    """A store of one key."""

    def __init__(self, key: Key) -> None:
        self._key = key

    def find(self, api_key: str) -> Key | None:
        """It, if that is its name."""
        return self._key if api_key == self._key.api_key else None


def judged(key: Key, sent: Request, sign: str, *, is_in_body: bool = True) -> Key:
    """Whose request it is, with this signature. Raises Refusal."""
    sign = quote(sign, safe="")
    query, body = sent.query, sent.body
    if is_in_body:
        body += f"&signature={sign}"
    else:
        query += f"&signature={sign}"
    text = functools.partial(request_text, sent.method, [sent.host], sent.path, query, body.encode())
    signed = parse(query, body.encode())
    return authenticate(FACE, OneKey(key), [sent.api_key], signed, Permission.TRADE, 1_000_000, nowhere, text).key


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """The wall clock stands at the time of the documents."""
    monkeypatch.setattr(time, "time_ns", lambda: NOW_US * 1000)


def test_page_has_vectors_of_both_interfaces() -> None:
    assert {path for _, _, path, *_ in VECTORS} > {WS_API_PATH, "/v1/order"}


@pytest.mark.parametrize(("method", "host", "path", "query", "body", "mac"), VECTORS)
def test_vector_of_the_page_matches(method: str, host: str, path: str, query: str, body: str, mac: str) -> None:
    by_hand = Request(method, host, path, query, body).text()
    assert strict_text(method, host, path, query, body.encode(), STAMP, API_KEY) == by_hand
    assert signed_with(KeyKind.HMAC, by_hand) == mac


@KINDS
@pytest.mark.parametrize("is_in_body", [True, False])
@pytest.mark.usefixtures("clock")
def test_signature_of_the_whole_request_counts(kind: KeyKind, is_in_body: bool) -> None:
    key, request = strict_key(kind), Request()
    sign = signed_with(kind, request.text())
    assert judged(key, request, sign, is_in_body=is_in_body) is key


CHANGES: list[dict[str, str]] = [
    {"method": "DELETE"},
    {"host": "testnet.exchange.example:8080"},
    {"host": "exchange.example"},
    {"path": "/v1/order/test"},
    {"path": "/api/v3/order"},
    {"query": f"symbol=BTC_USDS&timestamp={STAMP}"},
    {"query": f"symbol=BTC%5FUSDT&timestamp={STAMP}"},
    {"query": f"timestamp={STAMP}&symbol=BTC_USDT"},
    {"body": "side=BUY&quantity=2"},
    {"body": "side=BUY&quantity=%31"},
    {"body": "quantity=1&side=BUY"},
    {"query": f"symbol=BTC_USDT&timestamp={STAMP}&side=BUY", "body": "quantity=1"},
    {"timestamp": "1499827319560"},
    {"api_key": "x" * 64},
]


@KINDS
@pytest.mark.parametrize("change", CHANGES, ids=["+".join(change) for change in CHANGES])
@pytest.mark.usefixtures("clock")
def test_flipping_any_component_breaks_the_signature(kind: KeyKind, change: dict[str, str]) -> None:
    sign = signed_with(kind, Request()._replace(**change).text())
    with pytest.raises(Refusal) as caught:
        judged(strict_key(kind), Request(), sign)
    assert (caught.value.status, caught.value.code) == (400, -1022)


@KINDS
@pytest.mark.usefixtures("clock")
def test_neither_scheme_counts_for_a_key_of_the_other(kind: KeyKind) -> None:
    request = Request()
    plain, strict = (request.query + request.body).encode(), request.text()
    for scheme, text in ((Scheme.STRICT, plain), (Scheme.PLAIN, strict)):
        sign = signed_with(kind, text)
        with pytest.raises(Refusal) as caught:
            judged(strict_key(kind, scheme), request, sign)
        assert caught.value.code == -1022
    sign = signed_with(kind, plain)
    assert judged(strict_key(kind, Scheme.PLAIN), request, sign).scheme is Scheme.PLAIN


@pytest.mark.parametrize("payload", [b"", f"timestamp={STAMP}".encode()])
@pytest.mark.usefixtures("clock")
def test_strict_key_counts_nowhere_that_does_not_say_what_was_sent(payload: bytes) -> None:
    signed = Signed({"timestamp": STAMP}, payload, signed_with(KeyKind.HMAC, payload))
    with pytest.raises(Refusal) as caught:
        authenticate(FACE, OneKey(strict_key(KeyKind.HMAC)), [API_KEY], signed, Permission.READ, 1_000_000, nowhere)
    assert caught.value.code == -1022


@pytest.mark.usefixtures("clock")
@pytest.mark.parametrize(("scheme", "counts"), [(Scheme.PLAIN, True), (Scheme.STRICT, False)])
def test_name_of_a_strict_key_alone_is_never_enough(scheme: Scheme, counts: bool) -> None:
    key = strict_key(KeyKind.HMAC, scheme)
    ask = functools.partial(keyed, FACE, OneKey(key), [API_KEY], {}, Permission.READ, 1_000_000, nowhere)
    if counts:
        assert ask().key is key
        return
    with pytest.raises(Refusal) as caught:
        ask()
    assert (caught.value.status, caught.value.code) == (401, -2015)


@pytest.mark.usefixtures("clock")
def test_request_of_the_websocket_api_is_judged_by_the_same_text() -> None:
    key, payload = strict_key(KeyKind.HMAC), f"apiKey={API_KEY}&symbol=BTCUSDT&timestamp={STAMP}".encode()
    sign = signed_with(KeyKind.HMAC, Request("order.place", "h", WS_API_PATH, "", payload.decode()).text())
    signed = Signed({"timestamp": STAMP, "symbol": "BTCUSDT"}, payload, sign)
    for method, counts in (("order.place", True), ("order.cancel", False)):
        text = functools.partial(strict_text, method, "H", WS_API_PATH, "", payload)
        arguments = (FACE, OneKey(key), [API_KEY], signed, Permission.TRADE, 1_000_000, nowhere, text)
        if counts:
            assert authenticate(*arguments).key is key
        else:
            with pytest.raises(Refusal):
                authenticate(*arguments)
