"""The whole pipeline with the real engine: replies, order, back-pressure, reads under load, stop."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from exchange.core.codes import CommandFlag, CommandKind, EventFlag, EventKind, Fault, Side
from exchange.core.event_records import event_dict
from exchange.core.invariants import check_all
from exchange.core.kernel import Engine
from exchange.core.state import TINY, State, new_state
from exchange.disruptor.errors import OutcomeUnknown, PipelineFault, RingFull, Stopped
from exchange.disruptor.pipeline import Pipeline
from journal import reader
from tests.disruptor.running import (
    OTHER,
    TRADER,
    array_of,
    cancel,
    check_journals,
    command,
    place,
    records_of,
    running,
    venue,
)

TICK = command(CommandKind.TICK)


def events_of(data: bytes) -> list[dict[str, Any]]:
    """The events of a reply, for people."""
    return [event_dict(slot) for slot in np.frombuffer(data, np.uint8).reshape(-1, 128)]


async def settle(pipeline: Pipeline, commands: list[bytes]) -> None:
    """Submit commands one by one and wait for the last."""
    for each in commands:
        await pipeline.submit([each])[0]


def random_flow(generator: np.random.Generator, count: int) -> list[list[bytes]]:
    """Runs of one or two commands: orders near one price, cancels, linked replacements."""
    runs = []
    for number in range(count):
        account = int(generator.choice([TRADER, OTHER]))
        side = Side(int(generator.integers(0, 2)))
        price = 1_000 + int(generator.integers(-5, 6))
        order = place(account, side, price, int(generator.integers(1, 50)), f"{account}-{number}")
        older = f"{account}-{int(generator.integers(max(0, number - 20), number + 1))}"
        draw = generator.random()
        if draw < 0.5:
            runs.append([order])
        elif draw < 0.7:
            runs.append([cancel(account, older)])
        else:
            runs.append([cancel(account, older, linked=True), order])
    return runs


async def test_reply_holds_the_events_of_its_command_in_order(tmp_path: Path) -> None:
    async with running(tmp_path) as pipeline:
        await settle(pipeline, venue())
        await settle(pipeline, [place(TRADER, Side.SELL, 100, 5), place(TRADER, Side.SELL, 101, 5)])
        reply = await pipeline.submit([place(OTHER, Side.BUY, 101, 8, "taker")])[0]
        events = events_of(reply)
        kinds = [event["kind"] for event in events]
        assert kinds == [EventKind.ORDER_ACCEPTED, EventKind.TRADE, EventKind.TRADE]
        assert [event["price_ticks"] for event in events[1:]] == [100, 101]
        assert {event["sequence"] for event in events} == {pipeline.last_sequence}
        assert [event["flags"] for event in events] == [0, 0, EventFlag.LAST]


async def test_reply_is_durable_when_it_is_given(tmp_path: Path) -> None:
    async with running(tmp_path) as pipeline:
        for number in range(1, 20):
            await pipeline.submit([TICK])[0]
            assert pipeline.statistics().durable == number
            assert list(reader.groups(tmp_path / "commands"))[-1].last_sequence == number


async def test_random_traffic_over_wraps_and_rolls_replays_to_the_same_bytes(tmp_path: Path) -> None:
    engine = Engine(new_state(TINY))
    heard: list[bytes] = []
    async with running(tmp_path, engine=engine) as pipeline:
        pipeline.on_events(lambda events, _count: heard.append(bytes(events)))
        await settle(pipeline, venue())
        replies: list[bytes] = []

        async def client(runs: list[list[bytes]]) -> None:
            for run in runs:
                replies.extend(await asyncio.gather(*pipeline.submit(run)))

        generator = np.random.default_rng(5)
        await asyncio.gather(*(client(random_flow(generator, 250)) for _ in range(12)))
        check_all(engine.state)
        assert pipeline.statistics().groups < pipeline.last_sequence, "clients must share groups"
    assert len(list((tmp_path / "commands").glob("*.journal"))) > 5
    commands = check_journals(tmp_path, engine)
    assert len(commands) == pipeline.last_sequence
    events = records_of(tmp_path / "events")
    assert b"".join(heard) == events.tobytes()
    by_sequence = sorted(replies, key=lambda reply: int.from_bytes(reply[:8], "little"))
    assert b"".join(by_sequence) == events[np.flatnonzero(events.view(np.int64)[:, 0] > len(venue()))].tobytes()


async def test_full_ring_refuses_orders_then_cancels_and_answers_all_it_took(tmp_path: Path) -> None:
    async with running(tmp_path) as pipeline:
        taken = [pipeline.submit([TICK])[0] for _ in range(56)]
        with pytest.raises(RingFull) as refused:
            pipeline.submit([TICK])
        assert refused.value.code == "ring_full"
        taken += [pipeline.submit([TICK], cancel=True)[0] for _ in range(8)]
        with pytest.raises(RingFull):
            pipeline.submit([TICK], cancel=True)
        replies = await asyncio.gather(*taken)
        assert [int.from_bytes(reply[:8], "little") for reply in replies] == list(range(1, 65))
        taken = pipeline.submit([TICK])
        assert await taken[0]


async def test_run_larger_than_the_room_is_refused_as_a_whole(tmp_path: Path) -> None:
    async with running(tmp_path) as pipeline:
        futures = [pipeline.submit([TICK])[0] for _ in range(55)]
        with pytest.raises(RingFull):
            pipeline.submit([cancel(TRADER, "a", linked=True), TICK])
        assert pipeline.last_sequence == 55
        await asyncio.gather(*futures)


async def test_run_that_ends_linked_is_refused(tmp_path: Path) -> None:
    async with running(tmp_path) as pipeline:
        for run in ([cancel(TRADER, "a", linked=True)], [], [TICK] * 17):
            with pytest.raises(ValueError, match="run has"):
                pipeline.submit(run)
        with pytest.raises(ValueError, match="linked"):
            pipeline.post(array_of([cancel(TRADER, "a", linked=True)]))
        assert pipeline.last_sequence == 0


def totals(state: State) -> list[int]:
    """Everything that every account has of each asset, the outside world included: zero, always."""
    per_account = state.balances.reshape(-1, len(state.assets))
    return [int(total) for total in (per_account["available"] + per_account["locked"]).sum(axis=0)]


async def test_reader_under_load_sees_linked_runs_whole_and_a_state_that_adds_up(tmp_path: Path) -> None:
    engine = Engine(new_state(TINY))
    async with running(tmp_path, engine=engine, ring_slots=1024, event_slots=1024) as pipeline:
        await settle(pipeline, venue())
        flow = random_flow(np.random.default_rng(8), 4_000)
        seen: set[int] = set()

        async def client(first: int) -> None:
            for start in range(first, len(flow), 100):
                futures = [future for run in flow[start : start + 25] for future in pipeline.submit(run)]
                await asyncio.gather(*futures)

        trading = asyncio.gather(*(client(first) for first in (0, 25, 50, 75)))
        while not trading.done():
            sums, sequence = pipeline.read(totals)
            assert not any(sums)
            seen.add(sequence)
            await asyncio.sleep(0)
        pipeline.read(check_all)
    commands = check_journals(tmp_path, engine)
    assert len(seen) > 20
    assert all(commands[sequence - 1, 17] & CommandFlag.LINKED == 0 for sequence in seen)


async def test_read_after_a_reply_sees_the_command(tmp_path: Path) -> None:
    async with running(tmp_path) as pipeline:
        for number in range(1, 30):
            await pipeline.submit([TICK])[0]
            assert pipeline.read(lambda state: int(state.header[0].sequence)) == (number, number)


def missing(state: State) -> None:
    """A reader with a bug."""
    raise KeyError(len(state))


async def test_read_whose_function_raises_lets_the_engine_go_on(tmp_path: Path) -> None:
    async with running(tmp_path) as pipeline:
        with pytest.raises(KeyError):
            pipeline.read(missing)
        assert await pipeline.submit([TICK])[0]


async def test_command_with_more_events_than_either_buffer_is_answered_whole(tmp_path: Path) -> None:
    engine = Engine(new_state(TINY))
    async with running(tmp_path, engine=engine, ring_slots=256, event_slots=16) as pipeline:
        await settle(pipeline, venue())
        orders = 5_000
        for first in range(0, orders, 100):
            batch = [place(TRADER, Side.SELL, 500 + i, 1) for i in range(first, first + 100)]
            await asyncio.gather(*(pipeline.submit([each])[0] for each in batch))
        reply = await pipeline.submit([command(CommandKind.CANCEL_ALL, account=TRADER)])[0]
        assert len(reply) == (orders + 1) * 128
        assert events_of(reply[-128:])[0]["canceled_count"] == orders
    check_journals(tmp_path, engine)


async def test_canceled_waiter_does_not_disturb_the_others(tmp_path: Path) -> None:
    async with running(tmp_path) as pipeline:
        futures = [pipeline.submit([TICK])[0] for _ in range(10)]
        futures[4].cancel()
        replies = await asyncio.gather(*futures, return_exceptions=True)
        assert [isinstance(reply, bytes) for reply in replies] == [True] * 4 + [False] + [True] * 5


async def test_post_without_waiters_is_applied_and_journaled(tmp_path: Path) -> None:
    engine = Engine(new_state(TINY))
    async with running(tmp_path, engine=engine) as pipeline:
        assert pipeline.post(array_of([TICK] * 50)) == 50
        with pytest.raises(RingFull):
            pipeline.post(array_of([TICK] * 50))
    assert len(check_journals(tmp_path, engine)) == 50


async def test_stop_under_load_answers_and_keeps_everything_taken(tmp_path: Path) -> None:
    engine = Engine(new_state(TINY))
    async with running(tmp_path, engine=engine) as pipeline:
        futures = [pipeline.submit([TICK])[0] for _ in range(56)]
        await futures[0]
        futures += [pipeline.submit([TICK])[0] for _ in range(20)]
        stopping = asyncio.ensure_future(pipeline.stop())
        await asyncio.sleep(0)
        with pytest.raises(Stopped):
            pipeline.submit([TICK], cancel=True)
        await stopping
        assert all(future.done() and future.result() for future in futures)
        assert pipeline.statistics().durable == 76
        pipeline.fault = PipelineFault("stopped by the test itself", 0)  # the fixture has nothing left to stop
    assert len(check_journals(tmp_path, engine)) == 76


async def test_restart_goes_on_where_the_journals_end(tmp_path: Path) -> None:
    engine = Engine(new_state(TINY))
    for epoch in (1, 2, 3):
        async with running(tmp_path, engine=engine) as pipeline:
            await settle(pipeline, [TICK] * 10)
            assert pipeline.last_sequence == 10 * epoch
    check_journals(tmp_path, engine)


async def test_pipeline_over_journals_that_do_not_fit_the_state_is_refused(tmp_path: Path) -> None:
    async with running(tmp_path) as pipeline:
        await settle(pipeline, [TICK])
    with pytest.raises(ValueError, match="journals end at command 1"):
        async with running(tmp_path, engine=Engine(new_state(TINY))):
            pass


async def test_sync_off_answers_before_the_disk_and_syncs_at_the_stop(tmp_path: Path) -> None:
    async with running(tmp_path, sync=False, segment_bytes=1 << 20) as pipeline:
        await settle(pipeline, [TICK] * 20)
        assert (pipeline.statistics().journaled, pipeline.statistics().durable) == (20, 0)
    assert pipeline.statistics().durable == 20
    assert {group.durable_upto for group in reader.groups(tmp_path / "commands")} == {0}


async def test_engine_fault_acknowledges_nothing_and_says_so(tmp_path: Path) -> None:
    async with running(tmp_path) as pipeline:
        faults: list[PipelineFault] = []
        pipeline.on_fault(faults.append)
        await pipeline.submit([command(CommandKind.HASH)])[0]
        wrong = command(CommandKind.HASH, at_sequence=1, hash_0=1, hash_1=2)
        futures = [pipeline.submit([each])[0] for each in (TICK, wrong, TICK)]
        outcomes = await asyncio.gather(*futures, return_exceptions=True)
        assert [type(outcome) for outcome in outcomes] == [OutcomeUnknown] * 3
        assert [fault.exit_code for fault in faults] == [70]
        assert Fault.HASH_MISMATCH.name in str(faults[0])
        assert (faults[0].sequence, faults[0].fault) == (3, Fault.HASH_MISMATCH.name)
        with pytest.raises(Stopped):
            pipeline.submit([TICK])
        with pytest.raises(PipelineFault):
            await pipeline.stop()
