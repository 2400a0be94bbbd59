"""Copies out of the state: balances, orders, reference data.

Owns how the state looks from outside. Never changes it, and never waits: the caller makes sure that no command is being
applied meanwhile (the pipeline's `read`). Rows are copied by kernels and become Python objects in one step.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from exchange.core.codes import Account, OrderStatus
from exchange.core.compile import i64, kernel, part
from exchange.core.emit import copy_client_id, copy_order_codes
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
_ORDER_TEXT = np.dtype(
    {
        "names": [*(ORDER_COPY.names or ())[:18], "client_id"],
        "formats": ["<i8"] * 18 + [f"S{CLIENT_ID_BYTES}"],
        "offsets": [*range(0, 144, 8), 148],
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
    is_open: bool
    client_id: str

    @property
    def qty_lots(self) -> int:
        """The total quantity: filled and not."""
        return self.filled_lots + self.leaves_lots


class AssetView(NamedTuple):
    """An asset: one atom is 10^-scale."""

    asset: int
    name: str
    scale: int


class SymbolView(NamedTuple):
    """A symbol with its parameters; units are the suffixes."""

    symbol: int
    name: str
    mode: int
    base_asset: int
    quote_asset: int
    price_scale: int
    qty_scale: int
    price_min_ticks: int
    price_max_ticks: int
    qty_min_lots: int
    qty_max_lots: int
    notional_min_atoms: int
    notional_max_atoms: int
    price_step_ticks: int
    qty_step_lots: int
    orders_max: int
    maker_fee_ppm: int
    taker_fee_ppm: int
    base_atoms_per_lot: int
    quote_atoms_per_tick_lot: int
    trades: int


class AccountView(NamedTuple):
    """A user's account; a fee override of -1 means the symbol's rate."""

    account: int
    mode: int
    maker_fee_ppm: int
    taker_fee_ppm: int


@part
def _copy_open(state: State, slot: int, copy: Any) -> None:
    order = state.orders[slot]
    detail = state.details[slot]
    copy.order_id = order.order_id
    copy.account = order.account
    copy.symbol = order.symbol
    copy_order_codes(copy, order)
    copy.status = OrderStatus.PARTIALLY_FILLED if order.filled_lots > 0 else OrderStatus.NEW
    copy.price_ticks = order.price_ticks
    copy.leaves_lots = order.leaves_lots
    copy.filled_lots = order.filled_lots
    copy.filled_quote_atoms = detail.filled_quote_atoms
    copy.quote_atoms = 0
    copy.submitted_lots = detail.submitted_lots
    copy.created_ts_ns = detail.created_ts_ns
    copy.updated_ts_ns = detail.updated_ts_ns
    copy.expire_ts_ns = detail.expire_ts_ns
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
        OrderView._make((*row[:17], bool(row[17]), row[18].decode("ascii", "replace")))
        for row in np.asarray(copies).view(_ORDER_TEXT).tolist()
    ]


def _copies(count: int) -> Any:
    return np.zeros(count, dtype=ORDER_COPY).view(np.recarray)


def is_account(state: State, account: int) -> bool:
    """Whether an id names an open account."""
    return 0 <= account < len(state.accounts) and bool(state.accounts[account].mode)


def accounts(state: State) -> list[int]:
    """Every open account of a user, by id."""
    return [int(one) for one in np.flatnonzero(state.accounts.mode) if one >= Account.FIRST_USER]


def account_view(state: State, account: int) -> AccountView | None:
    """A user's account, None if it is not open."""
    if not is_account(state, account):
        return None
    row = state.accounts[account]
    return AccountView(account, int(row.mode), int(row.maker_fee_ppm), int(row.taker_fee_ppm))


def balances(state: State, account: int) -> list[tuple[int, int, int]]:
    """An account's (asset, available, locked) for every asset that exists, by asset id; atoms."""
    if not 0 <= account < len(state.accounts):
        return []
    stride = len(state.assets)
    rows = np.asarray(state.balances[account * stride : (account + 1) * stride]).tolist()
    exists = state.assets.exists.tolist()
    return [(asset, *rows[asset]) for asset in range(stride) if exists[asset]]


def open_orders(state: State, account: int, symbol: int = 0) -> list[OrderView]:
    """An account's open orders on one symbol or (0) on all, by symbol id, then by order id."""
    return list(each_open_order(state, account, symbol))


def each_open_order(state: State, account: int, symbol: int = 0) -> Iterator[OrderView]:
    """The same orders, as they are now; each view is made when it is asked for, which takes 20 times as long."""
    if not is_account(state, account) or not 0 <= symbol < len(state.symbols):
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


def next_due_ts_ns(state: State) -> int:
    """When TICK has something to do next: a time that may have passed, 0 for nothing."""
    return int(state.expiries[0].expire_ts_ns) if state.header[0].expiries else 0


def compile_now(state: State) -> None:
    """Compile what is not compiled yet, before anybody waits for it."""
    _copy_owned(state, 0, 0, _copies(1))
    find_order(state, 0)


def depth(state: State, symbol: int, side: int, levels_max: int) -> list[tuple[int, int]]:
    """The best levels of one side, best first: (price_ticks, lots)."""
    rows: list[tuple[int, int]] = []
    level = int(state.sides[symbol * 2 + side].best)
    while level and len(rows) < levels_max:
        record = state.levels[level]
        rows.append((int(record.price_ticks), int(record.lots)))
        level = int(record.worse)
    return rows


def _name(record: Any) -> str:
    return (
        (int(record.name_0).to_bytes(8, "little") + int(record.name_1).to_bytes(8, "little"))
        .rstrip(b"\0")
        .decode("ascii", "replace")
    )


def assets(state: State) -> list[AssetView]:
    """All assets, by id."""
    return [
        AssetView(asset, _name(state.assets[asset]), int(state.assets[asset].scale))
        for asset in range(len(state.assets))
        if state.assets[asset].exists
    ]


def symbols(state: State) -> list[SymbolView]:
    """All symbols, by id."""
    return [
        SymbolView(
            symbol,
            _name(state.symbols[symbol]),
            *(int(state.symbols[symbol][field]) for field in SymbolView._fields[2:]),
        )
        for symbol in range(len(state.symbols))
        if state.symbols[symbol].mode
    ]
