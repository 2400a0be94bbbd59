"""Rows of rules, of what guards remember, and of timers (docs/engine-guards.md, section 25).

Owns their columns. A row is there only where something is, so a state without guards has the hash that it had before
there were any.
"""

from __future__ import annotations

from exchange.core.codes import AccountRule, KeyRule, Scope, TradingMode
from exchange.core.compile import i64, kernel, part
from exchange.core.rows import put
from exchange.core.state import BUCKETS, SYMBOL_RULES, State

ACCOUNT_RULES = 3
"""Rules of an account that are not about an asset; they come first."""


@part
def _put_rule(state: State, scope: int, of: int, rule: int, asset: int, value: int) -> int:
    if value == 0:
        return 0
    row = state.row
    n = put(row, 0, scope)
    n = put(row, n, of)
    n = put(row, n, rule)
    n = put(row, n, asset)
    return put(row, n, value)


@kernel
def symbol_rule_row(state: State, index: int) -> int:
    """Write the row of a symbol's rule by its index in `rules`; 0 if it is off."""
    value = i64(state.rules[index])
    return _put_rule(state, Scope.SYMBOL, index // SYMBOL_RULES, index % SYMBOL_RULES, i64(0), value)


@kernel
def account_rule_row(state: State, index: int) -> int:
    """Write the row of rule index % ACCOUNT_RULES of account index // ACCOUNT_RULES; 0 if it is off."""
    account = index // ACCOUNT_RULES
    rule = index % ACCOUNT_RULES
    if rule == AccountRule.TRADE_GROUP:
        value = i64(state.accounts[account].trade_group)
    elif rule == AccountRule.ORDERS_MAX:
        value = i64(state.account_guards[account].orders_max)
    else:
        value = i64(state.account_guards[account].window_ns)
    return _put_rule(state, Scope.ACCOUNT, account, rule, i64(0), value)


@kernel
def exposure_row(state: State, index: int) -> int:
    """Write the row of an account's LOCKED_MAX_ATOMS by its index in `exposures`; 0 if it is off."""
    stride = len(state.assets)
    value = i64(state.exposures[index])
    return _put_rule(state, Scope.ACCOUNT, index // stride, AccountRule.LOCKED_MAX_ATOMS, index % stride, value)


@kernel
def key_rule_row(state: State, key: int) -> int:
    """Write the row of a key's rule; 0 if it is off."""
    record = state.keys[key]
    value = i64(record.notional_day_max_atoms)
    return _put_rule(state, Scope.KEY, key, KeyRule.NOTIONAL_DAY_MAX_ATOMS, i64(record.asset), value)


@kernel
def reference_bucket_row(state: State, index: int) -> int:
    """Write the row of a bucket of the reference price; 0 if it is empty or behind the last one's window."""
    bucket = state.reference_buckets[index]
    if bucket.lots == 0:
        return 0
    first = index - index % BUCKETS
    for position in range(first, first + BUCKETS):
        other = state.reference_buckets[position]
        if other.lots != 0 and other.number - bucket.number >= BUCKETS:
            return 0
    row = state.row
    n = put(row, 0, index // BUCKETS)
    n = put(row, n, bucket.number)
    n = put(row, n, bucket.lots)
    n = put(row, n, bucket.sum_high)
    return put(row, n, bucket.sum_low)


@kernel
def breaker_bucket_row(state: State, index: int) -> int:
    """Write the row of a bucket of the breaker; 0 if it is empty or behind the last one's window."""
    bucket = state.breaker_buckets[index]
    if bucket.high_ticks == 0:
        return 0
    first = index - index % BUCKETS
    for position in range(first, first + BUCKETS):
        other = state.breaker_buckets[position]
        if other.high_ticks != 0 and other.number - bucket.number >= BUCKETS:
            return 0
    row = state.row
    n = put(row, 0, index // BUCKETS)
    n = put(row, n, bucket.number)
    n = put(row, n, bucket.low_ticks)
    return put(row, n, bucket.high_ticks)


@kernel
def rate_row(state: State, account: int) -> int:
    """Write the row of an account's order rate; 0 if nothing was counted."""
    guard = state.account_guards[account]
    if guard.orders == 0:
        return 0
    row = state.row
    n = put(row, 0, account)
    n = put(row, n, guard.window_start_ts_ns)
    return put(row, n, guard.orders)


@kernel
def key_row(state: State, key: int) -> int:
    """Write the row of what a key has used of its day; 0 if nothing."""
    record = state.keys[key]
    if record.used_atoms == 0:
        return 0
    row = state.row
    n = put(row, 0, key)
    n = put(row, n, record.asset)
    n = put(row, n, record.day)
    return put(row, n, record.used_atoms)


@kernel
def countdown_row(state: State, position: int) -> int:
    """Write the row of a timer by its place in the heap."""
    entry = state.countdowns[position]
    row = state.row
    n = put(row, 0, entry.account)
    n = put(row, n, entry.symbol)
    n = put(row, n, entry.key)
    return put(row, n, entry.due_ts_ns)


@kernel
def switches_row(state: State) -> int:
    """Write the row of switches that are not as they were at the beginning; 0 if none."""
    mode = state.header[0].withdrawals_mode
    return put(state.row, 0, mode) if mode == TradingMode.HALTED else 0
