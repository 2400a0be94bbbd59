"""Sections 11 (entering), 12 (turns) and 15 (legs that are due) of docs/engine-orders.md: waiting orders go to work.

Owns the turns: who has the next one, how many a command may have, and what an order does in its own.
"""

from __future__ import annotations

from collections.abc import Iterable

from exchange.core.codes import (
    CloseReason,
    EventKind,
    OrderType,
    Phase,
    Stage,
    TradingMode,
)
from tests.oracle.checks import refuse_bad_notional, refuse_bad_price, would_take
from tests.oracle.closing import FUNDED_BY_WORKING, close, close_other_of_pair
from tests.oracle.holding import available_for, hold_to_enter
from tests.oracle.matching import match
from tests.oracle.pegs import pegged_ticks
from tests.oracle.telling import tell_order
from tests.oracle.triggers import condition_holds, first_stage, needs_level, next_due, settle, wait
from tests.oracle.venue import Order, Symbol, Venue
from tests.oracle.words import Refused

TURNS_PER_COMMAND = 100


def take_turns(venue: Venue, symbols: Iterable[Symbol]) -> None:
    """At the end of a command: one due order after the other has its turn, all symbols together at most a hundred."""
    left = TURNS_PER_COMMAND
    for symbol in symbols:
        while left and trades(venue, symbol) and (order := next_due(symbol)) is not None:
            left -= 1
            _take_turn(venue, symbol, order)
        if next_due(symbol) is None:
            settle(symbol)


def trades(venue: Venue, symbol: Symbol) -> bool:
    """Whether orders that wait may enter now."""
    return venue.mode is symbol.mode is TradingMode.OPEN and symbol.phase is Phase.CONTINUOUS


def _take_turn(venue: Venue, symbol: Symbol, order: Order) -> None:
    if order.stage is Stage.DUE:
        _go_to_work(venue, symbol, order)
    elif order.stage is Stage.STOP and order.trailing_bips:
        venue.take_out(order)
        wait(symbol, order, Stage.TRAIL)
    else:
        _triggered(venue, symbol, order)


def _triggered(venue: Venue, symbol: Symbol, order: Order) -> None:
    """The price has called it."""
    close_other_of_pair(venue, order)
    venue.take_out(order)
    _enter(venue, symbol, order)


def _go_to_work(venue: Venue, symbol: Symbol, order: Order) -> None:
    """A leg that was PENDING until the leg before it was filled."""
    venue.take_out(order)
    if not _has_its_quantity(venue, symbol, order):
        close(venue, order, CloseReason.BAD_QUANTITY_OR_PRICE)
        return
    if not order.is_stop:
        _enter(venue, symbol, order)
        return
    called = condition_holds(symbol, order)
    follows = called and order.trailing_bips != 0
    stage = Stage.TRAIL if follows else first_stage(order)
    if not called and venue.is_full_of_levels() and needs_level(symbol, order, stage):
        close(venue, order, CloseReason.NO_LEVEL)
        return
    order.stage = stage
    order.updated_ts_ns = venue.ts_ns
    tell_order(venue, EventKind.ORDER_ENTERED, order, qty_lots=order.leaves_lots)
    if called and not follows:
        _triggered(venue, symbol, order)
    else:
        wait(symbol, order, stage)


def _has_its_quantity(venue: Venue, symbol: Symbol, order: Order) -> bool:
    """What follows an OPO's WORKING leg sells whole steps of what that bought; whether it may."""
    its_list = venue.lists[order.list_id]
    if its_list.list_type not in FUNDED_BY_WORKING:
        return True
    if order is its_list.lead:
        step = symbol.rules["qty_step_lots"]
        order.leaves_lots = order.held_atoms // symbol.base_atoms_per_lot // step * step
        rest_atoms = order.held_atoms - order.leaves_lots * symbol.base_atoms_per_lot
        order.held_atoms -= rest_atoms
        if rest_atoms:
            tell_order(venue, EventKind.ORDER_FUNDED, order, hold_delta_atoms=-rest_atoms)
    else:
        order.leaves_lots = its_list.lead.leaves_lots
    bounded = symbol.rules["qty_min_lots"] <= order.leaves_lots <= symbol.rules["qty_max_lots"]
    return bounded and (order.price_ticks == 0 or _is_sound(symbol, order, order.price_ticks))


def _is_allowed(symbol: Symbol, price_ticks: int) -> bool:
    """Whether this price would be accepted now."""
    try:
        refuse_bad_price(symbol, price_ticks)
    except Refused:
        return False
    return True


def _is_sound(symbol: Symbol, order: Order, price_ticks: int) -> bool:
    """Whether the order's notional at this price would be accepted now."""
    try:
        refuse_bad_notional(symbol, symbol.notional_atoms(price_ticks, order.leaves_lots))
    except Refused:
        return False
    return True


def _enter(venue: Venue, symbol: Symbol, order: Order) -> None:
    """A waiting order that stands nowhere any more: to the book, or to its end."""
    reason, price_ticks = _reason_not_to_enter(venue, symbol, order)
    if reason is not CloseReason.NONE:
        close(venue, order, reason)
        return
    hold_delta_atoms = hold_to_enter(venue, symbol, order, price_ticks) - order.held_atoms
    order.price_ticks, order.stage, order.updated_ts_ns = price_ticks, Stage.BOOK, venue.ts_ns
    tell_order(venue, EventKind.ORDER_ENTERED, order, qty_lots=order.leaves_lots, hold_delta_atoms=hold_delta_atoms)
    match(venue, symbol, order)


def _reason_not_to_enter(venue: Venue, symbol: Symbol, order: Order) -> tuple[CloseReason, int]:
    """The first reason why it can not, or NONE, and the price that it would have."""
    price_ticks = order.price_ticks
    if order.peg_type:
        pegged = pegged_ticks(symbol, order)
        if pegged is None:
            return CloseReason.NO_PEG_PRICE, 0
        price_ticks = pegged
        if not (_is_allowed(symbol, price_ticks) and _is_sound(symbol, order, price_ticks)):
            return CloseReason.BAD_QUANTITY_OR_PRICE, 0
    if order.order_type is OrderType.LIMIT_MAKER and would_take(symbol, order.side, price_ticks):
        return CloseReason.WOULD_TAKE, 0
    makes_level = order.may_rest and not symbol.sides[order.side].has_level(price_ticks)
    if makes_level and venue.is_full_of_levels():
        return CloseReason.NO_LEVEL, 0
    missing_atoms = hold_to_enter(venue, symbol, order, price_ticks) - order.held_atoms
    if missing_atoms > available_for(venue, symbol, order):
        return CloseReason.CANNOT_PAY, 0
    return CloseReason.NONE, price_ticks
