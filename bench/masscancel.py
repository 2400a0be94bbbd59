"""`python -m bench.masscancel`: how long a mass cancel of 100,000 orders holds up others.

Fills a book with resting orders of many accounts and cancels all of them with MASS_CANCEL, chunk after chunk as the
operator's command does. Two figures. In the engine alone: the longest single command. In a running pipeline: the delay
of other commands, one in flight at a time, while the chunks run, beside the same without them. Before it prints, every
order is gone, nothing is locked, and the invariants of the engine hold.

A chunk closes at most MASS_CANCEL_MAX orders, which is what bounds the delay.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import uvloop

from bench.flow_engine import Buffer, Wrong
from exchange.core import invariants
from exchange.core.codes import CommandKind, EventKind, OrderType, Scope, Side, TimeInForce
from exchange.core.event_records import event_dict
from exchange.core.kernel import Engine
from exchange.core.records import RECORD_BYTES, fill_command, slots
from exchange.core.state import MASS_CANCEL_MAX
from exchange.disruptor.pipeline import Pipeline
from journal import recovery
from journal.format import Stream
from journal.segments import Position
from journal.writer import Writer

CLUSTER_ID = b"bench-masscancel"
ACCOUNTS = 50
LEVELS = 2_000
FIRST_ACCOUNT, BASE, QUOTE, SYMBOL = 16, 1, 2, 1
CALM_COMMANDS = 400
"""Commands of the baseline."""
_KIND_AT = 16


def _command(kind: CommandKind, name: str = "", **fields: int) -> Buffer:
    slot = slots(1)
    fill_command(slot[0], kind, "", name, **fields)
    return slot


def venue() -> list[Buffer]:
    """Two assets, one symbol, rich accounts."""
    rows = [
        _command(CommandKind.ADD_ASSET, "BASE", asset=BASE, scale=8),
        _command(CommandKind.ADD_ASSET, "QUOTE", asset=QUOTE, scale=8),
        _command(
            CommandKind.ADD_SYMBOL, "BASE_QUOTE", symbol=SYMBOL, base_asset=BASE, quote_asset=QUOTE,
            price_scale=2, qty_scale=2, price_min_ticks=1, price_max_ticks=10**6, qty_min_lots=1, qty_max_lots=10**6,
            notional_max_atoms=10**17, price_step_ticks=1, qty_step_lots=1, orders_max=10**6,
        ),
    ]  # fmt: skip
    for account in range(FIRST_ACCOUNT, FIRST_ACCOUNT + ACCOUNTS):
        rows.append(_command(CommandKind.OPEN_ACCOUNT, account=account, maker_fee_ppm=-1, taker_fee_ppm=-1))
        for asset in (BASE, QUOTE):
            money = {"asset": asset, "transfer_id": account * 10 + asset, "amount_atoms": 10**15}
            rows.append(_command(CommandKind.DEPOSIT, "", account=account, **money))
    return rows


def filled(orders: int) -> Buffer:
    """The commands, stamped, that make the venue and let so many orders rest, on both sides."""
    rows = venue()
    for number in range(orders):
        side = Side.BUY if number % 2 else Side.SELL
        offset = (number * 7_919) % LEVELS
        rows.append(
            _command(
                CommandKind.PLACE,
                account=FIRST_ACCOUNT + number % ACCOUNTS,
                symbol=SYMBOL,
                side=side,
                order_type=OrderType.LIMIT,
                time_in_force=TimeInForce.GTC,
                price_ticks=10_000 - offset if side == Side.BUY else 10_001 + offset,
                qty_lots=1 + number % 9,
            )
        )
    return stamped(np.concatenate(rows), 1)


def stamped(commands: Buffer, first: int) -> Buffer:
    """The same commands with sequences from `first` on."""
    heads = commands.view(np.int64)
    heads[:, 0] = np.arange(first, first + len(commands))
    heads[:, 1] = 1
    return commands


def _check(engine: Engine, orders: int, canceled: int) -> None:
    """Raises Wrong unless every order is gone and nothing is wrong with the state."""
    if canceled != orders or int(engine.state.header[0].open_orders):
        raise Wrong(f"{canceled} of {orders} orders were canceled, {int(engine.state.header[0].open_orders)} are open")
    if int(engine.state.balances["locked"].sum()):
        raise Wrong("something is still locked")
    invariants.check_all(engine.state)


def _told(events: Buffer) -> dict[str, int]:
    """The MASS_CANCELED among the events of a chunk."""
    found = np.flatnonzero(events[:, _KIND_AT] == EventKind.MASS_CANCELED)
    if len(found) != 1:
        raise Wrong("a MASS_CANCEL was not answered with one MASS_CANCELED")
    return event_dict(events[int(found[0])])


def engine_alone(setup: Buffer, orders: int) -> dict[str, Any]:
    """The longest chunk of the engine, in milliseconds. The first run compiles and makes room; the second counts."""
    longest_ns = total_ns = chunks = 0
    event_slots = MASS_CANCEL_MAX * 4
    for _ in range(2):
        engine = Engine(event_slots=event_slots)
        engine.run(setup)
        longest_ns = total_ns = chunks = canceled = 0
        more = True
        while more:
            command = stamped(_command(CommandKind.MASS_CANCEL, scope=Scope.VENUE), len(setup) + chunks + 1)
            started = time.perf_counter_ns()
            events = engine.run(command)
            took = time.perf_counter_ns() - started
            told = _told(events)
            longest_ns, total_ns, chunks = max(longest_ns, took), total_ns + took, chunks + 1
            canceled, more = canceled + told["canceled_count"], bool(told["more"])
        _check(engine, orders, canceled)
    return {
        "longest_command_ms": round(longest_ns / 1e6, 3),
        "engine_total_ms": round(total_ns / 1e6, 3),
        "chunks": chunks,
    }


def _begin(directory: Path, stream: Stream, records: Buffer) -> Position:
    """A journal that holds `records`, as after a start."""
    directory.mkdir()
    recovered = recovery.recover(directory, stream=stream, cluster_id=CLUSTER_ID, watermarks={})
    with Writer(directory, recovery.begin_epoch(directory, recovered)) as writer:
        for first in range(0, len(records), 4_096):
            writer.append(records[first : first + 4_096])
        writer.sync()
    recovered = recovery.recover(directory, stream=stream, cluster_id=CLUSTER_ID, watermarks={})
    return recovery.begin_epoch(directory, recovered)


async def _delays_ns(pipeline: Pipeline, stop: asyncio.Event, count: int = 0) -> list[int]:
    """Times of one command in flight after the other, until `stop`, or `count` of them."""
    other = _command(CommandKind.CANCEL, account=FIRST_ACCOUNT, order_id=1 << 40).tobytes()
    delays: list[int] = []
    while not stop.is_set() and (not count or len(delays) < count):
        started = time.perf_counter_ns()
        await pipeline.submit([other])[0]
        delays.append(time.perf_counter_ns() - started)
    return delays


async def in_pipeline(setup: Buffer, orders: int, root: Path, *, sync: bool) -> dict[str, Any]:
    """The delays of others without and with a mass cancel under way, in milliseconds."""
    engine = Engine()
    events = engine.run(setup).copy()
    pipeline = Pipeline(
        engine,
        _begin(root / "commands", Stream.COMMANDS, setup),
        _begin(root / "events", Stream.EVENTS, events),
        sync=sync,
        loop=asyncio.get_running_loop(),
        unsynced_ms_max=60_000,
    )
    pipeline.start()
    stop = asyncio.Event()
    calm = await _delays_ns(pipeline, stop, CALM_COMMANDS)
    others = asyncio.create_task(_delays_ns(pipeline, stop))
    sweep = _command(CommandKind.MASS_CANCEL, scope=Scope.VENUE).tobytes()
    canceled, more, started = 0, True, time.perf_counter_ns()
    while more:
        told = await pipeline.submit([sweep], cancel=True)[0]
        last = _told(np.frombuffer(told, np.uint8).reshape(-1, RECORD_BYTES))
        canceled, more = canceled + last["canceled_count"], bool(last["more"])
    took_ns = time.perf_counter_ns() - started
    stop.set()
    busy = await others
    await pipeline.stop()
    _check(engine, orders, canceled)
    return {
        "pipeline_total_ms": round(took_ns / 1e6, 1),
        "others": len(busy),
        "others_p50_ms": round(float(np.percentile(busy, 50)) / 1e6, 3),
        "others_max_ms": round(max(busy) / 1e6, 3),
        "calm_p50_ms": round(float(np.percentile(calm, 50)) / 1e6, 3),
        "calm_max_ms": round(max(calm) / 1e6, 3),
        "sync": "always" if sync else "off",
    }


def report(figures: dict[str, Any]) -> None:
    """Print the figures."""
    print(f"{figures['orders']:,} orders canceled in {figures['chunks']} chunks, sync {figures['sync']}: as expected")
    print(f"  {figures['longest_command_ms']:>9} ms the longest chunk in the engine")
    print(
        f"  {figures['engine_total_ms']:>9} ms all chunks in the engine, {figures['pipeline_total_ms']} in a pipeline"
    )
    print(f"  {figures['others_max_ms']:>9} ms the longest delay of {figures['others']} other commands meanwhile")
    print(f"  {figures['others_p50_ms']:>9} ms their median; {figures['calm_p50_ms']} without a mass cancel")
    print(f"  {figures['calm_max_ms']:>9} ms the longest delay without a mass cancel")


def main(arguments: list[str] | None = None) -> int:
    """Run; 0 if every check held, 1 if not."""
    parser = argparse.ArgumentParser(prog="python -m bench.masscancel", description="Mass cancels and who waits.")
    parser.add_argument("--orders", type=int, default=100_000, help="resting orders (default: 100000)")
    parser.add_argument("--sync", choices=("always", "off"), default="always", help="as EXCHANGE_SYNC")
    parser.add_argument("--directory", type=Path, help="where the journals go (default: the temporary folder)")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args(arguments)
    try:
        setup = filled(options.orders)
        figures = {"ok": True, "orders": options.orders, **engine_alone(setup, options.orders)}
        with tempfile.TemporaryDirectory(prefix="bench-masscancel-", dir=options.directory) as root:
            figures |= uvloop.run(in_pipeline(setup, options.orders, Path(root), sync=options.sync == "always"))
    except Wrong as error:
        print(json.dumps({"ok": False, "error": str(error)}) if options.json else f"bench.masscancel: {error}")
        return 1
    if options.json:
        print(json.dumps(figures))
    else:
        report(figures)
    return 0


if __name__ == "__main__":
    sys.exit(main())
