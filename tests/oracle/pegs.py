"""Section 14 of docs/engine-orders.md: the price that a pegged order takes when it enters.

Owns that one question. Changes nothing.
"""

from __future__ import annotations

from exchange.core.codes import PegType, Side
from tests.oracle.venue import Order, Symbol


def pegged_ticks(symbol: Symbol, order: Order) -> int | None:
    """The price of the level so many behind the best one, of the own side or the opposite one; None: no such level."""
    side = order.side if order.peg_type is PegType.PRIMARY_PEG else Side(1 - order.side)
    prices = symbol.sides[side].prices()
    return prices[order.peg_offset_levels] if order.peg_offset_levels < len(prices) else None
