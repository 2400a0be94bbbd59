"""Section 20 of docs/engine-guards.md: the numbers that guard a symbol, an account and a key.

Owns the reference price, what it bounds, and the questions 36, 39, 46, 47, 48 that are asked of an order before it is
accepted. What guards remember is in `memory.py`. Moves no money and closes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import floor
from typing import NamedTuple

from exchange.core.codes import AccountRule, KeyRule, RejectCode, Scope, Side, SymbolRule
from tests.oracle.clearing import LOCKED
from tests.oracle.memory import BreakerWindow, KeyUse, Rate, ReferenceWindow, bucket_number
from tests.oracle.venue import Order, Symbol, Venue
from tests.oracle.words import MAX_ATOMS, refuse_if

DAY_NS = 86_400 * 10**9


def bips_of(amount: int, bips: int) -> int:
    """This many ten-thousandths of an amount, rounded down."""
    return min(floor(Fraction(amount * bips, 10_000)), MAX_ATOMS)


def forget_after_rule(venue: Venue, scope: Scope, who: int, rule: int, asset: int) -> None:
    """What a rule that was just set makes void; a key has one maximum, whatever its asset."""
    memory = venue.memory
    match scope:
        case Scope.SYMBOL if rule == SymbolRule.REFERENCE_WINDOW_NS:
            memory.references[who] = ReferenceWindow()
        case Scope.SYMBOL if rule in (SymbolRule.BREAKER_BIPS, SymbolRule.BREAKER_WINDOW_NS):
            memory.breakers[who] = BreakerWindow()
        case Scope.ACCOUNT if rule in (AccountRule.ORDERS_MAX, AccountRule.ORDERS_WINDOW_NS):
            memory.rates[who] = Rate()
        case Scope.KEY:
            for of_key in [key for key in venue.rules if key[:2] == (Scope.KEY, who) and key[3] != asset]:
                del venue.rules[of_key]
            if (Scope.KEY, who, rule, asset) not in venue.rules:
                memory.keys.pop(who, None)
            elif who not in memory.keys or memory.keys[who].asset != asset:
                memory.keys[who] = KeyUse(asset)


# ---- the reference price and what is measured with it -------------------------------------------------------------


def reference_price(venue: Venue, symbol: Symbol) -> int | None:
    """The price that collars and the range are measured from; None: there is none."""
    window_ns = venue.symbol_rule(symbol.symbol, SymbolRule.REFERENCE_WINDOW_NS)
    window = venue.memory.references[symbol.symbol]
    mean_ticks = window.mean_ticks(bucket_number(venue.ts_ns, window_ns)) if window_ns else None
    return mean_ticks or symbol.last_ticks or None


def count_trade(venue: Venue, symbol: Symbol, price_ticks: int, lots: int) -> None:
    """A trade happened; it moves the reference price when that has a window."""
    window_ns = venue.symbol_rule(symbol.symbol, SymbolRule.REFERENCE_WINDOW_NS)
    if window_ns:
        number = bucket_number(venue.ts_ns, window_ns)
        venue.memory.references[symbol.symbol].add(number, price_ticks, lots)


COLLARS = {
    Side.BUY: (SymbolRule.BID_DOWN_BIPS, SymbolRule.BID_UP_BIPS),
    Side.SELL: (SymbolRule.ASK_DOWN_BIPS, SymbolRule.ASK_UP_BIPS),
}
RANGE = (SymbolRule.RANGE_DOWN_BIPS, SymbolRule.RANGE_UP_BIPS)


class Bounds(NamedTuple):
    """Prices from low to high, both within; None: no bound on this side."""

    low_ticks: int | None
    high_ticks: int | None

    def allow(self, price_ticks: int) -> bool:
        above = self.low_ticks is None or price_ticks >= self.low_ticks
        return above and (self.high_ticks is None or price_ticks <= self.high_ticks)


EVERYTHING = Bounds(None, None)


def bounds(venue: Venue, symbol: Symbol, pair: tuple[SymbolRule, SymbolRule]) -> Bounds:
    """What two rules, down and up, allow around the reference price."""
    reference = reference_price(venue, symbol)
    if reference is None:
        return EVERYTHING
    down, up = (venue.symbol_rule(symbol.symbol, rule) for rule in pair)
    return Bounds(bips_of(reference, down) if down else None, bips_of(reference, up) if up else None)


def trading_range(venue: Venue, symbol: Symbol) -> Bounds:
    """The prices at which an order that enters now may trade."""
    return bounds(venue, symbol, RANGE)


# ---- what an order is asked before it is accepted -----------------------------------------------------------------


@dataclass
class Ahead:
    """What the legs before an order in its list count for already."""

    orders: int = 0
    notional_atoms: int = 0


@dataclass
class Asked:
    """What an order amounts to before it is accepted."""

    limit_ticks: int  # the limit price, when it has one that is known now; else zero
    qty_lots: int
    hold_atoms: int
    market_atoms: int = 0  # of a MARKET order: what its fills take, or its quote amount if that is more

    def notional_atoms(self, symbol: Symbol) -> int:
        return symbol.notional_atoms(self.limit_ticks, self.qty_lots) if self.limit_ticks else self.market_atoms


def refuse_outside_collar(venue: Venue, symbol: Symbol, side: Side, limit_ticks: int) -> None:
    """36: a limit price, when it is known now, too far from the reference price."""
    allowed = bounds(venue, symbol, COLLARS[side])
    refuse_if(limit_ticks != 0 and not allowed.allow(limit_ticks), RejectCode.PRICE_OUT_OF_COLLAR)


def refuse_position(venue: Venue, symbol: Symbol, order: Order, qty_lots: int) -> None:
    """39: what the account has of the base asset, would have by its open BUY orders, and by this one."""
    most_lots = venue.symbol_rule(symbol.symbol, SymbolRule.POSITION_MAX_LOTS)
    if most_lots == 0 or order.side is not Side.BUY:
        return
    has_lots = sum(venue.ledger.balances[order.account, symbol.base.asset]) // symbol.base_atoms_per_lot
    buys = [o for o in venue.open_orders_of(order.account, order.symbol) if o.side is Side.BUY]
    would_lots = has_lots + sum(o.leaves_lots for o in buys) + qty_lots
    refuse_if(would_lots > most_lots, RejectCode.POSITION_TOO_HIGH)


def refuse_exposure(venue: Venue, symbol: Symbol, order: Order, hold_atoms: int) -> None:
    """46: what the account would have locked of the asset that it pays with."""
    asset = symbol.payer_asset(order.side)
    most_atoms = venue.account_rule(order.account, AccountRule.LOCKED_MAX_ATOMS, asset)
    would_atoms = venue.ledger.balances[order.account, asset][LOCKED] + hold_atoms
    refuse_if(most_atoms != 0 and would_atoms > most_atoms, RejectCode.EXPOSURE_TOO_HIGH)


def refuse_rate(venue: Venue, account: int, ahead: Ahead) -> None:
    """47: one order more than the account may send in its window."""
    orders_max, window_ns = _rate_rules(venue, account)
    if orders_max and window_ns:
        sent = venue.memory.rates[account].so_far(venue.ts_ns, window_ns) + ahead.orders
        refuse_if(sent >= orders_max, RejectCode.ORDER_RATE_TOO_HIGH)


def refuse_key_notional(venue: Venue, symbol: Symbol, key: int, notional_atoms: int, ahead: Ahead) -> None:
    """48: more than the key may use in a day."""
    most_atoms = _key_max(venue, symbol, key)
    if most_atoms:
        used_atoms = venue.memory.keys[key].used_on(venue.ts_ns // DAY_NS)
        would_atoms = used_atoms + ahead.notional_atoms + notional_atoms
        refuse_if(would_atoms > most_atoms, RejectCode.KEY_NOTIONAL_TOO_HIGH)


def refuse_beyond_limits(venue: Venue, symbol: Symbol, order: Order, asked: Asked, ahead: Ahead) -> None:
    """39, 46, 47, 48, in this order."""
    refuse_position(venue, symbol, order, asked.qty_lots)
    refuse_exposure(venue, symbol, order, asked.hold_atoms)
    refuse_rate(venue, order.account, ahead)
    refuse_key_notional(venue, symbol, order.key, asked.notional_atoms(symbol), ahead)


def count_accepted(venue: Venue, symbol: Symbol, order: Order, asked: Asked) -> None:
    """An accepted order is one more in its account's window, and uses up what its key may use."""
    orders_max, window_ns = _rate_rules(venue, order.account)
    if orders_max and window_ns:
        venue.memory.rates[order.account].count(venue.ts_ns, window_ns)
    if _key_max(venue, symbol, order.key):
        venue.memory.keys[order.key].use(venue.ts_ns // DAY_NS, asked.notional_atoms(symbol))


def _rate_rules(venue: Venue, account: int) -> tuple[int, int]:
    rules = (AccountRule.ORDERS_MAX, AccountRule.ORDERS_WINDOW_NS)
    orders_max, window_ns = (venue.account_rule(account, rule) for rule in rules)
    return orders_max, window_ns


def _key_max(venue: Venue, symbol: Symbol, key: int) -> int:
    """What the key may use in a day of what the symbol is quoted in; zero: it is not bounded."""
    return venue.rules.get((Scope.KEY, key, KeyRule.NOTIONAL_DAY_MAX_ATOMS, symbol.quote.asset), 0)
