"""The order pool, and the window of closed orders.

Owns the slots of orders: who gets one, and where an order goes when it leaves (into the window if it has a client id,
else for good). Keeps the indexes of order ids and client ids in step. Never touches a book, a balance or an event.

Invariants: a free slot has order id 0; the window holds the last `limits[CLOSED_ORDERS]` at most; an id of either sort
leads to exactly one place.
"""

from __future__ import annotations

from typing import Any

from exchange.core.codes import Limit, Stage, TimeInForce
from exchange.core.compile import i64, inlined, part
from exchange.core.emit import copy_client_id, copy_order_codes
from exchange.core.index import (
    erase_client,
    erase_order,
    has_client_id,
    move_client,
    move_order,
    put_client,
    put_order,
)
from exchange.core.state import CLOSED_BIT, State
from exchange.core.terms import give_terms_back, take_terms


@inlined
def new_order(state: State, place: Any, price_ticks: int, lots: int, special: int, client_hash: int) -> int:
    """A slot for an accepted order, with its ids in the indexes and, if it needs them, its terms.

    `price_ticks` is that of the PLACE but for a pegged order.
    """
    header = state.header[0]
    slot: int = header.order_free
    if slot != 0:
        header.order_free = i64(state.orders[slot].next)
    else:
        slot = header.order_high
        header.order_high += 1
    order = state.orders[slot]
    order.order_id = header.next_order_id
    header.next_order_id += 1
    order.price_ticks = price_ticks
    order.leaves_lots = lots
    order.filled_lots = 0
    order.account = place.account
    order.symbol = place.symbol
    order.special = special
    order.stage = Stage.BOOK
    copy_order_codes(order, place)
    detail = state.details[slot]
    detail.filled_quote_atoms = 0
    detail.submitted_lots = place.qty_lots
    detail.created_ts_ns = header.ts_ns
    detail.updated_ts_ns = header.ts_ns
    detail.key = place.key
    copy_client_id(detail, place)
    put_order(state.order_index, order.order_id, slot)
    if has_client_id(detail):
        detail.client_hash = client_hash
        put_client(state.client_index, client_hash, slot)
    if special != 0 or place.time_in_force == TimeInForce.GTD:
        take_terms(state, slot, place)
    return slot


@part
def forget_oldest(state: State) -> None:
    """Drop the oldest closed order from the window; its client id is free again."""
    header = state.header[0]
    position = header.closed_first % len(state.closed)
    closed = state.closed[position]
    erase_order(state.order_index, state.orders, state.closed, closed.order_id, CLOSED_BIT | position)
    erase_client(state, i64(closed.client_hash), CLOSED_BIT | position)
    header.closed_first += 1


@part
def _remember(state: State, slot: int, status: int, closed_lots: int, quote_atoms: int) -> None:
    """Move an order from the pool into the window of closed ones."""
    header = state.header[0]
    if header.closed_next - header.closed_first >= state.limits[Limit.CLOSED_ORDERS]:
        forget_oldest(state)
    order = state.orders[slot]
    detail = state.details[slot]
    position = header.closed_next % len(state.closed)
    header.closed_next += 1
    closed = state.closed[position]
    closed.order_id = order.order_id
    closed.price_ticks = order.price_ticks
    closed.closed_lots = closed_lots
    closed.filled_lots = order.filled_lots
    closed.filled_quote_atoms = detail.filled_quote_atoms
    closed.submitted_lots = detail.submitted_lots
    closed.quote_atoms = quote_atoms
    closed.created_ts_ns = detail.created_ts_ns
    closed.updated_ts_ns = header.ts_ns
    terms = state.terms[detail.terms]
    closed.expire_ts_ns = terms.expire_ts_ns
    closed.key = detail.key
    closed.stop_price_ticks = terms.stop_price_ticks
    closed.iceberg_lots = terms.iceberg_lots
    closed.trailing_bips = terms.trailing_bips
    closed.peg_type = terms.peg_type
    closed.peg_offset_levels = terms.peg_offset_levels
    closed.list_role = terms.list_role
    closed.list_id = terms.list_id
    closed.account = order.account
    closed.symbol = order.symbol
    closed.status = status
    copy_order_codes(closed, order)
    closed.client_hash = detail.client_hash
    copy_client_id(closed, detail)
    move_order(state.order_index, order.order_id, slot, CLOSED_BIT | position)
    move_client(state.client_index, i64(detail.client_hash), slot, CLOSED_BIT | position)


@inlined
def leave_pool(state: State, slot: int, status: int, closed_lots: int, quote_atoms: int) -> None:
    """An order that is off the book leaves the pool: into the window if it has a client id, else for good."""
    order = state.orders[slot]
    if has_client_id(state.details[slot]):
        _remember(state, slot, status, closed_lots, quote_atoms)
    else:
        erase_order(state.order_index, state.orders, state.closed, order.order_id, slot)
    if state.details[slot].terms != 0:
        give_terms_back(state, slot)
    order.order_id = 0
    order.next = state.header[0].order_free
    state.header[0].order_free = slot
