"""The state hash: what the state means, in 2 x 64 bits.

Owns the rows of docs/engine.md section 7. One function per table writes a row into the scratch row; `state_hash`
folds the rows and `canonical` lists them, so what is hashed and what is compared are the same thing. Row hashes are
summed, which makes the result independent of the order in which slots are visited.
"""

from __future__ import annotations

from typing import Any

from exchange.core.compile import i64, inlined, kernel, part
from exchange.core.mix import add, mix
from exchange.core.state import State

VENUE, ASSET, SYMBOL, ACCOUNT, BALANCE, ORDER, CLOSED, TRANSFER = range(8)
TABLES = ("venue", "asset", "symbol", "account", "balance", "order", "closed", "transfer")
_SEEDS = (0x243F6A8885A308D3, 0x13198A2E03707344)
"""The first digits of pi: two independent lanes."""


@part
def _put(row: Any, position: int, value: int) -> int:
    row[position] = value
    return position + 1


@kernel
def venue_row(state: State) -> int:
    """Write the venue's row; returns its length."""
    header = state.header[0]
    row = state.row
    n = _put(row, 0, header.sequence)
    n = _put(row, n, header.ts_ns)
    n = _put(row, n, header.mode)
    n = _put(row, n, header.next_order_id)
    n = _put(row, n, header.link_failed_sequence)
    n = _put(row, n, header.closed_next)
    for limit in range(len(state.limits)):
        n = _put(row, n, state.limits[limit])
    return n


@kernel
def asset_row(state: State, asset: int) -> int:
    """Write an asset's row; 0 if there is no such asset."""
    record = state.assets[asset]
    if record.exists == 0:
        return 0
    row = state.row
    n = _put(row, 0, asset)
    n = _put(row, n, record.scale)
    n = _put(row, n, record.name_0)
    return _put(row, n, record.name_1)


@kernel
def symbol_row(state: State, symbol: int) -> int:
    """Write a symbol's row; 0 if there is no such symbol."""
    record = state.symbols[symbol]
    if record.mode == 0:
        return 0
    row = state.row
    n = _put(row, 0, symbol)
    n = _put(row, n, record.mode)
    n = _put(row, n, record.base_asset)
    n = _put(row, n, record.quote_asset)
    n = _put(row, n, record.price_scale)
    n = _put(row, n, record.qty_scale)
    n = _put(row, n, record.price_min_ticks)
    n = _put(row, n, record.price_max_ticks)
    n = _put(row, n, record.qty_min_lots)
    n = _put(row, n, record.qty_max_lots)
    n = _put(row, n, record.notional_min_atoms)
    n = _put(row, n, record.notional_max_atoms)
    n = _put(row, n, record.price_step_ticks)
    n = _put(row, n, record.qty_step_lots)
    n = _put(row, n, record.orders_max)
    n = _put(row, n, record.maker_fee_ppm)
    n = _put(row, n, record.taker_fee_ppm)
    n = _put(row, n, record.price_ceiling_ticks)
    n = _put(row, n, record.qty_ceiling_lots)
    n = _put(row, n, record.trades)
    n = _put(row, n, record.name_0)
    return _put(row, n, record.name_1)


@kernel
def account_row(state: State, account: int) -> int:
    """Write an account's row; 0 if it is not open."""
    record = state.accounts[account]
    if record.mode == 0:
        return 0
    row = state.row
    n = _put(row, 0, account)
    n = _put(row, n, record.mode)
    n = _put(row, n, record.maker_fee_ppm)
    return _put(row, n, record.taker_fee_ppm)


@kernel
def balance_row(state: State, balance: int) -> int:
    """Write the row of a balance by its index; 0 if both parts are zero."""
    record = state.balances[balance]
    if record.available == 0 and record.locked == 0:
        return 0
    row = state.row
    n = _put(row, 0, balance // len(state.assets))
    n = _put(row, n, balance % len(state.assets))
    n = _put(row, n, record.available)
    return _put(row, n, record.locked)


@part
def _put_client_id(row: Any, n: int, record: Any) -> int:
    n = _put(row, n, record.client_id_0)
    n = _put(row, n, record.client_id_1)
    n = _put(row, n, record.client_id_2)
    n = _put(row, n, record.client_id_3)
    return _put(row, n, record.client_id_4)


@part
def _put_codes(row: Any, n: int, record: Any) -> int:
    n = _put(row, n, record.side)
    n = _put(row, n, record.order_type)
    n = _put(row, n, record.time_in_force)
    return _put(row, n, record.stp_mode)


@kernel
def order_row(state: State, slot: int) -> int:
    """Write an open order's row; 0 if the slot holds none."""
    order = state.orders[slot]
    if order.order_id == 0:
        return 0
    detail = state.details[slot]
    row = state.row
    n = _put(row, 0, order.order_id)
    n = _put(row, n, order.account)
    n = _put(row, n, order.symbol)
    n = _put_codes(row, n, order)
    n = _put(row, n, order.price_ticks)
    n = _put(row, n, order.leaves_lots)
    n = _put(row, n, order.filled_lots)
    n = _put(row, n, detail.filled_quote_atoms)
    n = _put(row, n, detail.submitted_lots)
    n = _put(row, n, detail.created_ts_ns)
    n = _put(row, n, detail.updated_ts_ns)
    n = _put(row, n, detail.expire_ts_ns)
    n = _put_client_id(row, n, detail)
    # slot 0 is never used, so the order before the first one has order id 0
    return _put(row, n, state.orders[order.prev].order_id)


@kernel
def closed_row(state: State, ordinal: int) -> int:
    """Write the row of a remembered closed order by its ordinal."""
    closed = state.closed[ordinal % len(state.closed)]
    row = state.row
    n = _put(row, 0, ordinal)
    n = _put(row, n, closed.order_id)
    n = _put(row, n, closed.account)
    n = _put(row, n, closed.symbol)
    n = _put_codes(row, n, closed)
    n = _put(row, n, closed.price_ticks)
    n = _put(row, n, closed.closed_lots)
    n = _put(row, n, closed.filled_lots)
    n = _put(row, n, closed.filled_quote_atoms)
    n = _put(row, n, closed.submitted_lots)
    n = _put(row, n, closed.quote_atoms)
    n = _put(row, n, closed.created_ts_ns)
    n = _put(row, n, closed.updated_ts_ns)
    n = _put(row, n, closed.expire_ts_ns)
    n = _put(row, n, closed.status)
    return _put_client_id(row, n, closed)


@kernel
def transfer_row(state: State, slot: int) -> int:
    """Write a transfer's row."""
    transfer = state.transfers[slot]
    row = state.row
    n = _put(row, 0, transfer.transfer_id)
    n = _put(row, n, transfer.account)
    n = _put(row, n, transfer.asset)
    n = _put(row, n, transfer.amount_atoms)
    return _put(row, n, transfer.state)


@inlined
def _fold(state: State, sum_0: int, sum_1: int, table: int, length: int) -> tuple[int, int]:
    """Add the hash of the scratch row to both lanes; an empty row adds nothing."""
    if length > 0:
        lane_0 = mix(_SEEDS[0], table)
        lane_1 = mix(_SEEDS[1], table)
        for position in range(length):
            lane_0 = mix(lane_0, state.row[position])
            lane_1 = mix(lane_1, state.row[position])
        sum_0 = add(sum_0, lane_0)
        sum_1 = add(sum_1, lane_1)
    return sum_0, sum_1


@kernel
def state_hash(state: State) -> tuple[int, int]:
    """The hash of the state: two signed 64-bit lanes. Cost: about 40 ns a row."""
    header = state.header[0]
    a = i64(0)
    b = i64(0)
    a, b = _fold(state, a, b, VENUE, venue_row(state))
    for asset in range(1, len(state.assets)):
        a, b = _fold(state, a, b, ASSET, asset_row(state, asset))
    for symbol in range(1, len(state.symbols)):
        a, b = _fold(state, a, b, SYMBOL, symbol_row(state, symbol))
    for account in range(len(state.accounts)):
        a, b = _fold(state, a, b, ACCOUNT, account_row(state, account))
    for balance in range(len(state.balances)):
        a, b = _fold(state, a, b, BALANCE, balance_row(state, balance))
    for slot in range(1, header.order_high):
        a, b = _fold(state, a, b, ORDER, order_row(state, slot))
    for ordinal in range(header.closed_first, header.closed_next):
        a, b = _fold(state, a, b, CLOSED, closed_row(state, ordinal))
    for slot in range(1, header.transfers + 1):
        a, b = _fold(state, a, b, TRANSFER, transfer_row(state, slot))
    return a, b


def canonical(state: State) -> dict[str, list[tuple[int, ...]]]:
    """The rows that are hashed, by table name, each table sorted. For tests, audits and people."""
    header = state.header[0]
    visits: dict[str, tuple[Any, Any]] = {
        "asset": (asset_row, range(1, len(state.assets))),
        "symbol": (symbol_row, range(1, len(state.symbols))),
        "account": (account_row, range(len(state.accounts))),
        "balance": (balance_row, range(len(state.balances))),
        "order": (order_row, range(1, int(header.order_high))),
        "closed": (closed_row, range(int(header.closed_first), int(header.closed_next))),
        "transfer": (transfer_row, range(1, int(header.transfers) + 1)),
    }
    tables = {"venue": [tuple(int(value) for value in state.row[: venue_row(state)])]}
    for table, (write, keys) in visits.items():
        rows = []
        for key in keys:
            length = write(state, key)
            if length:
                rows.append(tuple(int(value) for value in state.row[:length]))
        tables[table] = sorted(rows)
    return tables
