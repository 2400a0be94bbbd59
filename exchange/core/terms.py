"""Terms: what special and GTD orders have beyond the others.

Owns the pool of terms, and what an order shows and is. Never touches a book, a balance or an event.

Invariants: an order has terms exactly when it is special or GTD; a market counts its special orders.
"""

from __future__ import annotations

from typing import Any

from exchange.core.codes import ListRole, OrderType, TimeInForce
from exchange.core.compile import i64, inlined, part
from exchange.core.state import ICEBERG, LEG, SPECIAL, State


@inlined
def is_market(order_type: int) -> bool:
    """Whether such an order trades at any price once it works."""
    return order_type == OrderType.MARKET or order_type == OrderType.STOP_LOSS or order_type == OrderType.TAKE_PROFIT


@inlined
def is_stop(order_type: int) -> bool:
    """Whether such an order waits for a price."""
    return OrderType.STOP_LOSS <= order_type <= OrderType.TAKE_PROFIT_LIMIT


@inlined
def is_special(place: Any) -> bool:
    """Whether anything makes a PLACE special: one comparison for all fields, since plain orders pay for it."""
    waits = i64(place.stop_price_ticks) | i64(place.trailing_bips)
    follows = i64(place.peg_type) | i64(place.peg_offset_levels)
    return (waits | follows | i64(place.iceberg_lots) | i64(place.list_role)) != 0


@inlined
def special_bits(place: Any) -> int:
    """What makes a PLACE special (docs/engine-orders.md, section 10); zero: nothing.

    An offset without a peg counts too, for it to be refused.
    """
    bits = 0
    if place.iceberg_lots != 0:
        bits |= ICEBERG
    if place.list_role != ListRole.NONE:
        bits |= LEG
    return bits | SPECIAL if is_special(place) else bits


@inlined
def may_rest(time_in_force: int) -> bool:
    """Whether what is left of such an order goes onto the book."""
    return time_in_force == TimeInForce.GTC or time_in_force == TimeInForce.GTD


@inlined
def terms_of(state: State, slot: int) -> Any:
    """The terms of an order; those of one that has none are slot 0, all zero."""
    return state.terms[state.details[slot].terms]


@inlined
def list_of(state: State, slot: int) -> int:
    """The slot of the list whose leg an order is, 0: none."""
    listed = i64(0)
    if state.orders[slot].special & LEG:
        listed = i64(terms_of(state, slot).list)
    return listed


@inlined
def shown_lots(state: State, slot: int) -> int:
    """What an order on the book shows."""
    order = state.orders[slot]
    shown: int = order.leaves_lots if order.special == 0 else terms_of(state, slot).shown_lots
    return shown


@part
def parts_of(lots: int, iceberg_lots: int) -> int:
    """How many parts an iceberg has."""
    return (lots + iceberg_lots - 1) // iceberg_lots


@part
def take_terms(state: State, slot: int, place: Any) -> None:
    """Give a new order its terms, out of its PLACE."""
    header = state.header[0]
    taken: int = header.terms_free
    if taken != 0:
        header.terms_free = i64(state.terms[taken].next_free)
    else:
        taken = header.terms_high
        header.terms_high += 1
    header.terms += 1
    state.details[slot].terms = taken
    terms = state.terms[taken]
    terms.expire_ts_ns = place.expire_ts_ns
    terms.stop_price_ticks = place.stop_price_ticks
    terms.iceberg_lots = place.iceberg_lots
    terms.shown_lots = 0
    terms.held_atoms = 0
    terms.extreme_ticks = 0
    terms.working_ts_ns = 0
    terms.list_id = 0
    terms.list = 0
    terms.trail_next = 0
    terms.trail_prev = 0
    terms.trailing_bips = place.trailing_bips
    terms.peg_offset_levels = place.peg_offset_levels
    terms.peg_type = place.peg_type
    terms.list_role = place.list_role
    if state.orders[slot].special != 0:
        market = state.markets[state.orders[slot].symbol]
        header.specials += 1
        market.specials += 1
        market.watched = 1
        if terms.trailing_bips != 0:
            market.trailing += 1
        if terms.iceberg_lots != 0:
            market.parts += parts_of(place.qty_lots, terms.iceberg_lots)


@part
def give_terms_back(state: State, slot: int) -> None:
    """The order leaves the pool: its terms are free."""
    header = state.header[0]
    detail = state.details[slot]
    terms = state.terms[detail.terms]
    if state.orders[slot].special != 0:
        market = state.markets[state.orders[slot].symbol]
        header.specials -= 1
        market.specials -= 1
        if terms.trailing_bips != 0:
            market.trailing -= 1
        if terms.iceberg_lots != 0:
            market.parts -= parts_of(detail.submitted_lots, terms.iceberg_lots)
    terms.next_free = header.terms_free
    header.terms_free = i64(detail.terms)
    header.terms -= 1
    detail.terms = 0
