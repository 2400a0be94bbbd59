"""A special order is taken back, on its own.

Owns what becomes of its hold, ORDER_CLOSED, and the places that it leaves: `closing.py` adds what hangs on it.
"""

from __future__ import annotations

from typing import Any

from exchange.core.book import leave_level, leave_owned
from exchange.core.clearing import hold, hold_atoms, payer
from exchange.core.codes import EventKind, Stage
from exchange.core.compile import part
from exchange.core.emit import emit_order, emit_shown
from exchange.core.pool import leave_pool
from exchange.core.slots import order_event
from exchange.core.state import State
from exchange.core.terms import terms_of
from exchange.core.triggers import stop_waiting


@part
def take_back(state: State, slot: int, reason: int, status: int, command_kind: int, events: Any, used: int) -> int:
    """Close a special order, wherever it stands, and nothing else; returns the next free event slot."""
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
