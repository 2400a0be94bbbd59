"""Section 21: the price at which an auction would trade most.

Owns that one question. Reads the two sides of a book as orders; changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

PricedLots = tuple[int, int]
"""The limit price of an order that stands on the book, and all of its leaves."""


class Crossing(NamedTuple):
    price_ticks: int  # zero: no price
    lots: int  # what would trade
    imbalance_lots: int  # demand less supply


NOTHING = Crossing(0, 0, 0)


def crossing(bids: Iterable[PricedLots], asks: Iterable[PricedLots], last_ticks: int) -> Crossing:
    """Most volume, then least imbalance, then nearest to the last price, then the lowest price."""
    bids, asks = list(bids), list(asks)
    if not bids or not asks:
        return NOTHING
    best_bid, best_ask = max(price for price, _ in bids), min(price for price, _ in asks)
    prices = {price for price, _ in bids if price >= best_ask} | {price for price, _ in asks if price <= best_bid}

    def at(price: int) -> Crossing:
        demand = sum(lots for limit, lots in bids if limit >= price)
        supply = sum(lots for limit, lots in asks if limit <= price)
        return Crossing(price, min(demand, supply), demand - supply)

    def preference(found: Crossing) -> tuple[int, int, int, int]:
        away = abs(found.price_ticks - last_ticks) if last_ticks else 0
        return -found.lots, abs(found.imbalance_lots), away, found.price_ticks

    return min(map(at, prices), key=preference, default=NOTHING)
