"""`python -m bench.outage`: what orders notice of PostgreSQL, while it is there and while it is not.

One demo exchange, an external PostgreSQL (the embedded server's programs in a process of ours), and a steady stream of
signed orders at a fixed rate. In alternating rounds the server runs (the projector writes every order) or is stopped at
once (`immediate`, nothing is told to anybody). Checks before it prints: every order was answered 200; after the last
round the projection holds exactly these orders, although half of them were placed while it could not be reached.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import pathlib
import signal
import sys
import tempfile
import time

from bench.rest import BenchFailed, Sender, exchange_server
from bench.steady import Round, compare, steady
from exchange.persistence.database import Target
from exchange.persistence.embedded import PORT, USER, EmbeddedPostgres
from exchange.settings import load

CAUGHT_UP_S = 120.0


class PostgresProcess:
    """A PostgreSQL that this benchmark starts and stops at will."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.folder = folder
        self._server = EmbeddedPostgres(folder, connections=60)

    def start(self) -> None:
        """Start it and wait until it takes connections."""
        self._server.start()

    def stop_at_once(self) -> None:
        """What `pg_ctl stop -m immediate` does."""
        if pid := self._server.pid:
            os.kill(pid, signal.SIGQUIT)
        self._server.stop(30.0)

    def environ(self) -> dict[str, str]:
        """The settings of an exchange that uses it."""
        return {"DB_HOST": str(self.folder), "DB_PORT": str(PORT), "DB_USER": USER, "DB_NAME": USER}


async def _projected_orders(settings: dict[str, str], expected: int) -> int:
    """How many orders the projection holds, once it holds `expected` or does not come nearer in time."""
    connection = await Target.of(load(settings, demo=True), pathlib.Path()).connect("bench")
    try:
        end_s = time.monotonic() + CAUGHT_UP_S
        while True:
            found = int(await connection.fetchval("select count(*) from exchange_order.orders"))
            if found >= expected or time.monotonic() > end_s:
                return found
            await asyncio.sleep(0.1)
    finally:
        await connection.close()


def run(rounds: int, seconds: float, rate: float) -> dict[str, object]:
    """The figures of one run. Raises BenchFailed."""
    measured: list[Round] = []
    with tempfile.TemporaryDirectory(prefix="outage-") as folder:
        root = pathlib.Path(folder)
        postgres = PostgresProcess(root / "pg")
        postgres.start()
        try:
            with exchange_server(root / "var", postgres.environ(), is_pinned=False) as server:
                sender = Sender(root / "var")
                count = int(seconds * rate)
                steady(server, sender.requests(count), rate)
                sent = count
                for number in range(2 * rounds):
                    is_up = number % 2 == 0
                    if is_up and number:
                        postgres.start()
                    elif not is_up:
                        postgres.stop_at_once()
                    measured.append(Round("up" if is_up else "down", steady(server, sender.requests(count), rate)))
                    sent += count
                postgres.start()
                found = asyncio.run(_projected_orders(postgres.environ(), sent))
        finally:
            postgres.stop_at_once()
    if found != sent:
        raise BenchFailed(f"{sent} orders were accepted and {found} are in the projection.")
    return {"ok": True, "orders": sent, "orders_per_second": rate, **compare(measured, "up", "down")}


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(prog="python -m bench.outage", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--rounds", type=int, default=4, help="rounds with and without PostgreSQL, each")
    parser.add_argument("--seconds", type=float, default=5.0, help="length of a round")
    parser.add_argument("--rate", type=float, default=1000.0, help="orders a second")
    options = parser.parse_args()
    try:
        figures = run(options.rounds, options.seconds, options.rate)
    except BenchFailed as error:
        if options.json:
            print(json.dumps({"ok": False, "error": str(error)}))
        print(f"bench.outage: {error}", file=sys.stderr)
        sys.exit(1)
    if options.json:
        print(json.dumps(figures))
        return
    print(f"{figures['orders']} orders at {figures['orders_per_second']:.0f} a second, every one in the projection")
    for name in ("p50", "p99"):
        print(f"  {name}  {figures[f'{name}_up_ns']} ns with PostgreSQL, {figures[f'{name}_down_ns']} ns without")
        print(f"       without it {figures[f'{name}_down_to_up']} times as long")


if __name__ == "__main__":
    main()
