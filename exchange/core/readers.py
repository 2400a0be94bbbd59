"""Copies out of the state: balances, orders, reference data, rules.

Owns how the state looks from outside. Never changes it, and never waits: the caller makes sure that no command is being
applied meanwhile (the pipeline's `read`).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from exchange.core.codes import Account, Phase, SymbolRule, TradingMode
from exchange.core.compile import i64, kernel
from exchange.core.order_readers import (
    OrderView,
    compile_order_readers,
    each_open_order,
    find_order,
    open_orders,
)
from exchange.core.reference_price import reference_price_at
from exchange.core.state import SIDES, SYMBOL_RULES, State
from exchange.core.triggers import next_due

__all__ = [
    "AccountView",
    "AssetView",
    "MarketView",
    "OrderView",
    "SymbolView",
    "account_view",
    "accounts",
    "assets",
    "balances",
    "compile_now",
    "depth",
    "each_open_order",
    "find_order",
    "is_account",
    "market",
    "next_due_ts_ns",
    "open_orders",
    "reference_ticks",
    "symbol_rules",
    "symbols",
]


class AssetView(NamedTuple):
    """An asset: one atom is 10^-scale."""

    asset: int
    name: str
    scale: int


class SymbolView(NamedTuple):
    """A symbol with its parameters; units are the suffixes."""

    symbol: int
    name: str
    mode: int
    base_asset: int
    quote_asset: int
    price_scale: int
    qty_scale: int
    price_min_ticks: int
    price_max_ticks: int
    qty_min_lots: int
    qty_max_lots: int
    notional_min_atoms: int
    notional_max_atoms: int
    price_step_ticks: int
    qty_step_lots: int
    orders_max: int
    maker_fee_ppm: int
    taker_fee_ppm: int
    base_atoms_per_lot: int
    quote_atoms_per_tick_lot: int
    trades: int


class AccountView(NamedTuple):
    """A user's account; a fee override of -1 means the symbol's rate."""

    account: int
    mode: int
    maker_fee_ppm: int
    taker_fee_ppm: int


def is_account(state: State, account: int) -> bool:
    """Whether an id names an open account."""
    return 0 <= account < len(state.accounts) and bool(state.accounts[account].mode)


def accounts(state: State) -> list[int]:
    """Every open account of a user, by id."""
    return [int(one) for one in np.flatnonzero(state.accounts.mode) if one >= Account.FIRST_USER]


def account_view(state: State, account: int) -> AccountView | None:
    """A user's account, None if it is not open."""
    if not is_account(state, account):
        return None
    row = state.accounts[account]
    return AccountView(account, int(row.mode), int(row.maker_fee_ppm), int(row.taker_fee_ppm))


def balances(state: State, account: int) -> list[tuple[int, int, int]]:
    """An account's (asset, available, locked) for every asset that exists, by asset id; atoms."""
    if not 0 <= account < len(state.accounts):
        return []
    stride = len(state.assets)
    rows = np.asarray(state.balances[account * stride : (account + 1) * stride]).tolist()
    exists = state.assets.exists.tolist()
    return [(asset, *rows[asset]) for asset in range(stride) if exists[asset]]


def depth(state: State, symbol: int, side: int, levels_max: int) -> list[tuple[int, int]]:
    """The best levels of one side, best first: (price_ticks, lots)."""
    rows: list[tuple[int, int]] = []
    level = int(state.sides[symbol * SIDES + side].best)
    while level and len(rows) < levels_max:
        record = state.levels[level]
        rows.append((int(record.price_ticks), int(record.lots)))
        level = int(record.worse)
    return rows


def _name(record: Any) -> str:
    return (
        (int(record.name_0).to_bytes(8, "little") + int(record.name_1).to_bytes(8, "little"))
        .rstrip(b"\0")
        .decode("ascii", "replace")
    )


def assets(state: State) -> list[AssetView]:
    """All assets, by id."""
    return [
        AssetView(asset, _name(state.assets[asset]), int(state.assets[asset].scale))
        for asset in range(len(state.assets))
        if state.assets[asset].exists
    ]


def symbols(state: State) -> list[SymbolView]:
    """All symbols, by id."""
    return [
        SymbolView(
            symbol,
            _name(state.symbols[symbol]),
            *(int(state.symbols[symbol][field]) for field in SymbolView._fields[2:]),
        )
        for symbol in range(len(state.symbols))
        if state.symbols[symbol].mode
    ]


class MarketView(NamedTuple):
    """How a symbol trades now."""

    last_ticks: int
    phase: int
    phase_end_ts_ns: int
    indicative_price_ticks: int
    indicative_lots: int


def symbol_rules(state: State, symbol: int) -> dict[SymbolRule, int]:
    """The rules of a symbol that are set."""
    values = state.rules[symbol * SYMBOL_RULES : (symbol + 1) * SYMBOL_RULES].tolist()
    return {rule: values[rule] for rule in SymbolRule if values[rule]}


def market(state: State, symbol: int) -> MarketView:
    """The last price and the phase of a symbol."""
    row = state.markets[symbol]
    return MarketView._make(int(row[field]) for field in MarketView._fields)


@kernel
def _reference_ticks(state: State, symbol: int, ts_ns: int) -> int:
    return reference_price_at(state, symbol, ts_ns)


def reference_ticks(state: State, symbol: int, ts_ns: int) -> int:
    """The price that an order entering at `ts_ns` is measured from, in ticks; 0: none."""
    return int(_reference_ticks(state, symbol, ts_ns))


def compile_now(state: State) -> None:
    """Compile what is not compiled yet, before anybody waits for it."""
    compile_order_readers(state)
    reference_ticks(state, 0, 0)
    next_due_ts_ns(state)


@kernel
def _next_due_ts_ns(state: State) -> int:
    header = state.header[0]
    due_ts_ns = i64(0)
    if header.expiries > 0:
        due_ts_ns = i64(state.expiries[0].expire_ts_ns)
    if header.countdown_next_ts_ns != 0 and (due_ts_ns == 0 or header.countdown_next_ts_ns < due_ts_ns):
        due_ts_ns = i64(header.countdown_next_ts_ns)
    for symbol in range(1, len(state.symbols)):
        row = state.markets[symbol]
        is_open = header.mode == TradingMode.OPEN and state.symbols[symbol].mode == TradingMode.OPEN
        ends_ts_ns = i64(row.phase_end_ts_ns) if is_open or row.phase == Phase.PAUSED else i64(0)
        if row.phase != Phase.CONTINUOUS and ends_ts_ns != 0 and (due_ts_ns == 0 or ends_ts_ns < due_ts_ns):
            due_ts_ns = ends_ts_ns
        elif row.phase == Phase.CONTINUOUS and is_open and row.specials != 0 and next_due(state, i64(symbol)) != 0:
            due_ts_ns = i64(1)
    return due_ts_ns


def next_due_ts_ns(state: State) -> int:
    """When TICK has something to do: 1 when something waits for its turn, 0 when nothing will be."""
    return int(_next_due_ts_ns(state))
