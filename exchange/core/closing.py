"""Closing an open order, wherever it stands, with all that hangs on it.

Owns the end of orders that are taken back. Closing a leg may close others of its list, so whoever closes many reads
the next one anew. Each function returns the next free event slot.

Codes are given as `i64(...)`: a code's type is part of a signature, so members would have each body compiled anew.
"""

from __future__ import annotations

from typing import Any

from exchange.core.book import leave_level, leave_owned
from exchange.core.clearing import hold, hold_atoms, payer
from exchange.core.codes import EventKind
from exchange.core.compile import inlined, part
from exchange.core.emit import emit_order
from exchange.core.leaving import take_back
from exchange.core.lists import leg_ended
from exchange.core.pool import leave_pool
from exchange.core.slots import order_event
from exchange.core.state import State
from exchange.core.terms import list_of


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
    leave_owned(state, slot)
    leave_level(state, slot, leaves)
    leave_pool(state, slot, status, leaves, 0)
    return used


@part
def close_special(state: State, slot: int, reason: int, status: int, command_kind: int, events: Any, used: int) -> int:
    """Close a special order, and what hangs on it."""
    list_slot = list_of(state, slot)
    used = take_back(state, slot, reason, status, command_kind, events, used)
    if list_slot != 0:
        used = leg_ended(state, list_slot, slot, False, status, command_kind, events, used)
    return used


@part
def close_open(state: State, slot: int, reason: int, status: int, command_kind: int, events: Any, used: int) -> int:
    """Close any open order, for the commands that close many: one compiled body for all."""
    if state.orders[slot].special != 0:
        return close_special(state, slot, reason, status, command_kind, events, used)
    return close_resting(state, slot, reason, status, command_kind, events, used)
