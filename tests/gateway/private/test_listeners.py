"""Who listens: one encoding for all, units of time, leaving, being told that it ends, and bounds."""

from __future__ import annotations

import asyncio
from pathlib import Path

import orjson
import pytest

from exchange.core.codes import CommandKind, Side
from exchange.gateway.errors import Refusal
from exchange.gateway.private.subscriptions import Subscription
from exchange.gateway.private.user_data import DEFAULT_LIMITS, Limits
from tests.core.plans import command
from tests.gateway.private.stage import (
    MAKER,
    MIDDLE_TICKS,
    TAKER,
    Ear,
    Stage,
    caught_up,
    limit_order,
    small_venue,
    stamped,
)


def _venue(directory: Path, limits: Limits = DEFAULT_LIMITS) -> Stage:
    stage = Stage(directory, 1, limits=limits)
    stage.run(stamped(stage, *small_venue()))
    stage.hand_over()
    return stage


def _rest(stage: Stage, name: str, account: int = MAKER) -> int:
    """A resting order; returns its id."""
    stage.run(stamped(stage, limit_order(account, Side.SELL, MIDDLE_TICKS, 10, name)))
    stage.hand_over()
    return int(stage.engine.state.header[0].next_order_id) - 1


async def test_message_is_encoded_once_for_all_who_listen_in_one_unit(tmp_path: Path) -> None:
    stage = _venue(tmp_path)
    ears = [Ear() for _ in range(50)]
    for ear in ears:
        await stage.user_data.subscribe(MAKER, ear)
    _rest(stage, "one")
    assert stage.user_data.statistics() == (1, 50, 2)
    for ear in ears:
        assert [payload is first for (payload, _), (first, _) in zip(ear.heard, ears[0].heard, strict=True)] == [
            True
        ] * 2
    stage.close()


async def test_unit_of_time_changes_the_times_alone(tmp_path: Path) -> None:
    stage = _venue(tmp_path)
    coarse, fine = Ear(), Ear()
    stage.run(stamped(stage, *(command(CommandKind.TICK) for _ in range(3))))
    await stage.user_data.subscribe(MAKER, coarse, unit_ns=10)
    await stage.user_data.subscribe(MAKER, fine, unit_ns=1)
    _rest(stage, "one")
    for of_coarse, of_fine in zip(coarse.bodies, fine.bodies, strict=True):
        times = {"E", "T", "O", "W"} if of_fine["e"] == "executionReport" else {"E", "u"}
        assert {key for key in of_fine if of_fine[key] != of_coarse[key]} == times
        assert all(of_fine[key] // 10 == of_coarse[key] for key in times)
    stage.close()


async def test_last_listener_takes_everything_along(tmp_path: Path) -> None:
    stage = _venue(tmp_path)
    first, second = Ear(), Ear()
    one = await stage.user_data.subscribe(MAKER, first)
    other = await stage.user_data.subscribe(MAKER, second, unit_ns=1_000)
    stage.user_data.unsubscribe(one)
    stage.user_data.unsubscribe(one)
    _rest(stage, "heard by one")
    assert (len(first.heard), len(second.heard)) == (0, 2)
    stage.user_data.unsubscribe(other)
    assert stage.user_data.statistics() == (0, 0, 2)
    assert not stage.user_data._marked.any()
    _rest(stage, "heard by nobody")
    assert stage.user_data.statistics() == (0, 0, 2)
    stage.close()


async def test_listener_that_leaves_amid_a_command_and_comes_back_gets_no_half_of_it(tmp_path: Path) -> None:
    stage = _venue(tmp_path)
    _rest(stage, "a")
    _rest(stage, "b")
    ear, later = Ear(), Ear()
    one = await stage.user_data.subscribe(MAKER, ear)
    stage.run(stamped(stage, limit_order(TAKER, Side.BUY, MIDDLE_TICKS, 20, "taker")))
    stage.hand_over(2)
    stage.user_data.unsubscribe(one)
    again = await stage.user_data.subscribe(MAKER, later)
    stage.hand_over()
    assert [body["x"] for body in ear.bodies] == ["TRADE"]
    assert later.heard == []
    assert again.sequence == 4 * stage.event_count() + 3
    _rest(stage, "c")
    assert [body["e"] for body in later.bodies] == ["executionReport", "outboundAccountPosition"]
    stage.close()


async def test_command_that_nobody_heard_the_end_of_is_forgotten(tmp_path: Path) -> None:
    stage = _venue(tmp_path)
    _rest(stage, "a")
    _rest(stage, "b")
    one = await stage.user_data.subscribe(MAKER, Ear())
    stage.run(stamped(stage, limit_order(TAKER, Side.BUY, MIDDLE_TICKS, 30, "taker")))
    stage.hand_over(2)
    stage.user_data.unsubscribe(one)
    stage.hand_over()
    ear = Ear()
    await stage.user_data.subscribe(TAKER, ear)
    _rest(stage, "meets the taker")
    assert [body.get("x") for body in ear.bodies] == ["TRADE", None]
    stage.close()


async def test_first_message_follows_where_the_stream_stood(tmp_path: Path) -> None:
    stage = _venue(tmp_path)
    ear = Ear()
    subscription = await stage.user_data.subscribe(MAKER, ear)
    _rest(stage, "one")
    report, position = ear.bodies
    ordinal = stage.event_count()
    assert (report["previousSequence"], report["sequence"]) == (subscription.sequence, 4 * ordinal)
    assert (position["previousSequence"], position["sequence"]) == (4 * ordinal, 4 * ordinal + 1)
    assert [sequence for _, sequence in ear.heard] == [4 * ordinal, 4 * ordinal + 1]
    stage.close()


async def test_end_of_a_stream_says_why_and_where_to_resume(tmp_path: Path) -> None:
    stage = _venue(tmp_path)
    ears = [Ear(), Ear(), Ear()]
    for ear, account in zip(ears, (MAKER, MAKER, TAKER), strict=True):
        await stage.user_data.subscribe(account, ear)
    _rest(stage, "one")
    stage.user_data.terminate(MAKER, "The key was revoked.")
    stage.user_data.terminate(MAKER, "The key was revoked.")
    for ear in ears[:2]:
        body = orjson.loads(ear.heard[-1][0])
        assert body.pop("E") > 0
        last = ear.heard[-2][1]
        assert body == {
            "e": "eventStreamTerminated",
            "reason": "The key was revoked.",
            "sequence": last,
            "previousSequence": last,
        }
        assert ear.heard[-1][1] == last
    assert ears[2].heard == []
    assert stage.user_data.statistics()[:2] == (1, 1)
    _rest(stage, "two")
    assert len(ears[0].heard) == 3
    stage.user_data.close("The venue stops.")
    assert [body["reason"] for body in ears[2].bodies] == ["The venue stops."]
    assert stage.user_data.statistics()[:2] == (0, 0)
    stage.close()


class Leaving(Ear):
    """Leaves at its first message, and takes another one along."""

    def __init__(self, stage: Stage) -> None:
        super().__init__()
        self.stage = stage
        self.leavers: list[Subscription] = []

    def event(self, payload: bytes, sequence: int) -> None:
        super().event(payload, sequence)
        for leaver in self.leavers:
            self.stage.user_data.unsubscribe(leaver)


async def test_listener_that_leaves_while_it_is_told_disturbs_nobody(tmp_path: Path) -> None:
    stage = _venue(tmp_path)
    leaving, taken_along, staying = Leaving(stage), Ear(), Ear()
    leaving.leavers = [await stage.user_data.subscribe(MAKER, one) for one in (leaving, taken_along)]
    await stage.user_data.subscribe(MAKER, staying, unit_ns=1_000)
    _rest(stage, "one")
    assert [len(ear.heard) for ear in (leaving, taken_along, staying)] == [1, 0, 2]
    assert stage.user_data.statistics()[:2] == (1, 1)
    stage.close()


async def test_more_subscriptions_than_allowed_are_refused(tmp_path: Path) -> None:
    stage = _venue(tmp_path, limits=Limits(subscriptions=2))
    first = await stage.user_data.subscribe(MAKER, Ear())
    await stage.user_data.subscribe(TAKER, Ear())
    with pytest.raises(Refusal) as refused:
        await stage.user_data.subscribe(TAKER, Ear())
    assert (refused.value.status, refused.value.code) == (503, -1008)
    stage.user_data.unsubscribe(first)
    await stage.user_data.subscribe(TAKER, Ear())
    stage.close()


async def test_more_resumes_than_allowed_are_refused(tmp_path: Path) -> None:
    stage = _venue(tmp_path, limits=Limits(resumes=1, resumes_waiting=2))
    tasks = [asyncio.create_task(stage.user_data.subscribe(MAKER, Ear(), from_sequence=0)) for _ in range(3)]
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(result) for result in results] == [Subscription, Subscription, Refusal]
    assert stage.user_data.statistics()[:2] == (1, 2)
    stage.close()


async def test_resume_that_is_given_up_leaves_nothing_behind(tmp_path: Path) -> None:
    stage = _venue(tmp_path)
    resuming = asyncio.create_task(stage.user_data.subscribe(MAKER, Ear(), from_sequence=0))
    await asyncio.sleep(0)
    assert stage.user_data.statistics()[:2] == (1, 1)
    resuming.cancel()
    with pytest.raises(asyncio.CancelledError):
        await resuming
    assert stage.user_data.statistics()[:2] == (0, 0)
    stage.close()


async def test_resume_of_an_account_whose_streams_are_ended_meanwhile_is_refused(tmp_path: Path) -> None:
    stage = _venue(tmp_path)
    ear = Ear()
    resuming = asyncio.create_task(stage.user_data.subscribe(MAKER, ear, from_sequence=0))
    await asyncio.sleep(0)
    stage.user_data.terminate(MAKER, "The key was revoked.")
    with pytest.raises(Refusal, match="The key was revoked"):
        await resuming
    assert ear.heard == []
    assert stage.user_data.statistics()[:2] == (0, 0)
    stage.close()


async def test_listener_that_does_not_catch_up_is_told_where_to_resume(tmp_path: Path) -> None:
    stage = _venue(tmp_path, limits=Limits(backlog=3))
    ear = Ear()
    taken = asyncio.Event()
    subscription = await stage.user_data.subscribe(MAKER, ear, from_sequence=0, drain=taken.wait)
    await ear.hears(1)
    missed = len(ear.heard)
    _rest(stage, "one")
    _rest(stage, "two")
    assert [body["e"] for body in ear.bodies[missed:]] == ["eventStreamTerminated"]
    assert ear.heard[-1][1] == ear.heard[-2][1]
    heard = len(ear.heard)
    assert subscription.catching_up
    with pytest.raises(asyncio.CancelledError):
        await subscription.catching_up  # although `drain` still waits
    assert (len(ear.heard), stage.user_data.statistics()[:2]) == (heard, (0, 0))
    stage.close()


async def test_missed_messages_come_before_those_that_came_meanwhile(tmp_path: Path) -> None:
    stage = _venue(tmp_path)
    ear, witness = Ear(), Ear()
    await stage.user_data.subscribe(MAKER, witness)
    taken = asyncio.Event()
    for number in range(3):
        _rest(stage, f"early-{number}")
    after = witness.heard[0][1]
    await stage.user_data.subscribe(MAKER, ear, from_sequence=after, drain=taken.wait)
    assert ear.heard == [], "the caller can answer first"
    _rest(stage, "meanwhile")
    await ear.hears(witness.heard[-3][1])
    _rest(stage, "meanwhile too")
    assert len(ear.heard) == 5
    taken.set()
    await caught_up(stage.user_data)
    _rest(stage, "live")
    assert ear.heard == witness.heard[1:]
    stage.close()
