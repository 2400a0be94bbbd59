"""A graceful stop with clients that do not answer: everybody is told on both ports, and it ends in time."""

from __future__ import annotations

import contextlib
import itertools
import pathlib
import socket
import time

from tests.gateway.running import Exchange

STOP_TIMEOUT_S = 8
PATHS = ("/stream?streams=btcusdt@trade", "/ws/btcusdt@depth5@100ms", "/ws-api/v3", "")
"""The last one never shakes hands."""
HELLO = (
    "GET {} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
EACH = 5


def _rest(client: socket.socket) -> bytes:
    """What came until the server ended the connection."""
    told = b""
    with contextlib.suppress(ConnectionResetError):
        while part := client.recv(1 << 16):
            told += part
    return told


def test_clients_that_answer_nothing_are_told_and_do_not_hold_up_a_stop(tmp_path: pathlib.Path) -> None:
    exchange = Exchange(
        tmp_path / "data", environ={"EXCHANGE_DATABASE": "off", "EXCHANGE_STOP_TIMEOUT": f"{STOP_TIMEOUT_S}s"}
    ).start()
    with contextlib.ExitStack() as stack:
        stack.callback(exchange.ensure_gone)
        clients = []
        for name, path in list(itertools.product(("http", "ws"), PATHS)) * EACH:
            client = stack.enter_context(socket.create_connection(("127.0.0.1", exchange.ports[name]), timeout=30))
            clients.append((client, path))
            if path:
                client.sendall(HELLO.format(path).encode())
                assert client.recv(12) == b"HTTP/1.1 101"
        before = time.monotonic()
        assert exchange.stop() == 0
        assert time.monotonic() - before < STOP_TIMEOUT_S
        for client, path in clients:
            assert (b'"e":"serverShutdown"' in _rest(client)) == bool(path)
