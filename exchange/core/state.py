"""Everything the engine knows, as arrays of records.

Owns the layout of the state, its genesis and its growth. Never decides anything. Slots are u4 and slot 0 of a pool is
"none", so zeroed memory is the empty state. Capacity is not semantics: a pool that is full makes the kernel return, the
pool grows here, and the kernel goes on; what an operator limits are the `limits`, which travel through the log.

Memory an open order takes: 64 bytes hot, 80 bytes detail, 2 x 6.4 bytes of index at its fullest = 157.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Any, NamedTuple

import numpy as np

from exchange.core.codes import Account, Limit, SymbolRule, TradingMode
from exchange.core.records import RECORD_BYTES
from exchange.core.state_records import (
    ACCOUNT_GUARD,
    ACCOUNT_ROW,
    ASSET_ROW,
    BALANCE,
    BREAKER_BUCKET,
    CLOSED,
    COUNTDOWN_ROW,
    DETAIL,
    EXPIRY,
    HEADER,
    KEY_ROW,
    LEVEL,
    LIST_ROW,
    MARKET_ROW,
    NODE,
    ORDER,
    OWNED,
    REFERENCE_BUCKET,
    SIDE,
    SYMBOL_ROW,
    TERMS,
    TRANSFER_ROW,
    Dtype,
)

MAX_ATOMS = (1 << 62) - 1
EXPIRIES_PER_TICK = 1_000
TURNS_PER_COMMAND = 100
"""Triggered orders and called legs that one command lets enter, at most."""
TRAILING_ORDERS_MAX = 1_000
"""Trailing stops of a symbol: each trade looks at all of them."""
MASS_CANCEL_MAX = 5_000
COUNTDOWNS_MAX = 10_000
KEY_MAX = (1 << 20) - 1
SIDES = 4
"""Sides of a symbol: BUY, SELL, and the trigger sides."""
DOWN = 2
"""The trigger side of orders that a low enough trade price calls; its best level has the highest stop price."""
UP = 3
BUCKETS = 16
"""Buckets of a window; bucket n stands at n % BUCKETS."""
SYMBOL_RULES = len(SymbolRule)
SPECIAL = 1
"""Bits of an order's `special`."""
ICEBERG = 2
LEG = 4
LEGS_MAX = 3
FEE_PPM_MAX = 100_000
SCALE_MAX = 18
NODE_KEYS = 64
CLOSED_BIT = 1 << 31
"""In an index: the reference is a position in the window of closed orders, not a slot of an open one."""

LIMIT_DEFAULTS = (64, 64, 100_000, 1_000_000, 1_000_000, 10_000_000, 100_000)
LIMIT_MAX = (1_024, 1_024, 1 << 24, 1 << 26, 1 << 26, 1 << 28, 1 << 24)


class State(NamedTuple):
    """The engine's whole state. Two-dimensional tables are flat: row * stride + column."""

    header: Any  # 1 HEADER
    limits: Any  # i8 by Limit
    assets: Any  # ASSET_ROW by asset id
    symbols: Any  # SYMBOL_ROW by symbol id
    accounts: Any  # ACCOUNT_ROW by account id
    balances: Any  # BALANCE by account * len(assets) + asset
    owned: Any  # OWNED by account * len(symbols) + symbol
    markets: Any  # MARKET_ROW by symbol id
    rules: Any  # i8 by symbol * SYMBOL_RULES + SymbolRule
    reference_buckets: Any  # REFERENCE_BUCKET by symbol * BUCKETS + position
    breaker_buckets: Any  # BREAKER_BUCKET, likewise
    account_guards: Any  # ACCOUNT_GUARD by account id
    exposures: Any  # i8 by account * len(assets) + asset: LOCKED_MAX_ATOMS, zero: none
    keys: Any  # KEY_ROW by key number
    sides: Any  # SIDE by symbol * SIDES + side
    levels: Any  # LEVEL pool
    nodes: Any  # NODE pool of the level trees
    node_keys: Any  # i8 (nodes, NODE_KEYS): ascending, the best key last
    node_refs: Any  # u4 (nodes, NODE_KEYS): level slots in a leaf, node slots above
    orders: Any  # ORDER pool
    details: Any  # DETAIL, same slots as orders
    order_index: Any  # u4 hash table: order id -> slot, or CLOSED_BIT | position in closed
    client_index: Any  # u4 hash table: (account, client id) -> the same
    closed: Any  # CLOSED ring by ordinal % len
    transfers: Any  # TRANSFER_ROW pool
    transfer_index: Any  # u4 hash table: transfer id -> slot
    expiries: Any  # EXPIRY binary heap, 0-based
    terms: Any  # TERMS pool: what special and GTD orders have beyond the others
    lists: Any  # LIST_ROW pool
    staged: Any  # u1 (4, 128): PLACE_LIST and the legs of the list under construction
    countdowns: Any  # COUNTDOWN_ROW, the first header.countdowns
    row: Any  # i8 (ROW_FIELDS_MAX): scratch of the hash


ROW_FIELDS_MAX = 32


class Room(IntEnum):
    """What a kernel may ask to be enlarged (`header.room`)."""

    NONE = 0
    ASSETS = 1
    SYMBOLS = 2
    ACCOUNTS = 3
    LEVELS = 4
    NODES = 5
    ORDERS = 6
    CLOSED = 7
    TRANSFERS = 8
    EXPIRIES = 9
    TERMS = 10
    LISTS = 11
    KEYS = 12
    COUNTDOWNS = 13


class Capacity(NamedTuple):
    """Initial sizes of the pools; they double as needed."""

    assets: int = 8
    symbols: int = 8
    accounts: int = 1 << 10
    levels: int = 1 << 12
    nodes: int = 1 << 9
    orders: int = 1 << 14
    transfers: int = 1 << 10
    expiries: int = 1 << 10
    terms: int = 1 << 10
    lists: int = 1 << 8
    keys: int = 1 << 4
    countdowns: int = 1 << 4


TINY = Capacity(2, 2, 17, 2, 16, 2, 2, 2, 2, 2, 1, 1)
"""The smallest state: every pool must grow at once. For tests."""


def new_records(count: int, dtype: Dtype) -> Any:
    """Zeroed records on a 64-byte boundary, so that a hot record never straddles a cache line more than it must."""
    raw = np.zeros(count * dtype.itemsize + 64, dtype=np.uint8)
    start = -raw.ctypes.data % 64
    return raw[start : start + count * dtype.itemsize].view(dtype).view(np.recarray)


def _power_of_two(least: int) -> int:
    return 1 << max(least - 1, 1).bit_length()


def new_index(entries: int) -> Any:
    """An empty hash table of references with room for `entries` at a load of at most 5/8."""
    return np.zeros(_power_of_two(entries * 8 // 5), dtype=np.uint32)


def index_entries(index: Any) -> int:
    """How many entries an index has room for."""
    return len(index) * 5 // 8


def new_state(capacity: Capacity | None = None, index_seed: int = 0) -> State:
    """The state before the first command: nothing exists, the venue is OPEN, the limits have their defaults.

    `index_seed` should be random on a public venue: it keeps clients from choosing ids that collide.
    """
    size = capacity or Capacity()
    closed = LIMIT_DEFAULTS[Limit.CLOSED_ORDERS]
    accounts = max(size.accounts, Account.FIRST_USER + 1)
    state = State(
        header=new_records(1, HEADER),
        limits=np.array(LIMIT_DEFAULTS, dtype=np.int64),
        assets=new_records(size.assets, ASSET_ROW),
        symbols=new_records(size.symbols, SYMBOL_ROW),
        accounts=new_records(accounts, ACCOUNT_ROW),
        balances=new_records(accounts * size.assets, BALANCE),
        owned=new_records(accounts * size.symbols, OWNED),
        markets=new_records(size.symbols, MARKET_ROW),
        rules=np.zeros(size.symbols * SYMBOL_RULES, dtype=np.int64),
        reference_buckets=new_records(size.symbols * BUCKETS, REFERENCE_BUCKET),
        breaker_buckets=new_records(size.symbols * BUCKETS, BREAKER_BUCKET),
        account_guards=new_records(accounts, ACCOUNT_GUARD),
        exposures=np.zeros(accounts * size.assets, dtype=np.int64),
        keys=new_records(size.keys, KEY_ROW),
        sides=new_records(size.symbols * SIDES, SIDE),
        levels=new_records(size.levels, LEVEL),
        nodes=new_records(size.nodes, NODE),
        node_keys=np.zeros((size.nodes, NODE_KEYS), dtype=np.int64),
        node_refs=np.zeros((size.nodes, NODE_KEYS), dtype=np.uint32),
        orders=new_records(size.orders, ORDER),
        details=new_records(size.orders, DETAIL),
        order_index=new_index(size.orders + closed),
        client_index=new_index(size.orders + closed),
        closed=new_records(closed, CLOSED),
        transfers=new_records(size.transfers, TRANSFER_ROW),
        transfer_index=new_index(size.transfers),
        expiries=new_records(size.expiries, EXPIRY),
        terms=new_records(size.terms, TERMS),
        lists=new_records(size.lists, LIST_ROW),
        staged=np.zeros((4, RECORD_BYTES), dtype=np.uint8),
        countdowns=new_records(size.countdowns, COUNTDOWN_ROW),
        row=np.zeros(ROW_FIELDS_MAX, dtype=np.int64),
    )
    header = state.header[0]
    header.mode = TradingMode.OPEN
    header.next_order_id = 1
    header.index_seed = index_seed
    header.order_high = header.level_high = header.node_high = header.terms_high = header.list_high = 1
    header.next_list_id = 1
    return state


def grown(array: Any, count: int) -> Any:
    """A copy of a record array or of the rows of a plain one with room for `count`; the new part is zero."""
    if array.dtype.names:
        larger = new_records(count, array.dtype)
    else:
        larger = np.zeros((count, *array.shape[1:]), dtype=array.dtype)
    larger[: len(array)] = array
    return larger


def restrided(table: Any, old_stride: int, new_stride: int, rows: int) -> Any:
    """A flat two-dimensional table with wider rows and `rows` of them."""
    larger = grown(table[:0], rows * new_stride)
    old_rows = len(table) // old_stride
    larger.reshape(rows, new_stride)[:old_rows, :old_stride] = table.reshape(old_rows, old_stride)
    return larger
