"""Section 23: many orders taken back at once, by an operator or because a dead man's timer ran out.

Owns MASS_CANCEL, COUNTDOWN and the part of a TICK that fires timers. Which orders, and how many at most.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from exchange.core.codes import CloseReason, EventKind, RejectCode, Scope
from tests.oracle.venue import Order, Symbol, Venue
from tests.oracle.withdrawing import close_each
from tests.oracle.words import Command, refuse_if

MASS_CANCEL_MAX = 5_000
COUNTDOWNS_MAX = 10_000
COUNTDOWN_MAX_NS = 10**14
SCOPES = (Scope.VENUE, Scope.SYMBOL, Scope.ACCOUNT, Scope.KEY)


class Timer(NamedTuple):
    """Whose orders a timer takes back; zero for symbol or key: all of them."""

    account: int
    symbol: int
    key: int


def mass_cancel(venue: Venue, command: Command) -> None:
    """Close what is in scope, the first MASS_CANCEL_MAX of it."""
    refuse_if(command["scope"] not in SCOPES, RejectCode.INVALID_MODE)
    scope, account, symbol = Scope(command["scope"]), command["account"], command["symbol"]
    if scope in (Scope.ACCOUNT, Scope.KEY):
        refuse_if(account not in venue.accounts, RejectCode.UNKNOWN_ACCOUNT)
        refuse_if(symbol != 0 and symbol not in venue.symbols, RejectCode.UNKNOWN_SYMBOL)
        swept = _of_account(venue, account, symbol)
        doomed = [order for order in swept if scope is Scope.ACCOUNT or order.key == command["key"]]
    else:
        refuse_if(scope is Scope.SYMBOL and symbol not in venue.symbols, RejectCode.UNKNOWN_SYMBOL)
        symbols = sorted(venue.symbols) if scope is Scope.VENUE else [symbol]
        doomed = [order for number in symbols for order in _where_they_stand(venue.symbols[number])]
    count = close_each(venue, doomed, CloseReason.MASS_CANCELED, MASS_CANCEL_MAX)
    venue.emit(
        EventKind.MASS_CANCELED,
        **{name: command[name] for name in ("scope", "account", "symbol", "key")},
        canceled_count=count,
        more=int(count == MASS_CANCEL_MAX),
    )


def countdown(venue: Venue, command: Command) -> None:
    """Arm a timer, again or anew, or disarm it."""
    timer = Timer(command["account"], command["symbol"], command["key"])
    refuse_if(timer.account not in venue.accounts, RejectCode.UNKNOWN_ACCOUNT)
    refuse_if(timer.symbol != 0 and timer.symbol not in venue.symbols, RejectCode.UNKNOWN_SYMBOL)
    refuse_if(not 0 <= command["countdown_ns"] <= COUNTDOWN_MAX_NS, RejectCode.INVALID_EXPIRY)
    due_ts_ns = 0
    if command["countdown_ns"]:
        is_new = timer not in venue.countdowns
        refuse_if(is_new and len(venue.countdowns) >= COUNTDOWNS_MAX, RejectCode.TOO_MANY_COUNTDOWNS)
        due_ts_ns = venue.ts_ns + command["countdown_ns"]
        venue.countdowns[timer] = due_ts_ns
    else:
        venue.countdowns.pop(timer, None)
    venue.emit(EventKind.COUNTDOWN_SET, **timer._asdict(), countdown_ns=command["countdown_ns"], due_ts_ns=due_ts_ns)


def fire_countdowns(venue: Venue, closes_max: int) -> None:
    """The timers that are due, first due first; what is beyond `closes_max` orders waits for the next TICK."""
    due = sorted((ts_ns, Timer(*timer)) for timer, ts_ns in venue.countdowns.items() if ts_ns <= venue.ts_ns)
    for due_ts_ns, timer in due:
        if closes_max == 0:
            return
        swept = _of_account(venue, timer.account, timer.symbol)
        doomed = [order for order in swept if timer.key in (0, order.key)]
        closes_max -= close_each(venue, doomed, CloseReason.COUNTDOWN, closes_max)
        if any(order.closed_as is None for order in doomed):
            return
        del venue.countdowns[timer]
        venue.emit(EventKind.COUNTDOWN_FIRED, **timer._asdict(), due_ts_ns=due_ts_ns)


def _of_account(venue: Venue, account: int, symbol: int) -> list[Order]:
    """As CANCEL_ALL meets them: by symbol, then by order id."""
    return sorted(venue.open_orders_of(account, symbol), key=lambda order: (order.symbol, order.order_id))


def _where_they_stand(symbol: Symbol) -> Iterator[Order]:
    """Bids, asks, DOWN, UP, each from its best level, the due queue, and who trails without a place yet."""
    for side in (*symbol.sides.values(), *symbol.triggers.values()):
        yield from side.in_matching_order()
    yield from symbol.due
    yield from (order for order in symbol.trailing if order.stands_in is None)
