"""What the tests here share: new journals, commands, a running pipeline, and a replay that judges what it left."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np

from exchange.core.codes import CommandFlag, CommandKind, OrderType, Side, StpMode, TimeInForce
from exchange.core.hashing import state_hash
from exchange.core.kernel import Engine
from exchange.core.records import fill_command, slots
from exchange.core.state import TINY, new_state
from exchange.disruptor.pipeline import Pipeline
from journal import reader, recovery
from journal.format import Stream
from journal.segments import Position

CLUSTER_ID = b"disruptor--tests"
SEGMENT_BYTES = 64 * 1024
TRADER = 16
OTHER = 17
Records = np.ndarray[Any, np.dtype[np.uint8]]


def begin(directory: Path, stream: Stream, segment_bytes: int = SEGMENT_BYTES) -> Position:
    """Where a journal in `directory` goes on in a new epoch; the directory is created if it is missing."""
    directory.mkdir(parents=True, exist_ok=True)
    recovered = recovery.recover(directory, stream=stream, cluster_id=CLUSTER_ID, watermarks={})
    return recovery.begin_epoch(directory, recovered, segment_bytes=segment_bytes)


def command(kind: CommandKind, client_id: str = "", name: str = "", **fields: int) -> bytes:
    """One command of 128 bytes."""
    slot = slots(1)
    fill_command(slot[0], kind, client_id, name, **fields)
    return slot.tobytes()


def place(account: int, side: Side, price_ticks: int, qty_lots: int, client_id: str = "") -> bytes:
    """A GTC limit order on the one symbol."""
    return command(
        CommandKind.PLACE,
        client_id,
        account=account,
        symbol=1,
        side=side,
        order_type=OrderType.LIMIT,
        time_in_force=TimeInForce.GTC,
        stp_mode=StpMode.NONE,
        price_ticks=price_ticks,
        qty_lots=qty_lots,
    )


def cancel(account: int, client_id: str, *, linked: bool = False) -> bytes:
    """A cancel by client id; `linked`: the next command belongs to it and is tried even when this one is refused."""
    flags = CommandFlag.LINKED | CommandFlag.ALLOW_FAILURE if linked else 0
    return command(CommandKind.CANCEL, client_id, account=account, symbol=1, flags=flags)


def venue() -> list[bytes]:
    """The commands that make two assets, one symbol and two rich traders."""
    rich = 10**15
    return [
        command(CommandKind.ADD_ASSET, asset=1, scale=8, name="BTC"),
        command(CommandKind.ADD_ASSET, asset=2, scale=8, name="USDT"),
        command(
            CommandKind.ADD_SYMBOL,
            name="BTC_USDT",
            symbol=1,
            base_asset=1,
            quote_asset=2,
            price_scale=2,
            qty_scale=2,
            price_min_ticks=1,
            price_max_ticks=10**6,
            qty_min_lots=1,
            qty_max_lots=10**6,
            notional_max_atoms=10**17,
            price_step_ticks=1,
            qty_step_lots=1,
            orders_max=100_000,
        ),
        *(command(CommandKind.OPEN_ACCOUNT, account=a, maker_fee_ppm=-1, taker_fee_ppm=-1) for a in (TRADER, OTHER)),
        *(
            command(
                CommandKind.DEPOSIT, account=account, asset=asset, transfer_id=account * 10 + asset, amount_atoms=rich
            )
            for account in (TRADER, OTHER)
            for asset in (1, 2)
        ),
    ]


def array_of(commands: list[bytes]) -> Records:
    """Commands as an array of shape (n, 128)."""
    return np.frombuffer(b"".join(commands), np.uint8).reshape(-1, 128)


@asynccontextmanager
async def running(
    root: Path,
    *,
    engine: Engine | None = None,
    sync: bool = True,
    segment_bytes: int = SEGMENT_BYTES,
    ring_slots: int = 64,
    event_slots: int = 128,
) -> AsyncIterator[Pipeline]:
    """A pipeline over new journals in `root`, started here and stopped at the end of the block."""
    pipeline = Pipeline(
        engine or Engine(new_state(TINY)),
        begin(root / "commands", Stream.COMMANDS, segment_bytes),
        begin(root / "events", Stream.EVENTS, segment_bytes),
        loop=asyncio.get_running_loop(),
        sync=sync,
        ring_slots=ring_slots,
        event_slots=event_slots,
    )
    pipeline.start()
    yield pipeline
    if pipeline.fault is None:
        await pipeline.stop()


def records_of(directory: Path) -> Records:
    """Every record of a journal, shape (n, 128)."""
    parts = [group.payload for group in reader.groups(directory)]
    return np.concatenate(parts) if parts else np.zeros((0, 128), np.uint8)


def check_journals(root: Path, live: Engine) -> Records:
    """Both journals are accepted; replaying the commands gives events and state, to the byte. Returns the commands."""
    for name, stream in (("commands", Stream.COMMANDS), ("events", Stream.EVENTS)):
        recovery.recover(root / name, stream=stream, cluster_id=CLUSTER_ID, watermarks={})
    commands = records_of(root / "commands")
    replayed = Engine(new_state(TINY))
    events = replayed.run(commands)
    np.testing.assert_array_equal(events, records_of(root / "events"))
    assert state_hash(replayed.state) == state_hash(live.state)
    return commands
