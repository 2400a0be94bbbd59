"""The rows of integers that the state means: inputs of the state hash (docs/engine.md, section 7).

Owns their columns. Each function writes one row into the scratch row and returns its length, 0 where nothing is. Rows
of what waits, hides, follows and guards are in `rows_special.py`.
"""

from __future__ import annotations

from typing import Any

from exchange.core.compile import kernel, part
from exchange.core.state import State


@part
def put(row: Any, position: int, value: int) -> int:
    """Write a value; returns the next position."""
    row[position] = value
    return position + 1


@kernel
def venue_row(state: State) -> int:
    """Write the venue's row; returns its length."""
    header = state.header[0]
    row = state.row
    n = put(row, 0, header.sequence)
    n = put(row, n, header.ts_ns)
    n = put(row, n, header.mode)
    n = put(row, n, header.next_order_id)
    n = put(row, n, header.link_failed_sequence)
    n = put(row, n, header.closed_next)
    for limit in range(len(state.limits)):
        n = put(row, n, state.limits[limit])
    return n


@kernel
def asset_row(state: State, asset: int) -> int:
    """Write an asset's row; 0 if there is no such asset."""
    record = state.assets[asset]
    if record.exists == 0:
        return 0
    row = state.row
    n = put(row, 0, asset)
    n = put(row, n, record.scale)
    n = put(row, n, record.name_0)
    return put(row, n, record.name_1)


@kernel
def symbol_row(state: State, symbol: int) -> int:
    """Write a symbol's row; 0 if there is no such symbol."""
    record = state.symbols[symbol]
    if record.mode == 0:
        return 0
    row = state.row
    n = put(row, 0, symbol)
    n = put(row, n, record.mode)
    n = put(row, n, record.base_asset)
    n = put(row, n, record.quote_asset)
    n = put(row, n, record.price_scale)
    n = put(row, n, record.qty_scale)
    n = put(row, n, record.price_min_ticks)
    n = put(row, n, record.price_max_ticks)
    n = put(row, n, record.qty_min_lots)
    n = put(row, n, record.qty_max_lots)
    n = put(row, n, record.notional_min_atoms)
    n = put(row, n, record.notional_max_atoms)
    n = put(row, n, record.price_step_ticks)
    n = put(row, n, record.qty_step_lots)
    n = put(row, n, record.orders_max)
    n = put(row, n, record.maker_fee_ppm)
    n = put(row, n, record.taker_fee_ppm)
    n = put(row, n, record.price_ceiling_ticks)
    n = put(row, n, record.qty_ceiling_lots)
    n = put(row, n, record.trades)
    n = put(row, n, record.name_0)
    return put(row, n, record.name_1)


@kernel
def account_row(state: State, account: int) -> int:
    """Write an account's row; 0 if it is not open."""
    record = state.accounts[account]
    if record.mode == 0:
        return 0
    row = state.row
    n = put(row, 0, account)
    n = put(row, n, record.mode)
    n = put(row, n, record.maker_fee_ppm)
    return put(row, n, record.taker_fee_ppm)


@kernel
def balance_row(state: State, balance: int) -> int:
    """Write the row of a balance by its index; 0 if both parts are zero."""
    record = state.balances[balance]
    if record.available == 0 and record.locked == 0:
        return 0
    row = state.row
    n = put(row, 0, balance // len(state.assets))
    n = put(row, n, balance % len(state.assets))
    n = put(row, n, record.available)
    return put(row, n, record.locked)


@part
def put_client_id(row: Any, n: int, record: Any) -> int:
    """Write the five words of a client id; returns the next position."""
    n = put(row, n, record.client_id_0)
    n = put(row, n, record.client_id_1)
    n = put(row, n, record.client_id_2)
    n = put(row, n, record.client_id_3)
    return put(row, n, record.client_id_4)


@part
def put_codes(row: Any, n: int, record: Any) -> int:
    n = put(row, n, record.side)
    n = put(row, n, record.order_type)
    n = put(row, n, record.time_in_force)
    return put(row, n, record.stp_mode)


@kernel
def order_row(state: State, slot: int) -> int:
    """Write an open order's row; 0 if the slot holds none."""
    order = state.orders[slot]
    if order.order_id == 0:
        return 0
    detail = state.details[slot]
    row = state.row
    n = put(row, 0, order.order_id)
    n = put(row, n, order.account)
    n = put(row, n, order.symbol)
    n = put_codes(row, n, order)
    n = put(row, n, order.price_ticks)
    n = put(row, n, order.leaves_lots)
    n = put(row, n, order.filled_lots)
    n = put(row, n, detail.filled_quote_atoms)
    n = put(row, n, detail.submitted_lots)
    n = put(row, n, detail.created_ts_ns)
    n = put(row, n, detail.updated_ts_ns)
    n = put(row, n, state.terms[detail.terms].expire_ts_ns)
    n = put_client_id(row, n, detail)
    # slot 0 is never used, so the order before the first one has order id 0
    return put(row, n, state.orders[order.prev].order_id)


@kernel
def closed_row(state: State, ordinal: int) -> int:
    """Write the row of a remembered closed order by its ordinal."""
    closed = state.closed[ordinal % len(state.closed)]
    row = state.row
    n = put(row, 0, ordinal)
    n = put(row, n, closed.order_id)
    n = put(row, n, closed.account)
    n = put(row, n, closed.symbol)
    n = put_codes(row, n, closed)
    n = put(row, n, closed.price_ticks)
    n = put(row, n, closed.closed_lots)
    n = put(row, n, closed.filled_lots)
    n = put(row, n, closed.filled_quote_atoms)
    n = put(row, n, closed.submitted_lots)
    n = put(row, n, closed.quote_atoms)
    n = put(row, n, closed.created_ts_ns)
    n = put(row, n, closed.updated_ts_ns)
    n = put(row, n, closed.expire_ts_ns)
    n = put(row, n, closed.status)
    return put_client_id(row, n, closed)


@kernel
def transfer_row(state: State, slot: int) -> int:
    """Write a transfer's row."""
    transfer = state.transfers[slot]
    row = state.row
    n = put(row, 0, transfer.transfer_id)
    n = put(row, n, transfer.account)
    n = put(row, n, transfer.asset)
    n = put(row, n, transfer.amount_atoms)
    return put(row, n, transfer.state)
