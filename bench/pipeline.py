"""`python -m bench.pipeline`: command ring -> synced journal -> engine -> event journal, all of it real.

    one producer ──► command ring ──► journaler ──► engine ──► event ring ──┬─► event journal
                                     (fdatasync)                            └─► event loop

Three figures. Throughput: one producer publishes a flow in batches, nobody waits for single replies. Latency: one
command in flight, beside a bare 4 KiB pwrite + fdatasync on the same disk, in alternating rounds. Clients: 256
coroutines with one order in flight each. Before it prints, it reads both journals back: every command is there and on
disk, replaying them gives the journaled events to the byte and the state of the live engine, and the flow traded what
it must.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import uvloop

from bench.flow import Broken, Shape, cached
from bench.flow_engine import FIRST_ACCOUNT, SYMBOL, Buffer, Prepared, Wrong, prepare
from exchange.core.codes import CommandKind, EventKind, OrderType, Side, TimeInForce
from exchange.core.hashing import state_hash
from exchange.core.kernel import Engine
from exchange.core.records import fill_command, slots
from exchange.disruptor.errors import RingFull
from exchange.disruptor.pipeline import Pipeline
from journal import reader, recovery
from journal.format import Stream
from journal.segments import Position

CLUSTER_ID = b"bench---pipeline"
BATCH = 4_096
ROUNDS = 5
LATENCY_COMMANDS = 400
CLIENTS = 256
CLIENT_COMMANDS = 400
BARE_BYTES = 4_096


def _begin(directory: Path, stream: Stream) -> Position:
    directory.mkdir()
    recovered = recovery.recover(directory, stream=stream, cluster_id=CLUSTER_ID, watermarks={})
    return recovery.begin_epoch(directory, recovered)


def _resting_order() -> bytes:
    """A buy at the lowest price: it is accepted and never trades."""
    slot = slots(1)
    fill_command(
        slot[0],
        CommandKind.PLACE,
        account=FIRST_ACCOUNT,
        symbol=SYMBOL,
        side=Side.BUY,
        order_type=OrderType.LIMIT,
        time_in_force=TimeInForce.GTC,
        price_ticks=1,
        qty_lots=1,
    )
    return slot.tobytes()


async def _post_all(pipeline: Pipeline, commands: Buffer, progress: asyncio.Event) -> None:
    """Post in batches as the ring has room, and wait until the last command is applied and its events are journaled."""
    for first in range(0, len(commands), BATCH):
        batch = commands[first : first + BATCH]
        while True:
            try:
                pipeline.post(batch)
                break
            except RingFull:
                progress.clear()
                await progress.wait()
        await asyncio.sleep(0)
    tick = slots(1)
    fill_command(tick[0], CommandKind.TICK)
    await pipeline.submit([tick.tobytes()], cancel=True)[0]


async def _throughput(pipeline: Pipeline, prepared: Prepared) -> float:
    """Commands per second of the flow, from the first publish to the reply of the command behind the last."""
    progress = asyncio.Event()
    pipeline.on_events(lambda _events, _count: progress.set())
    await _post_all(pipeline, prepared.setup, progress)
    started = time.perf_counter()
    await _post_all(pipeline, prepared.commands, progress)
    return len(prepared.commands) / (time.perf_counter() - started)


def _bare_ns(fd: int, count: int) -> list[int]:
    data = os.urandom(BARE_BYTES)
    durations = []
    for number in range(count):
        started = time.perf_counter_ns()
        os.pwrite(fd, data, number * BARE_BYTES)
        os.fdatasync(fd)
        durations.append(time.perf_counter_ns() - started)
    return durations


async def _latency(pipeline: Pipeline, root: Path, *, sync: bool) -> dict[str, Any]:
    """One command in flight and bare syncs, in alternating rounds; nanoseconds."""
    order = _resting_order()
    fd = os.open(root / "bare", os.O_RDWR | os.O_CREAT)
    os.write(fd, bytes(BARE_BYTES * LATENCY_COMMANDS))
    os.fsync(fd)
    bare: list[int] = []
    ours: list[int] = []
    for _ in range(ROUNDS):
        bare += _bare_ns(fd, LATENCY_COMMANDS)
        for _ in range(LATENCY_COMMANDS):
            started = time.perf_counter_ns()
            await pipeline.submit([order])[0]
            ours.append(time.perf_counter_ns() - started)
    os.close(fd)
    p50, p99, p999 = (int(value) for value in np.percentile(ours, (50, 99, 99.9)))
    bare_p50 = round(statistics.median(bare))
    figures = {"p50_ns": p50, "p99_ns": p99, "p999_ns": p999, "bare_p50_ns": bare_p50}
    return figures | ({"ratio_to_bare": round(p50 / bare_p50, 3)} if sync else {})


async def _clients(pipeline: Pipeline) -> float:
    """Commands per second of CLIENTS coroutines that wait for each reply."""
    order = _resting_order()

    async def client() -> None:
        for _ in range(CLIENT_COMMANDS):
            await pipeline.submit([order])[0]

    started = time.perf_counter()
    await asyncio.gather(*(client() for _ in range(CLIENTS)))
    return CLIENTS * CLIENT_COMMANDS / (time.perf_counter() - started)


def _check(root: Path, live: Engine, last_sequence: int, prepared: Prepared) -> int:
    """Read both journals back and compare with what must be; returns the number of events. Raises Wrong."""
    replayed = Engine()
    events = (group.payload for group in reader.groups(root / "events"))
    pending = np.zeros((0, 128), np.uint8)
    trades = total = 0
    for group in reader.groups(root / "commands"):
        found = replayed.run(group.payload)
        while len(pending) < len(found):
            payload = next(events, None)
            if payload is None:
                raise Wrong(f"the event journal ends {len(found) - len(pending)} events early")
            pending = np.concatenate((pending, payload))
        if not np.array_equal(pending[: len(found)], found):
            raise Wrong(f"the journaled events of commands from {group.first_sequence} on are not those of a replay")
        pending = pending[len(found) :]
        trades += int(np.count_nonzero(found[:, 16] == EventKind.TRADE))
        total += len(found)
        if np.count_nonzero(found[:, 16] == EventKind.REJECTED):
            raise Wrong(f"commands from {group.first_sequence} on were rejected")
    if len(pending) or next(events, None) is not None:
        raise Wrong("the event journal holds more than the commands gave")
    if int(replayed.state.header[0].sequence) != last_sequence:
        raise Wrong(f"the command journal ends at {int(replayed.state.header[0].sequence)}, not at {last_sequence}")
    if trades != prepared.expected["trades"]:
        raise Wrong(f"{trades} trades, {prepared.expected['trades']} were expected")
    if state_hash(replayed.state) != state_hash(live.state):
        raise Wrong("the replayed state is not the live one")
    return total


async def measure(prepared: Prepared, root: Path, *, sync: bool) -> dict[str, Any]:
    """All figures, checked. Raises Wrong."""
    engine = Engine()
    commands, events = _begin(root / "commands", Stream.COMMANDS), _begin(root / "events", Stream.EVENTS)
    loop = asyncio.get_running_loop()
    pipeline = Pipeline(engine, commands, events, sync=sync, loop=loop, unsynced_ms_max=60_000)
    pipeline.start()
    rate = await _throughput(pipeline, prepared)
    groups = pipeline.statistics().groups
    latency = await _latency(pipeline, root, sync=sync)
    clients = await _clients(pipeline)
    await pipeline.stop()
    if pipeline.statistics().durable != pipeline.last_sequence:
        raise Wrong(f"{pipeline.statistics().durable} commands are durable of {pipeline.last_sequence}")
    total = _check(root, engine, pipeline.last_sequence, prepared)
    return {
        "ok": True,
        "commands_per_second": round(rate),
        "clients_256_commands_per_second": round(clients),
        **latency,
        "commands": len(prepared.commands),
        "commands_per_group": round(len(prepared.commands) / groups),
        "events": total,
        "sync": "always" if sync else "off",
    }


def report(figures: dict[str, Any]) -> None:
    """Print the figures."""
    print(f"{figures['commands']:,} commands, sync {figures['sync']}, journals read back: as expected")
    print(f"  {figures['commands_per_second']:>12,} commands/s, one producer, {figures['commands_per_group']} a group")
    print(f"  {figures['clients_256_commands_per_second']:>12,} commands/s, {CLIENTS} clients, one in flight each")
    for field in ("p50_ns", "p99_ns", "p999_ns"):
        print(f"  {figures[field]:>12,} ns {field.removesuffix('_ns')}, one command in flight")
    print(f"  {figures['bare_p50_ns']:>12,} ns p50 of a bare {BARE_BYTES}-byte pwrite + fdatasync")
    if "ratio_to_bare" in figures:
        print(f"  {figures['ratio_to_bare']:>12} times the bare one")


def main(arguments: list[str] | None = None) -> int:
    """Run; 0 if every check held, 1 if not, 2 if there is no flow."""
    parser = argparse.ArgumentParser(prog="python -m bench.pipeline", description="Ring, journal, engine, events.")
    parser.add_argument("--commands", type=int, default=1_000_000, help="commands of the flow (default: 1000000)")
    parser.add_argument("--sync", choices=("always", "off"), default="always", help="as EXCHANGE_SYNC")
    parser.add_argument("--directory", type=Path, help="where the journals go (default: the temporary folder)")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args(arguments)
    try:
        prepared = prepare(cached(Shape("touch", commands=options.commands)))
        with tempfile.TemporaryDirectory(prefix="bench-pipeline-", dir=options.directory) as root:
            figures = uvloop.run(measure(prepared, Path(root), sync=options.sync == "always"))
    except Broken as error:
        print(f"bench.pipeline: {error}", file=sys.stderr)
        return 2
    except Wrong as error:
        print(json.dumps({"ok": False, "error": str(error)}) if options.json else f"bench.pipeline: {error}")
        return 1
    if options.json:
        print(json.dumps(figures))
    else:
        report(figures)
    return 0


if __name__ == "__main__":
    sys.exit(main())
