"""Rules: the guards that an operator sets on a symbol, an account or a key.

Owns SET_RULE and the tables of rules. Never judges an order: `guards.py` and `risk_special.py` do that. The rules are
section 20 of docs/engine-guards.md.

Invariants: `guarded` of a symbol says whether it has a rule or does not trade continuously, of an account whether it
has a rule other than TRADE_GROUP; `header.key_guards` counts the keys that have one. So an order that nothing guards is
let past by three comparisons.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from exchange.core.codes import AccountRule, EventKind, KeyRule, Phase, RejectCode, Scope, SymbolRule
from exchange.core.compile import i64, inlined, part
from exchange.core.emit import begin_event, emit_rejected
from exchange.core.risk import is_asset, is_symbol, is_user
from exchange.core.slots import rule_command, rule_event
from exchange.core.state import BUCKETS, KEY_MAX, MAX_ATOMS, SYMBOL_RULES, State

_BIPS_MAX = 10**6
_NS_MAX = 10**14
_COUNT_MAX = 10**6
SYMBOL_RULE_MAX = {
    SymbolRule.BID_UP_BIPS: _BIPS_MAX,
    SymbolRule.BID_DOWN_BIPS: _BIPS_MAX,
    SymbolRule.ASK_UP_BIPS: _BIPS_MAX,
    SymbolRule.ASK_DOWN_BIPS: _BIPS_MAX,
    SymbolRule.RANGE_UP_BIPS: _BIPS_MAX,
    SymbolRule.RANGE_DOWN_BIPS: _BIPS_MAX,
    SymbolRule.REFERENCE_WINDOW_NS: _NS_MAX,
    SymbolRule.BREAKER_BIPS: 10**4,
    SymbolRule.BREAKER_WINDOW_NS: _NS_MAX,
    SymbolRule.BREAKER_PAUSE_NS: _NS_MAX,
    SymbolRule.AUCTION_NS: _NS_MAX,
    SymbolRule.POSITION_MAX_LOTS: MAX_ATOMS,
    SymbolRule.ALGO_ORDERS_MAX: _COUNT_MAX,
    SymbolRule.ICEBERG_ORDERS_MAX: _COUNT_MAX,
    SymbolRule.LISTS_MAX: _COUNT_MAX,
    SymbolRule.ICEBERG_PARTS_MAX: 10**3,
    SymbolRule.TRAILING_MIN_BIPS: 9_999,
    SymbolRule.TRAILING_MAX_BIPS: 9_999,
}
ACCOUNT_RULE_MAX = {
    AccountRule.TRADE_GROUP: 2**31 - 1,
    AccountRule.ORDERS_MAX: 10**9,
    AccountRule.ORDERS_WINDOW_NS: _NS_MAX,
    AccountRule.LOCKED_MAX_ATOMS: MAX_ATOMS,
}
KEY_RULE_MAX = {KeyRule.NOTIONAL_DAY_MAX_ATOMS: MAX_ATOMS}
_SYMBOL_MAX = np.array([SYMBOL_RULE_MAX[rule] for rule in SymbolRule], dtype=np.int64)
_ACCOUNT_MAX = np.array([ACCOUNT_RULE_MAX[rule] for rule in AccountRule], dtype=np.int64)
_KEY_MAX = np.array([KEY_RULE_MAX[rule] for rule in KeyRule], dtype=np.int64)


@inlined
def symbol_rule(state: State, symbol: int, rule: int) -> int:
    """The value of a symbol's rule, 0 if it is off."""
    value: int = state.rules[i64(symbol) * SYMBOL_RULES + rule]
    return value


@part
def mark_guarded(state: State, symbol: int) -> None:
    """Say anew whether anything guards a symbol."""
    market = state.markets[symbol]
    guarded = market.phase != Phase.CONTINUOUS
    for rule in range(SYMBOL_RULES):
        if state.rules[symbol * SYMBOL_RULES + rule] != 0:
            guarded = True
    market.guarded = 1 if guarded else 0


@part
def empty_breaker(state: State, symbol: int) -> None:
    """The window of a symbol's breaker begins anew."""
    for position in range(symbol * BUCKETS, (symbol + 1) * BUCKETS):
        bucket = state.breaker_buckets[position]
        bucket.number = bucket.low_ticks = bucket.high_ticks = 0


@part
def _empty_reference(state: State, symbol: int) -> None:
    for position in range(symbol * BUCKETS, (symbol + 1) * BUCKETS):
        bucket = state.reference_buckets[position]
        bucket.number = bucket.lots = bucket.sum_high = bucket.sum_low = 0


@part
def _check_rule(state: State, command: Any) -> int:
    """Scope, rule, whom it concerns, value: the first that is wrong; of whom and asset the lower code."""
    if command.scope == Scope.SYMBOL:
        most = _SYMBOL_MAX
    elif command.scope == Scope.ACCOUNT:
        most = _ACCOUNT_MAX
    elif command.scope == Scope.KEY:
        most = _KEY_MAX
    else:
        return RejectCode.INVALID_RULE
    if command.rule >= len(most):
        return RejectCode.INVALID_RULE
    if command.scope == Scope.SYMBOL:
        if not is_symbol(state, command.symbol):
            return RejectCode.UNKNOWN_SYMBOL
    else:
        if command.scope == Scope.ACCOUNT and not is_user(state, command.account):
            return RejectCode.UNKNOWN_ACCOUNT
        about_asset = command.scope == Scope.KEY or command.rule == AccountRule.LOCKED_MAX_ATOMS
        if about_asset and not is_asset(state, command.asset):
            return RejectCode.UNKNOWN_ASSET
        if command.scope == Scope.KEY and not 1 <= command.key <= KEY_MAX:
            return RejectCode.INVALID_RULE
    return RejectCode.NONE if 0 <= command.value <= most[command.rule] else RejectCode.INVALID_RULE


@part
def _set_symbol_rule(state: State, symbol: int, rule: int, value: int) -> None:
    state.rules[symbol * SYMBOL_RULES + rule] = value
    state.markets[symbol].watched = 1
    mark_guarded(state, symbol)
    if rule == SymbolRule.REFERENCE_WINDOW_NS:
        _empty_reference(state, symbol)
    elif rule == SymbolRule.BREAKER_BIPS or rule == SymbolRule.BREAKER_WINDOW_NS:
        empty_breaker(state, symbol)


@part
def _set_account_rule(state: State, account: int, rule: int, asset: int, value: int) -> None:
    row = state.accounts[account]
    guard = state.account_guards[account]
    if rule == AccountRule.TRADE_GROUP:
        row.trade_group = value
        return
    if rule == AccountRule.LOCKED_MAX_ATOMS:
        state.exposures[account * len(state.assets) + asset] = value
    else:
        if rule == AccountRule.ORDERS_MAX:
            guard.orders_max = value
        else:
            guard.window_ns = value
        guard.orders = 0
        guard.window_start_ts_ns = 0
    guarded = guard.orders_max != 0 or guard.window_ns != 0
    for one in range(len(state.assets)):
        if state.exposures[account * len(state.assets) + one] != 0:
            guarded = True
    row.guarded = 1 if guarded else 0


@part
def _set_key_rule(state: State, key: int, asset: int, value: int) -> None:
    """A key has one maximum; what was used stays only if it is of the same asset."""
    row = state.keys[key]
    state.header[0].key_guards += (1 if value != 0 else 0) - (1 if row.notional_day_max_atoms != 0 else 0)
    if value == 0 or row.asset != asset:
        row.used_atoms = 0
        row.day = 0
    row.notional_day_max_atoms = value
    row.asset = asset if value != 0 else 0


@part
def set_rule(state: State, commands: Any, i: int, events: Any, used: int) -> int:
    """SET_RULE; returns the next free event slot."""
    command = rule_command(commands, i)
    code = _check_rule(state, command)
    if code != RejectCode.NONE:
        return emit_rejected(state.header[0], commands, i, events, used, code)
    rule = i64(command.rule)
    if command.scope == Scope.SYMBOL:
        _set_symbol_rule(state, i64(command.symbol), rule, i64(command.value))
    elif command.scope == Scope.ACCOUNT:
        _set_account_rule(state, i64(command.account), rule, i64(command.asset), i64(command.value))
    else:
        _set_key_rule(state, i64(command.key), i64(command.asset), i64(command.value))
    begin_event(state.header[0], events, used, EventKind.RULE_SET)
    event = rule_event(events, used)
    event.scope = command.scope
    event.rule = command.rule
    event.account = command.account
    event.symbol = command.symbol
    event.value = command.value
    event.asset = command.asset
    event.key = command.key
    return used + 1
