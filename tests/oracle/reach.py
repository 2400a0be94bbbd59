"""The prices at which an order may trade, as a pair of bounds.

Owns that pair: limit prices, collars and ranges are all of it.
"""

from __future__ import annotations

from typing import NamedTuple


class Reach(NamedTuple):
    """From low to high, both within; None: no bound on this side."""

    low_ticks: int | None = None
    high_ticks: int | None = None

    def allows(self, price_ticks: int) -> bool:
        above = self.low_ticks is None or price_ticks >= self.low_ticks
        return above and (self.high_ticks is None or price_ticks <= self.high_ticks)

    def within(self, other: Reach) -> Reach:
        """What both allow."""
        lows = [low for low in (self.low_ticks, other.low_ticks) if low is not None]
        highs = [high for high in (self.high_ticks, other.high_ticks) if high is not None]
        return Reach(max(lows, default=None), min(highs, default=None))
