"""PLACE: sections 4.1 and 11, from the command to where the order stays.

Owns the repeated command, the acceptance and the beginning of an order. What a PLACE is refused with is `judging.py`; a
leg whose turn it is in a list goes to `lists.py`.
"""

from __future__ import annotations

from exchange.core.codes import EventKind, ListRole, RejectCode, Stage
from tests.oracle.guards import count_accepted
from tests.oracle.holding import available_for
from tests.oracle.judging import judge
from tests.oracle.matching import match
from tests.oracle.telling import tell_order, tell_terms
from tests.oracle.triggers import wait
from tests.oracle.turns import take_turns
from tests.oracle.venue import Order, Symbol, Venue
from tests.oracle.words import Command, names_an_order, refuse_if

CONTENT = (
    "symbol",
    "side",
    "order_type",
    "time_in_force",
    "stp_mode",
    "quote_atoms",
    "expire_ts_ns",
    "stop_price_ticks",
    "trailing_bips",
    "iceberg_lots",
    "peg_type",
    "peg_offset_levels",
    "list_role",
)
"""What must be equal, besides price and quantity, for two orders to be the same one sent twice."""


def place(venue: Venue, command: Command) -> None:
    """A PLACE that is not a leg whose turn it is."""
    known = venue.by_client_id.get((command["account"], command["client_id"]))
    if known is not None:
        refuse_if(not _same_content(command, known), RejectCode.CLIENT_ORDER_ID_CONFLICT)
        tell_order(venue, EventKind.ORDER_DUPLICATE, known, qty_lots=known.total_lots)
        return
    refuse_if(venue.link_failed_sequence == venue.sequence - 1, RejectCode.LINK_FAILED)
    judged = judge(venue, command)
    refuse_if(command["list_role"] != ListRole.NONE, RejectCode.INVALID_LIST)
    order, symbol = judged.order, venue.symbols[command["symbol"]]
    refuse_if(judged.hold.needed_atoms > available_for(venue, symbol, order), RejectCode.INSUFFICIENT_BALANCE)

    number(venue, order)
    accept(venue, symbol, order, judged.hold.hold_atoms)
    count_accepted(venue, symbol, order, judged.notional_atoms)
    begin(venue, symbol, order)
    take_turns(venue, [symbol])


def _same_content(command: Command, order: Order) -> bool:
    submitted_ticks = 0 if order.peg_type else order.price_ticks
    return (
        all(command[name] == getattr(order, name) for name in CONTENT)
        and command["price_ticks"] == submitted_ticks
        and command["qty_lots"] == order.submitted_lots
    )


def number(venue: Venue, order: Order) -> None:
    order.order_id = venue.next_order_id
    venue.next_order_id += 1


def accept(venue: Venue, symbol: Symbol, order: Order, hold_atoms: int) -> None:
    """From here on it is an order."""
    if names_an_order(order.client_id):
        venue.by_client_id[order.account, order.client_id] = order
    if order.stage is not Stage.BOOK:
        venue.open_orders[order.order_id] = order
        order.held_atoms = hold_atoms
    tell_order(venue, EventKind.ORDER_ACCEPTED, order, qty_lots=order.leaves_lots, hold_delta_atoms=hold_atoms)
    if order.is_special:
        symbol.watched = True
        tell_terms(venue, order)


def begin(venue: Venue, symbol: Symbol, order: Order) -> None:
    """An accepted order enters, or begins to wait."""
    if order.stage is Stage.BOOK:
        match(venue, symbol, order)
    else:
        wait(symbol, order, order.stage)
