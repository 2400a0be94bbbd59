"""Rows of orders that wait, hide, follow and hang together (docs/engine-orders.md, section 17).

Owns their columns. A row is there only where something is, so a state without such orders has the hash that it had
before there were any.
"""

from __future__ import annotations

from typing import Any

from exchange.core.compile import i64, kernel, part
from exchange.core.rows import put, put_client_id
from exchange.core.slots import list_command, place_command
from exchange.core.state import State


@kernel
def terms_row(state: State, slot: int) -> int:
    """Write the row of an open order that is special or carries a key; 0 if the slot holds none."""
    order = state.orders[slot]
    detail = state.details[slot]
    if order.order_id == 0 or (order.special == 0 and detail.key == 0):
        return 0
    terms = state.terms[detail.terms]
    if order.special == 0:
        terms = state.terms[0]
    row = state.row
    n = put(row, 0, order.order_id)
    n = put(row, n, order.stage)
    n = put(row, n, terms.stop_price_ticks)
    n = put(row, n, terms.iceberg_lots)
    n = put(row, n, terms.shown_lots if order.special != 0 else order.leaves_lots)
    n = put(row, n, terms.held_atoms)
    n = put(row, n, terms.extreme_ticks)
    n = put(row, n, terms.working_ts_ns)
    n = put(row, n, terms.trailing_bips)
    n = put(row, n, terms.peg_type)
    n = put(row, n, terms.peg_offset_levels)
    n = put(row, n, terms.list_id)
    n = put(row, n, terms.list_role)
    n = put(row, n, detail.key)
    # slot 0 is never used, so the order before the first one has order id 0
    return put(row, n, state.orders[terms.trail_prev].order_id)


@kernel
def closed_terms_row(state: State, ordinal: int) -> int:
    """Write the row of a remembered closed order that was special or carried a key; 0 for others."""
    closed = state.closed[ordinal % len(state.closed)]
    row = state.row
    n = put(row, 0, ordinal)
    n = put(row, n, closed.stop_price_ticks)
    n = put(row, n, closed.iceberg_lots)
    n = put(row, n, closed.trailing_bips)
    n = put(row, n, closed.peg_type)
    n = put(row, n, closed.peg_offset_levels)
    n = put(row, n, closed.list_id)
    n = put(row, n, closed.list_role)
    n = put(row, n, closed.key)
    for position in range(1, n):
        if row[position] != 0:
            return n
    return 0


@kernel
def list_row(state: State, slot: int) -> int:
    """Write the row of an open list; 0 if the slot holds none."""
    record = state.lists[slot]
    if record.list_id == 0:
        return 0
    row = state.row
    n = put(row, 0, record.list_id)
    n = put(row, n, record.list_type)
    n = put(row, n, record.account)
    n = put(row, n, record.symbol)
    # slot 0 is never used, so a leg that is closed has order id 0
    n = put(row, n, state.orders[record.slot_0].order_id)
    n = put(row, n, state.orders[record.slot_1].order_id)
    n = put(row, n, state.orders[record.slot_2].order_id)
    return put_client_id(row, n, record)


@kernel
def lists_row(state: State) -> int:
    """Write the row of the next list id; 0 if there never was a list."""
    next_list_id = state.header[0].next_list_id
    return 0 if next_list_id == 1 else put(state.row, 0, next_list_id)


@kernel
def staged_count(state: State) -> int:
    """How many commands of a list under construction there are."""
    header = state.header[0]
    return i64(header.staged) if header.staged_sequence == header.sequence else i64(0)


@part
def _put_staged(row: Any, n: int, record: Any) -> int:
    n = put(row, n, record.account)
    n = put(row, n, record.symbol)
    return put_client_id(row, n, record)


@kernel
def staged_row(state: State, position: int) -> int:
    """Write the row of a staged command."""
    row = state.row
    n = put(row, 0, position)
    n = put(row, n, list_command(state.staged, 0).list_type)
    if position == 0:
        return _put_staged(row, n, list_command(state.staged, 0))
    return _put_staged(row, n, place_command(state.staged, position))


@kernel
def market_row(state: State, symbol: int) -> int:
    """Write the row of a symbol that is watched; 0 for others."""
    market = state.markets[symbol]
    if market.watched == 0:
        return 0
    row = state.row
    n = put(row, 0, symbol)
    n = put(row, n, market.last_ticks)
    n = put(row, n, market.passed_low_ticks)
    n = put(row, n, market.passed_high_ticks)
    n = put(row, n, market.phase)
    n = put(row, n, market.phase_end_ts_ns)
    n = put(row, n, market.indicative_price_ticks)
    return put(row, n, market.indicative_lots)
