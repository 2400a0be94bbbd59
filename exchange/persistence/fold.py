"""A batch of events to the rows of every table.

Owns the order of the folds. Results do not depend on how the events are cut into batches, as long as each ends with the
last event of a command.
"""

from __future__ import annotations

from typing import NamedTuple

from exchange.persistence.copying import Array, Columns
from exchange.persistence.fold_details import fold_details
from exchange.persistence.fold_lists import fold_lists
from exchange.persistence.fold_market import fold_market
from exchange.persistence.fold_orders import fold_orders
from exchange.persistence.postings import fold_ledger
from exchange.persistence.reference import Reference, Row
from exchange.persistence.schemas import months_of
from exchange.persistence.slots import Slots


class Position(NamedTuple):
    """How far a projection is: the last event, its command and its time. Zeros: nothing."""

    event: int = 0
    sequence: int = 0
    ts_ns: int = 0


class Folded(NamedTuple):
    """What a batch does to the tables."""

    position: Position
    """After it."""
    months: list[int]
    assets: list[Row]
    symbols: list[Row]
    orders: Columns
    order_changes: Columns
    order_lists: Columns
    lists_ended: Columns
    amendments: Columns
    prevented_matches: Columns
    entries: Columns
    postings: Columns
    balances: Columns
    trades: Columns
    agg_trades: Columns
    candles: Columns


def fold(events: Array, first_event: int, reference: Reference) -> Folded:
    """Fold the events, (n, 128) u1, of whole commands; `reference` moves on. Raises fold_orders.OrdersDiffer."""
    slots = Slots(events, first_event)
    assets, symbols = reference.take(slots)
    orders, order_changes = fold_orders(slots)
    order_lists, lists_ended = fold_lists(slots)
    amendments, prevented_matches = fold_details(slots)
    entries, postings, balances = fold_ledger(slots, reference)
    trades, agg_trades, candles = fold_market(slots)
    return Folded(
        Position(slots.last_event, slots.last_sequence, slots.last_ts_ns),
        months_of(entries["ts_ns"]),
        assets,
        symbols,
        orders,
        order_changes,
        order_lists,
        lists_ended,
        amendments,
        prevented_matches,
        entries,
        postings,
        balances,
        trades,
        agg_trades,
        candles,
    )
