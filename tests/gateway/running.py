"""A real exchange process on free ports, and traders who talk to it over real sockets.

Waits for what the process says, never for time to pass.
"""

from __future__ import annotations

import hmac
import http.client
import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import urlencode

READY = "Stop with Ctrl-C."
OPEN = "is open at sequence"


class Answer(NamedTuple):
    """An HTTP answer; `json` is None when the body is empty."""

    status: int
    headers: dict[str, str]
    json: Any


class Exchange:
    """One process at a time on one data directory."""

    def __init__(self, data_dir: pathlib.Path, *, demo: bool = True, environ: Mapping[str, str] = {}) -> None:
        self.data_dir = data_dir
        self.demo = demo
        # segments are written whole when they are made; four of 64 MB each start would be 25 GB a run
        self.environ = {"HTTP_PORT": "0", "WS_PORT": "0", "EXCHANGE_SEGMENT_BYTES": str(4 << 20), **environ}
        self.lines: list[str] = []
        self.errors: list[str] = []
        self.ports: dict[str, int] = {}
        self._process: subprocess.Popen[str] | None = None
        self._reader: threading.Thread | None = None

    def start(self) -> Exchange:
        """Start and wait until it says that it is open. Fails with what it printed when it ends instead."""
        self._process = process = subprocess.Popen(
            [sys.executable, "-m", "exchange", "serve", *(["--demo"] if self.demo else [])],
            env={**os.environ, "EXCHANGE_DATA_DIR": str(self.data_dir), **self.environ},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        assert process.stderr is not None
        errors = process.stderr
        self.lines, self.errors = [], []
        self._reader = threading.Thread(target=lambda: self.errors.extend(errors), daemon=True)
        self._reader.start()
        last = READY if self.demo else "  sync "
        for line in process.stdout:
            self.lines.append(line.rstrip("\n"))
            if line.startswith(last):
                self.ports = json.loads((self.data_dir / "ports.json").read_text())
                return self
        raise AssertionError(f"the exchange ended with {self.wait()}: {self.lines} {self.errors}")

    @property
    def pid(self) -> int:
        """Of the running process."""
        assert self._process is not None
        return self._process.pid

    def wait(self) -> int:
        """The exit code, once it has ended; its last lines are in `lines` and `errors` then."""
        assert self._process is not None
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        assert self._reader is not None
        self.lines += [line.rstrip("\n") for line in self._process.stdout]
        code = self._process.wait()
        self._reader.join()
        self._process.stdout.close()
        self._process.stderr.close()
        return code

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Send a signal and wait for the end; returns the exit code (negative: killed by that signal)."""
        assert self._process is not None
        if self._process.poll() is None:
            self._process.send_signal(number)
        return self.wait()

    def ensure_gone(self) -> None:
        """Kill the process if it still runs; for the end of a test that may have failed."""
        if self._process is not None and self._process.poll() is None:
            self.stop(signal.SIGKILL)

    def connect(self) -> socket.socket:
        """A raw connection to the REST port."""
        return socket.create_connection(("127.0.0.1", self.ports["http"]), timeout=30)

    def trader(self, name: str) -> Trader:
        """A trader with the demo key of `alice` or `bob`."""
        shell = dict(line.split("=", 1) for line in (self.data_dir / "demo-keys.env").read_text().splitlines())
        return Trader(self.ports["http"], shell[f"{name.upper()}_KEY"], shell[f"{name.upper()}_SECRET"])

    def sequence(self) -> int:
        """The engine's sequence now."""
        return int(self.trader("alice").public("/health").json["sequence"])


class Trader:
    """Signs and sends requests, one connection each; `params` go where the method says."""

    def __init__(self, port: int, api_key: str, secret: str) -> None:
        self.port = port
        self.api_key = api_key
        self.secret = secret

    def public(self, path: str, method: str = "GET", **headers: str) -> Answer:
        """An unsigned request."""
        return self.send(method, path, b"", headers)

    def send(self, method: str, target: str, body: bytes, headers: dict[str, str]) -> Answer:
        """Exactly this request."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request(method, target, body or None, headers)
            answer = connection.getresponse()
            raw = answer.read()
            return Answer(
                answer.status, {k.lower(): v for k, v in answer.getheaders()}, json.loads(raw) if raw else None
            )
        finally:
            connection.close()

    def signed(self, query: str) -> str:
        """A query with its signature."""
        return f"{query}&signature={hmac.digest(self.secret.encode(), query.encode(), 'sha256').hex()}"

    def signed_bytes(self, query: str, body: str) -> bytes:
        """A form body, timestamp and signature included, that belongs to a query; lone surrogates are raw bytes."""
        stamp = f"timestamp={time.time_ns() // 1_000_000}&recvWindow=60000"
        raw = (f"{body}&{stamp}" if body else stamp).encode("utf-8", "surrogateescape")
        signature = hmac.digest(self.secret.encode(), query.encode() + raw, "sha256").hex()
        return raw + b"&signature=" + signature.encode()

    def signed_form(self, method: str, path: str, form: Mapping[str, object]) -> Answer:
        """A signed request with a form that may name `timestamp` and `recvWindow` itself, percent-encoded."""
        fields = {"timestamp": time.time_ns() // 1_000_000, "recvWindow": 60_000, **form}
        query = self.signed(urlencode(fields, errors="surrogateescape"))
        headers = {"X-MBX-APIKEY": self.api_key}
        if method in ("POST", "PUT"):
            return self.send(method, path, query.encode(), headers)
        return self.send(method, f"{path}?{query}", b"", headers)

    def call(self, method: str, path: str, **params: object) -> Answer:
        """A signed request: form body for POST and PUT, query for the rest."""
        return self.signed_form(method, path, params)

    def seen(self, placed: Mapping[str, Any]) -> Any:
        """What GET order says of an order, or a leg, on BTC_USDT."""
        return self.call("GET", "/v1/order", symbol="BTC_USDT", orderId=placed["orderId"]).json

    def order(self, side: str, quantity: str, price: str, /, **more: object) -> Answer:
        """POST a LIMIT GTC order on BTC_USDT unless `more` says otherwise."""
        form: dict[str, object] = {
            "symbol": "BTC_USDT",
            "side": side,
            "type": "LIMIT",
            "timeInForce": "GTC",
            "quantity": quantity,
            "price": price,
            **more,
        }
        return self.call("POST", "/v1/order", **{name: value for name, value in form.items() if value is not None})

    def balances(self) -> dict[str, tuple[str, str]]:
        """asset -> (free, locked)."""
        return {row["asset"]: (row["free"], row["locked"]) for row in self.call("GET", "/v1/account").json["balances"]}
