"""The intervals of candles: their names, and where each begins.

Owns the table INTERVALS, whose positions are the column `span` of exchange_market.candles (append-only). Boundaries are
UTC: weeks begin on Monday, months on their first, three-day candles count from 1970-01-01.

Source: Binance's spot API, which calls them kline intervals.
"""

from __future__ import annotations

from typing import Any

import numpy as np

SECOND_NS = 1_000_000_000
_DAY_S = 86_400
_WEEK_START_S = 4 * _DAY_S
"""1970-01-05 was the first Monday."""
MONTH = "1M"

INTERVALS: tuple[tuple[str, int], ...] = (
    ("1s", 1), ("1m", 60), ("3m", 180), ("5m", 300), ("15m", 900), ("30m", 1_800),
    ("1h", 3_600), ("2h", 7_200), ("4h", 14_400), ("6h", 21_600), ("8h", 28_800), ("12h", 43_200),
    ("1d", _DAY_S), ("3d", 3 * _DAY_S), ("1w", 7 * _DAY_S), (MONTH, 0),
)  # fmt: skip
"""(name, seconds); a month has no fixed length: 0."""
SPANS = {name: span for span, (name, _) in enumerate(INTERVALS)}


def floor_ns(ts_ns: Any, span: int) -> Any:
    """The beginnings of the candles that `ts_ns` (i8 array, ns since 1970) lie in; i8 array."""
    name, seconds = INTERVALS[span]
    if name == MONTH:
        months = np.asarray(ts_ns).astype("datetime64[ns]").astype("datetime64[M]")
        return months.astype("datetime64[ns]").astype(np.int64)
    shift = _WEEK_START_S * SECOND_NS if name == "1w" else 0
    length = seconds * SECOND_NS
    return (np.asarray(ts_ns) - shift) // length * length + shift


def next_ns(open_ts_ns: int, span: int) -> int:
    """The beginning of the candle after the one that begins at `open_ts_ns`."""
    name, seconds = INTERVALS[span]
    if name == MONTH:
        following = np.int64(open_ts_ns).astype("datetime64[ns]").astype("datetime64[M]") + 1
        return int(following.astype("datetime64[ns]").astype(np.int64))
    return open_ts_ns + seconds * SECOND_NS
