"""Where orders stand in line: the sides of a book, the trigger sides beside them, and the due queue.

Owns the order of orders. An order stands in at most one queue, and knows which: `order.stands_in`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from sortedcontainers import SortedDict

from exchange.core.codes import Side

if TYPE_CHECKING:
    from tests.oracle.venue import Order

Queue = list["Order"]


class BookSide:
    """One side of a book: price levels, best first, each a queue of orders, oldest first."""

    def __init__(self, side: Side) -> None:
        self.side = side
        self.levels: Any = SortedDict()  # rank of the price -> Queue; the best price has the lowest rank

    def price_of(self, order: Order) -> int:
        """The price of the level where this order stands here."""
        return order.price_ticks

    def rank(self, price_ticks: int) -> int:
        """Lower is better: the highest bid and the lowest ask come first. Its own inverse."""
        return -price_ticks if self.side is Side.BUY else price_ticks

    def rest(self, order: Order) -> None:
        self.levels.setdefault(self.rank(self.price_of(order)), []).append(order)
        order.stands_in = self

    def remove(self, order: Order) -> None:
        rank = self.rank(self.price_of(order))
        self.levels[rank].remove(order)
        if not self.levels[rank]:
            del self.levels[rank]
        order.stands_in = None

    def has_level(self, price_ticks: int) -> bool:
        return self.rank(price_ticks) in self.levels

    def prices(self) -> list[int]:
        """Of the levels, best first."""
        return [self.rank(rank) for rank in self.levels]

    def in_matching_order(self) -> Iterator[Order]:
        for queue in self.levels.values():
            yield from queue

    def best(self) -> Order | None:
        return next(self.in_matching_order(), None)

    def ahead_of(self, order: Order) -> int:
        """The id of the order before this one in its queue; zero when it is the first."""
        return _before(order, self.levels[self.rank(self.price_of(order))])


class TriggerSide(BookSide):
    """Orders that wait for a price. DOWN is made like the bids (the highest first), UP like the asks."""

    def price_of(self, order: Order) -> int:
        return order.trigger_ticks


class DueQueue:
    """Legs that their list has called, first in first out."""

    def __init__(self) -> None:
        self.orders: Queue = []

    def __iter__(self) -> Iterator[Order]:
        return iter(self.orders)

    def rest(self, order: Order) -> None:
        self.orders.append(order)
        order.stands_in = self

    def remove(self, order: Order) -> None:
        self.orders.remove(order)
        order.stands_in = None

    def ahead_of(self, order: Order) -> int:
        return _before(order, self.orders)


def _before(order: Order, queue: Queue) -> int:
    place = queue.index(order)
    return queue[place - 1].order_id if place else 0
