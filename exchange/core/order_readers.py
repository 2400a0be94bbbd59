"""Copies of orders out of the state.

Owns how an order looks from outside. Never changes it, and never waits: the caller makes sure that no command is being
applied meanwhile (the pipeline's `read`). Rows are copied by kernels and become Python objects in one step.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from exchange.core.codes import Stage
from exchange.core.compile import i64, inlined, kernel, part
from exchange.core.emit import copy_client_id, copy_order_codes, open_status
from exchange.core.index import client_hash
from exchange.core.index import find_client as _find_client
from exchange.core.index import find_order as _find_order
from exchange.core.records import CLIENT_ID_BYTES, PLACE, RECORD_BYTES
from exchange.core.state import CLOSED_BIT, State

ORDER_COPY = np.dtype(
    [
        ("order_id", "<i8"),
        ("account", "<i8"),
        ("symbol", "<i8"),
        ("side", "<i8"),
        ("order_type", "<i8"),
        ("time_in_force", "<i8"),
        ("stp_mode", "<i8"),
        ("status", "<i8"),
        ("price_ticks", "<i8"),
        ("leaves_lots", "<i8"),
        ("filled_lots", "<i8"),
        ("filled_quote_atoms", "<i8"),
        ("quote_atoms", "<i8"),
        ("submitted_lots", "<i8"),
        ("created_ts_ns", "<i8"),
        ("updated_ts_ns", "<i8"),
        ("expire_ts_ns", "<i8"),
        ("stage", "<i8"),
        ("stop_price_ticks", "<i8"),
        ("iceberg_lots", "<i8"),
        ("shown_lots", "<i8"),
        ("trailing_bips", "<i8"),
        ("peg_type", "<i8"),
        ("peg_offset_levels", "<i8"),
        ("list_id", "<i8"),
        ("list_role", "<i8"),
        ("key", "<i8"),
        ("working_ts_ns", "<i8"),
        ("is_open", "<i8"),
        ("spare", "<i4"),
        ("client_id_0", "<i4"),
        ("client_id_1", "<i8"),
        ("client_id_2", "<i8"),
        ("client_id_3", "<i8"),
        ("client_id_4", "<i8"),
    ],
    align=True,
)
_VIEWED = 64
"""How many views `each_open_order` makes at one time."""
_NUMBERS = 29
"""Integer fields before the client id."""
_ORDER_TEXT = np.dtype(
    {
        "names": [*(ORDER_COPY.names or ())[:_NUMBERS], "client_id"],
        "formats": ["<i8"] * _NUMBERS + [f"S{CLIENT_ID_BYTES}"],
        "offsets": [*range(0, 8 * _NUMBERS, 8), 8 * _NUMBERS + 4],
        "itemsize": ORDER_COPY.itemsize,
    }
)
"""The same bytes with the client id as text."""


class OrderView(NamedTuple):
    """An order, open or lately closed. `leaves_lots` of a closed one is what was taken away when it closed."""

    order_id: int
    account: int
    symbol: int
    side: int
    order_type: int
    time_in_force: int
    stp_mode: int
    status: int
    price_ticks: int
    leaves_lots: int
    filled_lots: int
    filled_quote_atoms: int
    quote_atoms: int
    submitted_lots: int
    created_ts_ns: int
    updated_ts_ns: int
    expire_ts_ns: int
    stage: int  # of an open one; Stage
    stop_price_ticks: int
    iceberg_lots: int
    shown_lots: int  # of an open one
    trailing_bips: int
    peg_type: int
    peg_offset_levels: int
    list_id: int
    list_role: int
    key: int
    working_ts_ns: int  # of an open one that is special; zero: it has not worked
    is_open: bool
    client_id: str

    @property
    def qty_lots(self) -> int:
        """The total quantity: filled and not."""
        return self.filled_lots + self.leaves_lots


@inlined
def _copy_terms(source: Any, copy: Any) -> None:
    copy.stop_price_ticks = source.stop_price_ticks
    copy.iceberg_lots = source.iceberg_lots
    copy.trailing_bips = source.trailing_bips
    copy.peg_type = source.peg_type
    copy.peg_offset_levels = source.peg_offset_levels
    copy.list_role = source.list_role


@part
def _copy_open(state: State, slot: int, copy: Any) -> None:
    order = state.orders[slot]
    detail = state.details[slot]
    copy.order_id = order.order_id
    copy.account = order.account
    copy.symbol = order.symbol
    copy_order_codes(copy, order)
    copy.status = open_status(order)
    copy.price_ticks = order.price_ticks
    copy.leaves_lots = order.leaves_lots
    copy.filled_lots = order.filled_lots
    copy.filled_quote_atoms = detail.filled_quote_atoms
    copy.quote_atoms = 0
    copy.submitted_lots = detail.submitted_lots
    copy.created_ts_ns = detail.created_ts_ns
    copy.updated_ts_ns = detail.updated_ts_ns
    terms = state.terms[detail.terms]
    copy.expire_ts_ns = terms.expire_ts_ns
    copy.stage = order.stage
    copy.shown_lots = order.leaves_lots if order.special == 0 else terms.shown_lots
    copy.working_ts_ns = terms.working_ts_ns
    copy.list_id = terms.list_id
    _copy_terms(terms, copy)
    copy.key = detail.key
    copy.is_open = 1
    copy_client_id(copy, detail)


@part
def _copy_closed(state: State, position: int, copy: Any) -> None:
    closed = state.closed[position]
    copy.order_id = closed.order_id
    copy.account = closed.account
    copy.symbol = closed.symbol
    copy_order_codes(copy, closed)
    copy.status = closed.status
    copy.price_ticks = closed.price_ticks
    copy.leaves_lots = closed.closed_lots
    copy.filled_lots = closed.filled_lots
    copy.filled_quote_atoms = closed.filled_quote_atoms
    copy.quote_atoms = closed.quote_atoms
    copy.submitted_lots = closed.submitted_lots
    copy.created_ts_ns = closed.created_ts_ns
    copy.updated_ts_ns = closed.updated_ts_ns
    copy.expire_ts_ns = closed.expire_ts_ns
    copy.stage = Stage.BOOK
    copy.shown_lots = 0
    copy.working_ts_ns = 0
    copy.list_id = closed.list_id
    _copy_terms(closed, copy)
    copy.key = closed.key
    copy.is_open = 0
    copy_client_id(copy, closed)


@kernel
def _copy_owned(state: State, account: int, symbol: int, copies: Any) -> int:
    """Copy an account's open orders on a symbol, oldest first; returns how many."""
    slot = i64(state.owned[account * len(state.symbols) + symbol].head)
    count = i64(0)
    while slot != 0:
        _copy_open(state, slot, copies[count])
        count += 1
        slot = i64(state.orders[slot].owner_next)
    return count


@kernel
def _find(state: State, account: int, order_id: int, named: Any, copy: Any) -> bool:
    """Copy the order of an account that an id or a client id names; False if there is none."""
    reference = i64(0)
    if order_id != 0:
        reference = _find_order(state, order_id)
    elif named.client_id_0 != 0:
        reference = _find_client(state, account, named, client_hash(state.header[0], account, named))
    if reference == 0:
        return False
    if reference & CLOSED_BIT:
        _copy_closed(state, reference & (CLOSED_BIT - 1), copy)
    else:
        _copy_open(state, reference, copy)
    return copy.account == account  # type: ignore[no-any-return]  # i8 field


def _order_views(copies: Any) -> list[OrderView]:
    return [
        OrderView._make((*row[: _NUMBERS - 1], bool(row[_NUMBERS - 1]), row[_NUMBERS].decode("ascii", "replace")))
        for row in np.asarray(copies).view(_ORDER_TEXT).tolist()
    ]


def _copies(count: int) -> Any:
    return np.zeros(count, dtype=ORDER_COPY).view(np.recarray)


def open_orders(state: State, account: int, symbol: int = 0) -> list[OrderView]:
    """An account's open orders on one symbol or (0) on all, by symbol id, then by order id."""
    return list(each_open_order(state, account, symbol))


def each_open_order(state: State, account: int, symbol: int = 0) -> Iterator[OrderView]:
    """The same orders, as they are now; each view is made when it is asked for, which takes 20 times as long."""
    if not 0 <= account < len(state.accounts) or not 0 <= symbol < len(state.symbols):
        return iter(())
    stride = len(state.symbols)
    copied: list[Any] = []
    for one in [symbol] if symbol else range(1, stride):
        count = int(state.owned[account * stride + one].count)
        if count:
            copies = _copies(count)
            _copy_owned(state, account, one, copies)
            copied.append(copies)
    pieces = (copies[at : at + _VIEWED] for copies in copied for at in range(0, len(copies), _VIEWED))
    return (view for piece in pieces for view in _order_views(piece))


def find_order(state: State, account: int, order_id: int = 0, client_id: str = "") -> OrderView | None:
    """The order of an account with this id, or this client id: open, or in the window of closed ones."""
    named = np.zeros(RECORD_BYTES, dtype=np.uint8)
    raw = client_id.encode("ascii", "replace")[:CLIENT_ID_BYTES]
    named[RECORD_BYTES - CLIENT_ID_BYTES : RECORD_BYTES - CLIENT_ID_BYTES + len(raw)] = np.frombuffer(raw, np.uint8)
    copy = _copies(1)
    if not _find(state, account, order_id, named.view(PLACE).view(np.recarray)[0], copy[0]):
        return None
    view = _order_views(copy)[0]
    return view if not (order_id and client_id) or view.client_id == client_id else None


def compile_order_readers(state: State) -> None:
    """Compile what is not compiled yet, before anybody waits for it."""
    _copy_owned(state, 0, 0, _copies(1))
    find_order(state, 0)
