"""Private events on a running pipeline: its threads, its ring, and its event journal, which is written behind it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np
import orjson
import pytest

from exchange.core.codes import Side
from exchange.core.kernel import Engine
from exchange.core.state import TINY, State, new_state
from exchange.disruptor.pipeline import Pipeline
from exchange.gateway.private.messages import last_sequence
from exchange.gateway.private.user_data import UserData
from tests.disruptor.running import OTHER, TRADER, cancel, place, running, venue
from tests.gateway.private.stage import Ear, caught_up
from tests.gateway.private.trader import Trader

RING_EVENTS = 1 << 8
MICROSECOND = 1_000


@asynccontextmanager
async def _venue(root: Path, engine: Engine) -> AsyncIterator[tuple[Pipeline, UserData]]:
    begun = int(engine.state.header[0].event_count)
    async with running(root, engine=engine, sync=False, event_slots=RING_EVENTS, ring_slots=1 << 10) as pipeline:
        user_data = UserData(pipeline.read, root / "events", begun)
        pipeline.on_events(user_data.on_events)
        if not begun:
            await asyncio.gather(*(future for command in venue() for future in pipeline.submit([command])))
        yield pipeline, user_data


def _orders(seed: int, count: int) -> list[bytes]:
    """Orders of both accounts that meet, and cancels of some of them."""
    random = np.random.default_rng(seed)
    commands = []
    for number in range(count):
        account = (TRADER, OTHER)[int(random.integers(2))]
        side = (Side.BUY, Side.SELL)[int(random.integers(2))]
        ticks = 500 + int(random.integers(-3, 4))
        commands.append(place(account, side, ticks, int(random.integers(1, 9)), f"o{seed}-{number}"))
        if random.random() < 0.3:
            commands.append(cancel(account, f"o{seed}-{int(random.integers(number + 1))}"))
    return commands


async def _done(pipeline: Pipeline, commands: list[bytes]) -> None:
    for first in range(0, len(commands), 50):
        futures = [future for one in commands[first : first + 50] for future in pipeline.submit([one])]
        await asyncio.gather(*futures)


async def _is_told(user_data: UserData, pipeline: Pipeline) -> None:
    """Wait until everything that the engine has done was handed over, resumed streams included."""
    events = int(pipeline.read(lambda state: int(state.header[0].event_count))[0])
    async with asyncio.timeout(30):
        while user_data._ordinal < events:
            await asyncio.to_thread(int)  # the loop has its turn
    await caught_up(user_data)


def _folded(pipeline: Pipeline, trader: Trader, ear: Ear) -> None:
    for body in ear.bodies:
        trader.hear(body)
    ear.heard.clear()
    pipeline.read(trader.agrees_with)


async def test_events_of_a_running_pipeline_fold_to_the_account(tmp_path: Path) -> None:
    async with _venue(tmp_path, Engine(new_state(TINY))) as (pipeline, user_data):
        ears, traders = {}, {}
        for account in (TRADER, OTHER):
            ears[account] = Ear()
            subscription = await user_data.subscribe(account, ears[account], unit_ns=MICROSECOND)
            traders[account] = pipeline.read(Trader, account, subscription.sequence)[0]
        for seed in range(5):
            await _done(pipeline, _orders(seed, 300))
            await _is_told(user_data, pipeline)
            for account, ear in ears.items():
                assert len(ear.heard) > RING_EVENTS
                _folded(pipeline, traders[account], ear)


async def test_resume_during_traffic_and_across_a_restart_equals_the_witness(tmp_path: Path) -> None:
    engine = Engine(new_state(TINY))
    witness = Ear()
    async with _venue(tmp_path, engine) as (pipeline, user_data):
        began = (await user_data.subscribe(TRADER, witness)).sequence
        ears: list[tuple[int, Ear]] = []
        for seed in range(8):
            traffic = asyncio.create_task(_done(pipeline, _orders(seed, 200)))
            for number in range(4):
                after = [began, *(sequence for _, sequence in witness.heard)][-1 if number else 0]
                ears.append((after, Ear()))
                await user_data.subscribe(TRADER, ears[-1][1], from_sequence=after)
            await traffic
        await _is_told(user_data, pipeline)
        for after, ear in ears:
            assert ear.heard == [one for one in witness.heard if one[1] > after]
    async with _venue(tmp_path, engine) as (pipeline, user_data):
        ear = Ear()
        middle = len(witness.heard) // 2
        await user_data.subscribe(TRADER, ear, from_sequence=witness.heard[middle][1])
        await _done(pipeline, _orders(99, 50))
        await _is_told(user_data, pipeline)
        later = ear.heard[len(witness.heard) - middle - 1 :]
        assert ear.heard[: -len(later)] == witness.heard[middle + 1 :]
        previous = [orjson.loads(payload)["previousSequence"] for payload, _ in ear.heard]
        assert previous == [witness.heard[middle][1], *(sequence for _, sequence in ear.heard[:-1])]


async def test_sequence_that_the_account_is_answered_with_is_where_the_stream_goes_on(tmp_path: Path) -> None:
    """The documented way in: subscribe, read the account and its orders, drop what they contain, apply the rest."""

    def read(state: State) -> Trader:
        return Trader(state, TRADER, last_sequence(int(state.header[0].event_count)))

    async with _venue(tmp_path, Engine(new_state(TINY))) as (pipeline, user_data):
        for seed in range(10):
            ear = Ear()
            traffic = asyncio.create_task(_done(pipeline, _orders(seed, 200)))
            subscription = await user_data.subscribe(TRADER, ear, unit_ns=MICROSECOND)
            for _ in range(seed):
                await asyncio.sleep(0)
            trader, _ = pipeline.read(read)
            await traffic
            await _is_told(user_data, pipeline)
            user_data.unsubscribe(subscription)
            ear.heard = [one for one in ear.heard if one[1] > trader.sequence]
            trader.sequence = max(trader.sequence, ear.bodies[0]["previousSequence"])
            _folded(pipeline, trader, ear)


@pytest.mark.parametrize("as_run", [False, True])
async def test_cancel_that_is_named_when_it_was_submitted_has_its_name(tmp_path: Path, as_run: bool) -> None:
    async with _venue(tmp_path, Engine(new_state(TINY))) as (pipeline, user_data):
        ear = Ear()
        await user_data.subscribe(TRADER, ear)
        await asyncio.gather(*pipeline.submit([place(TRADER, Side.BUY, 500, 1, "first")]))
        run = [cancel(TRADER, "first", linked=as_run), *([place(TRADER, Side.BUY, 501, 1, "next")] if as_run else [])]
        futures = pipeline.submit(run)
        user_data.name_cancel(pipeline.last_sequence - len(run) + 1, "mine")
        await asyncio.gather(*futures)
        await _is_told(user_data, pipeline)
        names = [(body["x"], body["c"], body["C"]) for body in ear.bodies if body["e"] == "executionReport"]
        assert names == [
            ("NEW", "first", ""),
            ("CANCELED", "mine", "first"),
            *([("NEW", "next", "")] if as_run else []),
        ]
