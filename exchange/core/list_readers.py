"""Copies of open order lists out of the state, all of an account or one.

Never changes the state; is called while no command is being applied.
Orders wait meanwhile, and an account may have half as many lists as it has orders, so columns are read and not records.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.lib.recfunctions import repack_fields

from exchange.core.codes import ListType
from exchange.core.order_readers import find_order
from exchange.core.records import CLIENT_ID_BYTES
from exchange.core.state import State

_TRIPLES = frozenset(map(int, (ListType.OTOCO, ListType.OPOCO)))
"""Lists of three legs; the others have two."""
_CLIENT_ID = [f"client_id_{word}" for word in range(5)]


class OpenList(NamedTuple):
    """An open list; its legs got their order ids one after the other."""

    list_id: int
    first_order_id: int
    list_type: int
    symbol: int
    client_id: str

    @property
    def order_ids(self) -> range:
        """Its legs, open and closed."""
        return range(self.first_order_id, self.first_order_id + (3 if self.list_type in _TRIPLES else 2))


def open_lists(state: State, account: int, list_id: int = 0, client_id: str = "") -> list[OpenList]:
    """The open lists of an account, by id; only those that have the ids which are given."""
    table = np.asarray(state.lists[: int(state.header[0].list_high)])
    rows = table[(table["list_id"] == list_id if list_id else table["list_id"] != 0) & (table["account"] == account)]
    rows = rows[np.argsort(rows["list_id"])]
    names = repack_fields(rows[_CLIENT_ID]).view(f"S{CLIENT_ID_BYTES}")
    if client_id:
        named = names == client_id.encode("ascii")
        rows, names = rows[named], names[named]
    numbers: list[tuple[int, int, int, int]] = rows[["list_id", "first_order_id", "list_type", "symbol"]].tolist()
    return [OpenList(*row, name.decode("ascii", "replace")) for row, name in zip(numbers, names.tolist(), strict=True)]


def first_open_leg(state: State, account: int, list_id: int, client_id: str) -> tuple[OpenList, int] | None:
    """The open list that has the ids which are given, with the order id of its first open leg."""
    for one in open_lists(state, account, list_id, client_id):
        for order_id in one.order_ids:
            order = find_order(state, account, order_id)
            if order is not None and order.is_open:
                return one, order_id
    return None
