"""What guards remember: windows of trades, the rate of an account, what a key used today, timers, closed withdrawals.

Owns this part of the state and how it ages. Judges nothing: `guards.py`, `breaker.py` and `sweeping.py` do.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from fractions import Fraction
from math import floor

from exchange.core.codes import TradingMode

BUCKETS = 16
WEIGHT_MAX_LOTS = 2**40
BUCKET_MAX_LOTS = 2**50


def bucket_number(ts_ns: int, window_ns: int) -> int:
    """Which sixteenth of a window a time lies in."""
    return ts_ns // max(1, window_ns // BUCKETS)


def in_window(numbers: list[int], newest: int) -> list[int]:
    """Those of the bucket numbers that are among the sixteen up to the newest."""
    return [number for number in numbers if newest - BUCKETS < number <= newest]


@dataclass
class Bucket:
    lots: int = 0
    price_lots: int = 0  # sum of price * lots


class ReferenceWindow:
    """Trades of the last sixteen buckets, for their volume-weighted mean price."""

    def __init__(self) -> None:
        self.buckets: dict[int, Bucket] = {}

    def add(self, number: int, price_ticks: int, lots: int) -> None:
        bucket = self.buckets.setdefault(number, Bucket())
        if bucket.lots < BUCKET_MAX_LOTS:
            weight_lots = min(lots, WEIGHT_MAX_LOTS)
            bucket.lots += weight_lots
            bucket.price_lots += price_ticks * weight_lots
        self.buckets = {kept: self.buckets[kept] for kept in in_window(list(self.buckets), number)}

    def mean_ticks(self, number: int) -> int | None:
        """The mean price as of this bucket, rounded down; None without trades."""
        counted = [self.buckets[kept] for kept in in_window(list(self.buckets), number)]
        lots = sum(bucket.lots for bucket in counted)
        return floor(Fraction(sum(bucket.price_lots for bucket in counted), lots)) if lots else None


class BreakerWindow:
    """Lowest and highest trade price of each of the last sixteen buckets."""

    def __init__(self) -> None:
        self.buckets: dict[int, tuple[int, int]] = {}

    def add(self, number: int, price_ticks: int) -> None:
        low, high = self.buckets.get(number, (price_ticks, price_ticks))
        self.buckets[number] = (min(low, price_ticks), max(high, price_ticks))
        self.buckets = {kept: self.buckets[kept] for kept in in_window(list(self.buckets), number)}

    def extremes(self) -> tuple[int, int]:
        """Lowest and highest of the window; it must not be empty."""
        lows, highs = zip(*self.buckets.values(), strict=True)
        return min(lows), max(highs)


@dataclass
class Rate:
    """How many orders of an account were accepted since its window started."""

    start_ts_ns: int = 0
    orders: int = 0

    def so_far(self, ts_ns: int, window_ns: int) -> int:
        """The orders in the window that runs at this time; zero when none does."""
        return self.orders if self.orders and ts_ns - self.start_ts_ns < window_ns else 0

    def count(self, ts_ns: int, window_ns: int) -> None:
        if self.so_far(ts_ns, window_ns) == 0:
            self.start_ts_ns, self.orders = ts_ns, 0
        self.orders += 1


@dataclass
class KeyUse:
    """The asset in which a key is measured, and what its orders of one day amount to."""

    asset: int
    day: int = 0
    used_atoms: int = 0

    def used_on(self, day: int) -> int:
        return self.used_atoms if day == self.day else 0

    def use(self, day: int, atoms: int) -> None:
        self.used_atoms = self.used_on(day) + atoms
        self.day = day


@dataclass(frozen=True, order=True)
class Timer:
    """Whose orders a dead man's timer takes back; zero for symbol or key: all of them."""

    account: int
    symbol: int
    key: int


@dataclass
class Memory:
    references: defaultdict[int, ReferenceWindow] = field(default_factory=lambda: defaultdict(ReferenceWindow))
    breakers: defaultdict[int, BreakerWindow] = field(default_factory=lambda: defaultdict(BreakerWindow))
    rates: defaultdict[int, Rate] = field(default_factory=lambda: defaultdict(Rate))  # by account
    keys: dict[int, KeyUse] = field(default_factory=dict)  # those with a maximum
    countdowns: dict[Timer, int] = field(default_factory=dict)  # when they are due
    withdrawals: TradingMode = TradingMode.OPEN
