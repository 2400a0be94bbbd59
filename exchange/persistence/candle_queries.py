"""Candles as queries: out of trades, and out of candles of a second.

Owns the SQL that says what a candle is, independently of the projector's arithmetic: verification compares with it, a
rebuild that begins behind a snapshot fills older candles with it.
"""

from __future__ import annotations

from exchange.core.codes import Side
from exchange.persistence.intervals import INTERVALS, MONTH, SECOND_NS, SPANS, floor_ns

SECOND_SPAN = SPANS["1s"]
_BUY = int(Side.BUY)
COLUMNS = (
    "symbol, span, open_ts_ns, open_ticks, high_ticks, low_ticks, close_ticks, volume_lots, quote_atoms, trades, "
    "taker_buy_lots, taker_buy_quote_atoms"
)

SECONDS = f"""
    select symbol, {SECOND_SPAN}::smallint as span, ts_ns - ts_ns % {SECOND_NS} as open_ts_ns,
           (array_agg(price_ticks order by trade_id))[1] as open_ticks, max(price_ticks) as high_ticks,
           min(price_ticks) as low_ticks, (array_agg(price_ticks order by trade_id desc))[1] as close_ticks,
           sum(qty_lots) as volume_lots, sum(quote_atoms) as quote_atoms, count(*) as trades,
           coalesce(sum(qty_lots) filter (where side = {_BUY}), 0) as taker_buy_lots,
           coalesce(sum(quote_atoms) filter (where side = {_BUY}), 0) as taker_buy_quote_atoms
    from exchange_market.trades group by symbol, ts_ns - ts_ns % {SECOND_NS}
"""


def longer() -> str:
    """Candles of every longer span, out of those of one second."""
    lengths = ", ".join(
        f"({span}::smallint, {seconds}::bigint, {int(floor_ns([0], span)[0]) // SECOND_NS % seconds}::bigint)"
        for span, (name, seconds) in enumerate(INTERVALS)
        if span != SECOND_SPAN and name != MONTH
    )
    second = f"open_ts_ns / {SECOND_NS}"
    month = f"extract(epoch from date_trunc('month', to_timestamp({second}) at time zone 'UTC'))::bigint"
    return f"""
    select symbol, span, opened as open_ts_ns, (array_agg(open_ticks order by open_ts_ns))[1] as open_ticks,
           max(high_ticks) as high_ticks, min(low_ticks) as low_ticks,
           (array_agg(close_ticks order by open_ts_ns desc))[1] as close_ticks, sum(volume_lots) as volume_lots,
           sum(quote_atoms) as quote_atoms, sum(trades) as trades, sum(taker_buy_lots) as taker_buy_lots,
           sum(taker_buy_quote_atoms) as taker_buy_quote_atoms
    from (
        select c.*, length.span,
               (({second} - shift + seconds) / seconds * seconds - seconds + shift) * {SECOND_NS}
        from exchange_market.candles c cross join (values {lengths}) as length (span, seconds, shift)
        where c.span = {SECOND_SPAN}
        union all
        select c.*, {SPANS[MONTH]}::smallint, {month} * {SECOND_NS}
        from exchange_market.candles c where c.span = {SECOND_SPAN}
    ) as pieces (symbol, second, open_ts_ns, open_ticks, high_ticks, low_ticks, close_ticks, volume_lots, quote_atoms,
                 trades, taker_buy_lots, taker_buy_quote_atoms, span, opened)
    group by symbol, span, opened
    """
