"""Sweeps: closing many orders, by an operator's command or because nobody came to stop a timer.

Owns MASS_CANCEL and what timers do when they are due. Modes do not concern a sweep. It closes so many orders at most,
so that no command blocks the others for long; legs that follow an order that was closed do not count.
"""

from __future__ import annotations

from typing import Any

from exchange.core.closing import close_open
from exchange.core.codes import CloseReason, CommandKind, EventKind, OrderStatus, RejectCode, Scope
from exchange.core.compile import i64, part
from exchange.core.countdowns import disarm
from exchange.core.emit import begin_event, emit_rejected
from exchange.core.risk import is_symbol, is_user
from exchange.core.slots import countdown_event, mass_canceled_event, sweep_command
from exchange.core.state import EXPIRIES_PER_TICK, MASS_CANCEL_MAX, SIDES, State

_ANY_KEY = 1 << 40


@part
def _first_of_symbol(state: State, symbol: int) -> int:
    """The order of a symbol that a sweep closes next, 0 if there is none: bids, asks, DOWN, UP, each best level first,
    then what is due, then what is about to trail."""
    for side_index in range(symbol * SIDES, (symbol + 1) * SIDES):
        best = i64(state.sides[side_index].best)
        if best != 0:
            return i64(state.levels[best].head)
    market = state.markets[symbol]
    return i64(market.due_head) if market.due_head != 0 else i64(market.trail_head)


@part
def _sweep_symbol(state: State, symbol: int, budget: int, events: Any, used: int) -> tuple[int, int]:
    """Close the orders of a symbol, at most `budget`; returns (how many, next free event slot)."""
    count = i64(0)
    slot = _first_of_symbol(state, symbol)
    while slot != 0 and count < budget:
        used = close_open(
            state,
            slot,
            i64(CloseReason.MASS_CANCELED),
            i64(OrderStatus.CANCELED),
            i64(CommandKind.MASS_CANCEL),
            events,
            used,
        )
        count += 1
        slot = _first_of_symbol(state, symbol)
    return count, used


@part
def _next_with_key(state: State, slot: int, key: int) -> int:
    """The first order from `slot` on in its account's list that carries the key, 0 if there is none."""
    while slot != 0 and key != _ANY_KEY and state.details[slot].key != key:
        slot = i64(state.orders[slot].owner_next)
    return slot


@part
def _sweep_owned(
    state: State,
    account: int,
    symbol: int,
    key: int,
    budget: int,
    reason: int,
    command_kind: int,
    events: Any,
    used: int,
) -> tuple[int, bool, int]:
    """Close an account's orders on a symbol or (0) on all, only those that carry the key, at most `budget`.

    Returns (how many, whether there are more, next free event slot).
    """
    count = i64(0)
    first = symbol if symbol != 0 else i64(1)
    last = symbol if symbol != 0 else i64(len(state.symbols) - 1)
    for one in range(first, last + 1):
        owned = state.owned[account * len(state.symbols) + one]
        slot = _next_with_key(state, i64(owned.head), key)
        while slot != 0:
            if count >= budget:
                return count, True, used
            following = i64(state.orders[slot].owner_next)
            following_id = i64(state.orders[following].order_id)
            used = close_open(state, slot, reason, i64(OrderStatus.CANCELED), command_kind, events, used)
            count += 1
            if following != 0 and state.orders[following].order_id != following_id:
                following = i64(owned.head)  # it closed as a leg of the other
            slot = _next_with_key(state, following, key)
    return count, False, used


@part
def _check_sweep(state: State, command: Any) -> int:
    """Refusals of MASS_CANCEL."""
    if command.scope > Scope.KEY:
        return RejectCode.INVALID_MODE
    of_account = command.scope == Scope.ACCOUNT or command.scope == Scope.KEY
    if of_account and not is_user(state, command.account):
        return RejectCode.UNKNOWN_ACCOUNT
    names_symbol = command.scope == Scope.SYMBOL or (of_account and command.symbol != 0)
    if names_symbol and not is_symbol(state, command.symbol):
        return RejectCode.UNKNOWN_SYMBOL
    return RejectCode.NONE


@part
def mass_cancel(state: State, commands: Any, i: int, events: Any, used: int) -> int:
    """MASS_CANCEL; returns the next free event slot."""
    command = sweep_command(commands, i)
    code = _check_sweep(state, command)
    if code != RejectCode.NONE:
        return emit_rejected(state.header[0], commands, i, events, used, code)
    count = i64(0)
    if command.scope == Scope.VENUE or command.scope == Scope.SYMBOL:
        first = i64(command.symbol) if command.scope == Scope.SYMBOL else i64(1)
        last = first if command.scope == Scope.SYMBOL else i64(len(state.symbols) - 1)
        for symbol in range(first, last + 1):
            closed, used = _sweep_symbol(state, i64(symbol), MASS_CANCEL_MAX - count, events, used)
            count += closed
    else:
        count, _, used = _sweep_owned(
            state,
            i64(command.account),
            i64(command.symbol),
            i64(command.key) if command.scope == Scope.KEY else i64(_ANY_KEY),
            i64(MASS_CANCEL_MAX),
            i64(CloseReason.MASS_CANCELED),
            i64(CommandKind.MASS_CANCEL),
            events,
            used,
        )
    begin_event(state.header[0], events, used, EventKind.MASS_CANCELED)
    event = mass_canceled_event(events, used)
    event.scope = command.scope
    event.account = command.account
    event.symbol = command.symbol
    event.key = command.key
    event.canceled_count = count
    event.more = 1 if count == MASS_CANCEL_MAX else 0
    return used + 1


@part
def fire_countdowns(state: State, closed: int, events: Any, used: int) -> int:
    """Let the timers that are due close their orders, until this TICK has closed EXPIRIES_PER_TICK of all sorts.

    `closed` is how many it has closed already; returns the next free event slot.
    """
    header = state.header[0]
    more = False
    while (
        not more
        and closed < EXPIRIES_PER_TICK
        and header.countdowns > 0
        and state.countdowns[0].due_ts_ns <= header.ts_ns
    ):
        entry = state.countdowns[0]
        budget = EXPIRIES_PER_TICK - closed
        count, more, used = _sweep_owned(
            state,
            i64(entry.account),
            i64(entry.symbol),
            i64(entry.key) if entry.key != 0 else i64(_ANY_KEY),
            budget,
            i64(CloseReason.COUNTDOWN),
            i64(CommandKind.TICK),
            events,
            used,
        )
        closed += count
        if not more:
            begin_event(header, events, used, EventKind.COUNTDOWN_FIRED)
            event = countdown_event(events, used)
            event.account = entry.account
            event.symbol = entry.symbol
            event.key = entry.key
            event.due_ts_ns = entry.due_ts_ns
            used += 1
            disarm(state, i64(0))
    return used
