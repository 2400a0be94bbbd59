"""Closing an open order, wherever it stands.

Owns the end of orders that are taken back: their hold, ORDER_CLOSED, and the places that they leave. Each function
returns the next free event slot.
"""

from __future__ import annotations

from typing import Any

from exchange.core.book import leave_level, leave_owned, unlink
from exchange.core.clearing import hold, hold_atoms, payer
from exchange.core.codes import EventKind, Stage
from exchange.core.compile import inlined, part
from exchange.core.emit import emit_order, emit_shown
from exchange.core.pool import leave_pool
from exchange.core.slots import order_event
from exchange.core.state import State
from exchange.core.terms import terms_of
from exchange.core.triggers import stop_waiting


@inlined
def close_resting(state: State, slot: int, reason: int, status: int, command_kind: int, events: Any, used: int) -> int:
    """Close an order that is not special: release its hold, ORDER_CLOSED, leave."""
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
def close_special(state: State, slot: int, reason: int, status: int, command_kind: int, events: Any, used: int) -> int:
    """Close a special order: it may be on the book, or wait anywhere."""
    header = state.header[0]
    order = state.orders[slot]
    detail = state.details[slot]
    terms = terms_of(state, slot)
    leaves = order.leaves_lots
    on_book = order.stage == Stage.BOOK
    released = terms.held_atoms
    if on_book:
        released = hold_atoms(state.symbols[order.symbol], order.side, order.price_ticks, leaves)
        used = emit_shown(header, order, detail, events, used, command_kind, -terms.shown_lots)
    hold(payer(state, order), -released)
    used = emit_order(header, order, detail, events, used, EventKind.ORDER_CLOSED, command_kind, leaves, -released)
    order_event(events, used - 1).status = status
    order_event(events, used - 1).reason = reason
    if on_book:
        leave_level(state, slot, terms.shown_lots)
    else:
        stop_waiting(state, slot)
    leave_owned(state, slot)
    leave_pool(state, slot, status, leaves, 0)
    return used


@part
def close_open(state: State, slot: int, reason: int, status: int, command_kind: int, events: Any, used: int) -> int:
    """Close any open order, for the commands that close many: one compiled body for all."""
    if state.orders[slot].special != 0:
        return close_special(state, slot, reason, status, command_kind, events, used)
    return close_resting(state, slot, reason, status, command_kind, events, used)
