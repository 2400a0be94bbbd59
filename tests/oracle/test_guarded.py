"""The oracle on streams of a guarded venue: invariants hold, and all that guards do happens."""

from __future__ import annotations

import functools
from collections import Counter

import pytest

from exchange.core.codes import CloseReason, EventFlag, EventKind, RejectCode
from tests.core.differential import Dicts
from tests.core.guarded_streams import GuardedFlow
from tests.oracle.invariants import check_all

SEEDS, COMMANDS = 12, 2_000

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
def _checked(seed: int) -> list[Dicts]:
    """The events of a stream, command by command, with every invariant checked after each."""
    flow = GuardedFlow(seed)
    told = []
    for _ in range(COMMANDS):
        _, expected = flow.take(1)
        told += expected
        check_all(flow.oracle.venue)
    return told


@pytest.mark.parametrize("seed", range(SEEDS))
def test_oracle_on_guarded_stream_keeps_its_invariants(seed: int) -> None:
    assert len(_checked(seed)) == COMMANDS


def test_guarded_streams_reach_every_event_refusal_and_reason_of_guards() -> None:
    seen: Counter[EventKind | RejectCode | CloseReason | str] = Counter()
    for seed in range(SEEDS):
        for events in _checked(seed):
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
