"""Section 20 of docs/engine-guards.md: the numbers that guard a symbol, an account and a key.

Owns the reference price, what it bounds, and the questions 36, 39, 46, 47, 48 that are asked of an order before it is
accepted. What guards remember is in `memory.py`, what a rule may be in `rules.py`. Moves no
money and closes nothing.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from fractions import Fraction
from math import floor
from typing import TYPE_CHECKING

from exchange.core.codes import AccountRule, RejectCode, Side, SymbolRule
from tests.oracle.clearing import LOCKED
from tests.oracle.memory import BreakerWindow, Rate, ReferenceWindow, bucket_number
from tests.oracle.reach import Reach
from tests.oracle.words import MAX_ATOMS, refuse_if

if TYPE_CHECKING:
    from tests.oracle.venue import Order, Symbol, Venue

DAY_NS = 86_400 * 10**9


def bips_of(amount: int, bips: int) -> int:
    """This many ten-thousandths of an amount, rounded down."""
    return min(floor(Fraction(amount * bips, 10_000)), MAX_ATOMS)


# ---- the rules and what they remember -----------------------------------------------------------------------------


@dataclass
class SymbolGuard:
    rules: defaultdict[SymbolRule, int] = field(default_factory=lambda: defaultdict(int))
    reference: ReferenceWindow = field(default_factory=ReferenceWindow)
    breaker: BreakerWindow = field(default_factory=BreakerWindow)

    def set_rule(self, rule: SymbolRule, value: int) -> None:
        """A window whose width or purpose changes begins empty."""
        self.rules[rule] = value
        if rule is SymbolRule.REFERENCE_WINDOW_NS:
            self.reference = ReferenceWindow()
        elif rule in (SymbolRule.BREAKER_BIPS, SymbolRule.BREAKER_WINDOW_NS):
            self.breaker = BreakerWindow()


@dataclass
class AccountGuard:
    rules: defaultdict[AccountRule, int] = field(default_factory=lambda: defaultdict(int))  # but LOCKED_MAX_ATOMS
    locked_max_atoms: defaultdict[int, int] = field(default_factory=lambda: defaultdict(int))  # by asset
    rate: Rate = field(default_factory=Rate)

    def set_rule(self, rule: AccountRule, asset: int, value: int) -> None:
        if rule is AccountRule.LOCKED_MAX_ATOMS:
            self.locked_max_atoms[asset] = value
        else:
            self.rules[rule] = value
        if rule in (AccountRule.ORDERS_MAX, AccountRule.ORDERS_WINDOW_NS):
            self.rate = Rate()

    @property
    def counts_orders(self) -> bool:
        return self.rules[AccountRule.ORDERS_MAX] != 0 and self.rules[AccountRule.ORDERS_WINDOW_NS] != 0


@dataclass
class KeyGuard:
    """What the orders of a key may amount to in a day, in one asset, and what they did."""

    asset: int
    max_atoms: int
    day: int = 0
    used_atoms: int = 0

    def used_on(self, day: int) -> int:
        return self.used_atoms if day == self.day else 0

    def use(self, day: int, atoms: int) -> None:
        self.used_atoms = self.used_on(day) + atoms
        self.day = day


def set_key_rule(venue: Venue, key: int, asset: int, value: int) -> None:
    """A key has one maximum: this one takes the place of another, and of what was used unless the asset is the same."""
    guard = venue.keys.pop(key, None)
    if value:
        if guard is None or guard.asset != asset:
            guard = KeyGuard(asset, value)
        guard.max_atoms = value
        venue.keys[key] = guard


# ---- the reference price and what is measured with it -------------------------------------------------------------


def reference_price(venue: Venue, symbol: Symbol) -> int | None:
    """The price that collars and the range are measured from; None: there is none."""
    window_ns = symbol.guard.rules[SymbolRule.REFERENCE_WINDOW_NS]
    mean_ticks = symbol.guard.reference.mean_ticks(bucket_number(venue.ts_ns, window_ns)) if window_ns else None
    return mean_ticks or symbol.last_ticks or None


def count_trade(venue: Venue, symbol: Symbol, price_ticks: int, lots: int) -> None:
    """A trade happened; it moves the reference price when that has a window."""
    window_ns = symbol.guard.rules[SymbolRule.REFERENCE_WINDOW_NS]
    if window_ns:
        symbol.guard.reference.add(bucket_number(venue.ts_ns, window_ns), price_ticks, lots)


COLLARS = {
    Side.BUY: (SymbolRule.BID_DOWN_BIPS, SymbolRule.BID_UP_BIPS),
    Side.SELL: (SymbolRule.ASK_DOWN_BIPS, SymbolRule.ASK_UP_BIPS),
}
RANGE = (SymbolRule.RANGE_DOWN_BIPS, SymbolRule.RANGE_UP_BIPS)


def bounds(venue: Venue, symbol: Symbol, pair: tuple[SymbolRule, SymbolRule]) -> Reach:
    """What two rules, down and up, allow around the reference price."""
    reference = reference_price(venue, symbol)
    if reference is None:
        return Reach()
    down, up = (symbol.guard.rules[rule] for rule in pair)
    return Reach(bips_of(reference, down) if down else None, bips_of(reference, up) if up else None)


def trading_range(venue: Venue, symbol: Symbol) -> Reach:
    """The prices at which an order that enters now may trade."""
    return bounds(venue, symbol, RANGE)


# ---- what an order is asked before it is accepted -----------------------------------------------------------------


@dataclass
class Ahead:
    """What the legs before an order in its list count for already."""

    orders: int = 0
    notional_atoms: int = 0


def counted_notional(symbol: Symbol, order: Order, fills_atoms: int) -> int:
    """What an order amounts to for its key: by its limit price, if that is known now, or by what its fills take."""
    if order.price_ticks:
        return symbol.notional_atoms(order.price_ticks, order.leaves_lots)
    return max(fills_atoms, order.quote_atoms)


def refuse_outside_collar(venue: Venue, symbol: Symbol, order: Order) -> None:
    """36: a limit price, when it is known now, too far from the reference price."""
    allowed = bounds(venue, symbol, COLLARS[order.side])
    refuse_if(order.price_ticks != 0 and not allowed.allows(order.price_ticks), RejectCode.PRICE_OUT_OF_COLLAR)


def refuse_position(venue: Venue, symbol: Symbol, order: Order) -> None:
    """39: what the account has of the base asset, would have by its open BUY orders, and by this one."""
    most_lots = symbol.guard.rules[SymbolRule.POSITION_MAX_LOTS]
    if most_lots == 0 or order.side is not Side.BUY:
        return
    has_lots = sum(venue.ledger.balances[order.account, symbol.base.asset]) // symbol.base_atoms_per_lot
    buys = [o for o in venue.open_orders_of(order.account, order.symbol) if o.side is Side.BUY]
    would_lots = has_lots + sum(o.leaves_lots for o in buys) + order.leaves_lots
    refuse_if(would_lots > most_lots, RejectCode.POSITION_TOO_HIGH)


def refuse_exposure(venue: Venue, symbol: Symbol, order: Order, hold_atoms: int) -> None:
    """46: what the account would have locked of the asset that it pays with."""
    asset = symbol.payer_asset(order.side)
    most_atoms = venue.accounts[order.account].guard.locked_max_atoms[asset]
    would_atoms = venue.ledger.balances[order.account, asset][LOCKED] + hold_atoms
    refuse_if(most_atoms != 0 and would_atoms > most_atoms, RejectCode.EXPOSURE_TOO_HIGH)


def refuse_rate(venue: Venue, account: int, ahead: Ahead) -> None:
    """47: one order more than the account may send in its window."""
    guard = venue.accounts[account].guard
    if guard.counts_orders:
        sent = guard.rate.so_far(venue.ts_ns, guard.rules[AccountRule.ORDERS_WINDOW_NS]) + ahead.orders
        refuse_if(sent >= guard.rules[AccountRule.ORDERS_MAX], RejectCode.ORDER_RATE_TOO_HIGH)


def refuse_key_notional(venue: Venue, symbol: Symbol, key: int, notional_atoms: int, ahead: Ahead) -> None:
    """48: more than the key may use in a day."""
    guard = _key_guard(venue, symbol, key)
    if guard is not None:
        would_atoms = guard.used_on(venue.ts_ns // DAY_NS) + ahead.notional_atoms + notional_atoms
        refuse_if(would_atoms > guard.max_atoms, RejectCode.KEY_NOTIONAL_TOO_HIGH)


def refuse_beyond_limits(
    venue: Venue, symbol: Symbol, order: Order, hold_atoms: int, notional_atoms: int, ahead: Ahead
) -> None:
    """39, 46, 47, 48, in this order."""
    refuse_position(venue, symbol, order)
    refuse_exposure(venue, symbol, order, hold_atoms)
    refuse_rate(venue, order.account, ahead)
    refuse_key_notional(venue, symbol, order.key, notional_atoms, ahead)


def count_accepted(venue: Venue, symbol: Symbol, order: Order, notional_atoms: int) -> None:
    """An accepted order is one more in its account's window, and uses up what its key may use."""
    guard = venue.accounts[order.account].guard
    if guard.counts_orders:
        guard.rate.count(venue.ts_ns, guard.rules[AccountRule.ORDERS_WINDOW_NS])
    key_guard = _key_guard(venue, symbol, order.key)
    if key_guard is not None:
        key_guard.use(venue.ts_ns // DAY_NS, notional_atoms)


def _key_guard(venue: Venue, symbol: Symbol, key: int) -> KeyGuard | None:
    """The guard of this key, when it is about what the symbol is quoted in."""
    guard = venue.keys.get(key)
    return guard if guard is not None and guard.asset == symbol.quote.asset else None
