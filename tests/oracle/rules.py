"""Section 20 of docs/engine-guards.md: SET_RULE, one number of a symbol, an account or a key.

Owns what a rule may be and where it is kept. What the rules do is for whoever reads them.
"""

from __future__ import annotations

from exchange.core.codes import AccountRule, EventKind, KeyRule, RejectCode, Scope, SymbolRule
from tests.oracle.guards import set_key_rule
from tests.oracle.venue import Venue
from tests.oracle.words import MAX_ATOMS, Command, as_event, refuse_if

KEY_MAX = 1_048_575
TIME_MAX_NS = 10**14
COUNT_MAX = 10**6
SYMBOL_BOUNDS = {
    SymbolRule.BID_UP_BIPS: 10**6,
    SymbolRule.BID_DOWN_BIPS: 10**6,
    SymbolRule.ASK_UP_BIPS: 10**6,
    SymbolRule.ASK_DOWN_BIPS: 10**6,
    SymbolRule.RANGE_UP_BIPS: 10**6,
    SymbolRule.RANGE_DOWN_BIPS: 10**6,
    SymbolRule.REFERENCE_WINDOW_NS: TIME_MAX_NS,
    SymbolRule.BREAKER_BIPS: 10**4,
    SymbolRule.BREAKER_WINDOW_NS: TIME_MAX_NS,
    SymbolRule.BREAKER_PAUSE_NS: TIME_MAX_NS,
    SymbolRule.AUCTION_NS: TIME_MAX_NS,
    SymbolRule.POSITION_MAX_LOTS: MAX_ATOMS,
    SymbolRule.ALGO_ORDERS_MAX: COUNT_MAX,
    SymbolRule.ICEBERG_ORDERS_MAX: COUNT_MAX,
    SymbolRule.LISTS_MAX: COUNT_MAX,
    SymbolRule.ICEBERG_PARTS_MAX: 10**3,
    SymbolRule.TRAILING_MIN_BIPS: 9_999,
    SymbolRule.TRAILING_MAX_BIPS: 9_999,
}
ACCOUNT_BOUNDS = {
    AccountRule.TRADE_GROUP: 2**31 - 1,
    AccountRule.ORDERS_MAX: 10**9,
    AccountRule.ORDERS_WINDOW_NS: TIME_MAX_NS,
    AccountRule.LOCKED_MAX_ATOMS: MAX_ATOMS,
}
KEY_BOUNDS = {KeyRule.NOTIONAL_DAY_MAX_ATOMS: MAX_ATOMS}
BOUNDS_OF: dict[int, dict[int, int]] = {
    Scope.SYMBOL: dict(SYMBOL_BOUNDS.items()),
    Scope.ACCOUNT: dict(ACCOUNT_BOUNDS.items()),
    Scope.KEY: dict(KEY_BOUNDS.items()),
}


def set_rule(venue: Venue, command: Command) -> None:
    """Scope first, then rule, then who, then the value."""
    bounds = BOUNDS_OF.get(command["scope"], {})
    rule, value, asset = command["rule"], command["value"], command["asset"]
    refuse_if(rule not in bounds, RejectCode.INVALID_RULE)
    match Scope(command["scope"]):
        case Scope.SYMBOL:
            refuse_if(command["symbol"] not in venue.symbols, RejectCode.UNKNOWN_SYMBOL)
            refuse_if(not 0 <= value <= bounds[rule], RejectCode.INVALID_RULE)
            symbol = venue.symbols[command["symbol"]]
            symbol.watched = True
            symbol.guard.set_rule(SymbolRule(rule), value)
        case Scope.ACCOUNT:
            refuse_if(command["account"] not in venue.accounts, RejectCode.UNKNOWN_ACCOUNT)
            about_asset = rule == AccountRule.LOCKED_MAX_ATOMS
            refuse_if(about_asset and asset not in venue.assets, RejectCode.UNKNOWN_ASSET)
            refuse_if(not 0 <= value <= bounds[rule], RejectCode.INVALID_RULE)
            venue.accounts[command["account"]].guard.set_rule(AccountRule(rule), asset, value)
        case Scope.KEY:
            refuse_if(asset not in venue.assets, RejectCode.UNKNOWN_ASSET)
            refuse_if(not 1 <= command["key"] <= KEY_MAX, RejectCode.INVALID_RULE)
            refuse_if(not 0 <= value <= bounds[rule], RejectCode.INVALID_RULE)
            set_key_rule(venue, command["key"], asset, value)
    venue.emit(EventKind.RULE_SET, **as_event(command))


def rule_rows(venue: Venue) -> list[tuple[int, ...]]:
    """Scope, id, rule, asset, value of every rule that is not zero."""
    rows: list[tuple[int, ...]] = []
    for number, symbol in venue.symbols.items():
        rows += [(Scope.SYMBOL, number, rule, 0, value) for rule, value in symbol.guard.rules.items()]
    for number, account in venue.accounts.items():
        guard = account.guard
        rows += [(Scope.ACCOUNT, number, rule, 0, value) for rule, value in guard.rules.items()]
        locked = AccountRule.LOCKED_MAX_ATOMS
        rows += [(Scope.ACCOUNT, number, locked, asset, value) for asset, value in guard.locked_max_atoms.items()]
    for number, key in venue.keys.items():
        rows.append((Scope.KEY, number, KeyRule.NOTIONAL_DAY_MAX_ATOMS, key.asset, key.max_atoms))
    return [row for row in rows if row[-1] != 0]
