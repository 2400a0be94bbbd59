"""Section 25 of docs/engine-guards.md: what guards remember, as rows of integers.

Owns the tables behind "rule". Reads only.
"""

from __future__ import annotations

from exchange.core.codes import TradingMode
from tests.oracle.venue import Venue

Row = tuple[int, ...]
SUM_WORD = 2**62


def guard_rows(venue: Venue) -> dict[str, list[Row]]:
    """Rows are there only where something is."""
    symbols = venue.symbols.items()
    return {
        "reference_bucket": [
            (number, k, bucket.lots, *divmod(bucket.price_lots, SUM_WORD))
            for number, symbol in symbols
            for k, bucket in symbol.guard.reference.buckets.items()
        ],
        "breaker_bucket": [
            (number, k, *prices) for number, symbol in symbols for k, prices in symbol.guard.breaker.buckets.items()
        ],
        "rate": [
            (number, account.guard.rate.start_ts_ns, account.guard.rate.orders)
            for number, account in venue.accounts.items()
            if account.guard.rate.orders
        ],
        "key": [(number, key.asset, key.day, key.used_atoms) for number, key in venue.keys.items() if key.used_atoms],
        "countdown": [(*timer, due_ts_ns) for timer, due_ts_ns in venue.countdowns.items()],
        "switches": [(venue.withdrawals,)] if venue.withdrawals is TradingMode.HALTED else [],
    }
