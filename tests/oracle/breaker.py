"""Section 22: a move that is too large for its time pauses a symbol.

Owns BREAKER_TRIPPED and the way from PAUSED into an auction. Its window is in `memory.py`.
"""

from __future__ import annotations

from exchange.core.codes import EventKind, Phase, SymbolRule
from tests.oracle.guards import bips_of
from tests.oracle.memory import BreakerWindow, bucket_number
from tests.oracle.venue import Symbol, Venue


def after_trading(venue: Venue, symbol: Symbol, prices: list[int]) -> None:
    """An order that entered has had its last event; these are the prices of its trades, in order."""
    if not prices or not _watches(symbol):
        return
    _note(venue, symbol, prices)
    low, high = symbol.guard.breaker.extremes()
    if high - low <= bips_of(low, symbol.guard.rules[SymbolRule.BREAKER_BIPS]):
        return
    symbol.guard.breaker = BreakerWindow()
    symbol.phase = Phase.PAUSED
    symbol.phase_end_ts_ns = venue.ts_ns + symbol.guard.rules[SymbolRule.BREAKER_PAUSE_NS]
    venue.emit(
        EventKind.BREAKER_TRIPPED,
        symbol=symbol.symbol,
        price_ticks=prices[-1],
        low_ticks=low,
        high_ticks=high,
        end_ts_ns=symbol.phase_end_ts_ns,
    )


def after_uncross(venue: Venue, symbol: Symbol, prices: list[int]) -> None:
    """Trades of an uncross begin the window anew and trip nothing."""
    if prices and _watches(symbol):
        symbol.guard.breaker = BreakerWindow()
        _note(venue, symbol, prices)


def _watches(symbol: Symbol) -> bool:
    rules = (SymbolRule.BREAKER_BIPS, SymbolRule.BREAKER_WINDOW_NS)
    return all(symbol.guard.rules[rule] for rule in rules)


def _note(venue: Venue, symbol: Symbol, prices: list[int]) -> None:
    number = bucket_number(venue.ts_ns, symbol.guard.rules[SymbolRule.BREAKER_WINDOW_NS])
    for price_ticks in (prices[0], prices[-1]):
        symbol.guard.breaker.add(number, price_ticks)
