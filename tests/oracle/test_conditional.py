"""The oracle on streams of orders that wait, hide, follow and hang together: invariants hold, and all of it happens."""

from __future__ import annotations

import functools
from collections import Counter

import pytest

from exchange.core.codes import CloseReason, EventKind, RejectCode
from tests.core.differential import Dicts
from tests.core.plans import CONDITIONAL
from tests.core.streams import Flow
from tests.oracle.invariants import check_all
from tests.oracle.turns import TURNS_PER_COMMAND

SEEDS, COMMANDS = 10, 2_000

EVENTS = {
    EventKind.ORDER_ENTERED,
    EventKind.ORDER_SHOWN,
    EventKind.ORDER_FUNDED,
    EventKind.ORDER_TERMS,
    EventKind.STAGED,
    EventKind.LIST_CHANGED,
    EventKind.RULE_SET,
}
REASONS = {
    CloseReason.LIST,
    CloseReason.CANNOT_PAY,
    CloseReason.NO_LEVEL,
    CloseReason.WOULD_TAKE,
    CloseReason.NO_PEG_PRICE,
    CloseReason.BAD_QUANTITY_OR_PRICE,
}
REFUSALS = {
    RejectCode.WOULD_TRIGGER,
    RejectCode.INVALID_TRAILING,
    RejectCode.INVALID_ICEBERG,
    RejectCode.NO_REFERENCE_PRICE,
    RejectCode.TOO_MANY_ALGO_ORDERS,
    RejectCode.TOO_MANY_ICEBERGS,
    RejectCode.INVALID_LIST,
    RejectCode.INVALID_RULE,
    RejectCode.TOO_MANY_LISTS,
}


@functools.cache
def _checked(seed: int) -> list[Dicts]:
    """The events of a stream, command by command, with every invariant checked after each."""
    flow = Flow(seed, CONDITIONAL)
    told = []
    for _ in range(COMMANDS):
        _, expected = flow.take(1)
        told += expected
        check_all(flow.oracle.venue)
    return told


@pytest.mark.parametrize("seed", range(SEEDS))
def test_oracle_on_conditional_stream_keeps_its_invariants(seed: int) -> None:
    assert sum(len(events) for events in _checked(seed)) > COMMANDS


def test_conditional_streams_reach_every_event_reason_and_refusal_of_such_orders() -> None:
    reached: Counter[str] = Counter()
    for seed in range(SEEDS):
        for events in _checked(seed):
            for event in events:
                reached[EventKind(event["kind"]).name] += 1
                if event["kind"] == EventKind.REJECTED:
                    reached[f"refused {RejectCode(event['reject']).name}"] += 1
                elif event["kind"] == EventKind.ORDER_CLOSED:
                    reached[f"closed {CloseReason(event['reason']).name}"] += 1
                elif event["kind"] == EventKind.PREVENTED and event["maker_account"]:
                    reached["prevented in a group"] += 1
    wanted = {kind.name for kind in EVENTS} | {"prevented in a group"}
    wanted |= {f"closed {reason.name}" for reason in REASONS} | {f"refused {code.name}" for code in REFUSALS}
    assert wanted - set(reached) == set()
    assert reached["TRADE"] > 2_000


def test_conditional_streams_have_more_due_than_one_command_may_give_turns() -> None:
    entered = [
        sum(event["kind"] == EventKind.ORDER_ENTERED for event in events)
        for seed in range(SEEDS)
        for events in _checked(seed)
    ]
    assert sum(count >= TURNS_PER_COMMAND for count in entered) >= 3
