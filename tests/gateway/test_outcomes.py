"""Outcomes at the edge of the pipeline: full, late, faulty. The pipeline is real; its threads stand still.

A pipeline that was not started takes commands into its ring and answers none of them, which is what a stuck disk
looks like.
"""

from __future__ import annotations

import asyncio
import pathlib
import time

import pytest

from exchange.core.codes import CommandFlag, CommandKind
from exchange.core.kernel import Engine
from exchange.disruptor.errors import EXIT_IO, PipelineFault
from exchange.disruptor.pipeline import Pipeline
from exchange.gateway.errors import Refusal
from exchange.gateway.limits import Limits, Rates
from exchange.gateway.private.user_data import UserData
from exchange.gateway.venue import Venue
from exchange.gateway.wire import target
from exchange.marketdata.market import MarketData
from exchange.settings import load
from exchange.users.keyring import KeyRing
from exchange.users.local_log import LocalLog
from exchange.users.sealing import Sealer
from journal import recovery
from tests.gateway.test_limits import Clock

CANCEL = target(CommandKind.CANCEL, 16, order_id=1)
RUNS = ((CANCEL,), (target(CommandKind.CANCEL, 16, order_id=1, flags=CommandFlag.LINKED), CANCEL))
RING_SLOTS = 64


def standing_venue(folder: pathlib.Path, limits: Limits | None = None) -> Venue:
    """A venue whose pipeline was not started."""
    positions = []
    for stream in (1, 2):
        place = folder / str(stream)
        place.mkdir()
        found = recovery.recover(place, stream=stream, cluster_id=bytes(16), watermarks={})
        positions.append(recovery.begin_epoch(place, found, segment_bytes=1 << 16))
    pipeline = Pipeline(
        Engine(), *positions, sync=True, loop=asyncio.get_running_loop(), ring_slots=RING_SLOTS, event_slots=256
    )
    settings = load({}, demo=True, data_dir=folder)
    keys = KeyRing(LocalLog(folder / "keyring.jsonl"), Sealer(bytes(32)), None, demo=True, unrestricted_key_ttl_s=1.0)
    return Venue(settings, pipeline, keys, MarketData(), UserData(pipeline.read, folder, 0), limits=limits)


async def refusal(waiting: asyncio.Task[list[bytes]]) -> Refusal:
    """How a command that was not accepted ended."""
    with pytest.raises(Refusal) as caught:
        await waiting
    return caught.value


async def test_full_ring_is_rejected_with_retry_after(tmp_path: pathlib.Path) -> None:
    venue = standing_venue(tmp_path)
    waiting = [asyncio.ensure_future(venue.run((CANCEL,))) for _ in range(RING_SLOTS + 1)]
    full = await refusal(waiting[-1])
    assert (full.status, full.code, full.outcome, full.retry_after_s) == (503, -1008, "rejected", 1)
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)


@pytest.mark.parametrize("run", RUNS, ids=len)
async def test_late_answer_is_unknown_and_never_a_rejection(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, run: tuple[bytes, ...]
) -> None:
    venue = standing_venue(tmp_path)
    waiting = asyncio.ensure_future(venue.run(run))
    await asyncio.sleep(0)
    venue.give_up_on_late()
    await asyncio.sleep(0)
    assert not waiting.done()
    now = time.monotonic()
    with monkeypatch.context() as patched:
        patched.setattr(time, "monotonic", lambda: now + venue.settings.order_timeout_s)
        venue.give_up_on_late()
    await asyncio.wait((waiting,), timeout=10.0)
    assert waiting.done()
    late = await refusal(waiting)
    assert (late.status, late.code, late.outcome) == (503, -1006, "unknown")


async def test_orders_of_a_run_are_all_in_flight_or_none_is(tmp_path: pathlib.Path) -> None:
    venue = standing_venue(tmp_path, Limits(Rates(orders_per_10s=4), Clock()))
    pair = asyncio.ensure_future(venue.run(RUNS[1], places_for=16, orders=2))
    await asyncio.sleep(0)
    three = await refusal(asyncio.ensure_future(venue.run(RUNS[1], places_for=16, orders=3)))
    assert (three.status, three.code, venue.pipeline.last_sequence) == (429, -1015, 2)
    fitting = asyncio.ensure_future(venue.run(RUNS[1], places_for=16, orders=2))
    await asyncio.sleep(0)
    assert (await refusal(asyncio.ensure_future(venue.run((CANCEL,), places_for=16)))).code == -1015
    assert venue.pipeline.last_sequence == 4
    for task in (pair, fitting):
        task.cancel()
    await asyncio.gather(pair, fitting, return_exceptions=True)
    four = asyncio.ensure_future(venue.run(RUNS[1], places_for=16, orders=4))
    await asyncio.sleep(0)
    assert not four.done()
    four.cancel()
    await asyncio.gather(four, return_exceptions=True)


async def test_fault_after_submit_is_unknown_and_later_requests_are_rejected(tmp_path: pathlib.Path) -> None:
    venue = standing_venue(tmp_path)
    waiting = asyncio.ensure_future(venue.run((CANCEL,)))
    await asyncio.sleep(0)
    venue.pipeline._fail(PipelineFault("The disk failed.", EXIT_IO))
    unknown = await refusal(waiting)
    assert (unknown.status, unknown.code, unknown.outcome) == (503, -1006, "unknown")
    assert "The disk failed." in unknown.msg
    after = await refusal(asyncio.ensure_future(venue.run((CANCEL,))))
    assert (after.status, after.code, after.outcome) == (503, -1016, "rejected")


async def test_client_that_is_gone_leaves_its_command_in_the_ring(tmp_path: pathlib.Path) -> None:
    venue = standing_venue(tmp_path)
    waiting = asyncio.ensure_future(venue.run((CANCEL,)))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    assert venue.pipeline.last_sequence == 1
