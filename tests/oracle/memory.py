"""What guards remember of the past: windows of trades, the rate of an account.

Owns how that ages. Judges nothing: `guards.py` and `breaker.py` do.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import floor

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
