"""Section 4.3, the walk: what an order would do to the other side, found out without doing it.

Owns the two questions that are asked before an order may match: how much a FOK could fill, and what a MARKET order
would fill, cost and, when it was given an amount of quote instead of a quantity, how many lots it is. Changes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import floor

from exchange.core.codes import StpMode
from tests.oracle.venue import BookSide, Order, Symbol

STOPS_AT_OWN = (StpMode.EXPIRE_TAKER, StpMode.EXPIRE_BOTH)


@dataclass
class Walk:
    fill_lots: int = 0
    fill_quote_atoms: int = 0
    quantity_lots: int = 0  # of a MARKET order by quote amount


def fillable_lots(order: Order, opposite: BookSide) -> int:
    """How much of a FOK would trade before it meets its price, its own order, or the end of the side."""
    filled = 0
    for maker in opposite.in_matching_order():
        if not opposite.reaches(order.price_ticks, maker):
            break
        if maker.account == order.account:
            if order.stp_mode in STOPS_AT_OWN or order.stp_mode is StpMode.DECREMENT:
                break
            if order.stp_mode is StpMode.EXPIRE_MAKER:
                continue
        filled += min(order.leaves_lots - filled, maker.leaves_lots)
    return filled


def walk_by_quantity(order: Order, symbol: Symbol, opposite: BookSide) -> Walk:
    """A MARKET order that knows how many lots it wants."""
    walk, want = Walk(quantity_lots=order.submitted_lots), order.submitted_lots
    for maker in opposite.in_matching_order():
        own = maker.account == order.account
        if want == 0 or (own and order.stp_mode in STOPS_AT_OWN):
            break
        if own and order.stp_mode is StpMode.EXPIRE_MAKER:
            continue
        take = min(want, maker.leaves_lots)
        want -= take
        if not (own and order.stp_mode is StpMode.DECREMENT):
            walk.fill_lots += take
            walk.fill_quote_atoms += symbol.notional_atoms(maker.price_ticks, take)
    return walk


def walk_by_quote(order: Order, symbol: Symbol, opposite: BookSide) -> Walk:
    """A MARKET order that knows how much quote it spends or wants: at each maker, as many whole steps as that buys.

    Its quantity is what it takes, and what it would have wanted from whatever ended it: the end of the side or an own
    order. So it closes with a remainder exactly when somebody else would have had to sell it more.
    """
    walk, left, step = Walk(), order.quote_atoms, symbol.rules["qty_step_lots"]
    unserved_lots = 0  # what the last maker could not give
    for maker in opposite.in_matching_order():
        own = maker.account == order.account
        if own and order.stp_mode is StpMode.EXPIRE_MAKER:
            continue
        lot_price_atoms = symbol.notional_atoms(maker.price_ticks, 1)
        want = floor(Fraction(left, lot_price_atoms * step)) * step
        if own and order.stp_mode in STOPS_AT_OWN:
            unserved_lots = want
            break
        take = min(want, maker.leaves_lots)
        left -= take * lot_price_atoms
        walk.quantity_lots += take
        if not (own and order.stp_mode is StpMode.DECREMENT):
            walk.fill_lots += take
            walk.fill_quote_atoms += take * lot_price_atoms
        unserved_lots = want - take
        if take < maker.leaves_lots:
            break
    walk.quantity_lots += unserved_lots
    return walk
