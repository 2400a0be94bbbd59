"""The engine against the oracle on seeded streams: every event, every row, the hash, and the invariants."""

from __future__ import annotations

import functools
from collections import Counter

import pytest

from exchange.core.codes import CommandKind, EventKind, Fault, OrderType, RejectCode, Side, StpMode, TimeInForce
from exchange.core.hashing import state_hash
from exchange.core.kernel import Engine, EngineFault
from exchange.core.records import view_commands
from exchange.core.state import EXPIRIES_PER_TICK, TINY, new_state
from tests.core.differential import (
    NIGHTS,
    SLOW_KERNELS,
    Dicts,
    Differential,
    EngineExchange,
    OracleExchange,
    Rows,
    Slot,
    compare_events,
    compare_hashes,
    compare_rows,
    compare_states,
)
from tests.core.plans import BUSY, CONDITIONAL, WIDE, command
from tests.core.streams import Flow, stream
from tests.oracle import Stopped
from tests.scenarios.runner import Run, Scenario
from tests.scenarios.words import STANDARD, lines_of

BUSY_SEEDS, BUSY_COMMANDS = (3, 700) if SLOW_KERNELS else (30, 2_000)
CONDITIONAL_SEEDS, CONDITIONAL_COMMANDS = (3, 700) if SLOW_KERNELS else (20, 2_000)
WIDE_SEEDS, WIDE_COMMANDS = (1, 1_500) if SLOW_KERNELS else (2, 10_000)

GUARDS = (
    "MASS_CANCELED",
    "COUNTDOWN_SET",
    "COUNTDOWN_FIRED",
    "AUCTION_STARTED",
    "AUCTION_INDICATED",
    "AUCTION_ENDED",
    "BREAKER_TRIPPED",
    "SKIP_NOTED",
    "PRICE_OUT_OF_COLLAR",
    "POSITION_TOO_HIGH",
    "EXPOSURE_TOO_HIGH",
    "ORDER_RATE_TOO_HIGH",
    "KEY_NOTIONAL_TOO_HIGH",
    "WITHDRAWALS_CLOSED",
    "AUCTION_ORDER",
    "INVALID_AUCTION",
    "TOO_MANY_COUNTDOWNS",
    "SKIPPED_BY_OPERATOR",
)
"""What the streams of `test_guarded.py` reach."""


@functools.lru_cache(maxsize=BUSY_SEEDS)
def _busy(seed: int) -> tuple[Slot, list[Dicts], Rows]:
    return stream(seed, BUSY_COMMANDS, BUSY)


@pytest.mark.parametrize("seed", range(BUSY_SEEDS * NIGHTS))
def test_engine_on_busy_stream_does_what_the_oracle_does(seed: int) -> None:
    commands, expected, rows = _busy(seed)
    Differential(seed, Engine(new_state(TINY, index_seed=seed))).follow(commands, expected, rows)


@pytest.mark.parametrize("seed", range(WIDE_SEEDS))
def test_engine_on_wide_stream_does_what_the_oracle_does(seed: int) -> None:
    commands, expected, rows = stream(seed, WIDE_COMMANDS, WIDE)
    Differential(seed, Engine(new_state(TINY, index_seed=seed)), longest_batch=500).follow(commands, expected, rows)


def test_engine_state_after_each_command_is_the_oracles() -> None:
    flow, engine = Flow(seed=7), EngineExchange()
    for _ in range(100 if SLOW_KERNELS else 400):
        commands, expected = flow.take(1)
        assert engine.apply(commands[0]) == expected[0]
        compare_hashes(engine.engine.state, flow.rows(), f"sequence {flow.oracle.venue.sequence}")
    compare_rows(engine.engine.state, flow.rows(), "the last command")


@functools.lru_cache(maxsize=CONDITIONAL_SEEDS)
def _conditional(seed: int) -> tuple[Slot, list[Dicts], Rows]:
    return stream(seed, CONDITIONAL_COMMANDS, CONDITIONAL)


@pytest.mark.parametrize("seed", range(CONDITIONAL_SEEDS * NIGHTS))
def test_engine_on_conditional_stream_does_what_the_oracle_does(seed: int) -> None:
    commands, expected, rows = _conditional(seed)
    Differential(seed, Engine(new_state(TINY, index_seed=seed))).follow(commands, expected, rows)


def test_engine_state_after_each_conditional_command_is_the_oracles() -> None:
    flow, engine = Flow(seed=7, kind=CONDITIONAL), EngineExchange()
    for _ in range(100 if SLOW_KERNELS else 600):
        commands, expected = flow.take(1)
        assert engine.apply(commands[0]) == expected[0]
        compare_hashes(engine.engine.state, flow.rows(), f"sequence {flow.oracle.venue.sequence}")
    compare_rows(engine.engine.state, flow.rows(), "the last command")


@pytest.mark.skipif(SLOW_KERNELS, reason="the streams are as long as the compiled kernels are given")
def test_streams_reach_every_event_and_every_refusal() -> None:
    kinds: Counter[str] = Counter()
    streams = [_busy(seed) for seed in range(BUSY_SEEDS)] + [_conditional(seed) for seed in range(CONDITIONAL_SEEDS)]
    for _, expected, _ in streams:
        for events in expected:
            for event in events:
                kinds[EventKind(event["kind"]).name] += 1
                if event["kind"] == EventKind.REJECTED:
                    kinds[RejectCode(event["reject"]).name] += 1
                elif event["kind"] == EventKind.PREVENTED:
                    kinds[StpMode(event["stp_mode"]).name] += 1
    wanted = {kind.name for kind in EventKind} | {code.name for code in RejectCode} | {mode.name for mode in StpMode}
    assert wanted - set(kinds) <= {"NONE", *GUARDS}
    assert kinds["TRADE"] > 3_000


def test_differential_with_a_changed_event_reports_the_command() -> None:
    commands, expected, _ = stream(1, 40, BUSY)
    events = Engine().run(commands)
    compare_events(list(commands), expected, events)
    expected[-1][0]["ts_ns"] += 1
    with pytest.raises(AssertionError, match="ts_ns: oracle"):
        compare_events(list(commands), expected, events)


# ---- what streams can not say -------------------------------------------------------------------------------------


def _both_after(lines: str) -> tuple[EngineExchange, OracleExchange, Run]:
    """The engine and the oracle after some lines of the table language; the run goes on at the engine."""
    engine, oracle = EngineExchange(), OracleExchange()
    scenario = Scenario("here", "inline", lines_of(STANDARD + lines))
    for exchange in (oracle, engine):
        run = Run(scenario, exchange)
        for line in scenario.lines:
            run.fund(line) if line.words[0] == "fund" else run.command(line)
    return engine, oracle, run


def _next(run: Run, kind: CommandKind, ts_ns: int = 1, **fields: int) -> Slot:
    run.sequence += 1
    return command(kind, sequence=run.sequence, ts_ns=ts_ns, **fields)


def test_tick_with_more_expired_than_it_may_close_leaves_the_rest_for_the_next() -> None:
    engine, oracle, run = _both_after("change BTC_USDT orders_max=5000 -> done\nfund 16 USDT 100000000")
    count = EXPIRIES_PER_TICK + 5
    for number in range(count):
        slot = _next(
            run,
            CommandKind.PLACE,
            account=16,
            symbol=1,
            side=Side.BUY,
            order_type=OrderType.LIMIT,
            time_in_force=TimeInForce.GTD,
            price_ticks=1 + number % 7,
            qty_lots=1,
            expire_ts_ns=100 - number % 3,
        )
        assert engine.engine.run(slot.reshape(1, -1)).shape == (1, 128)
        oracle.apply(slot)
    for closed in (EXPIRIES_PER_TICK, 5, 0):
        slot = _next(run, CommandKind.TICK, ts_ns=100)
        events = oracle.apply(slot)
        assert engine.apply(slot) == events
        assert events[-1]["expired_count"] == closed
        assert len(events) == closed + 1
    compare_states(engine, oracle, "the last tick")


@pytest.mark.parametrize(
    ("sequence_step", "ts_ns", "fault"),
    [(2, 1, Fault.SEQUENCE_GAP), (0, 1, Fault.SEQUENCE_GAP), (1, 0, Fault.TIME_REVERSED), (2, 0, Fault.SEQUENCE_GAP)],
)
def test_command_out_of_order_is_a_fault_and_changes_nothing(sequence_step: int, ts_ns: int, fault: Fault) -> None:
    engine, oracle, run = _both_after("fund 16 USDT 1000")
    slot = command(CommandKind.TICK, sequence=run.sequence + sequence_step, ts_ns=ts_ns)
    with pytest.raises(EngineFault) as stopped:
        engine.engine.run(slot.reshape(1, -1))
    assert (stopped.value.fault, stopped.value.sequence) == (fault, run.sequence)
    with pytest.raises(Stopped) as oracle_stopped:
        oracle.apply(slot)
    assert oracle_stopped.value.fault is fault
    compare_states(engine, oracle, "a fault")


def test_hash_command_that_repeats_the_last_hash_must_carry_it() -> None:
    engine, oracle, run = _both_after("fund 16 USDT 1000")
    first = engine.apply(slot := _next(run, CommandKind.HASH))
    assert first == oracle.apply(slot)
    hash_0, hash_1 = first[0]["hash_0"], first[0]["hash_1"]
    assert (hash_0, hash_1) == tuple(int(word) for word in state_hash(engine.engine.state))
    at = first[0]["at_sequence"]
    right = _next(run, CommandKind.HASH, at_sequence=at, hash_0=hash_0, hash_1=hash_1)
    second = engine.apply(right)
    assert second == oracle.apply(right)
    for wrong in ({"hash_0": hash_0 + 1}, {"hash_1": hash_1 - 1}):
        fields = {"at_sequence": second[0]["at_sequence"], "hash_0": second[0]["hash_0"], "hash_1": second[0]["hash_1"]}
        slot = command(CommandKind.HASH, sequence=run.sequence + 1, ts_ns=1, **fields | wrong)
        with pytest.raises(EngineFault) as stopped:
            engine.engine.run(slot.reshape(1, -1))
        assert stopped.value.fault is Fault.HASH_MISMATCH
        with pytest.raises(Stopped):
            oracle.apply(slot)
    compare_states(engine, oracle, "a mismatch")


def test_fault_in_a_batch_keeps_what_came_before_it() -> None:
    commands, expected, _ = stream(5, 60, BUSY)
    view_commands(commands).any.sequence[40:] += 1
    engine = Engine()
    with pytest.raises(EngineFault) as stopped:
        engine.run(commands)
    assert (stopped.value.fault, stopped.value.sequence) == (Fault.SEQUENCE_GAP, 40)
    assert int(engine.state.header[0].event_count) == sum(len(events) for events in expected[:40])


def test_client_id_that_begins_with_four_zero_bytes_is_none() -> None:
    engine, oracle, run = _both_after("fund 16 USDT 1000")
    fields = {"account": 16, "symbol": 1, "order_type": OrderType.LIMIT, "time_in_force": TimeInForce.GTC}
    fields |= {"price_ticks": 1, "qty_lots": 1, "client_id_4": 0x41 << 56}
    for order_id in (1, 2):
        slot = _next(run, CommandKind.PLACE, **fields)
        events = oracle.apply(slot)
        assert engine.apply(slot) == events
        assert (events[0]["kind"], events[0]["order_id"]) == (EventKind.ORDER_ACCEPTED, order_id)
    for kind, more in ((CommandKind.CANCEL, {}), (CommandKind.CANCEL, {"order_id": 2}), (CommandKind.TICK, {})):
        named = {"account": 16, "client_id_4": 0x41 << 56} if kind is CommandKind.CANCEL else {}
        slot = _next(run, kind, **named, **more)
        assert engine.apply(slot) == oracle.apply(slot)
    compare_states(engine, oracle, "the last tick")
