"""The state hash: what the state means, in 2 x 64 bits.

Owns how rows become a hash. The modules `rows*.py` write them, `state_hash` folds them and `canonical` lists them, so
what is hashed and what is compared are the same thing. Row hashes are summed, which makes the result independent of the
order in which slots are visited.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from exchange.core.compile import i64, inlined, kernel, part
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
from exchange.core.rows_guards import (
    ACCOUNT_RULES,
    account_rule_row,
    breaker_bucket_row,
    countdown_row,
    exposure_row,
    key_row,
    key_rule_row,
    rate_row,
    reference_bucket_row,
    switches_row,
    symbol_rule_row,
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
    "rule",
    "reference_bucket",
    "breaker_bucket",
    "rate",
    "key",
    "countdown",
    "switches",
)
VENUE, ASSET, SYMBOL, ACCOUNT, BALANCE, ORDER, CLOSED, TRANSFER = range(8)
TERMS, CLOSED_TERMS, LIST, LISTS, STAGED, MARKET = range(8, 14)
RULE, REFERENCE_BUCKET, BREAKER_BUCKET, RATE, KEY, COUNTDOWN, SWITCHES = range(14, 21)
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


@part
def _fold_guards(state: State, a: int, b: int) -> tuple[int, int]:
    """Add the rows of rules, of what guards remember, of timers and switches; most accounts have none."""
    for index in range(len(state.rules)):
        a, b = _fold(state, a, b, RULE, symbol_rule_row(state, index))
    assets = len(state.assets)
    for account in range(len(state.accounts)):
        row = state.accounts[account]
        if row.guarded != 0 or row.trade_group != 0:
            for index in range(account * ACCOUNT_RULES, (account + 1) * ACCOUNT_RULES):
                a, b = _fold(state, a, b, RULE, account_rule_row(state, index))
        if row.guarded != 0:
            for index in range(account * assets, (account + 1) * assets):
                a, b = _fold(state, a, b, RULE, exposure_row(state, index))
            a, b = _fold(state, a, b, RATE, rate_row(state, account))
    for key in range(len(state.keys)):
        if state.keys[key].notional_day_max_atoms == 0:
            continue
        a, b = _fold(state, a, b, RULE, key_rule_row(state, key))
        a, b = _fold(state, a, b, KEY, key_row(state, key))
    for index in range(len(state.reference_buckets)):
        a, b = _fold(state, a, b, REFERENCE_BUCKET, reference_bucket_row(state, index))
        a, b = _fold(state, a, b, BREAKER_BUCKET, breaker_bucket_row(state, index))
    for position in range(state.header[0].countdowns):
        a, b = _fold(state, a, b, COUNTDOWN, countdown_row(state, position))
    return _fold(state, a, b, SWITCHES, switches_row(state))


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
    return _fold_guards(state, a, b)


def canonical(state: State) -> dict[str, list[tuple[int, ...]]]:
    """The rows that are hashed, by table name, each table sorted. For tests, audits and people."""
    header = state.header[0]
    accounts, keys = len(state.accounts), np.flatnonzero(state.keys.notional_day_max_atoms).tolist()
    orders = range(1, int(header.order_high))
    closed = range(int(header.closed_first), int(header.closed_next))
    visits: tuple[tuple[str, Any, Iterable[int]], ...] = (
        ("asset", asset_row, range(1, len(state.assets))),
        ("symbol", symbol_row, range(1, len(state.symbols))),
        ("account", account_row, range(accounts)),
        ("balance", balance_row, range(len(state.balances))),
        ("order", order_row, orders),
        ("closed", closed_row, closed),
        ("transfer", transfer_row, range(1, int(header.transfers) + 1)),
        ("terms", terms_row, orders),
        ("closed_terms", closed_terms_row, closed),
        ("list", list_row, range(1, int(header.list_high))),
        ("lists", lambda state, _: lists_row(state), range(1)),
        ("staged", staged_row, range(staged_count(state))),
        ("market", market_row, range(1, len(state.symbols))),
        ("rule", symbol_rule_row, range(len(state.rules))),
        ("rule", account_rule_row, range(accounts * ACCOUNT_RULES)),
        ("rule", exposure_row, range(len(state.exposures))),
        ("rule", key_rule_row, keys),
        ("reference_bucket", reference_bucket_row, range(len(state.reference_buckets))),
        ("breaker_bucket", breaker_bucket_row, range(len(state.breaker_buckets))),
        ("rate", rate_row, range(accounts)),
        ("key", key_row, keys),
        ("countdown", countdown_row, range(int(header.countdowns))),
        ("switches", lambda state, _: switches_row(state), range(1)),
    )
    tables: dict[str, list[tuple[int, ...]]] = {table: [] for table in TABLES}
    tables["venue"] = [tuple(int(value) for value in state.row[: venue_row(state)])]
    for table, write, places in visits:
        for place in places:
            length = write(state, place)
            if length:
                tables[table].append(tuple(int(value) for value in state.row[:length]))
    return {table: sorted(rows) for table, rows in tables.items()}
