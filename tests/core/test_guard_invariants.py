"""`check_all` is red on every field of rules, phases, windows and timers that somebody else changed."""

from __future__ import annotations

from typing import Any

import pytest

from exchange.core.codes import AuctionAction, CommandKind, EventKind, Phase, Scope, Side, SymbolRule
from exchange.core.invariants import InvariantBroken, check_all
from exchange.core.state import State
from tests.core.guarded_venue import ANN, BOB, Venue, kinds


@pytest.fixture(scope="module")
def sound() -> State:
    """Symbol 1 trades with windows, symbol 2 collects; an account, two keys and three timers are guarded."""
    venue = Venue()
    for rule, value in ((SymbolRule.REFERENCE_WINDOW_NS, 160), (SymbolRule.BREAKER_BIPS, 5_000)):
        venue.rule(rule, value)
    venue.rule(SymbolRule.BREAKER_WINDOW_NS, 160)
    for number, value in ((1, 5), (2, 1_000), (3, 10**9)):
        venue.run(CommandKind.SET_RULE, scope=Scope.ACCOUNT, account=ANN, rule=number, asset=2, value=value)
    for key in (5, 6):
        venue.run(CommandKind.SET_RULE, scope=Scope.KEY, key=key, asset=2, value=10**6)
    for price in (100, 102):
        venue.place(BOB, Side.SELL, 3, price)
        assert EventKind.TRADE in kinds(venue.place(ANN, Side.BUY, 3, price, key=5))
        venue.ts_ns += 10
    venue.run(CommandKind.AUCTION, symbol=2, action=AuctionAction.START, end_ts_ns=10_000)
    venue.place(ANN, Side.BUY, 1, 100, symbol=2)
    venue.place(BOB, Side.SELL, 1, 100, symbol=2)
    venue.tick()
    for symbol in (0, 1, 2):
        venue.run(CommandKind.COUNTDOWN, account=BOB, symbol=symbol, countdown_ns=500 + symbol)
    state: State = venue.state
    return state


@pytest.fixture
def state(sound: State) -> State:
    return State(*(array.copy() for array in sound))


def _bucket(state: State, table: str, field: str) -> int:
    """Where the first bucket of a table that is used stands."""
    return next(place for place, row in enumerate(getattr(state, table)) if row[field] != 0)


SPOILED: dict[str, tuple[str, int | str, str, Any]] = {
    "a rule beyond its bound": ("rules", SymbolRule.BREAKER_BIPS, "", 10_001),
    "a rule below zero": ("rules", SymbolRule.LISTS_MAX, "", -1),
    "a phase that there is not": ("markets", 1, "phase", 3),
    "a guarded symbol that does not know it": ("markets", 1, "guarded", 0),
    "a collecting symbol that nobody watches": ("markets", 2, "watched", 0),
    "a phase that ended but for its end": ("markets", 2, "phase", Phase.CONTINUOUS),
    "an indication while it is paused": ("markets", 2, "phase", Phase.PAUSED),
    "an end of continuous trading": ("markets", 1, "phase_end_ts_ns", 5),
    "a bucket with another number": ("reference_buckets", "lots", "number", 3),
    "a bucket with too many lots": ("reference_buckets", "lots", "lots", (1 << 50) + (1 << 40)),
    "a bucket with lots below zero": ("reference_buckets", "lots", "lots", -1),
    "a bucket worth nothing": ("reference_buckets", "lots", "sum_low", 0),
    "a bucket with a limb below zero": ("reference_buckets", "lots", "sum_low", -1),
    "a bucket worth too much": ("reference_buckets", "lots", "sum_high", 1 << 20),
    "a bucket of the breaker with another number": ("breaker_buckets", "high_ticks", "number", 3),
    "a bucket whose lowest price is above": ("breaker_buckets", "high_ticks", "low_ticks", 103),
    "a guarded account that does not know it": ("accounts", ANN, "guarded", 0),
    "a free account that thinks it is guarded": ("accounts", BOB, "guarded", 1),
    "more orders than there may be": ("account_guards", ANN, "orders", 6),
    "orders below zero": ("account_guards", ANN, "orders", -1),
    "a window from the future": ("account_guards", ANN, "window_start_ts_ns", 10**6),
    "a key that lost its rule": ("keys", 5, "notional_day_max_atoms", 0),
    "a key that has used less than nothing": ("keys", 5, "used_atoms", -1),
    "a key without a rule that was used": ("keys", 7, "used_atoms", 1),
    "keys counted wrong": ("header", 0, "key_guards", 1),
    "timers counted wrong": ("header", 0, "countdowns", 4),
    "a first timer that is not": ("header", 0, "countdown_next_ts_ns", 7),
    "timers out of order": ("countdowns", 0, "due_ts_ns", 10_000),
    "a timer twice": ("countdowns", 1, "symbol", 0),
}


def test_guarded_state_is_sound(state: State) -> None:
    check_all(state)
    assert state.account_guards[ANN].orders == 3
    assert state.keys[5].used_atoms == 606
    assert state.markets[2].indicative_lots == 1


@pytest.mark.parametrize("what", SPOILED)
def test_guarded_state_with_one_field_changed_breaks_an_invariant(what: str, state: State) -> None:
    table, place, field, value = SPOILED[what]
    rows = getattr(state, table)
    if table == "rules":
        rows[len(rows) // len(state.symbols) + int(place)] = value
    else:
        rows[_bucket(state, table, place) if isinstance(place, str) else place][field] = value
    with pytest.raises(InvariantBroken):
        check_all(state)
