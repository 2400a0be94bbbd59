"""What an order holds: when it is placed, while it waits, and when it enters (sections 4.1, 11 and 15).

Owns the formulas. Judges nothing and moves no money.
"""

from __future__ import annotations

from typing import NamedTuple

from exchange.core.codes import OrderType, Side, Stage
from tests.oracle.guards import trading_range
from tests.oracle.venue import Order, Symbol, Venue
from tests.oracle.walking import Rehearsal, Walk, reach, walk_by_quantity, walk_by_quote


class Hold(NamedTuple):
    hold_atoms: int
    needed_atoms: int  # what must be available for it, which may be more
    fills_atoms: int = 0  # of a MARKET order: what its fills amount to, in quote


def available_for(venue: Venue, symbol: Symbol, order: Order) -> int:
    return venue.ledger.available(order.account, symbol.payer_asset(order.side))


def walk(venue: Venue, symbol: Symbol, order: Order) -> Walk:
    """What a market order would do now."""
    rehearsal = Rehearsal(venue, symbol, order, reach(order, 0).within(trading_range(venue, symbol)))
    return (walk_by_quote if order.quote_atoms else walk_by_quantity)(rehearsal, order, symbol)


def hold_to_enter(venue: Venue, symbol: Symbol, order: Order, price_ticks: int) -> int:
    """With a limit price what all of it costs, else what its fills will take."""
    if not order.is_market:
        return symbol.hold_atoms(order.side, price_ticks, order.leaves_lots)
    return _cost(symbol, order, walk(venue, symbol, order))


def _cost(symbol: Symbol, order: Order, walked: Walk) -> int:
    return walked.fill_quote_atoms if order.side is Side.BUY else walked.fill_lots * symbol.base_atoms_per_lot


def hold_to_wait(symbol: Symbol, order: Order, qty_lots: int) -> int:
    """While its price is not known: a SELL its lots, a BUY nothing."""
    if order.price_ticks or order.side is Side.SELL:
        return symbol.hold_atoms(order.side, order.price_ticks, qty_lots)
    return 0


def hold_when_placed(venue: Venue, symbol: Symbol, order: Order) -> Hold:
    """What a PLACE makes the order hold. A MARKET order by quote amount gets its quantity here."""
    if order.stage is not Stage.BOOK:
        hold_atoms = hold_to_wait(symbol, order, order.leaves_lots)
        return Hold(hold_atoms, hold_atoms)
    if order.order_type is not OrderType.MARKET:
        hold_atoms = hold_to_enter(venue, symbol, order, order.price_ticks)
        return Hold(hold_atoms, hold_atoms)
    walked = walk(venue, symbol, order)
    order.leaves_lots = walked.quantity_lots
    hold_atoms = _cost(symbol, order, walked)
    if order.side is Side.BUY:
        return Hold(hold_atoms, order.quote_atoms or hold_atoms, walked.fill_quote_atoms)
    whole_atoms = order.submitted_lots * symbol.base_atoms_per_lot
    return Hold(hold_atoms, whole_atoms or hold_atoms, walked.fill_quote_atoms)
