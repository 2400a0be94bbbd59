"""`python -m bench.logins`: what orders notice of a flood of logins.

One demo exchange with its embedded PostgreSQL, a steady stream of signed orders at a fixed rate, and in every second
round 200 connections that try to log in, again and again with a second in between, each time from another address and
with another email (the exchange believes the X-Forwarded-For of this machine). An attempt that is not slowed down costs
the exchange an argon2id hash of 64 MiB. Checks before it prints: every order was answered 200; in every round with the
flood hashes were made; every attempt was refused as it should be, 401, 429 or 503.
"""

from __future__ import annotations

import argparse
import itertools
import json
import pathlib
import random
import selectors
import subprocess
import sys
import tempfile
import time
from collections import Counter, deque

from bench.rest import BenchFailed, Client, Sender, Server, exchange_server
from bench.steady import Round, compare, steady

CONNECTIONS = 200
PAUSE_S = 1.0
_PROXY = {"EXCHANGE_TRUSTED_PROXIES": "127.0.0.1"}
HASHED, SLOWED, BUSY = "401", "429", "503"


def _attempt(number: int) -> bytes:
    body = f"email=nobody{number}@example.com&password=a+stone+in+the+river".encode()
    address = f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"
    head = f"POST /v1/user/login HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Forwarded-For: {address}\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


def flood(port: int) -> None:
    """Try to log in over CONNECTIONS connections until stdin ends; then print how many of each answer came.

    A connection that was told to come back does so after PAUSE_S: whoever floods shares this machine's processors, and
    what they take is not the exchange's.
    """
    tries = itertools.count(random.randrange(1 << 23))
    selector = selectors.DefaultSelector()
    selector.register(sys.stdin, selectors.EVENT_READ)
    answers: Counter[str] = Counter()
    resting: deque[tuple[float, Client]] = deque()
    for _ in range(CONNECTIONS):
        client = Client(port)
        selector.register(client.socket, selectors.EVENT_READ, client)
        resting.append((0.0, client))
    while True:
        while resting and resting[0][0] <= time.monotonic():
            resting.popleft()[1].send(_attempt(next(tries)))
        for key, _ in selector.select(max(0.0, resting[0][0] - time.monotonic()) if resting else None):
            if key.data is None:
                print(json.dumps(answers), flush=True)
                return
            if answer := key.data.answer():
                answers[answer[9:12].decode()] += 1
                resting.append((time.monotonic() + PAUSE_S, key.data))


def _round_with_flood(server: Server, requests: list[bytes], rate: float) -> tuple[list[int], Counter[str]]:
    command = [sys.executable, "-m", "bench.logins", "--flood", str(server.port)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        latencies = steady(server, requests, rate)
        said, _ = process.communicate()
    if process.returncode:
        raise BenchFailed(f"The flood ended with {process.returncode}.")
    answers: Counter[str] = Counter(json.loads(said))
    if answers.keys() - {HASHED, SLOWED, BUSY} or not answers[HASHED]:
        raise BenchFailed(f"The logins were answered {dict(answers)}.")
    return latencies, answers


def run(rounds: int, seconds: float, rate: float) -> dict[str, object]:
    """The figures of one run. Raises BenchFailed."""
    measured: list[Round] = []
    answers: Counter[str] = Counter()
    count = int(seconds * rate)
    with tempfile.TemporaryDirectory(prefix="logins-") as folder:
        data_dir = pathlib.Path(folder) / "var"
        with exchange_server(data_dir, _PROXY, is_pinned=False) as server:
            sender = Sender(data_dir)
            steady(server, sender.requests(count), rate)
            for _ in range(rounds):
                measured.append(Round("quiet", steady(server, sender.requests(count), rate)))
                latencies, came = _round_with_flood(server, sender.requests(count), rate)
                measured.append(Round("flood", latencies))
                answers += came
    return {
        "ok": True,
        "orders": 2 * rounds * count,
        "orders_per_second": rate,
        "logins_hashed": answers[HASHED],
        "logins_slowed": answers[SLOWED],
        "logins_refused_busy": answers[BUSY],
        **compare(measured, "quiet", "flood"),
    }


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(prog="python -m bench.logins", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--rounds", type=int, default=4, help="rounds with and without the flood, each")
    parser.add_argument("--seconds", type=float, default=5.0, help="length of a round")
    parser.add_argument("--rate", type=float, default=1000.0, help="orders a second")
    parser.add_argument("--flood", type=int, metavar="PORT", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.flood:
        flood(options.flood)
        return
    try:
        figures = run(options.rounds, options.seconds, options.rate)
    except BenchFailed as error:
        if options.json:
            print(json.dumps({"ok": False, "error": str(error)}))
        print(f"bench.logins: {error}", file=sys.stderr)
        sys.exit(1)
    if options.json:
        print(json.dumps(figures))
        return
    print(f"{figures['orders']} orders at {figures['orders_per_second']:.0f} a second; logins: ", end="")
    print(", ".join(f"{figures[f'logins_{what}']} {what}" for what in ("hashed", "slowed", "refused_busy")))
    for name in ("p50", "p99"):
        print(
            f"  {name}  {figures[f'{name}_quiet_ns']} ns alone, {figures[f'{name}_flood_ns']} ns in the flood: "
            f"{figures[f'{name}_flood_to_quiet']} times as long"
        )


if __name__ == "__main__":
    main()
