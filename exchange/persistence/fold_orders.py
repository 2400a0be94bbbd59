"""Orders: new rows, and what a batch changes of older ones, conflated to one row an order.

Owns the two shapes. Order ids rise by one, so the orders that a batch accepts are a run of ids and everything below it
is older. Never looks anything up: a change of an older order is a difference, which the database adds.

What an order becomes (docs/engine.md, section 4): a TRADE moves lots from leaves to filled; ORDER_REDUCED takes lots
off leaves and quantity, and so does PREVENTED, but for the one that ends the order: like ORDER_CLOSED it takes the
leaves alone, so that the quantity stays what the order ended with.

Orders that wait (docs/engine-orders.md): ORDER_ENTERED says that one goes to work, or that a stop, called by its list,
begins to wait for its price; so `waits` counts the ORDER_ENTERED to come. A leg that sells what another one buys has no
quantity until then: the first event that names one gives it (`given_lots`). A pegged order likewise gets its price.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from exchange.core.codes import EventKind, OrderStatus, OrderType, Stage
from exchange.core.records import CLIENT_ID_BYTES
from exchange.persistence.copying import Array, Columns, Table
from exchange.persistence.slots import Groups, Slots, client_ids

TERMS = ("stop_price_ticks", "iceberg_lots", "trailing_bips", "peg_type", "peg_offset_levels", "list_id", "list_role")
"""What an ORDER_TERMS says of an order for good."""
ORDERS = Table(
    "orders",
    (
        ("order_id", "i8"), ("account", "i4"), ("symbol", "i4"), ("side", "i2"), ("order_type", "i2"),
        ("time_in_force", "i2"), ("stp_mode", "i2"), ("status", "i2"), ("price_ticks", "i8"), ("qty_lots", "i8"),
        ("submitted_lots", "i8"), ("leaves_lots", "i8"), ("quote_atoms", "i8"), ("filled_lots", "i8"),
        ("filled_quote_atoms", "i8"), ("created_ts_ns", "i8"), ("updated_ts_ns", "i8"), ("stop_price_ticks", "i8"),
        ("iceberg_lots", "i8"), ("trailing_bips", "i2"), ("peg_type", "i2"), ("peg_offset_levels", "i2"),
        ("list_id", "i8"), ("list_role", "i2"), ("close_reason", "i2"), ("waits", "i2"), ("working_ts_ns", "i8"),
        ("client_id", f"S{CLIENT_ID_BYTES}"),
    ),
)  # fmt: skip
CHANGES = Table(
    "projection_order_changes",
    (
        ("order_id", "i8"), ("qty_lots", "i8"), ("leaves_lots", "i8"), ("filled_lots", "i8"),
        ("filled_quote_atoms", "i8"), ("entered", "i2"), ("closed_status", "i2"), ("close_reason", "i2"),
        ("price_ticks", "i8"), ("entered_ts_ns", "i8"), ("updated_ts_ns", "i8"), ("given_lots", "i8"),
    ),
)  # fmt: skip
"""Differences up to `entered`, how often it entered. Then what there is to know, zeros for what there is not: status
and reason of the close, a price, the time when it entered last, the time, and a quantity for an order without one."""
_ADDED, _KNOWN = CHANGES.names[1:6], CHANGES.names[6:11]


class OrdersDiffer(Exception):
    """The events do not continue the orders that are there; a sentence."""


class _Part(NamedTuple):
    """What one sort of event makes, one row an order and event; the columns of CHANGES but for the last."""

    order_id: Array
    qty_lots: Array
    leaves_lots: Array
    filled_lots: Array
    filled_quote_atoms: Array
    entered: Array
    closed_status: Array
    close_reason: Array
    price_ticks: Array
    entered_ts_ns: Array
    updated_ts_ns: Array


def _part(records: Array, id_field: str, **columns: Array) -> _Part:
    nothing = np.zeros(len(records), np.int64)
    known = {"order_id": records[id_field], "updated_ts_ns": records["ts_ns"]} | columns
    return _Part(*(known.get(name, nothing) for name in _Part._fields))


def _parts(slots: Slots) -> list[_Part]:
    trades = slots.of(EventKind.TRADE)
    parts = []
    for role in ("taker", "maker"):
        status = np.where(trades[f"{role}_leaves_lots"] == 0, OrderStatus.FILLED, 0)
        filled = {"filled_lots": trades["qty_lots"], "filled_quote_atoms": trades["quote_atoms"]}
        off = -trades["qty_lots"]
        parts.append(_part(trades, f"{role}_order_id", leaves_lots=off, closed_status=status, **filled))
    for role in ("taker", "maker"):
        prevented = slots.of(EventKind.PREVENTED)
        prevented = prevented[prevented[f"{role}_prevented_lots"] > 0]
        off, ends = -prevented[f"{role}_prevented_lots"], prevented[f"{role}_leaves_lots"] == 0
        status = np.where(ends, OrderStatus.EXPIRED_IN_MATCH, 0)
        kept = np.where(ends, 0, off)
        parts.append(_part(prevented, f"{role}_order_id", leaves_lots=off, closed_status=status, qty_lots=kept))
    reduced, closed = slots.of(EventKind.ORDER_REDUCED), slots.of(EventKind.ORDER_CLOSED)
    off = -reduced["qty_lots"]
    parts.append(_part(reduced, "order_id", leaves_lots=off, qty_lots=off))
    how = {"closed_status": closed["status"], "close_reason": closed["reason"], "price_ticks": closed["price_ticks"]}
    parts.append(_part(closed, "order_id", leaves_lots=-closed["qty_lots"], **how))
    entered = slots.of(EventKind.ORDER_ENTERED)
    times = {"entered": np.ones(len(entered), np.int64), "entered_ts_ns": entered["ts_ns"]}
    parts.append(_part(entered, "order_id", price_ticks=entered["price_ticks"], **times))
    return parts


def _conflated(slots: Slots) -> dict[str, Array]:
    """One row an order, by order id."""
    whole = _Part(*(np.concatenate(columns) for columns in zip(*_parts(slots), strict=True)))
    groups = Groups(whole.order_id)
    rows = {name: groups.sum(getattr(whole, name)) for name in _ADDED}
    rows["order_id"] = groups.first(whole.order_id)
    for name in _KNOWN:
        rows[name] = groups.reduce(np.maximum, getattr(whole, name))
    rows["given_lots"] = np.zeros(len(groups), np.int64)
    given_ids, given_lots = _given(slots)
    rows["given_lots"][np.searchsorted(rows["order_id"], given_ids)] = given_lots
    return rows


def _given(slots: Slots) -> tuple[Array, Array]:
    """(order ids, the first quantity that an event names of each when it enters or closes)."""
    kinds = (EventKind.ORDER_ENTERED, EventKind.ORDER_CLOSED)
    ids, lots = (np.concatenate([slots.of(kind)[name] for kind in kinds]) for name in ("order_id", "qty_lots"))
    in_order = np.argsort(np.concatenate([slots.ordinals(kind) for kind in kinds]))
    in_order = in_order[lots[in_order] > 0]
    groups = Groups(ids[in_order])
    return groups.first(ids[in_order]), groups.first(lots[in_order])


def _waits(order_type: Array, stage: Array) -> Array:
    """How often an order that begins in a stage enters before it works."""
    is_stop = (order_type >= OrderType.STOP_LOSS) & (order_type <= OrderType.TAKE_PROFIT_LIMIT)
    return np.where(stage == Stage.BOOK, 0, np.where((stage == Stage.PENDING) & is_stop, 2, 1))


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
    for name in CHANGES.names[1:]:
        rows[name] = np.zeros(len(accepted), np.int64)
        rows[name][at] = changed[name][split:]
    given = np.where((accepted["qty_lots"] == 0) & (accepted["quote_atoms"] == 0), rows["given_lots"], 0)
    rows["qty_lots"] += accepted["qty_lots"] + given
    rows["leaves_lots"] += accepted["qty_lots"] + given
    rows["updated_ts_ns"] = np.maximum(rows["updated_ts_ns"], accepted["ts_ns"])
    rows["price_ticks"] = np.maximum(rows["price_ticks"], accepted["price_ticks"])
    rows["quote_atoms"] = accepted["quote_atoms"]
    rows["submitted_lots"] = np.where(accepted["quote_atoms"] > 0, 0, accepted["qty_lots"])
    rows["created_ts_ns"] = accepted["ts_ns"]
    rows["client_id"] = client_ids(accepted)
    _take_terms(rows, slots, first_id)
    return rows, {name: column[:split] for name, column in changed.items()}


def _take_terms(rows: dict[str, Array], slots: Slots, first_id: int) -> None:
    """Terms, whether they work, and status of the orders that a batch accepts."""
    terms = slots.of(EventKind.ORDER_TERMS)
    count = len(rows["order_id"])
    stage = np.zeros(count, np.int64)
    for name in TERMS:
        rows[name] = np.zeros(count, np.int64)
        rows[name][terms["order_id"] - first_id] = terms[name]
    stage[terms["order_id"] - first_id] = terms["stage"]
    begun = _waits(rows["order_type"], stage)
    rows["waits"] = np.maximum(begun - rows["entered"], 0)
    rows["working_ts_ns"] = np.where(
        rows["waits"] > 0, 0, np.where(begun > 0, rows["entered_ts_ns"], rows["created_ts_ns"])
    )
    pending = (stage == Stage.PENDING) & (rows["entered"] == 0)
    standing = np.where(pending, OrderStatus.PENDING_NEW, OrderStatus.NEW)
    standing = np.where(rows["filled_lots"] > 0, OrderStatus.PARTIALLY_FILLED, standing)
    rows["status"] = np.where(rows["closed_status"] > 0, rows["closed_status"], standing)
