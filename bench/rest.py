"""`python -m bench.rest`: durable orders over REST, against a bare aiohttp POST echo in the same run.

Two servers in processes of their own, both pinned to the same core: `exchange serve --demo`, without PostgreSQL
(`bench.outage` measures beside it), and an aiohttp application that answers a POST with its body. One load generator
on another core sends both the same signed orders, one in flight on each of N keep-alive connections, in alternating
rounds. Checks before it prints: every answer is a 200; order ids are distinct and gapless; after the server has
stopped, its command journal holds exactly these orders.
"""

from __future__ import annotations

import argparse
import hmac
import json
import os
import pathlib
import random
import re
import select
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple
from urllib.parse import urlencode

from exchange.core.codes import CommandKind
from journal import reader

ROUNDS = 4
PRESIGNED_PER_SECOND = 40_000
KIND_AT = 16
_KEYS = re.compile(r"^(ALICE|BOB)_(KEY|SECRET)=(\S+)$", re.MULTILINE)
_ORDER_ID = re.compile(rb'"orderId":([0-9]+)')
_LENGTH = re.compile(rb"content-length: *([0-9]+)", re.IGNORECASE)
_BARE = """
import asyncio, sys, uvloop
from aiohttp import web
async def echo(request):
    return web.Response(body=await request.read(), content_type="application/json")
async def main():
    app = web.Application()
    app.router.add_post("/v1/order", echo)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    print(runner.addresses[0][1], flush=True)
    await asyncio.Event().wait()
uvloop.run(main())
"""


class BenchFailed(Exception):
    """A check did not hold; the text says which."""


class Server(NamedTuple):
    """A running server."""

    port: int
    pid: int

    def cpu_seconds(self) -> float:
        """Processor time that it has used, user and system, all threads."""
        fields = pathlib.Path(f"/proc/{self.pid}/stat").read_text().rpartition(") ")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Round(NamedTuple):
    """One round against one server."""

    requests: int
    seconds: float
    cpu_seconds: float
    latencies_ns: list[int]
    order_ids: list[int]


class Sender:
    """Makes signed orders of two accounts: each crosses whatever waits on the other side.

    So about half of them trade, the others wait for them, and few orders are open at a time.
    """

    def __init__(self, data_dir: pathlib.Path) -> None:
        shell_keys = (data_dir / "demo-keys.env").read_text()
        keys = {f"{who}_{what}": value for who, what, value in _KEYS.findall(shell_keys)}
        self._keys = [(keys[f"{who}_KEY"], keys[f"{who}_SECRET"].encode()) for who in ("ALICE", "BOB")]
        self._random = random.Random(20261123)
        self._made = 0

    def next_order(self) -> tuple[str, bytes, dict[str, str]]:
        """(API key, secret, parameters but for the symbol and the signature) of the next order; good for a minute."""
        self._made += 1
        key, secret = self._keys[self._made % 2]
        side, better = self._random.choice((("BUY", 1), ("SELL", -1)))
        ticks = 6_000_000 + better * self._random.randrange(51)
        order = {
            "side": side,
            "type": "LIMIT",
            "timeInForce": "GTC",
            "quantity": "0.0002",
            "price": f"{ticks // 100}.{ticks % 100:02d}",
            "newClientOrderId": f"bench-{self._made}",
            "newOrderRespType": "FULL",
            "recvWindow": "60000",
            "timestamp": str(time.time_ns() // 1_000_000),
        }
        return key, secret, order

    def requests(self, count: int) -> list[bytes]:
        """`count` HTTP requests, signed now."""
        made = []
        for _ in range(count):
            key, secret, order = self.next_order()
            body = b"symbol=BTC_USDT&" + urlencode(order).encode()
            body += b"&signature=" + hmac.digest(secret, body, "sha256").hex().encode()
            head = (
                f"POST /v1/order HTTP/1.1\r\nHost: 127.0.0.1\r\nX-MBX-APIKEY: {key}\r\n"
                f"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {len(body)}\r\n\r\n"
            )
            made.append(head.encode() + body)
        return made


def pin(core: int) -> None:
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {cores[core % len(cores)]})


def _start(command: list[str], environ: dict[str, str], *, is_pinned: bool = True) -> subprocess.Popen[bytes]:
    """A child, on core 0 if `is_pinned`: it inherits the affinity that this process has at that moment."""
    before = os.sched_getaffinity(0)
    if is_pinned:
        pin(0)
    try:
        return subprocess.Popen(command, env=environ, stdout=subprocess.PIPE)
    finally:
        os.sched_setaffinity(0, before)


@contextmanager
def bare_server(program: str) -> Iterator[Server]:
    """A Python program on core 0 that prints the port on which it echoes."""
    with _start([sys.executable, "-c", program], dict(os.environ)) as process:
        assert process.stdout is not None
        try:
            yield Server(int(process.stdout.readline()), process.pid)
        finally:
            process.terminate()


@contextmanager
def exchange_server(data_dir: pathlib.Path, environ: dict[str, str], *, is_pinned: bool = True) -> Iterator[Server]:
    """A demo exchange, on core 0 if `is_pinned`. Leaving it stops it gracefully. Raises BenchFailed."""
    everything = {**os.environ, "HTTP_PORT": "0", "WS_PORT": "0", **environ}
    command = [sys.executable, "-m", "exchange", "serve", "--demo", "--data-dir", str(data_dir)]
    with _start(command, everything, is_pinned=is_pinned) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if b"Stop with" in line:
                break
        else:
            raise BenchFailed(f"The exchange did not start and ended with {process.wait()}.")
        try:
            yield Server(int(json.loads((data_dir / "ports.json").read_text())["http"]), process.pid)
        finally:
            process.send_signal(signal.SIGTERM)
            process.stdout.read()
        if process.wait() != 0:
            raise BenchFailed(f"The exchange ended with {process.returncode}.")


class Client:
    """One connection with one HTTP request in flight."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.received = b""
        self.sent_ns = 0

    def send(self, request: bytes) -> None:
        """Send the next request."""
        self.received = b""
        self.sent_ns = time.perf_counter_ns()
        self.socket.sendall(request)

    def answer(self) -> bytes:
        """The answer to the last request, b"" while it is not complete. Raises BenchFailed."""
        chunk = self.socket.recv(65536)
        if not chunk:
            raise BenchFailed("The server closed a connection.")
        self.received += chunk
        return self.received if self.is_complete(self.received) else b""

    @staticmethod
    def is_complete(received: bytes) -> bool:
        """Whether a whole answer has come."""
        head_end = received.find(b"\r\n\r\n")
        if head_end < 0:
            return False
        match = _LENGTH.search(received, 0, head_end)
        if match is None:
            raise BenchFailed(f"An answer has no length: {received[:200]!r}")
        return len(received) >= head_end + 4 + int(match[1])

    @staticmethod
    def is_good(answer: bytes) -> bool:
        """Whether an answer is that of a request that was done."""
        return answer.startswith(b"HTTP/1.1 200 ")


class Wire(NamedTuple):
    """How orders travel: the program that echoes them, how they are written, and who sends them."""

    bare: str
    requests: Callable[[Sender, int], list[bytes]]
    client: type[Client]


REST = Wire(_BARE, Sender.requests, Client)


def load(server: Server, requests: list[bytes], clients: int, seconds: float, kind: type[Client]) -> Round:
    """Send requests for `seconds` or until there are none left, then wait for the last answers. Raises BenchFailed."""
    connections = {client.socket.fileno(): client for client in (kind(server.port) for _ in range(clients))}
    epoll = select.epoll()
    for fd in connections:
        epoll.register(fd, select.EPOLLIN)
    waiting = iter(requests)
    latencies: list[int] = []
    answers: list[bytes] = []
    in_flight = 0
    cpu_before = server.cpu_seconds()
    started = time.perf_counter_ns()
    end_ns = started + int(seconds * 1e9)
    for client in connections.values():
        client.send(next(waiting))
        in_flight += 1
    while in_flight:
        for fd, _ in epoll.poll():
            client = connections[fd]
            answer = client.answer()
            if not answer:
                continue
            now = time.perf_counter_ns()
            latencies.append(now - client.sent_ns)
            answers.append(answer)
            request = next(waiting, None) if now < end_ns else None
            if request is None:
                in_flight -= 1
            else:
                client.send(request)
    elapsed = (time.perf_counter_ns() - started) / 1e9
    cpu = server.cpu_seconds() - cpu_before
    epoll.close()
    for client in connections.values():
        client.socket.close()
    bad = [answer for answer in answers if not kind.is_good(answer)]
    if bad:
        raise BenchFailed(f"{len(bad)} of {len(answers)} answers are not good, for example {bad[0][-300:]!r}")
    order_ids = [int(match[1]) for answer in answers if (match := _ORDER_ID.search(answer))]
    return Round(len(answers), elapsed, cpu, latencies, order_ids)


def _check(rounds: list[Round], data_dir: pathlib.Path) -> None:
    """Every order was answered once and is in the journal. Raises BenchFailed."""
    ids = sorted(order_id for one in rounds for order_id in one.order_ids)
    sent = sum(one.requests for one in rounds)
    if ids != list(range(1, sent + 1)):
        raise BenchFailed(f"{sent} orders were answered; their ids are not 1 to {sent} without a gap.")
    groups = reader.groups(data_dir / "journal" / "commands", 1)
    journaled = sum(int((group.payload[:, KIND_AT] == CommandKind.PLACE).sum()) for group in groups)
    if journaled != sent:
        raise BenchFailed(f"{sent} orders were answered and {journaled} are in the journal.")


def _cpu_us(rounds: list[Round]) -> float:
    """Processor time of a server per request, in microseconds."""
    return round(1e6 * sum(one.cpu_seconds for one in rounds) / sum(one.requests for one in rounds), 1)


def run(wire: Wire, clients: int, seconds: float, sync: str) -> dict[str, object]:
    """The figures of one run. Raises BenchFailed."""
    each = seconds / ROUNDS
    bare_rounds: list[Round] = []
    rounds: list[Round] = []
    with tempfile.TemporaryDirectory() as folder:
        data_dir = pathlib.Path(folder) / "var"
        edge_alone = {"EXCHANGE_SYNC": sync, "EXCHANGE_DATABASE": "off"}
        with bare_server(wire.bare) as bare, exchange_server(data_dir, edge_alone) as server:
            sender = Sender(data_dir)
            pin(1)
            count = int(each * PRESIGNED_PER_SECOND) + clients
            for _ in range(ROUNDS):
                requests = wire.requests(sender, count)
                bare_rounds.append(load(bare, requests, clients, each, wire.client))
                rounds.append(load(server, requests, clients, each, wire.client))
        _check(rounds, data_dir)
    latencies = sorted(latency for one in rounds for latency in one.latencies_ns)
    rates = [one.requests / one.seconds for one in rounds]
    bare_rates = [one.requests / one.seconds for one in bare_rounds]
    return {
        "ok": True,
        "clients": clients,
        "sync": sync,
        "requests": sum(one.requests for one in rounds),
        "requests_per_second": round(statistics.median(rates)),
        "bare_requests_per_second": round(statistics.median(bare_rates)),
        "ratio_to_bare": round(statistics.median(ours / bare for ours, bare in zip(rates, bare_rates, strict=True)), 3),
        "cpu_us_per_request": _cpu_us(rounds),
        "bare_cpu_us_per_request": _cpu_us(bare_rounds),
        "p50_ns": latencies[len(latencies) // 2],
        "p99_ns": latencies[int(len(latencies) * 0.99)],
        "p999_ns": latencies[int(len(latencies) * 0.999)],
    }


def main(wire: Wire = REST, name: str = "REST", peer: str = "aiohttp POST echo", clients: int = 32) -> None:
    """Entry point, of the other wires too."""
    parser = argparse.ArgumentParser(description=f"Durable orders over {name}, against a bare {peer} in the same run.")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--clients", type=int, default=clients, help="connections, one request in flight each")
    parser.add_argument("--seconds", type=float, default=8.0, help="time for each of the two servers")
    parser.add_argument("--sync", choices=("always", "off"), default="always", help="EXCHANGE_SYNC of the exchange")
    options = parser.parse_args()
    try:
        figures = run(wire, options.clients, options.seconds, options.sync)
    except BenchFailed as error:
        if options.json:
            print(json.dumps({"ok": False, "error": str(error)}))
        print(f"{parser.prog}: {error}", file=sys.stderr)
        sys.exit(1)
    if options.json:
        print(json.dumps(figures))
        return
    print(f"orders over {name}, sync {figures['sync']}, {figures['clients']} clients, {figures['requests']} checked")
    print(f"  {figures['requests_per_second']:>8} requests/s, p50 {figures['p50_ns']} ns, p99 {figures['p99_ns']} ns")
    print(f"  {figures['bare_requests_per_second']:>8} requests/s of a bare {peer}")
    print(
        f"  {figures['cpu_us_per_request']:>8} us of processor time a request, "
        f"{figures['bare_cpu_us_per_request']} of the bare one"
    )
    print(f"  {figures['ratio_to_bare']:>8} of it (median of {ROUNDS} alternating rounds)")


if __name__ == "__main__":
    main()
