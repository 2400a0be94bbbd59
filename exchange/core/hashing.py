"""The state hash: what the state means, in 2 x 64 bits.

Owns how rows become a hash. `rows.py` and `rows_special.py` write them, `state_hash` folds them and `canonical` lists
them, so what is hashed and what is compared are the same thing. Row hashes are summed, which makes the result
independent of the order in which slots are visited.
"""

from __future__ import annotations

from typing import Any

from exchange.core.compile import i64, inlined, kernel
from exchange.core.mix import add, mix
from exchange.core.rows import (
    account_row,
    asset_row,
    balance_row,
    closed_row,
    order_row,
    symbol_row,
    transfer_row,
    venue_row,
)
from exchange.core.rows_special import (
    closed_terms_row,
    list_row,
    lists_row,
    market_row,
    staged_count,
    staged_row,
    terms_row,
)
from exchange.core.state import State

TABLES = (
    "venue",
    "asset",
    "symbol",
    "account",
    "balance",
    "order",
    "closed",
    "transfer",
    "terms",
    "closed_terms",
    "list",
    "lists",
    "staged",
    "market",
)
VENUE, ASSET, SYMBOL, ACCOUNT, BALANCE, ORDER, CLOSED, TRANSFER = range(8)
TERMS, CLOSED_TERMS, LIST, LISTS, STAGED, MARKET = range(8, 14)
_SEEDS = (0x243F6A8885A308D3, 0x13198A2E03707344)
"""The first digits of pi: two independent lanes."""


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
        a, b = _fold(state, a, b, TERMS, terms_row(state, slot))
    for ordinal in range(header.closed_first, header.closed_next):
        a, b = _fold(state, a, b, CLOSED, closed_row(state, ordinal))
        a, b = _fold(state, a, b, CLOSED_TERMS, closed_terms_row(state, ordinal))
    for slot in range(1, header.transfers + 1):
        a, b = _fold(state, a, b, TRANSFER, transfer_row(state, slot))
    for slot in range(1, header.list_high):
        a, b = _fold(state, a, b, LIST, list_row(state, slot))
    a, b = _fold(state, a, b, LISTS, lists_row(state))
    for position in range(staged_count(state)):
        a, b = _fold(state, a, b, STAGED, staged_row(state, position))
    for symbol in range(1, len(state.symbols)):
        a, b = _fold(state, a, b, MARKET, market_row(state, symbol))
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
    visits |= {
        "terms": (terms_row, visits["order"][1]),
        "closed_terms": (closed_terms_row, visits["closed"][1]),
        "list": (list_row, range(1, int(header.list_high))),
        "lists": (lambda state, _: lists_row(state), range(1)),
        "staged": (staged_row, range(staged_count(state))),
        "market": (market_row, range(1, len(state.symbols))),
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
