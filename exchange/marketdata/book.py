"""The published book of one symbol: what REST snapshots are cut from and what WebSocket diffs describe.

Owns two sides of price levels, each with its text ready to send, and the update id. Never sees an event: it is changed
once an interval by the levels that are dirty then. Keys are prices times the side's sign: both sides start at the best.

Invariants: no level has zero lots; the update id grows by one for every level changed and never otherwise; it only
rests at boundaries, so every snapshot's `lastUpdateId` is the `u` of the diff that was published before it.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from typing import Any, NamedTuple

import numpy as np
from sortedcontainers import SortedDict

from exchange.core.codes import Side
from exchange.marketdata.text import levels_text

SIGN = (-1, 1)
"""By side: the best BUY is the highest price, the best SELL the lowest."""


class Level(NamedTuple):
    """One published price level."""

    lots: int
    text: bytes
    """`["price","quantity"]`"""


class Book:
    """One symbol's published order book; `update_id` is where it starts to count."""

    def __init__(self, price_scale: int, qty_scale: int, update_id: int) -> None:
        self.update_id = update_id
        self._scales = (price_scale, qty_scale)
        self._sides: tuple[SortedDict[int, Level], SortedDict[int, Level]] = (SortedDict(), SortedDict())
        self._snapshots: dict[tuple[int, int], bytes] = {}

    def apply(self, side: int, prices: Any, lots: Any) -> bytes:
        """Set levels of one side (i8 arrays, zero lots remove) and return them as JSON text, as a diff carries them.

        Every level must really change: the update id counts them. Costs about 1 us a level.
        """
        text, starts, ends = levels_text(prices, lots, *self._scales)
        levels = self._sides[side]
        sign = SIGN[side]
        for price, quantity, start, end in zip(prices.tolist(), lots.tolist(), starts, ends, strict=True):
            if quantity:
                levels[price * sign] = Level(quantity, text[start:end])
            else:
                del levels[price * sign]
        self.update_id += len(starts)
        self._snapshots.clear()
        return text

    def snapshot(self, limit: int, decimals_min: int = 0) -> bytes:
        """The members `"lastUpdateId":…,"bids":[…],"asks":[…]`, at most `limit` levels a side; kept until a change."""
        key = (limit, decimals_min)
        known = self._snapshots.get(key)
        if known is None:
            bids, asks = (self._first_text(side, limit, decimals_min) for side in Side)
            known = b'"lastUpdateId":%d,"bids":[%b],"asks":[%b]' % (self.update_id, bids, asks)
            self._snapshots[key] = known
        return known

    def _first_text(self, side: Side, limit: int, decimals_min: int) -> bytes:
        levels = self._sides[side]
        if not decimals_min:
            return b",".join([level.text for level in islice(levels.values(), limit)])
        prices = np.array([*islice(levels.keys(), limit)], dtype=np.int64) * SIGN[side]
        lots = np.array([level.lots for level in islice(levels.values(), limit)], dtype=np.int64)
        return levels_text(prices, lots, *self._scales, decimals_min)[0]

    def changes(self, side: int, prices: Iterable[int], decimals_min: int) -> bytes:
        """These levels of one side as JSON text, best first, as they are now; zero lots where there is none."""
        sign = SIGN[side]
        levels = self._sides[side]
        keys = sorted(price * sign for price in prices)
        lots = [levels[key].lots if key in levels else 0 for key in keys]
        return levels_text(
            np.array(keys, dtype=np.int64) * sign, np.array(lots, dtype=np.int64), *self._scales, decimals_min
        )[0]

    def best(self, side: Side) -> tuple[int, int]:
        """(price_ticks, lots) of the best level; zeros when the side is empty."""
        levels = self._sides[side]
        if not levels:
            return 0, 0
        key, level = levels.peekitem(0)
        return key * SIGN[side], level.lots

    def levels(self, side: Side) -> list[tuple[int, int]]:
        """Every (price_ticks, lots) of a side, best first."""
        return [(key * SIGN[side], level.lots) for key, level in self._sides[side].items()]
