"""Section 4.3, the walk: what an order would do to the other side, found out without doing it.

Owns the two questions that are asked before an order may match: how much a FOK could fill, and what a market order
would fill, cost and, when it was given an amount of quote instead of a quantity, how many lots it is. Changes nothing:
it goes over a copy of the side, in which icebergs show their next parts as they would in matching.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from fractions import Fraction
from math import floor

from exchange.core.codes import Side, StpMode
from tests.oracle.reach import Reach
from tests.oracle.venue import Order, Symbol, Venue

STOPS_AT_OWN = (StpMode.EXPIRE_TAKER, StpMode.EXPIRE_BOTH)


def reach(order: Order, price_ticks: int) -> Reach:
    """What the limit price of an order allows; it may not be the order's yet, so it is given."""
    if order.is_market:
        return Reach()
    return Reach(high_ticks=price_ticks) if order.side is Side.BUY else Reach(low_ticks=price_ticks)


@dataclass
class Walk:
    fill_lots: int = 0
    fill_quote_atoms: int = 0
    quantity_lots: int = 0  # of a MARKET order by quote amount


@dataclass
class Part:
    """A maker as the walk leaves it: what it shows, and all that is left of it."""

    maker: Order
    shown_lots: int
    leaves_lots: int


class Rehearsal:
    """The opposite side as matching would change it."""

    def __init__(self, venue: Venue, symbol: Symbol, order: Order, allowed: Reach) -> None:
        self.venue, self.order, self.allowed = venue, order, allowed
        self.levels = iter(symbol.sides[Side(1 - order.side)].levels.values())
        self.queue: deque[Part] = deque()

    def front(self) -> Part | None:
        """The next maker, or None where the side ends or the price does."""
        while not self.queue:
            level = next(self.levels, None)
            if level is None:
                return None
            self.queue.extend(Part(maker, maker.shown_lots, maker.leaves_lots) for maker in level)
        return self.queue[0] if self.allowed.allows(self.queue[0].maker.price_ticks) else None

    def is_own(self, part: Part) -> bool:
        return self.venue.same_owner(part.maker.account, self.order.account)

    def take(self, part: Part, lots: int) -> None:
        part.shown_lots -= lots
        part.leaves_lots -= lots
        if part.shown_lots == 0:
            self.queue.popleft()
            if part.leaves_lots:
                part.shown_lots = min(part.maker.iceberg_lots, part.leaves_lots)
                self.queue.append(part)

    def pass_over(self) -> None:
        self.queue.popleft()


def fillable_lots(rehearsal: Rehearsal, order: Order) -> int:
    """How much of a FOK would trade before it meets its price, its own order, or the end of the side."""
    filled = 0
    while filled < order.leaves_lots and (part := rehearsal.front()) is not None:
        if rehearsal.is_own(part):
            if order.stp_mode in STOPS_AT_OWN or order.stp_mode is StpMode.DECREMENT:
                break
            if order.stp_mode is StpMode.EXPIRE_MAKER:
                rehearsal.pass_over()
                continue
        take = min(order.leaves_lots - filled, part.shown_lots)
        filled += take
        rehearsal.take(part, take)
    return filled


def walk_by_quantity(rehearsal: Rehearsal, order: Order, symbol: Symbol) -> Walk:
    """A market order that knows how many lots it wants."""
    walk, want = Walk(quantity_lots=order.leaves_lots), order.leaves_lots
    while want > 0 and (part := rehearsal.front()) is not None:
        own = rehearsal.is_own(part)
        if own and order.stp_mode in STOPS_AT_OWN:
            break
        if own and order.stp_mode is StpMode.EXPIRE_MAKER:
            rehearsal.pass_over()
            continue
        take = min(want, part.shown_lots)
        want -= take
        if not (own and order.stp_mode is StpMode.DECREMENT):
            walk.fill_lots += take
            walk.fill_quote_atoms += symbol.notional_atoms(part.maker.price_ticks, take)
        rehearsal.take(part, take)
    return walk


def walk_by_quote(rehearsal: Rehearsal, order: Order, symbol: Symbol) -> Walk:
    """A MARKET order that knows how much quote it spends or wants: at each maker, as many whole steps as that buys.

    Its quantity is what it takes, and what it would have wanted from whatever ended it: the end of the side or an own
    order. So it closes with a remainder exactly when somebody else would have had to sell it more.
    """
    walk, left, step = Walk(), order.quote_atoms, symbol.rules["qty_step_lots"]
    unserved_lots = 0  # what the last maker could not give
    while (part := rehearsal.front()) is not None:
        own = rehearsal.is_own(part)
        if own and order.stp_mode is StpMode.EXPIRE_MAKER:
            rehearsal.pass_over()
            continue
        lot_price_atoms = symbol.notional_atoms(part.maker.price_ticks, 1)
        want = floor(Fraction(left, lot_price_atoms * step)) * step
        if own and order.stp_mode in STOPS_AT_OWN:
            unserved_lots = want
            break
        take = min(want, part.shown_lots)
        left -= take * lot_price_atoms
        walk.quantity_lots += take
        if not (own and order.stp_mode is StpMode.DECREMENT):
            walk.fill_lots += take
            walk.fill_quote_atoms += take * lot_price_atoms
        unserved_lots = want - take
        if take < part.shown_lots:
            break
        rehearsal.take(part, take)
    walk.quantity_lots += unserved_lots
    return walk
