"""How an order ends, and what hangs on it: section 15 of docs/engine-orders.md, "What follows from what".

Owns ORDER_CLOSED and every consequence that an end or a trade has within an order list. Matching is not its business:
who trades or is prevented calls `follow_trade` and `follow_end`.
"""

from __future__ import annotations

from exchange.core.codes import CloseReason, EventKind, ListRole, ListStatus, ListType, OrderStatus, Stage
from tests.oracle.telling import tell_list, tell_order, tell_shown
from tests.oracle.venue import Order, OrderList, Symbol, Venue

ENDS_AS_CANCELED = (CloseReason.CANCELED, CloseReason.MASS_CANCELED, CloseReason.COUNTDOWN)
FUNDED_BY_WORKING = (ListType.OPO, ListType.OPOCO)
PAIR = (ListRole.ABOVE, ListRole.BELOW)


def held_by(symbol: Symbol, order: Order, qty_lots: int) -> int:
    """What these lots of an order that has entered hold: a market order holds for its fills alone."""
    return 0 if order.is_market else symbol.hold_atoms(order.side, order.price_ticks, qty_lots)


def close(venue: Venue, order: Order, reason: CloseReason) -> None:
    """End an order with ORDER_CLOSED: its leaves go, what they held is released, and so do the legs that hang on it."""
    _end(venue, order, reason, OrderStatus.CANCELED if reason in ENDS_AS_CANCELED else OrderStatus.EXPIRED)
    follow_end(venue, order)


def _end(venue: Venue, order: Order, reason: CloseReason, status: OrderStatus) -> None:
    tell_shown(venue, order, -order.shown_lots)
    leaves_lots = order.leaves_lots
    waits = order.stage is not Stage.BOOK
    held_atoms = order.held_atoms if waits else held_by(venue.symbols[order.symbol], order, leaves_lots)
    order.updated_ts_ns = venue.ts_ns
    venue.close(order, status, leaves_lots)
    tell_order(
        venue,
        EventKind.ORDER_CLOSED,
        order,
        reason=int(reason),
        qty_lots=leaves_lots,
        hold_delta_atoms=-held_atoms,
    )


def follow_end(venue: Venue, order: Order) -> None:
    """An order has closed, by whatever event: its list, if it has one, goes on or ends with it."""
    its_list = venue.lists.get(order.list_id)
    if its_list is None:
        return
    if order.list_role is ListRole.WORKING and order.closed_as is OrderStatus.FILLED:
        for leg in its_list.open_legs:
            leg.stage = Stage.DUE
            venue.symbols[leg.symbol].due.rest(leg)
    else:
        canceled = order.closed_as is OrderStatus.CANCELED
        for leg in its_list.open_legs:
            _end(venue, leg, CloseReason.LIST, OrderStatus.CANCELED if canceled else OrderStatus.EXPIRED)
    if not its_list.open_legs:
        del venue.lists[its_list.list_id]
        tell_list(venue, its_list, ListStatus.DONE)


def close_other_of_pair(venue: Venue, order: Order) -> None:
    """One of a pair trades or is about to enter: the other one goes."""
    its_list = venue.lists.get(order.list_id)
    if its_list is None or order.list_role not in PAIR:
        return
    for leg in its_list.open_legs:
        if leg is not order and leg.list_role in PAIR:
            _end(venue, leg, CloseReason.LIST, OrderStatus.EXPIRED)


def follow_trade(venue: Venue, order: Order, received_atoms: int) -> None:
    """An order has traded and received this, less its fee."""
    its_list = venue.lists.get(order.list_id)
    if its_list is None:
        return
    if order.list_role is ListRole.WORKING and its_list.list_type in FUNDED_BY_WORKING:
        fund(venue, its_list, received_atoms)
    close_other_of_pair(venue, order)


def fund(venue: Venue, its_list: OrderList, received_atoms: int) -> None:
    """What WORKING received is held for what comes after it."""
    its_list.lead.held_atoms += received_atoms
    if received_atoms:
        tell_order(venue, EventKind.ORDER_FUNDED, its_list.lead, hold_delta_atoms=received_atoms)
