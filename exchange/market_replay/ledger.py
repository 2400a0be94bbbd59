"""What the replay has resting at the venue: the client's own record, kept from the results of its commands.

Owns the way from the tape's order ids to ours, and our orders by side and price in queue order. Never reads the
venue's book.

Invariants: an order stands in `orders` and in its level as long as its leaves are positive; a level without orders is
not there; the seeded order of a level, if any, is its first.
"""

from __future__ import annotations

from exchange.core.codes import Side
from exchange.market_replay.lobster import EMPTY_PRICE

SEEDED = 0
"""The tape id of liquidity that was there before our view: the ids behind it are unknown."""


class Resting:
    """One order of ours at the venue."""

    __slots__ = ("leaves", "order_id", "price", "side", "tape_id", "total")

    def __init__(self, order_id: int, tape_id: int, side: Side, price: int, total: int, leaves: int) -> None:
        self.order_id = order_id  # the venue's
        self.tape_id = tape_id  # SEEDED or the tape's
        self.side = side
        self.price = price
        self.total = total  # quantity, filled part included
        self.leaves = leaves


class Ledger:
    """Our resting orders, found by the venue's id, by the tape's id and by price."""

    def __init__(self) -> None:
        self.orders: dict[int, Resting] = {}
        self.by_tape_id: dict[int, Resting] = {}
        self.levels: tuple[dict[int, dict[int, Resting]], dict[int, dict[int, Resting]]] = ({}, {})

    def add(self, order: Resting) -> None:
        """An order came to rest at the back of its level."""
        self.orders[order.order_id] = order
        self.levels[order.side].setdefault(order.price, {})[order.order_id] = order
        if order.tape_id != SEEDED:
            self.by_tape_id[order.tape_id] = order

    def take_off(self, order: Resting, lots: int) -> None:
        """Lots of an order were filled or taken away; without leaves it is gone."""
        order.leaves -= lots
        if order.leaves > 0:
            return
        del self.orders[order.order_id]
        level = self.levels[order.side][order.price]
        del level[order.order_id]
        if not level:
            del self.levels[order.side][order.price]
        if order.tape_id != SEEDED:
            del self.by_tape_id[order.tape_id]

    def front(self, side: Side, price: int) -> Resting | None:
        """Our first order at a price."""
        level = self.levels[side].get(price)
        return next(iter(level.values())) if level else None

    def back(self, side: Side, price: int) -> Resting | None:
        """Our last order at a price."""
        level = self.levels[side].get(price)
        return next(reversed(level.values())) if level else None

    def seeded(self, side: Side, price: int) -> Resting | None:
        """The liquidity of a price that was there before our view."""
        order = self.front(side, price)
        return order if order is not None and order.tape_id == SEEDED else None

    def beyond(self, side: Side, price: int) -> list[Resting]:
        """Our orders at prices worse than the given one, worst level last."""
        levels = self.levels[side]
        if side == Side.BUY:
            worse = [level for level in levels if level < price]
        else:
            worse = [level for level in levels if level > price]
        return [order for level in worse for order in levels[level].values()]

    def row(self, levels_max: int) -> list[int]:
        """The book that our orders make up, as a LOBSTER row."""
        row = [EMPTY_PRICE, 0, -EMPTY_PRICE, 0] * levels_max
        for side, first in ((Side.SELL, 0), (Side.BUY, 2)):
            levels = self.levels[side]
            for at, price in enumerate(sorted(levels, reverse=side == Side.BUY)[:levels_max]):
                row[4 * at + first] = price
                row[4 * at + first + 1] = sum(order.leaves for order in levels[price].values())
        return row
