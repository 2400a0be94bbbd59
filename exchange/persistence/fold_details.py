"""Amendments and prevented matches of a batch: what takes lots off an order's quantity without a fill.

Owns the two shapes. An event says how many lots it takes off and not what the quantity was, so an amendment is staged
with what the batch takes off the order after it: the database knows how the order stands at the end, and counts back.
A prevented match that ends an order leaves its quantity as it was (docs/engine.md, section 4).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from exchange.core.codes import EventKind
from exchange.persistence.copying import Array, Columns, Table
from exchange.persistence.postings import maker_accounts
from exchange.persistence.slots import Slots

AMENDMENTS = Table(
    "projection_amendments",
    (
        ("order_id", "i8"), ("event", "i8"), ("ts_ns", "i8"), ("sequence", "i8"), ("account", "i4"), ("symbol", "i4"),
        ("off_lots", "i8"), ("later_off_lots", "i8"),
    ),
)  # fmt: skip
"""`off_lots`: what the amendment takes off; `later_off_lots`: what the rest of the batch takes off the same order."""
PREVENTED_MATCHES = Table(
    "prevented_matches",
    (
        ("event", "i8"), ("ts_ns", "i8"), ("sequence", "i8"), ("account", "i4"), ("symbol", "i4"), ("side", "i2"),
        ("stp_mode", "i2"), ("taker_order_id", "i8"), ("maker_order_id", "i8"), ("price_ticks", "i8"),
        ("taker_prevented_lots", "i8"), ("maker_prevented_lots", "i8"), ("taker_leaves_lots", "i8"),
        ("maker_leaves_lots", "i8"), ("maker_account", "i4"),
    ),
)  # fmt: skip


class _Off(NamedTuple):
    """Lots that events take off orders, one row an order and event."""

    order_id: Array
    event: Array
    lots: Array


def _later_off(off: _Off) -> Array:
    """For each row the sum of `lots` of the rows of the same order that come after it."""
    by_order = np.lexsort((off.event, off.order_id))
    ids = off.order_id[by_order]
    from_here = np.append(np.cumsum(off.lots[by_order][::-1])[::-1], 0)
    later = np.empty(len(ids), np.int64)
    later[by_order] = from_here[1:] - from_here[np.searchsorted(ids, ids, side="right")]
    return later


def fold_details(slots: Slots) -> tuple[Columns, Columns]:
    """The columns of AMENDMENTS and of PREVENTED_MATCHES."""
    reduced, prevented = slots.of(EventKind.ORDER_REDUCED), slots.of(EventKind.PREVENTED)
    matches = {name: prevented[name] for name in PREVENTED_MATCHES.names if name != "event"}
    matches["event"] = slots.ordinals(EventKind.PREVENTED)
    matches["maker_account"] = maker_accounts(prevented)
    rows = {name: reduced[name] for name in ("order_id", "ts_ns", "sequence", "account", "symbol")}
    rows |= {"event": slots.ordinals(EventKind.ORDER_REDUCED), "off_lots": reduced["qty_lots"]}
    parts = [_Off(rows["order_id"], rows["event"], rows["off_lots"])]
    for role in ("taker", "maker"):
        lives_on = prevented[f"{role}_leaves_lots"] > 0
        columns = _Off(prevented[f"{role}_order_id"], matches["event"], prevented[f"{role}_prevented_lots"])
        parts.append(_Off(*(column[lives_on] for column in columns)))
    whole = _Off(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))
    rows["later_off_lots"] = _later_off(whole)[: len(reduced)]
    return rows, matches
