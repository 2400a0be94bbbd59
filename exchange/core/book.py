"""The order book: queues of orders at price levels, and the list of each account's open orders.

Owns who stands where. Never touches balances or events.

Invariants: a level has at least one order; level.lots is the sum of what its orders show; an account's list is in order
of order id.
"""

from __future__ import annotations

from typing import Any

from exchange.core.compile import i64, inlined, part
from exchange.core.levels import add_level, drop_level, find_level, price_key
from exchange.core.state import SIDES, State


@inlined
def join_level(state: State, slot: int, side_index: int, price_ticks: int, shown_lots: int) -> None:
    """Put an order at the back of the queue at a price of a side, showing so much of it."""
    order = state.orders[slot]
    key = price_key(side_index, price_ticks)
    level_slot = find_level(state, side_index, key)
    if level_slot == 0:
        level_slot = add_level(state, side_index, key, price_ticks)
    level = state.levels[level_slot]
    order.level = level_slot
    order.next = 0
    order.prev = level.tail
    if level.tail != 0:
        state.orders[level.tail].next = slot
    else:
        level.head = slot
    level.tail = slot
    level.orders += 1
    level.lots += shown_lots
    state.sides[side_index].orders += 1


@inlined
def leave_level(state: State, slot: int, shown_lots: int) -> None:
    """Take an order, which shows so much, out of its queue; a level without orders goes."""
    order = state.orders[slot]
    _leave_queue(state.orders, state.levels[order.level], order, shown_lots)
    state.sides[state.levels[order.level].side].orders -= 1
    if state.levels[order.level].orders == 0:
        drop_level(state, i64(order.level))


@part
def to_the_back(state: State, slot: int) -> None:
    """Move an order that shows nothing to the back of its level."""
    order = state.orders[slot]
    level = state.levels[order.level]
    if level.tail != slot:
        if order.prev != 0:
            state.orders[order.prev].next = order.next
        else:
            level.head = order.next
        state.orders[order.next].prev = order.prev
        order.prev = level.tail
        order.next = 0
        state.orders[level.tail].next = slot
        level.tail = slot


@inlined
def join_owned(state: State, slot: int) -> None:
    """Put an order at the end of its account's list of open orders."""
    order = state.orders[slot]
    owned = state.owned[i64(order.account) * len(state.symbols) + order.symbol]
    order.owner_next = 0
    order.owner_prev = owned.tail
    if owned.tail != 0:
        state.orders[owned.tail].owner_next = slot
    else:
        owned.head = slot
    owned.tail = slot
    owned.count += 1
    state.header[0].open_orders += 1


@inlined
def leave_owned(state: State, slot: int) -> None:
    """Take an order out of its account's list."""
    order = state.orders[slot]
    owned = state.owned[i64(order.account) * len(state.symbols) + order.symbol]
    if order.owner_prev != 0:
        state.orders[order.owner_prev].owner_next = order.owner_next
    else:
        owned.head = order.owner_next
    if order.owner_next != 0:
        state.orders[order.owner_next].owner_prev = order.owner_prev
    else:
        owned.tail = order.owner_prev
    owned.count -= 1
    state.header[0].open_orders -= 1


@inlined
def rest(state: State, slot: int) -> None:
    """Put an order that is not special onto the book and into its account's list."""
    order = state.orders[slot]
    join_level(state, slot, i64(order.symbol) * SIDES + order.side, order.price_ticks, order.leaves_lots)
    join_owned(state, slot)


@inlined
def _leave_queue(orders: Any, level: Any, order: Any, shown_lots: int) -> None:
    if order.prev != 0:
        orders[order.prev].next = order.next
    else:
        level.head = order.next
    if order.next != 0:
        orders[order.next].prev = order.prev
    else:
        level.tail = order.prev
    level.lots -= shown_lots
    level.orders -= 1
