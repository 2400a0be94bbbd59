"""When the timekeeper sends TICK, on a real pipeline: soon, one at a time, never by a clock that jumped."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from exchange.core import readers
from exchange.core.codes import AuctionAction, CommandKind, OrderType, Side, StpMode, TimeInForce
from exchange.disruptor.pipeline import Pipeline
from exchange.timekeeper import Timekeeper
from tests.disruptor.running import TRADER, command, place, records_of, running, venue

KIND_AT = 16


async def opened(pipeline: Pipeline) -> Timekeeper:
    """A venue, and a timekeeper that is not looking yet."""
    await asyncio.gather(*[pipeline.submit([one])[0] for one in venue()])
    return Timekeeper(pipeline, hash_every=10**9, hash_interval_s=10**6)


def gtd(expire_ts_ns: int, client_id: str) -> bytes:
    """A BUY that ends by itself."""
    return command(
        CommandKind.PLACE,
        client_id,
        account=TRADER,
        symbol=1,
        side=Side.BUY,
        order_type=OrderType.LIMIT,
        time_in_force=TimeInForce.GTD,
        stp_mode=StpMode.NONE,
        price_ticks=100,
        qty_lots=1,
        expire_ts_ns=expire_ts_ns,
    )


def ticks(root: Path) -> int:
    """How many TICKs the journal has."""
    return int((records_of(root / "commands")[:, KIND_AT] == CommandKind.TICK).sum())


async def until(condition: Callable[[], bool]) -> None:
    """Return when a condition holds."""
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110  # what it waits for has no event
            await asyncio.sleep(0.005)


async def test_order_that_is_due_expires_without_a_step_and_an_idle_venue_stands_still(tmp_path: Path) -> None:
    async with running(tmp_path) as pipeline:
        keeper = await opened(pipeline)
        await pipeline.submit([gtd(time.time_ns() + 100_000_000, "soon")])[0]
        placed = pipeline.last_sequence
        keeper.start()
        await until(lambda: pipeline.read(readers.open_orders, TRADER)[0] == [])
        for _ in range(20):  # more looks find nothing to do
            keeper.look()
        assert pipeline.last_sequence == placed + 1
        keeper.stop()
    assert ticks(tmp_path) == 1


async def test_backlog_is_worked_off_with_one_tick_in_flight(tmp_path: Path) -> None:
    async with running(tmp_path, ring_slots=4096, event_slots=8192) as pipeline:
        keeper = await opened(pipeline)
        soon = time.time_ns() + 1_000_000_000
        await asyncio.gather(*[pipeline.submit([gtd(soon, f"order{n}")])[0] for n in range(2_500)])
        placed = pipeline.last_sequence
        await until(lambda: time.time_ns() > soon)
        for _ in range(10):
            keeper.look()
        assert pipeline.last_sequence == placed + 1
        await until(lambda: pipeline.read(readers.open_orders, TRADER)[0] == [])
        assert pipeline.last_sequence == placed + 3
        keeper.stop()
    assert ticks(tmp_path) == 3


async def test_nothing_fires_while_the_wall_clock_is_ahead_of_the_boot_clock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running(tmp_path) as pipeline:
        keeper = await opened(pipeline)
        await pipeline.submit([gtd(time.time_ns() + 3_600 * 10**9, "later")])[0]
        placed = pipeline.last_sequence
        wall, jumped_ns = time.time_ns, 2 * 3_600 * 10**9
        with monkeypatch.context() as patch:
            patch.setattr(time, "time_ns", lambda: wall() + jumped_ns)
            for act in (keeper.look, keeper.step, keeper.look):
                act()
            assert pipeline.last_sequence == placed
        keeper.step()
        assert pipeline.last_sequence == placed
        assert len(pipeline.read(readers.open_orders, TRADER)[0]) == 1


async def test_auction_that_collects_is_told_once_after_other_commands(tmp_path: Path) -> None:
    async with running(tmp_path) as pipeline:
        keeper = await opened(pipeline)
        await pipeline.submit([command(CommandKind.AUCTION, symbol=1, action=AuctionAction.START)])[0]
        keeper.step()
        told = pipeline.last_sequence
        await until(lambda: pipeline.statistics().replied == told)
        keeper.step()
        assert pipeline.last_sequence == told
        await pipeline.submit([place(TRADER, Side.BUY, 100, 1)])[0]
        keeper.step()
        assert pipeline.last_sequence == told + 2
        await until(lambda: pipeline.statistics().replied == told + 2)
    assert ticks(tmp_path) == 2
