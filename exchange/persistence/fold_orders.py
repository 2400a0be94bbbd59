"""Orders: new rows, and what a batch changes of older ones, conflated to one row an order.

Owns the two shapes. Order ids rise by one, so the orders that a batch accepts are a run of ids and everything below it
is older. Never looks anything up: a change of an older order is a difference, which the database adds.

What an order becomes (docs/engine.md, section 4): a TRADE moves lots from leaves to filled; ORDER_REDUCED takes lots
off leaves and quantity, and so does PREVENTED, but for the one that ends the order: like ORDER_CLOSED it takes the
leaves alone, so that the quantity stays what the order ended with.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from exchange.core.codes import EventKind, OrderStatus
from exchange.core.records import CLIENT_ID_BYTES, RECORD_BYTES
from exchange.persistence.copying import Array, Columns, Table
from exchange.persistence.slots import Groups, Slots

ORDERS = Table(
    "orders",
    (
        ("order_id", "i8"), ("account", "i4"), ("symbol", "i4"), ("side", "i2"), ("order_type", "i2"),
        ("time_in_force", "i2"), ("stp_mode", "i2"), ("status", "i2"), ("price_ticks", "i8"), ("qty_lots", "i8"),
        ("submitted_lots", "i8"), ("leaves_lots", "i8"), ("quote_atoms", "i8"), ("filled_lots", "i8"),
        ("filled_quote_atoms", "i8"), ("created_ts_ns", "i8"), ("updated_ts_ns", "i8"),
        ("client_id", f"S{CLIENT_ID_BYTES}"),
    ),
)  # fmt: skip
CHANGES = Table(
    "projection_order_changes",
    (
        ("order_id", "i8"), ("qty_lots", "i8"), ("leaves_lots", "i8"), ("filled_lots", "i8"),
        ("filled_quote_atoms", "i8"), ("closed_status", "i2"), ("updated_ts_ns", "i8"),
    ),
)  # fmt: skip
"""Differences, but for the last two: the status that the order closed with (0: it did not) and the time."""


class OrdersDiffer(Exception):
    """The events do not continue the orders that are there; a sentence."""


class _Part(NamedTuple):
    """Differences that one sort of event makes, one row an order and event."""

    order_id: Array
    qty_lots: Array
    leaves_lots: Array
    filled_lots: Array
    filled_quote_atoms: Array
    closed_status: Array
    updated_ts_ns: Array


def _part(
    records: Array, id_field: str, leaves_lots: Array, closed_status: Array, *, qty_lots: Array, filled: bool = False
) -> _Part:
    nothing = np.zeros(len(records), np.int64)
    return _Part(
        records[id_field],
        qty_lots,
        leaves_lots,
        records["qty_lots"] if filled else nothing,
        records["quote_atoms"] if filled else nothing,
        closed_status,
        records["ts_ns"],
    )


def _parts(slots: Slots) -> list[_Part]:
    trades = slots.of(EventKind.TRADE)
    parts = []
    for role in ("taker", "maker"):
        status = np.where(trades[f"{role}_leaves_lots"] == 0, OrderStatus.FILLED, 0)
        unchanged = np.zeros(len(trades), np.int64)
        parts.append(_part(trades, f"{role}_order_id", -trades["qty_lots"], status, qty_lots=unchanged, filled=True))
    for role in ("taker", "maker"):
        prevented = slots.of(EventKind.PREVENTED)
        prevented = prevented[prevented[f"{role}_prevented_lots"] > 0]
        off, ends = -prevented[f"{role}_prevented_lots"], prevented[f"{role}_leaves_lots"] == 0
        status = np.where(ends, OrderStatus.EXPIRED_IN_MATCH, 0)
        parts.append(_part(prevented, f"{role}_order_id", off, status, qty_lots=np.where(ends, 0, off)))
    reduced, closed = slots.of(EventKind.ORDER_REDUCED), slots.of(EventKind.ORDER_CLOSED)
    off, open_still = -reduced["qty_lots"], np.zeros(len(reduced), np.int64)
    parts.append(_part(reduced, "order_id", off, open_still, qty_lots=off))
    kept = np.zeros(len(closed), np.int64)
    parts.append(_part(closed, "order_id", -closed["qty_lots"], closed["status"], qty_lots=kept))
    return parts


def _conflated(slots: Slots) -> dict[str, Array]:
    """One row of differences an order, by order id."""
    whole = _Part(*(np.concatenate(columns) for columns in zip(*_parts(slots), strict=True)))
    groups = Groups(whole.order_id)
    rows = {name: groups.sum(getattr(whole, name)) for name in CHANGES.names[1:5]}
    rows["order_id"] = groups.first(whole.order_id)
    for name in CHANGES.names[5:]:
        rows[name] = groups.reduce(np.maximum, getattr(whole, name))
    return rows


def _client_ids(accepted: Array) -> Array:
    """Client ids as text. The gateway takes printable ASCII; whatever else came in is shown as a question mark."""
    raw = accepted.view(np.uint8).reshape(-1, RECORD_BYTES)[:, -CLIENT_ID_BYTES:].copy()
    texts = raw.view(f"S{CLIENT_ID_BYTES}").reshape(-1)
    inside = np.arange(CLIENT_ID_BYTES) < np.char.str_len(texts)[:, np.newaxis]
    raw[inside & ((raw == 0) | (raw > 127))] = ord("?")
    return texts


def fold_orders(slots: Slots) -> tuple[Columns, Columns]:
    """The columns of ORDERS and of CHANGES. Raises OrdersDiffer."""
    accepted = slots.of(EventKind.ORDER_ACCEPTED)
    changed = _conflated(slots)
    if not len(accepted):
        return dict.fromkeys(ORDERS.names, changed["order_id"][:0]), changed
    first_id = int(accepted["order_id"][0])
    if int(accepted["order_id"][-1]) - first_id + 1 != len(accepted):
        raise OrdersDiffer(f"The order ids after {first_id} have a gap; the events are not those of one venue.")
    split = int(np.searchsorted(changed["order_id"], first_id))
    at = changed["order_id"][split:] - first_id
    rows: dict[str, Array] = {name: accepted[name] for name in ORDERS.names[:7]}
    for name in ("qty_lots", "leaves_lots", "filled_lots", "filled_quote_atoms", "closed_status", "updated_ts_ns"):
        rows[name] = np.zeros(len(accepted), np.int64)
        rows[name][at] = changed[name][split:]
    rows["qty_lots"] += accepted["qty_lots"]
    rows["leaves_lots"] += accepted["qty_lots"]
    rows["updated_ts_ns"] = np.maximum(rows["updated_ts_ns"], accepted["ts_ns"])
    standing = np.where(rows["filled_lots"] > 0, OrderStatus.PARTIALLY_FILLED, OrderStatus.NEW)
    rows["status"] = np.where(rows["closed_status"] > 0, rows["closed_status"], standing)
    rows["price_ticks"] = accepted["price_ticks"]
    rows["quote_atoms"] = accepted["quote_atoms"]
    rows["submitted_lots"] = np.where(accepted["quote_atoms"] > 0, 0, accepted["qty_lots"])
    rows["created_ts_ns"] = accepted["ts_ns"]
    rows["client_id"] = _client_ids(accepted)
    return rows, {name: column[:split] for name, column in changed.items()}
