"""Guards, auctions, breakers and switches: the engine against the oracle on guarded streams, and what streams reach."""

from __future__ import annotations

import functools
from collections import Counter

import pytest

from exchange.core.codes import (
    CloseReason,
    CommandKind,
    EventFlag,
    EventKind,
    OrderType,
    RejectCode,
    Scope,
    Side,
    TimeInForce,
)
from exchange.core.kernel import Engine
from exchange.core.records import ANY
from exchange.core.state import MASS_CANCEL_MAX, TINY, new_state
from tests.core.differential import (
    SLOW_KERNELS,
    Dicts,
    Differential,
    EngineExchange,
    OracleExchange,
    Rows,
    Slot,
    compare_states,
)
from tests.core.guarded_streams import guarded_stream
from tests.core.plans import command

SEEDS, COMMANDS = (3, 700) if SLOW_KERNELS else (20, 2_000)

EVENTS = {
    EventKind.MASS_CANCELED,
    EventKind.COUNTDOWN_SET,
    EventKind.COUNTDOWN_FIRED,
    EventKind.AUCTION_STARTED,
    EventKind.AUCTION_INDICATED,
    EventKind.AUCTION_ENDED,
    EventKind.BREAKER_TRIPPED,
    EventKind.RULE_SET,
    EventKind.SKIP_NOTED,
}
REJECTS = {
    RejectCode.PRICE_OUT_OF_COLLAR,
    RejectCode.TOO_MANY_ALGO_ORDERS,
    RejectCode.TOO_MANY_ICEBERGS,
    RejectCode.POSITION_TOO_HIGH,
    RejectCode.EXPOSURE_TOO_HIGH,
    RejectCode.ORDER_RATE_TOO_HIGH,
    RejectCode.KEY_NOTIONAL_TOO_HIGH,
    RejectCode.WITHDRAWALS_CLOSED,
    RejectCode.AUCTION_ORDER,
    RejectCode.INVALID_RULE,
    RejectCode.TOO_MANY_LISTS,
    RejectCode.INVALID_AUCTION,
    RejectCode.SKIPPED_BY_OPERATOR,
}
"""What docs/engine-guards.md refuses, but for TOO_MANY_COUNTDOWNS: that needs more timers than a stream has."""

REASONS = {CloseReason.PRICE_RANGE, CloseReason.MASS_CANCELED, CloseReason.COUNTDOWN}


@functools.cache
def _guarded(seed: int) -> tuple[Slot, list[Dicts], Rows]:
    return guarded_stream(seed, COMMANDS)


@pytest.mark.parametrize("seed", range(SEEDS))
def test_engine_on_guarded_stream_does_what_the_oracle_does(seed: int) -> None:
    commands, expected, rows = _guarded(seed)
    Differential(seed, Engine(new_state(TINY, index_seed=seed))).follow(commands, expected, rows)


@pytest.mark.skipif(SLOW_KERNELS, reason="the streams are as long as the compiled kernels are given")
def test_guarded_streams_reach_every_event_refusal_and_reason_of_guards() -> None:
    seen: Counter[EventKind | RejectCode | CloseReason | str] = Counter()
    for seed in range(SEEDS):
        for events in _guarded(seed)[1]:
            for event in events:
                kind = EventKind(event["kind"])
                seen[kind] += 1
                if kind is EventKind.REJECTED:
                    seen[f"refused {event['reject']}"] += 1
                elif kind is EventKind.ORDER_CLOSED:
                    seen[f"closed {event['reason']}"] += 1
                elif event["flags"] & EventFlag.OFF_BOOK and kind in (EventKind.TRADE, EventKind.PREVENTED):
                    seen[f"uncross {kind}"] += 1
    wanted = EVENTS | {f"refused {code}" for code in REJECTS} | {f"closed {reason}" for reason in REASONS}
    wanted |= {f"uncross {kind}" for kind in (EventKind.TRADE, EventKind.PREVENTED)}
    assert wanted <= set(seen), wanted - set(seen)
    assert seen[f"uncross {EventKind.TRADE}"] > 100


def _many_orders(count: int) -> list[Slot]:
    """A venue where one account has so many orders, at seven prices."""
    symbol = {
        "price_max_ticks": 100,
        "qty_max_lots": 9,
        "notional_max_atoms": 10**9,
        "orders_max": count,
        "price_step_ticks": 1,
        "qty_step_lots": 1,
        "price_min_ticks": 1,
        "qty_min_lots": 1,
    }
    order = {"account": 16, "symbol": 1, "side": Side.BUY, "order_type": OrderType.LIMIT, "qty_lots": 1}
    return [
        command(CommandKind.ADD_ASSET, asset=1),
        command(CommandKind.ADD_ASSET, asset=2),
        command(CommandKind.ADD_SYMBOL, symbol=1, base_asset=1, quote_asset=2, **symbol),
        command(CommandKind.OPEN_ACCOUNT, account=16, maker_fee_ppm=-1, taker_fee_ppm=-1),
        command(CommandKind.DEPOSIT, account=16, asset=2, transfer_id=1, amount_atoms=10**9),
        *(
            command(CommandKind.PLACE, time_in_force=TimeInForce.GTC, price_ticks=1 + number % 7, **order)
            for number in range(count)
        ),
    ]


def test_mass_cancel_of_more_than_it_may_close_says_that_there_is_more() -> None:
    engine, oracle = EngineExchange(), OracleExchange()
    sweep = command(CommandKind.MASS_CANCEL, scope=Scope.SYMBOL, symbol=1)
    told = []
    for sequence, slot in enumerate([*_many_orders(MASS_CANCEL_MAX + 3), sweep, sweep, sweep], 1):
        slot = slot.copy()
        slot.view(ANY)[0]["sequence"] = sequence
        events = oracle.apply(slot)
        told.append((len(events), events[-1].get("canceled_count"), events[-1].get("more")))
        assert engine.engine.run(slot.reshape(1, -1)).shape[0] == len(events)
    assert told[-3:] == [(MASS_CANCEL_MAX + 1, MASS_CANCEL_MAX, 1), (4, 3, 0), (1, 0, 0)]
    compare_states(engine, oracle, "the last sweep")
