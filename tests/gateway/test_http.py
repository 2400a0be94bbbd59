"""The HTTP server against raw sockets: malformed, oversized, slow, and impolite clients."""

from __future__ import annotations

import contextlib
import json
import pathlib
import socket
import time
from collections.abc import Iterator

import pytest

from tests.gateway.running import Exchange, Trader

IMPATIENT = {"EXCHANGE_KEEPALIVE_TIMEOUT": "400ms", "EXCHANGE_BODY_TIMEOUT": "400ms", "EXCHANGE_CONNECTIONS_MAX": "20"}


@pytest.fixture(scope="module")
def impatient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exchange]:
    """An exchange with short time limits and few connections."""
    running = Exchange(tmp_path_factory.mktemp("impatient") / "var", environ=IMPATIENT).start()
    yield running
    assert running.stop() == 0, running.errors


def read_all(connection: socket.socket) -> bytes:
    """Everything until the server closes."""
    received = b""
    try:
        while chunk := connection.recv(65536):
            received += chunk
    except ConnectionResetError:
        pass
    return received


def parts(raw: bytes) -> tuple[int, dict[str, object]]:
    """Status and JSON of the only answer in `raw`."""
    head, _, body = raw.partition(b"\r\n\r\n")
    return int(head.split()[1]), json.loads(body)


MALFORMED = [
    b"GARBAGE\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    b"GET /v1/ping HTTP/9.9\r\nHost: x\r\n\r\n",
    b"G\x00T /v1/ping HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET /v1/ping HTTP/1.1\r\nHost : x\r\n\r\n",
    b"GET /v1/ping HTTP/1.1\r\nHost: x\r\nBad Header: 1\r\n\r\n",
    b"GET /v1/ping HTTP/1.1\r\nHost: x\r\nA: b\x00c\r\n\r\n",
    b"POST /v1/order HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"POST /v1/order HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nContent-Length: 5\r\n\r\nabcd",
    b"POST /v1/order HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
    b"POST /v1/order HTTP/1.1\r\nHost: x\r\nContent-Length: 1e1\r\n\r\n",
    b"POST /v1/order HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n",
    b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET /v1/ping HTTP/1.1\r\nHost: x\r\nA: " + b"b" * 20_000 + b"\r\n\r\n",
    b"GET /v1/ping HTTP/1.1\r\nHost: x\r\n" + b"".join(b"H%d: 1\r\n" % n for n in range(200)) + b"\r\n",
]


@pytest.mark.parametrize("raw", MALFORMED, ids=lambda raw: repr(raw[:40]))
def test_malformed_request_is_answered_in_json_and_the_connection_closed(exchange: Exchange, raw: bytes) -> None:
    before = exchange.sequence()
    with exchange.connect() as connection:
        connection.sendall(raw)
        status, body = parts(read_all(connection))
    assert status == 400
    assert body == {"code": -1130, "msg": "The request is not well-formed HTTP.", "outcome": "rejected"}
    assert exchange.sequence() == before


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (b"POST /v1/order HTTP/1.1\r\nHost: x\r\nContent-Length: 20000\r\n\r\n" + b"a" * 20_000, 413),
        (b"POST /v1/order HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n", 413),
        (
            b"POST /v1/order HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
             b"1000\r\n" + b"a" * 4096 + b"\r\n" + (b"1000\r\n" + b"a" * 4096 + b"\r\n") * 4,
            413,
        ),
        (
            b"GET /v1/time HTTP/1.0\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\n\x1f\x8b",
            415,
        ),
    ],
)  # fmt: skip
def test_oversized_or_compressed_body_is_refused(exchange: Exchange, raw: bytes, status: int) -> None:
    before = exchange.sequence()
    with exchange.connect() as connection:
        connection.sendall(raw)
        found, body = parts(read_all(connection))
    assert (found, body["outcome"]) == (status, "rejected")
    assert exchange.sequence() == before


def test_chunked_body_is_read_like_any_other(traders: tuple[Trader, Trader], exchange: Exchange) -> None:
    alice, _ = traders
    body = alice.signed_bytes("", "symbol=BTC_USDT&side=BUY&type=LIMIT&timeInForce=GTC&quantity=0.01&price=10000")
    head = f"POST /v1/order HTTP/1.1\r\nHost: x\r\nX-MBX-APIKEY: {alice.api_key}\r\nConnection: close\r\n"
    with exchange.connect() as connection:
        connection.sendall(head.encode() + b"Transfer-Encoding: chunked\r\n\r\n")
        for cut in (slice(0, 10), slice(10, None)):
            connection.sendall(b"%x\r\n%b\r\n" % (len(body[cut]), body[cut]))
        connection.sendall(b"0\r\n\r\n")
        assert parts(read_all(connection))[0] == 200


def test_two_keys_in_one_request_are_refused(exchange: Exchange) -> None:
    alice, bob = exchange.trader("alice"), exchange.trader("bob")
    query = alice.signed_bytes("", "").decode()
    head = f"GET /v1/account?{query} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
    with exchange.connect() as connection:
        for trader in (alice, bob):
            head += f"X-MBX-APIKEY: {trader.api_key}\r\n"
        connection.sendall(head.encode() + b"\r\n")
        assert parts(read_all(connection)) == (
            401,
            {"code": -2014, "msg": "API-key format invalid.", "outcome": "rejected"},
        )


def test_unknown_method_of_a_path_is_405_with_allow(exchange: Exchange) -> None:
    answer = exchange.trader("alice").public("/v1/account", method="PATCH")
    assert (answer.status, answer.headers["allow"]) == (405, "GET, HEAD")


def test_head_has_the_headers_of_get_and_no_body(exchange: Exchange) -> None:
    answer = exchange.trader("alice").public("/v1/ping", method="HEAD")
    assert (answer.status, answer.headers["content-length"], answer.json) == (200, "2", None)


def test_connection_is_kept_and_pipelined_requests_are_answered_in_order(exchange: Exchange) -> None:
    with exchange.connect() as connection:
        connection.sendall(b"GET /v1/ping HTTP/1.1\r\nHost: x\r\n\r\n" * 50)
        connection.sendall(b"GET /v1/time HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        raw = read_all(connection)
    assert raw.count(b"HTTP/1.1 200 OK") == 51
    assert raw.rindex(b"serverTime") > raw.rindex(b"{}")


def test_http_1_0_client_gets_its_connection_closed(exchange: Exchange) -> None:
    with exchange.connect() as connection:
        connection.sendall(b"GET /v1/ping HTTP/1.0\r\n\r\n")
        assert read_all(connection).endswith(b"{}")


@pytest.mark.parametrize(
    "sent", [b"", b"GET /v1/ping HTTP/1.1\r\nHost: x\r\nA"], ids=["nothing", "part of the headers"]
)
def test_client_that_does_not_send_its_headers_is_cut_off(impatient: Exchange, sent: bytes) -> None:
    with impatient.connect() as connection:
        connection.sendall(sent)
        assert read_all(connection) == b""


def test_client_that_trickles_its_body_is_told_408(impatient: Exchange) -> None:
    before = impatient.sequence()
    with impatient.connect() as connection:
        connection.sendall(b"POST /v1/order HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nsymbol=")
        status, body = parts(read_all(connection))
    assert (status, body["outcome"]) == (408, "rejected")
    assert impatient.sequence() == before


def test_idle_connection_is_closed_after_an_answer(impatient: Exchange) -> None:
    with impatient.connect() as connection:
        connection.sendall(b"GET /v1/ping HTTP/1.1\r\nHost: x\r\n\r\n")
        assert read_all(connection).endswith(b"{}")


def test_client_that_reads_nothing_is_cut_off_and_others_are_served(impatient: Exchange) -> None:
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.connect(("127.0.0.1", impatient.ports["http"]))
    connection.settimeout(30)
    request = b"GET /v1/exchangeInfo HTTP/1.1\r\nHost: x\r\n\r\n" * 100

    def send_for_ever() -> None:
        while True:
            connection.sendall(request)

    with connection, pytest.raises((ConnectionResetError, BrokenPipeError)):
        send_for_ever()
    assert impatient.trader("alice").public("/v1/ping").status == 200


def test_connection_beyond_the_limit_is_closed_and_the_others_stay(impatient: Exchange) -> None:
    limit = int(IMPATIENT["EXCHANGE_CONNECTIONS_MAX"])
    connections = [impatient.connect() for _ in range(limit + 5)]
    closed = sum(read_all(connection) == b"" for connection in connections[limit:])
    assert closed == 5
    for connection in connections:
        connection.close()


def opened_socket(exchange: Exchange) -> socket.socket:
    """A WebSocket connection; connections of an earlier test may still be on their way out of the count."""
    handshake = (
        b"GET /ws/btcusdt@trade HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
    deadline_s = time.monotonic() + 30
    while True:
        connection = exchange.connect()
        try:
            connection.sendall(handshake)
            if connection.recv(12) == b"HTTP/1.1 101":
                return connection
        except ConnectionError:
            pass
        connection.close()
        assert time.monotonic() < deadline_s


def test_sockets_are_not_counted_among_the_connections_of_rest(impatient: Exchange) -> None:
    with contextlib.ExitStack() as sockets:
        for _ in range(int(IMPATIENT["EXCHANGE_CONNECTIONS_MAX"]) + 5):
            sockets.enter_context(opened_socket(impatient))
        assert impatient.trader("alice").public("/v1/ping").status == 200


def test_client_that_leaves_does_not_take_its_order_with_it(exchange: Exchange, tmp_path: pathlib.Path) -> None:
    alice = exchange.trader("alice")
    form = "symbol=BTC_USDT&side=BUY&type=LIMIT&timeInForce=GTC&quantity=0.01&price=10000&newClientOrderId=left"
    body = alice.signed_bytes("", form)
    head = f"POST /v1/order HTTP/1.1\r\nHost: x\r\nX-MBX-APIKEY: {alice.api_key}\r\nContent-Length: {len(body)}\r\n\r\n"
    connection = exchange.connect()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
    connection.sendall(head.encode() + body)
    connection.close()  # with a reset
    while True:
        found = alice.call("GET", "/v1/order", symbol="BTC_USDT", origClientOrderId="left")
        if found.status == 200:
            break
    assert found.json["status"] == "NEW"
    assert alice.call("DELETE", "/v1/order", symbol="BTC_USDT", origClientOrderId="left").status == 200
