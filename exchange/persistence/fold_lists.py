"""Order lists of a batch: those that it begins, and which older ones it ends.

Owns the two shapes. A list changes twice, when it begins and when no leg of it is open any more.
"""

from __future__ import annotations

import numpy as np

from exchange.core.codes import EventKind, ListStatus
from exchange.core.records import CLIENT_ID_BYTES
from exchange.persistence.copying import Columns, Table
from exchange.persistence.slots import Slots, client_ids

_LEGS = ("order_id_0", "order_id_1", "order_id_2")
ORDER_LISTS = Table(
    "order_lists",
    (
        ("list_id", "i8"), ("account", "i4"), ("symbol", "i4"), ("list_type", "i2"), *((name, "i8") for name in _LEGS),
        ("event", "i8"), ("list_status", "i2"), ("created_ts_ns", "i8"), ("updated_ts_ns", "i8"),
        ("client_id", f"S{CLIENT_ID_BYTES}"),
    ),
)  # fmt: skip
LISTS_ENDED = Table("projection_lists_ended", (("list_id", "i8"), ("ts_ns", "i8")))


def fold_lists(slots: Slots) -> tuple[Columns, Columns]:
    """The columns of ORDER_LISTS and of LISTS_ENDED."""
    changed, ordinals = slots.of(EventKind.LIST_CHANGED), slots.ordinals(EventKind.LIST_CHANGED)
    starts = changed["list_status"] == ListStatus.STARTED
    begun, done = changed[starts], changed[~starts]
    rows = {name: begun[name] for name in ORDER_LISTS.names[:7]}
    rows |= {"event": ordinals[starts], "created_ts_ns": begun["ts_ns"], "client_id": client_ids(begun)}
    rows["list_status"] = np.full(len(begun), int(ListStatus.STARTED))
    rows["updated_ts_ns"] = begun["ts_ns"].copy()
    at = np.searchsorted(begun["list_id"], done["list_id"])  # list ids rise by one
    is_new = np.isin(done["list_id"], begun["list_id"])
    rows["list_status"][at[is_new]] = int(ListStatus.DONE)
    rows["updated_ts_ns"][at[is_new]] = done["ts_ns"][is_new]
    older = done[~is_new]
    return rows, {"list_id": older["list_id"], "ts_ns": older["ts_ns"]}
