"""`python -m bench.projection`: from an event journal to PostgreSQL, through the projector's own process.

Runs the usual flow (near the touch, every order with a client id of 36 characters, 300 ms of engine time a command)
through an engine, writes its events to a synced event journal, starts an embedded PostgreSQL, and has a projector write
it all, with every index, partition, check and merge. `rows_per_second` counts rows that were copied or merged, by the
wall clock, from the child's first commit on: neither the start of Python nor migrations count.

Checked before anything is printed: open orders and balances against the engine, orders and trades against the journal,
gapless trade ids, ledger sums of every asset, balances against postings, fills and candles against trades.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import pathlib
import sys
import tempfile
import time
from typing import Any, NamedTuple

import numpy as np

from bench.flow import Shape, cached
from bench.flow_engine import Buffer, Wrong, prepare
from exchange.core.codes import EventKind
from exchange.core.kernel import Engine
from exchange.core.records import view_commands
from exchange.datadir import DataDirectory
from exchange.persistence.database import Connection, Target
from exchange.persistence.embedded import EmbeddedPostgres
from exchange.persistence.process import ProjectorProcess
from exchange.recovery import EVENTS
from exchange.settings import Settings, load
from journal import recovery as journals
from journal.writer import Writer

COMMANDS = 300_000
GROUP_COMMANDS = 1_024
FIRST_TS_NS = 1_767_139_200 * 10**9
"""2025-12-31, so that a month ends on the way."""
STEP_NS = 300_000_000
TIMEOUT_S = 600.0
_TICKS = os.sysconf("SC_CLK_TCK")


class Sample(NamedTuple):
    """The child at one moment."""

    at_s: float
    rows: int
    cpu_s: float
    memory_kb: int


def write_events(directory: DataDirectory, settings: Settings, batches: list[Buffer]) -> tuple[Engine, np.ndarray]:
    """Run commands, journal their events; returns the engine and how many events of each kind there were."""
    engine = Engine()
    counts = np.zeros(256, np.int64)
    found = journals.recover(directory.events, stream=EVENTS, cluster_id=directory.cluster_id, watermarks={})
    begun = journals.begin_epoch(directory.events, found, segment_bytes=settings.segment_bytes)
    with Writer(directory.events, begun) as events:
        for batch in batches:
            for first in range(0, len(batch), GROUP_COMMANDS):
                written = engine.run(batch[first : first + GROUP_COMMANDS])
                counts += np.bincount(written[:, 16], minlength=256)
                events.append(written)
        events.sync()
    return engine, counts


def _sample(child: ProjectorProcess) -> Sample:
    proc = pathlib.Path(f"/proc/{child.pid}")
    fields = proc.joinpath("stat").read_text().rpartition(")")[2].split()
    memory = proc.joinpath("status").read_text().partition("VmHWM:")[2].split()[0]
    return Sample(time.monotonic(), child.rows, (int(fields[11]) + int(fields[12])) / _TICKS, int(memory))


async def _project(settings: Settings, sequence: int) -> list[Sample]:
    """Let a projector come to `sequence`; samples from the first commit to the last. Raises Wrong."""
    child = ProjectorProcess(settings.data_dir)
    samples: list[Sample] = []
    until_s = time.monotonic() + TIMEOUT_S
    try:
        while child.watermark.sequence < sequence:
            child.step()
            if child.refused or time.monotonic() > until_s:
                raise Wrong(
                    f"the projector stands at sequence {child.watermark.sequence}: {child.sentence or 'too slow'}"
                )
            await asyncio.sleep(0.005)
            if child.rows and (not samples or child.rows != samples[-1].rows):
                samples.append(_sample(child))
    finally:
        await child.stop()
    return samples


CHECKS = {
    "an asset whose postings do not sum to zero": """
        select asset from exchange_clearing.postings group by asset having sum(available_delta + locked_delta) <> 0""",
    "a balance that is not the sum of its postings": """
        select 1 from exchange_clearing.balances b full join (
            select account, asset, sum(available_delta) as available, sum(locked_delta) as locked
            from exchange_clearing.postings group by account, asset
        ) p using (account, asset)
        where b.available is distinct from p.available or b.locked is distinct from p.locked""",
    "a gap in trade ids": """
        select symbol from exchange_market.trades group by symbol having count(*) <> max(trade_id)""",
    "an order whose trades are not what it filled": """
        select o.order_id from exchange_order.orders o left join (
            select order_id, sum(qty_lots) as lots from (
                select taker_order_id as order_id, qty_lots from exchange_market.trades
                union all select maker_order_id, qty_lots from exchange_market.trades
            ) t group by order_id
        ) f using (order_id) where o.filled_lots <> coalesce(f.lots, 0)""",
    "a candle whose trades are not those of the market": """
        select span from exchange_market.candles group by span
        having sum(trades) <> (select count(*) from exchange_market.trades)""",
}


async def check(connection: Connection, engine: Engine, counts: np.ndarray) -> dict[str, int]:
    """Hold the tables against the engine; returns how many rows each has. Raises Wrong."""
    for what, query in CHECKS.items():
        if row := await connection.fetchrow(query):
            raise Wrong(f"there is {what}: {tuple(row)}")
    state = engine.state
    balances = np.asarray(state.balances).reshape(len(state.accounts), len(state.assets))
    wanted = {
        (int(account), int(asset)): tuple(int(part) for part in balances[account, asset].item())
        for account, asset in np.argwhere((balances["available"] != 0) | (balances["locked"] != 0))
    }
    rows = await connection.fetch("select * from exchange_clearing.balances where available <> 0 or locked <> 0")
    if {(account, asset): (available, locked) for account, asset, available, locked in rows} != wanted:
        raise Wrong("the balances are not the engine's")
    open_now = await connection.fetchrow(
        "select count(*), sum(leaves_lots) from exchange_order.orders where leaves_lots > 0 and status <= 2"
    )
    live = state.orders[state.orders.order_id != 0]
    if (int(state.header[0].open_orders), int(live.leaves_lots.sum())) != tuple(open_now):
        raise Wrong(f"the open orders are not the engine's: {tuple(open_now)}")
    tables = {"orders": "order", "entries": "clearing", "postings": "clearing", "trades": "market"}
    tables |= {"agg_trades": "market", "candles": "market"}
    found = {
        name: await connection.fetchval(f"select count(*) from exchange_{schema}.{name}")
        for name, schema in tables.items()
    }
    if (found["orders"], found["trades"]) != (counts[EventKind.ORDER_ACCEPTED], counts[EventKind.TRADE]):
        raise Wrong(f"{found['orders']} orders and {found['trades']} trades are not what the journal has")
    return found


def measure(folder: pathlib.Path, commands: int) -> dict[str, Any]:
    """All figures, in a data directory below `folder`. Raises Wrong."""
    settings = load({}, demo=True, data_dir=folder / "var")
    prepared = prepare(cached(Shape("touch", commands=commands)), client_ids=True)
    view_commands(prepared.setup).any.ts_ns = FIRST_TS_NS
    view_commands(prepared.commands).any.ts_ns = FIRST_TS_NS + STEP_NS * np.arange(1, len(prepared.commands) + 1)
    with DataDirectory(settings.data_dir) as directory:
        engine, counts = write_events(directory, settings, [prepared.setup, prepared.commands])
        server = EmbeddedPostgres(directory.postgres, connections=10)
        server.start()
        try:
            with asyncio.Runner() as runner:
                samples = runner.run(_project(settings, int(engine.state.header[0].sequence)))
                tables = runner.run(_check(settings, directory, engine, counts))
        finally:
            server.stop(10.0)
    return _figures(samples, tables, int(counts.sum()))


async def _check(settings: Settings, directory: DataDirectory, engine: Engine, counts: np.ndarray) -> dict[str, int]:
    connection = await Target.of(settings, directory.postgres).connect("bench", statement_ms=0)
    try:
        return await check(connection, engine, counts)
    finally:
        await connection.close()


def _figures(samples: list[Sample], tables: dict[str, int], events: int) -> dict[str, Any]:
    first, last = samples[0], samples[-1]
    rows, seconds = last.rows - first.rows, last.at_s - first.at_s
    middle = samples[len(samples) // 2]
    return {
        "ok": True,
        "rows_per_second": round(rows / seconds),
        "events_per_second": round(events * rows / last.rows / seconds),
        "cpu_us_per_row": round((last.cpu_s - first.cpu_s) / rows * 1e6, 2),
        "cpu_s": round(last.cpu_s - first.cpu_s, 2),
        "seconds": round(seconds, 2),
        "rows": last.rows,
        "events": events,
        "memory_middle_mb": middle.memory_kb // 1024,
        "memory_end_mb": last.memory_kb // 1024,
        **{f"rows_{name}": count for name, count in tables.items()},
    }


def main(arguments: list[str] | None = None) -> int:
    """Run; 0 if every check held, 1 if not."""
    parser = argparse.ArgumentParser(prog="python -m bench.projection", description="An event journal to PostgreSQL.")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--commands", type=int, default=COMMANDS, help="length of the flow")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="exchange-bench-") as folder:
        try:
            figures = measure(pathlib.Path(folder), options.commands)
        except Wrong as error:
            print(json.dumps({"ok": False, "error": str(error)}) if options.json else f"bench.projection: {error}")
            return 1
    if options.json:
        print(json.dumps(figures))
        return 0
    for name, value in figures.items():
        print(f"{name:<36}{value:>14,}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
