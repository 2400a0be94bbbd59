"""A stream that resumes gets, to the byte, what a listener got who was there the whole time."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from pathlib import Path

import orjson
import pytest

from exchange.core.codes import CommandKind, Side
from exchange.gateway.errors import Refusal
from exchange.gateway.private.messages import last_sequence
from exchange.gateway.private.past import Limits as ReadingLimits
from exchange.gateway.private.user_data import CAN_NOT_RESUME, Limits, UserData
from tests.core.plans import ACCOUNTS, command
from tests.gateway.private.stage import (
    MAKER,
    MIDDLE_TICKS,
    Ear,
    Stage,
    caught_up,
    limit_order,
    small_venue,
    stamped,
)
from tests.gateway.private.trader import Trader
from tests.marketdata.venue import symbol_fields

ACCOUNT = ACCOUNTS[0]


async def _with_a_witness(stage: Stage, commands: int, account: int = ACCOUNT) -> tuple[Ear, int]:
    """One who listens from before `commands` commands on, and the sequence it began with."""
    ear = Ear()
    subscription = await stage.user_data.subscribe(account, ear)
    for _ in range(commands // 20):
        stage.apply(20)
        stage.hand_over_cut()
    return ear, subscription.sequence


async def _resumed(user_data: UserData, sequence: int, last: int, account: int = ACCOUNT) -> list[tuple[bytes, int]]:
    ear = Ear()
    subscription = await user_data.subscribe(account, ear, from_sequence=sequence)
    assert subscription.sequence == sequence
    if sequence < last:
        await ear.hears(last)
    user_data.unsubscribe(subscription)
    return ear.heard


@pytest.mark.parametrize("seed", [0, 3, 5, 7, 8])
async def test_resume_from_every_message_equals_the_uninterrupted_stream(tmp_path: Path, seed: int) -> None:
    stage = Stage(tmp_path, seed)
    await stage.begin()
    stage.flow.makers += [stage.flow.reduce] * 40
    stage.apply(100)
    stage.hand_over_cut()
    witness, began = await _with_a_witness(stage, 700)
    stage.close()
    executions = {body.get("x", body["e"]) for body in witness.bodies}
    assert executions >= {"TRADE", "CANCELED", "REPLACED", "TRADE_PREVENTION", "EXPIRED", "outboundAccountPosition"}
    for at, sequence in enumerate([began, *(sequence for _, sequence in witness.heard)]):
        assert await _resumed(stage.user_data, sequence, witness.heard[-1][1]) == witness.heard[at:]


async def test_resume_from_any_number_between_gives_what_is_behind_it(tmp_path: Path) -> None:
    stage = Stage(tmp_path, 11)
    await stage.begin()
    witness, began = await _with_a_witness(stage, 100)
    stage.close()
    last = witness.heard[-1][1]
    for after in range(began, last_sequence(stage.event_count()) + 1):
        heard = await _resumed(stage.user_data, after, last)
        wanted = [(payload, sequence) for payload, sequence in witness.heard if sequence > after]
        assert [sequence for _, sequence in heard] == [sequence for _, sequence in wanted]
        assert heard[1:] == wanted[1:]
        if heard:  # nothing lies between the number and the first message, so that is the one before it
            assert orjson.loads(heard[0][0]) == orjson.loads(wanted[0][0]) | {"previousSequence": after}


async def test_resume_after_a_restart_gives_the_same_messages(tmp_path: Path) -> None:
    stage = Stage(tmp_path, 12)
    await stage.begin()
    witness, began = await _with_a_witness(stage, 200)
    stage.user_data = stage.new_user_data()
    later, _ = await _with_a_witness(stage, 100)
    whole = witness.heard + later.heard
    # The witness of the new process began anew; but for that number the messages are one stream.
    first = len(witness.heard)
    body = orjson.loads(whole[first][0]) | {"previousSequence": whole[first - 1][1]}
    whole[first] = (orjson.dumps(body), whole[first][1])
    for user_data in (stage.user_data, stage.new_user_data()):
        for at, sequence in enumerate([began, *(sequence for _, sequence in whole)]):
            assert await _resumed(user_data, sequence, whole[-1][1]) == whole[at:]
    stage.close()


@pytest.mark.parametrize("seed", range(20, 26))
async def test_resume_while_events_go_on_has_no_hole_and_no_repetition(tmp_path: Path, seed: int) -> None:
    """The engine is ahead, batches break commands off, listeners come and go in between, and it goes on meanwhile."""
    stage = Stage(tmp_path, seed)
    await stage.begin()
    witness = Ear()
    began = (await stage.user_data.subscribe(ACCOUNT, witness)).sequence
    ears: list[tuple[int, Ear]] = []
    subscribing = []
    for _ in range(60):
        if stage.random.random() < 0.8:
            stage.apply(stage.random.randint(1, 8))
        stage.hand_over(stage.random.randint(0, 12))
        after = stage.random.choice([began, *(sequence for _, sequence in witness.heard)])
        ear = Ear()
        ears.append((after, ear))
        subscribing.append(asyncio.create_task(stage.user_data.subscribe(ACCOUNT, ear, from_sequence=after)))
        for _ in range(stage.random.randint(0, 20)):
            await asyncio.sleep(0)
    await asyncio.gather(*subscribing)
    stage.hand_over_cut()
    for after, ear in ears:
        if after < witness.heard[-1][1]:
            await ear.hears(witness.heard[-1][1])
        assert ear.heard == [one for one in witness.heard if one[1] > after]
    stage.close()


@pytest.mark.parametrize("seed", range(30, 34))
async def test_resume_of_an_account_that_nobody_listens_to_meets_the_live_stream(tmp_path: Path, seed: int) -> None:
    """The stream begins where the engine stands, ahead of the events; two come at once, from different sequences."""
    stage = Stage(tmp_path, seed)
    await stage.begin()
    witness = Ear()
    subscription = await stage.user_data.subscribe(ACCOUNT, witness)
    stage.apply(300)
    stage.hand_over_cut()
    other = stage.user_data
    stage.user_data = stage.new_user_data()
    stage.apply(40)
    stage.hand_over(stage.random.randint(0, 30))
    ears = []
    for after in (subscription.sequence, witness.heard[-1][1], witness.heard[len(witness.heard) // 2][1]):
        ears.append((after, Ear()))
        await stage.user_data.subscribe(ACCOUNT, ears[-1][1], from_sequence=after)
        stage.apply(5)
        stage.hand_over(stage.random.randint(0, 9))
    stage.hand_over_cut()
    stage.user_data = other
    for after, ear in ears:
        complete = await _resume_all(stage, after)
        await ear.hears(complete[-1][1])
        assert ear.heard == complete
    stage.close()


async def _resume_all(stage: Stage, after: int) -> list[tuple[bytes, int]]:
    """Everything behind a sequence, as a process that starts now tells it."""
    user_data = stage.new_user_data()
    ear = Ear()
    await user_data.subscribe(ACCOUNT, ear, from_sequence=after)
    await caught_up(user_data)
    return ear.heard


async def test_trader_that_is_cut_off_again_and_again_folds_to_the_account(tmp_path: Path) -> None:
    stage = Stage(tmp_path, 40)
    await stage.begin()
    state = stage.engine.state
    trader = Trader(state, ACCOUNT, last_sequence(stage.event_count()))
    for _ in range(60):
        ear = Ear()
        subscription = await stage.user_data.subscribe(ACCOUNT, ear, from_sequence=trader.sequence, unit_ns=1_000)
        stage.apply(5)
        stage.hand_over_cut()
        await caught_up(stage.user_data)
        stage.user_data.unsubscribe(subscription)
        for body in ear.bodies:
            trader.hear(body)
        stage.apply(10)
        stage.hand_over_cut()
        stage.user_data = stage.new_user_data() if stage.random.random() < 0.2 else stage.user_data
    ear = Ear()
    await stage.user_data.subscribe(ACCOUNT, ear, from_sequence=trader.sequence, unit_ns=1_000)
    await caught_up(stage.user_data)
    for body in ear.bodies:
        trader.hear(body)
    trader.agrees_with(stage.engine.state)
    stage.close()


# ---- what can not be resumed --------------------------------------------------------------------------------------


async def _refused_or_right(stage: Stage, began: int, heard: list[tuple[bytes, int]]) -> int:
    """Resume from every message; how often that is refused. Where it is not, what comes is right."""
    refusals = []
    for at, sequence in enumerate([began, *(sequence for _, sequence in heard)]):
        try:
            assert await _resumed(stage.user_data, sequence, heard[-1][1]) == heard[at:]
        except Refusal as refusal:
            refusals.append(refusal.code)
    assert set(refusals) <= {CAN_NOT_RESUME}
    return len(refusals)


def _forget_all_but_the_newest_segment(directory: Path) -> None:
    *older, _ = sorted(directory.glob("*.journal"))
    assert len(older) > 1
    for segment in older:
        segment.unlink()


async def _refusal(user_data: UserData, sequence: int) -> int:
    with pytest.raises(Refusal) as refused:
        await user_data.subscribe(ACCOUNT, Ear(), from_sequence=sequence)
    assert user_data.statistics()[:2] == (0, 0), "a refused subscription leaves nothing behind"
    return refused.value.code


async def test_resume_from_the_future_is_refused(tmp_path: Path) -> None:
    stage = Stage(tmp_path, 1)
    stage.apply(60)
    now = last_sequence(stage.event_count())
    assert await _refusal(stage.user_data, now + 1) == -1130
    assert await _refusal(stage.user_data, -1) == -1130
    assert (await stage.user_data.subscribe(ACCOUNT, Ear(), from_sequence=now)).sequence == now
    stage.close()


async def test_resume_beyond_a_bound_is_refused(tmp_path: Path) -> None:
    for number, reading in enumerate((ReadingLimits(events=50), ReadingLimits(found=20))):
        stage = Stage(tmp_path / str(number), 1, limits=Limits(reading=reading))
        stage.apply(200)
        stage.hand_over_cut()
        assert await _refusal(stage.user_data, 0) == CAN_NOT_RESUME
        stage.close()


async def test_resume_over_an_order_that_nobody_remembers_is_refused_and_never_wrong(tmp_path: Path) -> None:
    stage = Stage(tmp_path, 2, remembers=False)
    await stage.begin()
    witness, began = await _with_a_witness(stage, 400)
    assert 0 < await _refused_or_right(stage, began, witness.heard) < len(witness.heard)
    stage.close()


async def test_resume_waits_for_what_is_not_written_yet_and_gives_up_in_the_end(tmp_path: Path) -> None:
    stage = Stage(tmp_path, 3, limits=Limits(reading=ReadingLimits(wait_s=0.05)))
    stage.apply(100)
    stage.hand_over_cut()
    began = last_sequence(stage.event_count())
    unwritten = stage.engine.run(stage.flow.take(5)[0])
    stage.user_data.on_events(memoryview(unwritten.tobytes()), len(unwritten))
    assert await _refusal(stage.user_data, began) == -1001
    stage.user_data._limits = Limits()
    resuming = asyncio.create_task(stage.user_data.subscribe(ACCOUNT, Ear(), from_sequence=began))
    await asyncio.sleep(0)
    stage.writer.append(unwritten)
    await resuming
    stage.close()


async def test_resume_in_a_journal_that_begins_later_is_refused_where_it_is_missing(tmp_path: Path) -> None:
    stage = Stage(tmp_path, 4)
    stage.apply(600)
    stage.hand_over_cut()
    ear = Ear()
    witness = await stage.user_data.subscribe(ACCOUNT, ear)
    stage.apply(200)
    stage.hand_over_cut()
    stage.user_data.unsubscribe(witness)
    _forget_all_but_the_newest_segment(tmp_path)
    assert 0 < await _refused_or_right(stage, witness.sequence, ear.heard) < len(ear.heard)
    stage.close()


async def test_resume_amid_a_command_of_many_events_knows_its_beginning(tmp_path: Path) -> None:
    """The position behind the command names what its first event touched, however far back that lies."""
    stage = Stage(tmp_path, 5)
    eth = [
        command(CommandKind.ADD_SYMBOL, **symbol_fields(2, 2, 3), name="ETH_USDT"),
        command(CommandKind.DEPOSIT, account=MAKER, asset=2, transfer_id=900, amount_atoms=10**12),
    ]
    asks = [limit_order(MAKER, Side.SELL, MIDDLE_TICKS, 1, f"m{number}", symbol=2) for number in range(900)]
    asks.append(limit_order(MAKER, Side.SELL, MIDDLE_TICKS, 1, "first"))
    stage.run(stamped(stage, *small_venue(), *eth, *asks))
    stage.hand_over()
    ear = Ear()
    began = (await stage.user_data.subscribe(MAKER, ear)).sequence
    stage.run(stamped(stage, command(CommandKind.CANCEL_ALL, account=MAKER)))
    stage.hand_over_cut()
    assert len(ear.heard) == 902
    assert [row["a"] for row in ear.bodies[-1]["B"]] == ["BTC", "ETH"]
    for at in (0, 1, 2, 300, 500, 899, 900):
        assert await _resumed(stage.user_data, ear.heard[at][1], ear.heard[-1][1], MAKER) == ear.heard[at + 1 :]
    assert await _resumed(stage.user_data, began, ear.heard[-1][1], MAKER) == ear.heard
    stage.close()


async def test_resume_from_ahead_of_the_events_begins_behind_it(tmp_path: Path) -> None:
    """An account that was just read may be ahead of the events that were handed over."""
    stage = Stage(tmp_path, 6)
    stage.run(stamped(stage, *small_venue()))
    stage.hand_over()
    witness, ear = Ear(), Ear()
    await stage.user_data.subscribe(MAKER, witness)
    stage.run(stamped(stage, limit_order(MAKER, Side.SELL, MIDDLE_TICKS, 1, "is in what was read")))
    await stage.user_data.subscribe(MAKER, ear, from_sequence=last_sequence(stage.event_count()))
    stage.run(stamped(stage, limit_order(MAKER, Side.SELL, MIDDLE_TICKS, 1, "is not")))
    stage.hand_over()
    assert len(witness.heard) == 4
    assert [sequence for _, sequence in ear.heard] == [sequence for _, sequence in witness.heard[2:]]
    assert ear.heard == witness.heard[2:]
    stage.close()


async def test_listener_that_need_not_be_waited_for_leaves_turns_to_others(tmp_path: Path) -> None:
    stage = Stage(tmp_path, 2)
    await stage.begin()
    witness, began = await _with_a_witness(stage, 3_000)
    stage.close()
    ear = Ear()

    async def never_waits() -> None:
        pass

    await stage.user_data.subscribe(ACCOUNT, ear, from_sequence=began, drain=never_waits)
    grown = [0]
    while grown[-1] < len(witness.heard):
        await asyncio.sleep(0)
        grown.append(len(ear.heard))
    steps = [after - before for before, after in pairwise(grown)]
    assert len(witness.heard) > 2 * max(steps)
