"""Unfilled orders of each account: one more for every order that is accepted, one less when it first trades.

Owns the counts of the current 10 seconds and of the current day (UTC), by the time of the engine, and the limits on
them. They are made of the event stream by a compiled kernel: the taker's first trade and the maker's count alike, a
cancel or an expiry gives nothing back, and what was placed in a window that has ended gives nothing back to the next.
Orders that were submitted and are not answered yet are held as in flight, so that many at once are no way around a
limit. Never knows what an order is.

Memory is bounded: 16 bytes for each account that ever placed an order, and the last PLACED_MAX orders of the venue; an
older one that trades for the first time gives nothing back. A restart forgets everything.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from exchange.core.codes import EventKind, Limit
from exchange.core.compile import inlined, kernel
from exchange.core.records import RECORD_BYTES
from exchange.core.slots import order_event, trade_event
from exchange.core.state import LIMIT_MAX
from exchange.gateway.errors import Refusal
from exchange.marketdata.aggregate import Batch, view_batch
from exchange.marketdata.table import records

ACCOUNT_ROWS = LIMIT_MAX[Limit.ACCOUNTS] + 1
"""Rows are by account; memory that no account touches is never backed by the operating system."""
PLACED_MAX = 1 << 20
"""A power of two. Order ids rise by one, so the place of an order is its id modulo this: no search, no collision."""
SHORT_S, DAY_S = 10, 86_400
TOO_MANY_ORDERS = -1015
NS_PER_SECOND = 1_000_000_000

COUNTS = np.dtype(
    [
        ("short", "<i4"),  # the window of 10 seconds that `short_orders` counts, numbered from the epoch
        ("short_orders", "<i4"),
        ("day", "<i4"),
        ("day_orders", "<i4"),
    ],
    align=True,
)
PLACED = np.dtype(
    [
        ("order_id", "<i8"),  # zero: none, or it has traded
        ("second", "<i8"),
    ],
    align=True,
)


@inlined
def _roll(row: Any, second: int) -> None:
    """Begin new windows where those of the row have ended."""
    if row.short != second // SHORT_S:
        row.short = second // SHORT_S
        row.short_orders = 0
    if row.day != second // DAY_S:
        row.day = second // DAY_S
        row.day_orders = 0


@inlined
def _traded(rows: Any, placed: Any, account: int, order_id: int) -> None:
    """Give an order back to its account, if it is known and this is its first trade."""
    order = placed[order_id & (len(placed) - 1)]
    if order.order_id != order_id:
        return
    order.order_id = 0
    row = rows[account]
    if row.short == order.second // SHORT_S and row.short_orders > 0:
        row.short_orders -= 1
    if row.day == order.second // DAY_S and row.day_orders > 0:
        row.day_orders -= 1


@kernel
def count_orders(rows: Any, placed: Any, batch: Batch) -> None:
    """Count the accepted orders of a batch of events, and give back those that first trade in it."""
    for index in range(len(batch)):
        event = order_event(batch, index)
        if event.kind == EventKind.ORDER_ACCEPTED:
            second = event.ts_ns // NS_PER_SECOND
            row = rows[event.account]
            _roll(row, second)
            row.short_orders += 1
            row.day_orders += 1
            order = placed[event.order_id & (len(placed) - 1)]
            order.order_id = event.order_id
            order.second = second
        elif event.kind == EventKind.TRADE:
            trade = trade_event(batch, index)
            _traded(rows, placed, trade.taker_account, trade.taker_order_id)
            _traded(rows, placed, trade.maker_account, trade.maker_order_id)


class UnfilledOrders:
    """The counts of one process. `short_max` and `day_max`: orders a window; more than anybody counts for no limit."""

    def __init__(
        self,
        short_max: int,
        day_max: int,
        clock: Callable[[], float] = time.time,
        *,
        accounts: int = ACCOUNT_ROWS,
        placed_max: int = PLACED_MAX,
    ) -> None:
        self._short_max = short_max
        self._day_max = day_max
        self._clock = clock
        self._rows = records(accounts, COUNTS)
        self._placed = records(placed_max, PLACED)
        self._numbers = memoryview(self._rows.view(np.ndarray).view(np.int32))
        """The same rows, four numbers each: reading one here costs 0.04 us, in the array 0.2."""
        self._in_flight: dict[int, int] = {}
        self.on_events(memoryview(bytes(RECORD_BYTES)), 0)  # compiled now, if it is not yet

    def on_events(self, view: memoryview, count: int) -> None:
        """Take a batch of `count` event slots: a listener of the pipeline."""
        count_orders(self._rows, self._placed, view_batch(view, count))

    def counts(self, account: int) -> tuple[int, int]:
        """(unfilled orders of the current 10 seconds, of the current day)."""
        at, second = 4 * account, int(self._clock())
        numbers = self._numbers
        return (
            numbers[at + 1] if numbers[at] >= second // SHORT_S else 0,
            numbers[at + 3] if numbers[at + 2] >= second // DAY_S else 0,
        )

    def enter(self, account: int) -> None:
        """An order is about to be submitted; `leave` follows in any case. Raises Refusal and enters nothing."""
        waiting = self._in_flight.get(account, 0)
        at, numbers = 4 * account, self._numbers
        # Counts of windows that have ended are too high at most: only whoever seems to be at a limit needs the clock.
        if numbers[at + 1] + waiting >= self._short_max or numbers[at + 3] + waiting >= self._day_max:
            self._check(account, waiting)
        self._in_flight[account] = waiting + 1

    def leave(self, account: int) -> None:
        """An order that entered is answered, or will not be."""
        waiting = self._in_flight.pop(account) - 1
        if waiting:
            self._in_flight[account] = waiting

    def headers(self, account: int) -> bytes:
        """The header lines of an answer to an accepted order."""
        return b"X-MBX-ORDER-COUNT-10S: %d\r\nX-MBX-ORDER-COUNT-1D: %d\r\n" % self.counts(account)

    def _check(self, account: int, waiting: int) -> None:
        short, day = self.counts(account)
        if short + waiting >= self._short_max:
            raise self._too_many(self._short_max, "10 SECOND", SHORT_S)
        if day + waiting >= self._day_max:
            raise self._too_many(self._day_max, "1 DAY", DAY_S)

    def _too_many(self, most: int, interval: str, window_s: int) -> Refusal:
        text = f"Too many new orders; current limit is {most} orders per {interval}."
        return Refusal(429, TOO_MANY_ORDERS, text, retry_after_s=math.ceil(window_s - self._clock() % window_s))
