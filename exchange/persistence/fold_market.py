"""Trades, aggregate trades and candles of a batch.

Owns the three shapes. Neighbouring fills of one order, in one command and at one price, make one aggregate trade; its
id is that of its first trade, so that the streams know it too, who know no history. Candles of one second are made from
trades, and those of all longer intervals from these, since every interval begins where a second does. Sums that may
pass 2^63 are carried as two words; the high one counts 2^32.
"""

from __future__ import annotations

import numpy as np

from exchange.core.codes import EventKind, Side
from exchange.persistence.copying import Array, Columns, Table
from exchange.persistence.intervals import INTERVALS, floor_ns
from exchange.persistence.slots import Groups, Slots

TRADES = Table(
    "trades",
    (
        ("symbol", "i4"), ("trade_id", "i8"), ("ts_ns", "i8"), ("event", "i8"), ("sequence", "i8"), ("side", "i2"),
        ("price_ticks", "i8"), ("qty_lots", "i8"), ("quote_atoms", "i8"), ("taker_account", "i4"),
        ("maker_account", "i4"), ("taker_order_id", "i8"), ("maker_order_id", "i8"), ("taker_fee_atoms", "i8"),
        ("maker_fee_atoms", "i8"),
    ),
)  # fmt: skip
AGG_TRADES = Table(
    "agg_trades",
    (
        ("symbol", "i4"), ("agg_id", "i8"), ("ts_ns", "i8"), ("side", "i2"), ("price_ticks", "i8"), ("qty_lots", "i8"),
        ("first_id", "i8"), ("last_id", "i8"),
    ),
)  # fmt: skip
SUMS = ("volume_lots", "quote_atoms", "taker_buy_lots", "taker_buy_quote_atoms")
_WORDS = tuple(f"{name}_{word}" for name in SUMS for word in ("high", "low"))
CANDLES = Table(
    "projection_candle_changes",
    (
        ("symbol", "i4"), ("span", "i2"), ("open_ts_ns", "i8"), ("open_ticks", "i8"), ("high_ticks", "i8"),
        ("low_ticks", "i8"), ("close_ticks", "i8"), ("trades", "i8"), *((name, "i8") for name in _WORDS),
    ),
)  # fmt: skip
"""What the batch adds to each candle."""
_LOW_BITS = 32
_LOW_MASK = (1 << _LOW_BITS) - 1


def fold_market(slots: Slots) -> tuple[Columns, Columns, Columns]:
    """The columns of TRADES, AGG_TRADES and CANDLES."""
    records = slots.of(EventKind.TRADE)
    trades = {name: records[name] for name in TRADES.names if name != "event"}
    trades["event"] = slots.ordinals(EventKind.TRADE)
    return trades, _aggregated(records), _candles(records)


def _aggregated(records: Array) -> Columns:
    differs = np.zeros(len(records), np.bool_)
    for name in ("sequence", "symbol", "taker_order_id", "price_ticks"):
        differs[1:] |= records[name][1:] != records[name][:-1]
    groups = Groups(np.cumsum(differs))
    rows = {name: groups.first(records[name]) for name in ("symbol", "ts_ns", "side", "price_ticks")}
    rows["qty_lots"] = groups.sum(records["qty_lots"])
    rows["first_id"] = groups.first(records["trade_id"])
    rows["last_id"] = groups.last(records["trade_id"])
    rows["agg_id"] = rows["first_id"]
    return rows


def _candles(records: Array) -> Columns:
    if not len(records):
        return dict.fromkeys(CANDLES.names, records["ts_ns"])
    bought = records["side"] == Side.BUY
    lots, quote_atoms = records["qty_lots"], records["quote_atoms"]
    values = (lots, quote_atoms, np.where(bought, lots, 0), np.where(bought, quote_atoms, 0))
    rows: dict[str, Array] = {"symbol": records["symbol"], "open_ts_ns": records["ts_ns"]}
    rows |= {f"{name}_ticks": records["price_ticks"] for name in ("open", "high", "low", "close")}
    rows["trades"] = np.ones(len(records), np.int64)
    for name, value in zip(SUMS, values, strict=True):
        rows[f"{name}_high"], rows[f"{name}_low"] = value >> _LOW_BITS, value & _LOW_MASK
    seconds = _merged(rows, 0)
    spans = [seconds, *(_merged(seconds, span) for span in range(1, len(INTERVALS)))]
    return {name: np.concatenate([rows[name] for rows in spans]) for name in CANDLES.names}


def _merged(rows: Columns, span: int) -> dict[str, Array]:
    """Candles, in the order of time, joined to candles of a longer interval."""
    open_ts_ns = floor_ns(rows["open_ts_ns"], span)
    groups = Groups(rows["symbol"], open_ts_ns)
    merged = {"symbol": groups.first(rows["symbol"]), "open_ts_ns": groups.first(open_ts_ns)}
    merged["span"] = np.full(len(groups), span)
    merged["open_ticks"] = groups.first(rows["open_ticks"])
    merged["high_ticks"] = groups.reduce(np.maximum, rows["high_ticks"])
    merged["low_ticks"] = groups.reduce(np.minimum, rows["low_ticks"])
    merged["close_ticks"] = groups.last(rows["close_ticks"])
    return merged | {name: groups.sum(rows[name]) for name in ("trades", *_WORDS)}
