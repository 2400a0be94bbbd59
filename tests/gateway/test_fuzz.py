"""Bytes that nobody would send, on both ports: broken HTTP, broken handshakes, broken frames.

Whatever comes, the connection is answered with a 4xx or closed; the process says nothing about its inside, keeps
nothing, and the engine does not notice. The seed is fixed: a failure comes again.
"""

from __future__ import annotations

import base64
import contextlib
import os
import pathlib
import random
import re
import socket
import time
from collections.abc import Iterator

import pytest

from tests.gateway.running import Exchange

SEED = 20_261_125
ROUNDS = 400
WAIT_S = 5.0
GROWTH_KIB = 24 * 1024
"""What the allocator may keep after thousands of connections; a leak of each of them would be more."""
_SPECIAL = (
    b"\r\n",
    b"\n",
    b"\0",
    b"\xff",
    b" ",
    b":",
    b"%",
    b"/ws",
    b"HTTP/1.1",
    b"Content-Length: 5\r\n",
    b"a" * 9000,
)
REQUESTS = (
    b"GET /v1/ping HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET /api/v3/depth?symbol=BTCUSDT&limit=5 HTTP/1.1\r\nHost: x\r\nAccept: */*\r\n\r\n",
    b"POST /v1/order HTTP/1.1\r\nHost: x\r\nX-MBX-APIKEY: k\r\nContent-Length: 23\r\n\r\nsymbol=BTC_USDT&side=BU",
    b"POST /v1/user/login HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n4\r\na=bc\r\n0\r\n\r\n",
    b"GET /docs HTTP/1.1\r\nHost: x\r\nIf-None-Match: *\r\nAccept-Encoding: gzip\r\n\r\n",
)
PATHS = ("/ws", "/ws/btcusdt@trade", "/stream?streams=btcusdt@depth/!ticker@arr", "/ws-api/v3", "/ws/" + "n" * 64)


@pytest.fixture(scope="module")
def exchange(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exchange]:
    """An exchange of this module that waits for nobody and has no limit on how often an address may come."""
    environ = {
        "EXCHANGE_KEEPALIVE_TIMEOUT": "1s",
        "EXCHANGE_BODY_TIMEOUT": "200ms",
        "EXCHANGE_DATABASE": "off",
    }
    running = Exchange(tmp_path_factory.mktemp("fuzz") / "var", environ=environ).start()
    yield running
    assert running.stop() == 0, running.errors
    said = "".join(running.errors)
    assert "Traceback" not in said, said
    assert "unexpectedly" not in said, said


def mutated(draw: random.Random, raw: bytes) -> bytes:
    """The bytes with something cut, doubled, put in or changed; once or more often."""
    for _ in range(draw.randint(1, 4)):
        at = draw.randrange(len(raw) + 1)
        match draw.randrange(5):
            case 0:
                raw = raw[:at] + draw.choice(_SPECIAL) + raw[at:]
            case 1:
                raw = raw[:at] + raw[at + draw.randint(1, 20) :]
            case 2:
                raw = raw[:at] + bytes((draw.randrange(256),)) + raw[at + 1 :]
            case 3:
                raw = raw[:at] + raw[max(0, at - draw.randint(1, 40)) :]
            case _:
                raw = raw[:at] + draw.randbytes(draw.randint(1, 30)) + raw[at:]
    return raw


def exchanged(port: int, first: bytes, then: bytes = b"") -> bytes:
    """What comes back until the other side closes; `then` is sent when `first` was answered."""
    received = b""
    with socket.create_connection(("127.0.0.1", port), timeout=WAIT_S) as connection, contextlib.suppress(OSError):
        connection.sendall(first)
        if then:
            received = connection.recv(65536)
            connection.sendall(then)
        connection.shutdown(socket.SHUT_WR)
        while chunk := connection.recv(65536):
            received += chunk
    return received


def handshake(path: str) -> bytes:
    """A good one."""
    key = base64.b64encode(bytes(16)).decode()
    return (
        f"GET {path} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n"
    ).encode()


def frame(draw: random.Random) -> bytes:
    """A frame that is wrong in some way, or right with senseless content."""
    payload = draw.choice(
        (
            draw.randbytes(draw.randint(0, 200)),
            b'{"method":"SUBSCRIBE","params":["' + draw.randbytes(8).hex().encode() + b'"],"id":1}',
            b'{"action":"subscribe","channel":"depth","symbol":"' + draw.randbytes(6) + b'"}',
            b'{"id":' + b"[" * draw.randint(1, 3000),
            b'{"id":1,"method":"order.place","params":{"symbol":1e999,"side":null}}',
        )
    )
    first = draw.choice((0x81, 0x82, 0x01, 0x80, 0x89, 0x8A, 0x88, 0xF1, 0x83, draw.randrange(256)))
    mask = draw.randbytes(4)
    is_masked = draw.random() < 0.8
    size = draw.choice((len(payload), len(payload), len(payload), draw.randrange(1 << 16), (1 << 63) + 5))
    head = bytes((first,))
    bit = 0x80 if is_masked else 0
    if size < 126:
        head += bytes((bit | size,))
    elif size < 1 << 16:
        head += bytes((bit | 126,)) + size.to_bytes(2, "big")
    else:
        head += bytes((bit | 127,)) + size.to_bytes(8, "big")
    if not is_masked:
        return head + payload
    return head + mask + bytes(byte ^ mask[at % 4] for at, byte in enumerate(payload))


def assert_says_nothing_of_its_inside(received: bytes) -> None:
    """No trace, no file, no 5xx but for a status that is documented."""
    assert b"Traceback" not in received
    assert b".py" not in received
    for status in re.findall(rb"^HTTP/1\.[01] (\d{3})", received, re.MULTILINE):
        assert int(status) < 500 or int(status) == 503, received[:300]


@pytest.mark.parametrize("port", ["http", "ws"])
def test_broken_http_is_refused_or_closed_and_the_engine_does_not_notice(exchange: Exchange, port: str) -> None:
    draw, before = random.Random(SEED), exchange.sequence()
    for _ in range(ROUNDS):
        assert_says_nothing_of_its_inside(exchanged(exchange.ports[port], mutated(draw, draw.choice(REQUESTS))))
    assert exchange.sequence() == before


@pytest.mark.parametrize("port", ["http", "ws"])
def test_broken_handshake_is_refused_or_closed(exchange: Exchange, port: str) -> None:
    draw, before = random.Random(SEED + 1), exchange.sequence()
    for _ in range(ROUNDS):
        raw = mutated(draw, handshake(draw.choice(PATHS)))
        assert_says_nothing_of_its_inside(exchanged(exchange.ports[port], raw))
    assert exchange.sequence() == before


@pytest.mark.parametrize("port", ["http", "ws"])
def test_broken_frame_closes_its_connection_only(exchange: Exchange, port: str) -> None:
    draw, before = random.Random(SEED + 2), exchange.sequence()
    served = 0
    for _ in range(ROUNDS):
        frames = [frame(draw) for _ in range(draw.randint(1, 5))]
        received = exchanged(exchange.ports[port], handshake(draw.choice(PATHS)), b"".join(frames))
        assert_says_nothing_of_its_inside(received)
        served += received.startswith(b"HTTP/1.1 101 ")
    assert served > ROUNDS // 2, "hardly a frame was read"
    assert exchange.sequence() == before


def resident_kib(pid: int) -> int:
    """Memory of a process."""
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0])


def open_files(pid: int) -> int:
    """How many descriptors a process has."""
    return len(os.listdir(f"/proc/{pid}/fd"))  # noqa: PTH208  # a name is all that counts, and it may be gone


def test_nothing_is_kept_of_connections_that_were_broken(exchange: Exchange) -> None:
    draw = random.Random(SEED + 3)

    def a_crowd() -> None:
        for port in (exchange.ports["http"], exchange.ports["ws"]):
            for _ in range(ROUNDS):
                exchanged(port, mutated(draw, draw.choice(REQUESTS)))
                exchanged(port, handshake(draw.choice(PATHS)), frame(draw))

    a_crowd()  # what is made once is there now
    files, memory = open_files(exchange.pid), resident_kib(exchange.pid)
    a_crowd()
    deadline_s = time.monotonic() + WAIT_S
    while open_files(exchange.pid) > files:
        assert time.monotonic() < deadline_s, "connections are kept"
        time.sleep(0.05)
    assert resident_kib(exchange.pid) - memory < GROWTH_KIB
