"""Copies of open order lists out of the state, all of an account or one.

Never changes the state; is called while no command is being applied. Orders wait meanwhile, and an account may have
half as many lists as it has orders, so rows are copied then and read later: of 100,000 lists in 5 instead of 160 ms.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.lib.recfunctions import repack_fields
from numpy.typing import NDArray

from exchange.core.order_readers import find_order
from exchange.core.records import CLIENT_ID_BYTES, LIST_ROLES
from exchange.core.state import State
from exchange.core.state_records import CLIENT_ID_WORDS

_NUMBERS = ["list_id", "first_order_id", "list_type", "symbol"]
_CLIENT_ID = np.dtype(CLIENT_ID_WORDS)
_WORDS = list(_CLIENT_ID.fields or ())
_AT_ONCE = 50
"""How many lists are made at a time."""
Rows = NDArray[np.void]
"""Copies of the rows of open lists."""


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
        return range(self.first_order_id, self.first_order_id + len(LIST_ROLES[self.list_type]))


def list_rows(state: State, account: int, list_id: int = 0, client_id: str = "") -> Rows:
    """Copies of the open lists of an account; only of those that have the ids which are given."""
    table = np.asarray(state.lists[: int(state.header[0].list_high)])
    found = (table["list_id"] == list_id if list_id else table["list_id"] != 0) & (table["account"] == account)
    if client_id:
        words = np.frombuffer(client_id.encode("ascii").ljust(CLIENT_ID_BYTES, b"\0"), _CLIENT_ID)[0]
        for word in _WORDS:
            found &= table[word] == words[word]
    copies: Rows = table[found]
    return copies


def each_list(rows: Rows) -> Iterator[OpenList]:
    """The lists that were copied, by id; each is made when it is asked for."""
    in_order = rows[np.argsort(rows["list_id"])]
    for at in range(0, len(rows), _AT_ONCE):
        some = in_order[at : at + _AT_ONCE]
        names = repack_fields(some[_WORDS]).view(f"S{CLIENT_ID_BYTES}").tolist()
        numbers: list[tuple[int, int, int, int]] = some[_NUMBERS].tolist()
        for row, name in zip(numbers, names, strict=True):
            yield OpenList(*row, name.decode("ascii", "replace"))


def first_open_leg(state: State, account: int, list_id: int, client_id: str) -> tuple[OpenList, int] | None:
    """The open list that has the ids which are given, with the order id of its first open leg."""
    for one in each_list(list_rows(state, account, list_id, client_id)):
        for order_id in one.order_ids:
            order = find_order(state, account, order_id)
            if order is not None and order.is_open:
                return one, order_id
    return None
