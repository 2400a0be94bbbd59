"""The reference price of a symbol: what it traded at lately, by volume; and the range in which a taker may trade.

Owns the buckets of the window. The rules are section 20 of docs/engine-guards.md.

A bucket's sum of price * lots needs up to 113 bits, so it is two limbs, high * 2^62 + low. The factors are cut in
halves of 31 bits: each partial product, and each sum of two of them, fits in 63 bits.
"""

from __future__ import annotations

from exchange.core.codes import SymbolRule
from exchange.core.compile import i64, inlined, kernel, part
from exchange.core.rules import symbol_rule
from exchange.core.state import BUCKETS, MAX_ATOMS, State

_LIMB_BITS = 62
_HALF_BITS = 31
_HALF = (1 << _HALF_BITS) - 1
LOTS_MAX = 1 << 50
"""A bucket with so many lots takes no more."""
TRADE_LOTS_MAX = 1 << 40
"""No trade weighs more."""


@part
def bips_of(amount: int, bips: int) -> int:
    """So many ten-thousandths of an amount, rounded down, at most MAX_ATOMS."""
    whole = amount // 10_000
    if bips != 0 and whole > MAX_ATOMS // bips:
        return i64(MAX_ATOMS)
    return min(i64(MAX_ATOMS), i64(whole * bips + (amount - whole * 10_000) * bips // 10_000))


@inlined
def bucket_number(ts_ns: int, window_ns: int) -> int:
    """The bucket of a time in a window of BUCKETS."""
    return ts_ns // max(window_ns // BUCKETS, i64(1))


@kernel
def product(price: int, lots: int) -> tuple[int, int]:
    """price * lots as (high, low) limbs of 62 bits; price < 2^62, lots <= 2^40."""
    price_high = price >> _HALF_BITS
    price_low = price & _HALF
    lots_high = lots >> _HALF_BITS
    lots_low = lots & _HALF
    middle = price_high * lots_low + price_low * lots_high
    low = ((middle & _HALF) << _HALF_BITS) + price_low * lots_low
    high = price_high * lots_high + (middle >> _HALF_BITS) + (low >> _LIMB_BITS)
    return high, low & MAX_ATOMS


@kernel
def quotient(high: int, low: int, divisor: int) -> int:
    """(high * 2^62 + low) // divisor by long division; high < divisor < 2^61, so the result fits in 62 bits."""
    left = high
    result = i64(0)
    for bit in range(_LIMB_BITS - 1, -1, -1):
        left = left * 2 + (low >> bit & 1)
        result = result * 2
        if left >= divisor:
            left -= divisor
            result += 1
    return result


@part
def count_trade(state: State, symbol: int, price_ticks: int, lots: int) -> None:
    """A trade weighs in the reference price from now on."""
    window_ns = symbol_rule(state, symbol, SymbolRule.REFERENCE_WINDOW_NS)
    if window_ns == 0:
        return
    number = bucket_number(i64(state.header[0].ts_ns), window_ns)
    bucket = state.reference_buckets[symbol * BUCKETS + number % BUCKETS]
    if bucket.number != number:
        bucket.number = number
        bucket.lots = bucket.sum_high = bucket.sum_low = 0
    if bucket.lots < LOTS_MAX:
        weight = min(lots, i64(TRADE_LOTS_MAX))
        high, low = product(price_ticks, weight)
        low += bucket.sum_low
        bucket.lots += weight
        bucket.sum_high += high + (low >> _LIMB_BITS)
        bucket.sum_low = low & MAX_ATOMS


@part
def reference_price_at(state: State, symbol: int, ts_ns: int) -> int:
    """The volume-weighted mean price of the window, else the last price, 0 if the symbol never traded."""
    window_ns = symbol_rule(state, symbol, SymbolRule.REFERENCE_WINDOW_NS)
    lots = high = low = i64(0)
    if window_ns != 0:
        number = bucket_number(ts_ns, window_ns)
        for position in range(symbol * BUCKETS, (symbol + 1) * BUCKETS):
            bucket = state.reference_buckets[position]
            if bucket.lots != 0 and number - BUCKETS < bucket.number <= number:
                lots += bucket.lots
                low += bucket.sum_low
                high += bucket.sum_high + (low >> _LIMB_BITS)
                low &= MAX_ATOMS
    return quotient(high, low, lots) if lots != 0 else i64(state.markets[symbol].last_ticks)


@inlined
def reference_price(state: State, symbol: int) -> int:
    """The reference price for the command that is being applied."""
    return reference_price_at(state, symbol, i64(state.header[0].ts_ns))


@part
def price_range(state: State, symbol: int) -> tuple[int, int]:
    """The lowest and the highest price at which an order that enters now may trade."""
    up = symbol_rule(state, symbol, SymbolRule.RANGE_UP_BIPS)
    down = symbol_rule(state, symbol, SymbolRule.RANGE_DOWN_BIPS)
    low = i64(0)
    high = i64(MAX_ATOMS)
    if up != 0 or down != 0:
        reference = reference_price(state, symbol)
        if reference != 0:
            low = bips_of(reference, down)
            if up != 0:
                high = bips_of(reference, up)
    return low, high


@part
def range_of(state: State, symbol: int) -> tuple[int, int]:
    """`price_range` of any symbol; one that nothing guards costs a comparison."""
    if state.markets[symbol].guarded == 0:
        return i64(0), i64(MAX_ATOMS)
    return price_range(state, symbol)
