"""Where candles begin in a time zone, counted: every candle of an interval has a number, its neighbour's the next one.

Owns the reading of `timeZone`, and the choice of the stored candles that a shifted one is folded from. Stored candles
begin on UTC boundaries (`exchange/persistence/intervals.py`); an offset moves the boundaries of every interval that it
is not a multiple of.
"""

from __future__ import annotations

import datetime as dt
import re

from exchange.gateway.errors import illegal_characters, not_valid
from exchange.persistence.intervals import INTERVALS, MONTH, SECOND_NS, floor_ns

ZONE_PATTERN = "^[+-]?[0-9]{1,2}(:[0-9]{2})?$"
_zone = re.compile(r"([+-]?)([0-9]{1,2})(?::([0-9]{2}))?", re.ASCII).fullmatch
_MINUTES_MIN, _MINUTES_MAX = -12 * 60, 14 * 60
_DAY_S = 86_400


def zone_offset_ns(text: str) -> int:
    """`timeZone`, hours or hours and minutes east of UTC, as nanoseconds. Raises Refusal."""
    match = _zone(text)
    if match is None:
        raise illegal_characters("timeZone", ZONE_PATTERN)
    sign, hours, minutes = match.groups("0")
    offset = int(hours) * 60 + int(minutes)
    if sign == "-":
        offset = -offset
    if not _MINUTES_MIN <= offset <= _MINUTES_MAX or int(minutes) > 59:
        raise not_valid("timeZone")
    return offset * 60 * SECOND_NS


class CandleGrid:
    """The candles of interval `span` in a zone `offset_ns` east of UTC. Candle `n` begins at `open_ns(n)`."""

    def __init__(self, span: int, offset_ns: int) -> None:
        name, seconds = INTERVALS[span]
        self._is_month = name == MONTH
        self._length_ns = seconds * SECOND_NS
        self._offset_ns = offset_ns
        # The beginning of the week that 1970 begins in lies in 1969; shorter candles begin with 1970.
        self._origin_ns = 0 if self._is_month else int(floor_ns(0, span))
        self.source = span if self._is_aligned(seconds) else _source(seconds, offset_ns // SECOND_NS)
        """The interval of the stored candles that these are made of; `span` itself when they are the same."""
        self.is_folded = self.source != span
        longest_s = 31 * _DAY_S if self._is_month else seconds
        self.folds = longest_s // INTERVALS[self.source][1] if self.is_folded else 1
        """How many stored candles one of these is made of, at most."""

    def _is_aligned(self, seconds: int) -> bool:
        shortest_shift_ns = self._length_ns if 0 < seconds <= _DAY_S else _DAY_S * SECOND_NS
        return self._offset_ns % shortest_shift_ns == 0

    def number(self, ts_ns: int) -> int:
        """The number of the candle that a time lies in."""
        local_ns = ts_ns + self._offset_ns
        if not self._is_month:
            return (local_ns - self._origin_ns) // self._length_ns
        day = dt.date(1970, 1, 1) + dt.timedelta(days=local_ns // (_DAY_S * SECOND_NS))
        return day.year * 12 + day.month - 1

    def open_ns(self, number: int) -> int:
        """When the candle of that number begins."""
        if not self._is_month:
            return number * self._length_ns + self._origin_ns - self._offset_ns
        day = dt.date(number // 12, number % 12 + 1, 1) - dt.date(1970, 1, 1)
        return day.days * _DAY_S * SECOND_NS - self._offset_ns

    def chosen(self, extent: tuple[int, int], times: tuple[int, int], *, newest: bool, limit: int) -> range:
        """The numbers of at most `limit` candles that begin between two `times`, ends included.

        They lie within `extent` (first and last moment of the chart) and are the newest ones, or the oldest.
        """
        first = self.number(extent[0])
        if times[0] > self.open_ns(first):
            first = self.number(min(times[0], extent[1] + 1) - 1) + 1
        last = self.number(min(times[1], extent[1]))
        if newest:
            return range(max(first, last - limit + 1), last + 1)
        return range(first, min(last, first + limit - 1) + 1)


def _source(seconds: int, offset_s: int) -> int:
    """The longest stored interval that divides both a candle (a day, for longer ones) and the offset."""
    length_s = min(seconds, _DAY_S) or _DAY_S
    return max(
        span
        for span, (_, short_s) in enumerate(INTERVALS)
        if 0 < short_s < length_s and length_s % short_s == 0 and offset_s % short_s == 0
    )
