"""A steady stream of orders, and what two conditions in alternating rounds do to its latency.

Owns how a latency is counted: from when the order was due, so that a stall hides no orders behind it. A round's p99 is
its own; conditions are compared by the median over their rounds, so that one stall of a shared machine decides nothing.
"""

from __future__ import annotations

import select
import statistics
import time
from collections.abc import Iterable
from typing import NamedTuple

from bench.rest import BenchFailed, Client, Server

CLIENTS = 16


class Round(NamedTuple):
    """One round under a condition."""

    condition: str
    latencies_ns: list[int]

    def percentile_ns(self, share: float) -> int:
        """The latency that `share` of the orders do not exceed."""
        return sorted(self.latencies_ns)[int(len(self.latencies_ns) * share)]


def steady(server: Server, requests: list[bytes], rate: float) -> list[int]:
    """Send requests at a fixed rate over CLIENTS connections; returns latencies from when each was due, ns."""
    connections = {client.socket.fileno(): client for client in (Client(server.port) for _ in range(CLIENTS))}
    epoll = select.epoll()
    for fd in connections:
        epoll.register(fd, select.EPOLLIN)
    idle = list(connections.values())
    due_ns: dict[int, int] = {}
    latencies: list[int] = []
    begun, interval_ns, sent = time.perf_counter_ns(), int(1e9 / rate), 0
    while len(latencies) < len(requests):
        now = time.perf_counter_ns()
        while idle and sent < len(requests) and begun + sent * interval_ns <= now:
            client = idle.pop()
            due_ns[client.socket.fileno()] = begun + sent * interval_ns
            client.send(requests[sent])
            sent += 1
        pause_s = max(0.0, (begun + sent * interval_ns - now) / 1e9) if sent < len(requests) and idle else 1.0
        for fd, _ in epoll.poll(pause_s):
            answer = connections[fd].answer()
            if answer:
                latencies.append(time.perf_counter_ns() - due_ns[fd])
                idle.append(connections[fd])
                if not answer.startswith(b"HTTP/1.1 200 "):
                    raise BenchFailed(f"An order was not accepted: {answer[-300:]!r}")
    epoll.close()
    for client in connections.values():
        client.socket.close()
    return latencies


def compare(rounds: Iterable[Round], baseline: str, condition: str) -> dict[str, object]:
    """p50 and p99 of both conditions, medians over their rounds in ns, and how many times as long the second takes."""
    figures: dict[str, object] = {}
    for name, share in (("p50", 0.5), ("p99", 0.99)):
        found = {
            one: statistics.median(each.percentile_ns(share) for each in rounds if each.condition == one)
            for one in (baseline, condition)
        }
        figures |= {f"{name}_{one}_ns": int(value) for one, value in found.items()}
        figures[f"{name}_{condition}_to_{baseline}"] = round(found[condition] / found[baseline], 3)
    return figures
