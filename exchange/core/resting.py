"""Orders on the book: CANCEL, REDUCE, CANCEL_ALL, and expiry.

Owns what becomes of an order that rests. Never matches. Each command returns the next free event slot.
"""

from __future__ import annotations

from typing import Any

from exchange.core.clearing import hold, hold_atoms, payer
from exchange.core.closing import close_open, close_resting, close_special
from exchange.core.codes import (
    CloseReason,
    CommandFlag,
    CommandKind,
    EventKind,
    OrderStatus,
    RejectCode,
    Stage,
    TradingMode,
)
from exchange.core.compile import i64, inlined, part
from exchange.core.emit import begin_event, emit_order, emit_rejected, emit_shown, open_status
from exchange.core.expiry import pop_expiry, reap
from exchange.core.index import client_hash, find_client, find_order, has_client_id, same_client_id
from exchange.core.risk import check_modes, is_symbol, is_user
from exchange.core.slots import canceled_all_event, order_event, target_command
from exchange.core.state import CLOSED_BIT, EXPIRIES_PER_TICK, State
from exchange.core.terms import terms_of


@inlined
def _find_target(state: State, target: Any) -> int:
    """The slot of the open order that a CANCEL or REDUCE names, 0 if there is none."""
    named = has_client_id(target)
    reference = i64(0)
    if target.order_id != 0:
        reference = find_order(state, target.order_id)
    elif named:
        reference = find_client(state, target.account, target, client_hash(state.header[0], target.account, target))
    if reference & CLOSED_BIT:
        reference = i64(0)
    if reference != 0:
        order = state.orders[reference]
        if (
            order.account != target.account
            or (target.symbol != 0 and order.symbol != target.symbol)
            or (named and not same_client_id(state.details[reference], target))
        ):
            reference = i64(0)
    return reference


@inlined
def _check_target(state: State, target: Any, slot: int) -> int:
    """Refusals that CANCEL and REDUCE share."""
    if not is_user(state, target.account):
        return RejectCode.UNKNOWN_ACCOUNT
    if slot == 0:
        return RejectCode.UNKNOWN_ORDER
    return check_modes(state, target.account, state.orders[slot].symbol, TradingMode.CANCEL_ONLY)


@inlined
def cancel_order(state: State, commands: Any, i: int, events: Any, used: int) -> int:
    """CANCEL; remembers a refusal that a linked PLACE depends on."""
    target = target_command(commands, i)
    slot = _find_target(state, target)
    code = _check_target(state, target, slot)
    if code != RejectCode.NONE:
        if target["flags"] & CommandFlag.LINKED and not target["flags"] & CommandFlag.ALLOW_FAILURE:
            state.header[0].link_failed_sequence = state.header[0].sequence
        return emit_rejected(state.header[0], commands, i, events, used, code)
    if state.orders[slot].special != 0:
        reason = i64(CloseReason.CANCELED)
        kind = i64(CommandKind.CANCEL)
        return close_special(state, slot, reason, i64(OrderStatus.CANCELED), kind, events, used)
    return close_resting(state, slot, CloseReason.CANCELED, OrderStatus.CANCELED, CommandKind.CANCEL, events, used)


@part
def reduce_order(state: State, commands: Any, i: int, events: Any, used: int) -> int:
    """REDUCE: a smaller total quantity, the same place in the queue."""
    target = target_command(commands, i)
    slot = _find_target(state, target)
    code = _check_target(state, target, slot)
    if code == RejectCode.NONE:
        order = state.orders[slot]
        step = state.symbols[order.symbol].qty_step_lots
        fits = order.filled_lots < target.qty_lots < order.filled_lots + order.leaves_lots
        if not fits or target.qty_lots % step != 0:
            code = RejectCode.INVALID_REDUCTION
    if code != RejectCode.NONE:
        return emit_rejected(state.header[0], commands, i, events, used, code)
    header = state.header[0]
    order = state.orders[slot]
    detail = state.details[slot]
    off = order.filled_lots + order.leaves_lots - target.qty_lots
    if order.special == 0:
        released = hold_atoms(state.symbols[order.symbol], order.side, order.price_ticks, off)
        state.levels[order.level].lots -= off
    else:
        released, hidden_lots = reduce_terms(state, slot, off)
        if hidden_lots != 0:
            used = emit_shown(header, order, detail, events, used, CommandKind.REDUCE, -hidden_lots)
    hold(payer(state, order), -released)
    order.leaves_lots -= off
    detail.updated_ts_ns = header.ts_ns
    used = emit_order(header, order, detail, events, used, EventKind.ORDER_REDUCED, CommandKind.REDUCE, off, -released)
    order_event(events, used - 1).status = open_status(order)
    return used


@part
def reduce_terms(state: State, slot: int, off_lots: int) -> tuple[int, int]:
    """A special order gets smaller: what that releases, and by how much less it shows."""
    order = state.orders[slot]
    terms = terms_of(state, slot)
    full = hold_atoms(state.symbols[order.symbol], order.side, order.price_ticks, order.leaves_lots)
    less = hold_atoms(state.symbols[order.symbol], order.side, order.price_ticks, order.leaves_lots - off_lots)
    if order.stage == Stage.BOOK:
        hidden = max(i64(0), i64(terms.shown_lots) - (order.leaves_lots - off_lots))
        terms.shown_lots -= hidden
        state.levels[order.level].lots -= hidden
        return full - less, hidden
    released = min(i64(terms.held_atoms), full - less)
    terms.held_atoms -= released
    return released, i64(0)


@part
def cancel_all(state: State, commands: Any, i: int, events: Any, used: int) -> int:
    """CANCEL_ALL: an account's orders on one symbol or, symbol zero, on every one that is not HALTED."""
    target = target_command(commands, i)
    code: int = RejectCode.NONE
    if not is_user(state, target.account):
        code = RejectCode.UNKNOWN_ACCOUNT
    elif target.symbol != 0 and not is_symbol(state, target.symbol):
        code = RejectCode.UNKNOWN_SYMBOL
    else:
        # symbol 0 does not exist, so its mode refuses nothing
        code = check_modes(state, target.account, target.symbol, TradingMode.CANCEL_ONLY)
    if code != RejectCode.NONE:
        return emit_rejected(state.header[0], commands, i, events, used, code)
    first = i64(target.symbol)
    last = first
    if first == 0:
        first = i64(1)
        last = i64(len(state.symbols) - 1)
    count = i64(0)
    for symbol in range(first, last + 1):
        if state.symbols[symbol].mode == TradingMode.HALTED:
            continue
        owned = state.owned[i64(target.account) * len(state.symbols) + symbol]
        count += i64(owned["count"])
        while owned.head != 0:
            used = close_open(
                state,
                i64(owned.head),
                i64(CloseReason.CANCELED),
                i64(OrderStatus.CANCELED),
                i64(CommandKind.CANCEL_ALL),
                events,
                used,
            )
    begin_event(state.header[0], events, used, EventKind.CANCELED_ALL)
    event = canceled_all_event(events, used)
    event.account = target.account
    event.symbol = target.symbol
    event.canceled_count = count
    return used + 1


@part
def expire(state: State, events: Any, used: int) -> tuple[int, int]:
    """Close the GTD orders whose time has come, at most EXPIRIES_PER_TICK of them; returns (how many, next slot)."""
    count = i64(0)
    reap(state)
    while (
        count < EXPIRIES_PER_TICK
        and state.header[0].expiries > 0
        and state.expiries[0].expire_ts_ns <= state.header[0].ts_ns
    ):
        slot = pop_expiry(state)
        reason = i64(CloseReason.GTD_EXPIRED)
        used = close_open(state, slot, reason, i64(OrderStatus.EXPIRED), i64(CommandKind.TICK), events, used)
        count += 1
        reap(state)
    return count, used
