"""The breaker: a symbol whose price moves too far within a window pauses, and re-opens by an auction.

Owns the buckets of the window and the trip. The rules are section 22 of docs/engine-guards.md; `auction.py` ends the
pause.
"""

from __future__ import annotations

from typing import Any

from exchange.core.codes import EventKind, Phase, SymbolRule
from exchange.core.compile import i64, part
from exchange.core.emit import begin_event
from exchange.core.reference_price import bips_of, bucket_number
from exchange.core.rules import empty_breaker, symbol_rule
from exchange.core.slots import auction_event
from exchange.core.state import BUCKETS, State


@part
def _note(state: State, symbol: int, number: int, price_ticks: int) -> None:
    """A price belongs to the bucket with this number."""
    bucket = state.breaker_buckets[symbol * BUCKETS + number % BUCKETS]
    if bucket.high_ticks == 0 or bucket.number != number:
        bucket.number = number
        bucket.low_ticks = price_ticks
        bucket.high_ticks = price_ticks
    else:
        bucket.low_ticks = min(i64(bucket.low_ticks), price_ticks)
        bucket.high_ticks = max(i64(bucket.high_ticks), price_ticks)


@part
def _extremes(state: State, symbol: int, number: int) -> tuple[int, int]:
    """The lowest and the highest price of the window that ends with this bucket, which is not empty."""
    newest = state.breaker_buckets[symbol * BUCKETS + number % BUCKETS]
    low = i64(newest.low_ticks)
    high = i64(newest.high_ticks)
    for position in range(symbol * BUCKETS, (symbol + 1) * BUCKETS):
        bucket = state.breaker_buckets[position]
        if bucket.high_ticks != 0 and bucket.number > number - BUCKETS:
            low = min(low, i64(bucket.low_ticks))
            high = max(high, i64(bucket.high_ticks))
    return low, high


@part
def watch(state: State, symbol: int, first_ticks: int, last_ticks: int, events: Any, used: int) -> int:
    """An order has traded from the first to the last price: trip if the window moved too far.

    Returns the next free event slot.
    """
    bips = symbol_rule(state, symbol, SymbolRule.BREAKER_BIPS)
    window_ns = symbol_rule(state, symbol, SymbolRule.BREAKER_WINDOW_NS)
    if bips == 0 or window_ns == 0:
        return used
    header = state.header[0]
    number = bucket_number(i64(header.ts_ns), window_ns)
    _note(state, symbol, number, first_ticks)
    _note(state, symbol, number, last_ticks)
    low, high = _extremes(state, symbol, number)
    if high - low <= bips_of(low, bips):
        return used
    market = state.markets[symbol]
    market.phase = Phase.PAUSED
    market.phase_end_ts_ns = header.ts_ns + symbol_rule(state, symbol, SymbolRule.BREAKER_PAUSE_NS)
    empty_breaker(state, symbol)
    begin_event(header, events, used, EventKind.BREAKER_TRIPPED)
    event = auction_event(events, used)
    event.symbol = symbol
    event.end_ts_ns = market.phase_end_ts_ns
    event.price_ticks = last_ticks
    event.low_ticks = low
    event.high_ticks = high
    return used + 1


@part
def begin_anew(state: State, symbol: int, first_ticks: int, last_ticks: int) -> None:
    """An auction has found a price: the window holds nothing else."""
    window_ns = symbol_rule(state, symbol, SymbolRule.BREAKER_WINDOW_NS)
    if window_ns != 0 and symbol_rule(state, symbol, SymbolRule.BREAKER_BIPS) != 0:
        empty_breaker(state, symbol)
        number = bucket_number(i64(state.header[0].ts_ns), window_ns)
        _note(state, symbol, number, first_ticks)
        _note(state, symbol, number, last_ticks)
