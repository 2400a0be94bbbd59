"""Orders on the book: CANCEL, REDUCE, CANCEL_ALL, and the expiry that comes with TICK.

Owns what becomes of an order that rests. Never matches. Each command returns the next free event slot.
"""

from __future__ import annotations

from typing import Any

from exchange.core.book import unlink
from exchange.core.clearing import hold, hold_atoms, payer
from exchange.core.codes import CloseReason, CommandFlag, CommandKind, EventKind, OrderStatus, RejectCode, TradingMode
from exchange.core.compile import i64, inlined, part
from exchange.core.emit import begin_event, emit_order, emit_rejected
from exchange.core.expiry import pop_expiry, reap
from exchange.core.index import client_hash, find_client, find_order, has_client_id, same_client_id
from exchange.core.pool import leave_pool
from exchange.core.risk import check_modes, is_symbol, is_user
from exchange.core.slots import canceled_all_event, order_event, target_command, ticked_event
from exchange.core.state import CLOSED_BIT, EXPIRIES_PER_TICK, State


@inlined
def _close_resting(state: State, slot: int, reason: int, status: int, command_kind: int, events: Any, used: int) -> int:
    """Take an order off the book: release its hold, ORDER_CLOSED, leave."""
    header = state.header[0]
    order = state.orders[slot]
    detail = state.details[slot]
    leaves = order.leaves_lots
    released = hold_atoms(state.symbols[order.symbol], order.side, order.price_ticks, leaves)
    hold(payer(state, order), -released)
    used = emit_order(header, order, detail, events, used, EventKind.ORDER_CLOSED, command_kind, leaves, -released)
    order_event(events, used - 1).status = status
    order_event(events, used - 1).reason = reason
    unlink(state, slot)
    leave_pool(state, slot, status, leaves, 0)
    return used


@part
def _sweep_order(state: State, slot: int, reason: int, status: int, command_kind: int, events: Any, used: int) -> int:
    """`_close_resting` for the commands that close many orders: one compiled body for both."""
    return _close_resting(state, slot, reason, status, command_kind, events, used)


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
    return _close_resting(state, slot, CloseReason.CANCELED, OrderStatus.CANCELED, CommandKind.CANCEL, events, used)


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
    released = hold_atoms(state.symbols[order.symbol], order.side, order.price_ticks, off)
    hold(payer(state, order), -released)
    order.leaves_lots -= off
    state.levels[order.level].lots -= off
    detail.updated_ts_ns = header.ts_ns
    used = emit_order(header, order, detail, events, used, EventKind.ORDER_REDUCED, CommandKind.REDUCE, off, -released)
    order_event(events, used - 1).status = OrderStatus.PARTIALLY_FILLED if order.filled_lots > 0 else OrderStatus.NEW
    return used


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
        while owned.head != 0:
            used = _sweep_order(
                state,
                i64(owned.head),
                CloseReason.CANCELED,
                OrderStatus.CANCELED,
                CommandKind.CANCEL_ALL,
                events,
                used,
            )
            count += 1
    begin_event(state.header[0], events, used, EventKind.CANCELED_ALL)
    event = canceled_all_event(events, used)
    event.account = target.account
    event.symbol = target.symbol
    event.canceled_count = count
    return used + 1


@part
def tick(state: State, events: Any, used: int) -> int:
    """TICK: close the GTD orders whose time has come, at most EXPIRIES_PER_TICK of them."""
    count = i64(0)
    reap(state)
    while (
        count < EXPIRIES_PER_TICK
        and state.header[0].expiries > 0
        and state.expiries[0].expire_ts_ns <= state.header[0].ts_ns
    ):
        slot = pop_expiry(state)
        used = _sweep_order(state, slot, CloseReason.GTD_EXPIRED, OrderStatus.EXPIRED, CommandKind.TICK, events, used)
        count += 1
        reap(state)
    begin_event(state.header[0], events, used, EventKind.TICKED)
    ticked_event(events, used).expired_count = count
    return used + 1
