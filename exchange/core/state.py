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

from exchange.core.codes import Account, Limit, TradingMode

MAX_ATOMS = (1 << 62) - 1
EXPIRIES_PER_TICK = 1_000
FEE_PPM_MAX = 100_000
SCALE_MAX = 18
NODE_KEYS = 64
CLOSED_BIT = 1 << 31
"""In an index: the reference is a position in the window of closed orders, not a slot of an open one."""

LIMIT_DEFAULTS = (64, 64, 100_000, 1_000_000, 1_000_000, 10_000_000, 100_000)
LIMIT_MAX = (1_024, 1_024, 1 << 24, 1 << 26, 1 << 26, 1 << 28, 1 << 24)

Dtype = np.dtype[Any]

HEADER: Dtype = np.dtype(
    [
        ("sequence", "<i8"),  # last command applied
        ("ts_ns", "<i8"),  # its time
        ("mode", "<i8"),  # TradingMode of the venue
        ("next_order_id", "<i8"),
        ("link_failed_sequence", "<i8"),  # last linked CANCEL that was refused without ALLOW_FAILURE
        ("event_count", "<i8"),  # events emitted since genesis: the last ordinal of the event journal
        ("closed_next", "<i8"),  # ordinal of the next closed order to remember
        ("closed_first", "<i8"),  # ordinal of the oldest one remembered
        ("open_orders", "<i8"),
        ("levels", "<i8"),  # price levels in use, over all books
        ("nodes", "<i8"),  # level-tree nodes in use
        ("transfers", "<i8"),
        ("expiries", "<i8"),  # entries of the expiry heap, stale ones included
        ("order_free", "<i8"),  # free lists and high-water marks of the pools
        ("order_high", "<i8"),
        ("level_free", "<i8"),
        ("level_high", "<i8"),
        ("node_free", "<i8"),
        ("node_high", "<i8"),
        ("hash_sequence", "<i8"),  # the last HASH and what it found
        ("hash_0", "<i8"),
        ("hash_1", "<i8"),
        ("index_seed", "<i8"),  # of the client-id table; decides places, never results
        ("fault", "<i8"),  # Fault that stopped the kernel
        ("room", "<i8"),  # Room that the kernel asks for
        ("events_needed", "<i8"),  # event slots the next command may need
    ],
    align=True,
)
ASSET_ROW: Dtype = np.dtype([("exists", "u1"), ("scale", "u1"), ("name_0", "<i8"), ("name_1", "<i8")], align=True)
SYMBOL_ROW: Dtype = np.dtype(
    [
        ("mode", "u1"),  # TradingMode; zero: no such symbol
        ("price_scale", "u1"),
        ("qty_scale", "u1"),
        ("base_asset", "<i4"),
        ("quote_asset", "<i4"),
        ("price_min_ticks", "<i8"),
        ("price_max_ticks", "<i8"),
        ("qty_min_lots", "<i8"),
        ("qty_max_lots", "<i8"),
        ("notional_min_atoms", "<i8"),
        ("notional_max_atoms", "<i8"),
        ("price_step_ticks", "<i8"),
        ("qty_step_lots", "<i8"),
        ("orders_max", "<i8"),
        ("maker_fee_ppm", "<i8"),
        ("taker_fee_ppm", "<i8"),
        ("price_ceiling_ticks", "<i8"),  # largest price_max and qty_max it ever had
        ("qty_ceiling_lots", "<i8"),
        ("base_atoms_per_lot", "<i8"),
        ("quote_atoms_per_tick_lot", "<i8"),
        ("trades", "<i8"),  # trade id of the last trade
        ("name_0", "<i8"),
        ("name_1", "<i8"),
    ],
    align=True,
)
ACCOUNT_ROW: Dtype = np.dtype(
    [("mode", "<i4"), ("maker_fee_ppm", "<i4"), ("taker_fee_ppm", "<i4"), ("spare", "<i4")], align=True
)
BALANCE: Dtype = np.dtype([("available", "<i8"), ("locked", "<i8")], align=True)
OWNED: Dtype = np.dtype([("count", "<u4"), ("head", "<u4"), ("tail", "<u4"), ("spare", "<u4")], align=True)
"""An account's open orders on a symbol: a list in order of order id."""

SIDE: Dtype = np.dtype(
    [
        ("best", "<u4"),  # level slot
        ("root", "<u4"),  # node slot
        ("best_leaf", "<u4"),  # the leaf that holds the best level
        ("orders", "<u4"),  # resting orders
    ],
    align=True,
)
LEVEL: Dtype = np.dtype(
    [
        ("price_ticks", "<i8"),
        ("lots", "<i8"),  # sum of leaves
        ("head", "<u4"),  # first and last order of the queue
        ("tail", "<u4"),
        ("better", "<u4"),  # neighbouring levels of the side
        ("worse", "<u4"),
        ("leaf", "<u4"),  # the node that holds it
        ("side", "<u4"),  # index into sides
        ("orders", "<u4"),
        ("spare", "<u4"),
    ],
    align=True,
)
NODE: Dtype = np.dtype([("parent", "<u4"), ("count", "<u4"), ("is_leaf", "<u4"), ("next_free", "<u4")], align=True)
ORDER: Dtype = np.dtype(
    [
        ("order_id", "<i8"),
        ("price_ticks", "<i8"),
        ("leaves_lots", "<i8"),
        ("filled_lots", "<i8"),
        ("account", "<i4"),
        ("symbol", "<i4"),
        ("next", "<u4"),  # queue neighbours; `next` also chains the free slots
        ("prev", "<u4"),
        ("owner_next", "<u4"),  # neighbours among the account's orders on the symbol
        ("owner_prev", "<u4"),
        ("level", "<u4"),
        ("side", "u1"),
        ("order_type", "u1"),
        ("time_in_force", "u1"),
        ("stp_mode", "u1"),
    ],
    align=True,
)
DETAIL: Dtype = np.dtype(
    [
        ("filled_quote_atoms", "<i8"),
        ("submitted_lots", "<i8"),
        ("created_ts_ns", "<i8"),
        ("updated_ts_ns", "<i8"),
        ("expire_ts_ns", "<i8"),
        ("client_hash", "<i4"),
        ("client_id_0", "<i4"),
        ("client_id_1", "<i8"),
        ("client_id_2", "<i8"),
        ("client_id_3", "<i8"),
        ("client_id_4", "<i8"),
    ],
    align=True,
)
CLOSED: Dtype = np.dtype(
    [
        ("order_id", "<i8"),
        ("price_ticks", "<i8"),
        ("closed_lots", "<i8"),  # leaves when it closed
        ("filled_lots", "<i8"),
        ("filled_quote_atoms", "<i8"),
        ("submitted_lots", "<i8"),
        ("quote_atoms", "<i8"),
        ("created_ts_ns", "<i8"),
        ("updated_ts_ns", "<i8"),
        ("expire_ts_ns", "<i8"),
        ("account", "<i4"),
        ("symbol", "<i4"),
        ("side", "u1"),
        ("order_type", "u1"),
        ("time_in_force", "u1"),
        ("stp_mode", "u1"),
        ("status", "u1"),
        ("spare_0", "u1"),
        ("spare_1", "<i2"),
        ("client_hash", "<i4"),
        ("client_id_0", "<i4"),
        ("client_id_1", "<i8"),
        ("client_id_2", "<i8"),
        ("client_id_3", "<i8"),
        ("client_id_4", "<i8"),
    ],
    align=True,
)
TRANSFER_ROW: Dtype = np.dtype(
    [
        ("transfer_id", "<i8"),
        ("amount_atoms", "<i8"),
        ("account", "<i4"),
        ("asset", "<i4"),
        ("state", "<i8"),  # TransferState
    ],
    align=True,
)
EXPIRY: Dtype = np.dtype([("expire_ts_ns", "<i8"), ("order_id", "<i8"), ("slot", "<i8")], align=True)

for _dtype, _bytes in (
    (ORDER, 64),
    (DETAIL, 80),
    (LEVEL, 48),
    (SIDE, 16),
    (NODE, 16),
    (CLOSED, 136),
    (TRANSFER_ROW, 32),
):
    if _dtype.itemsize != _bytes:
        raise AssertionError(f"a state record is {_dtype.itemsize} bytes, not {_bytes}: {_dtype}")


class State(NamedTuple):
    """The engine's whole state. Two-dimensional tables are flat: row * stride + column."""

    header: Any  # 1 HEADER
    limits: Any  # i8 by Limit
    assets: Any  # ASSET_ROW by asset id
    symbols: Any  # SYMBOL_ROW by symbol id
    accounts: Any  # ACCOUNT_ROW by account id
    balances: Any  # BALANCE by account * len(assets) + asset
    owned: Any  # OWNED by account * len(symbols) + symbol
    sides: Any  # SIDE by symbol * 2 + side
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


TINY = Capacity(2, 2, 17, 2, 16, 2, 2, 2)
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
    state = State(
        header=new_records(1, HEADER),
        limits=np.array(LIMIT_DEFAULTS, dtype=np.int64),
        assets=new_records(size.assets, ASSET_ROW),
        symbols=new_records(size.symbols, SYMBOL_ROW),
        accounts=new_records(max(size.accounts, Account.FIRST_USER + 1), ACCOUNT_ROW),
        balances=new_records(max(size.accounts, Account.FIRST_USER + 1) * size.assets, BALANCE),
        owned=new_records(max(size.accounts, Account.FIRST_USER + 1) * size.symbols, OWNED),
        sides=new_records(size.symbols * 2, SIDE),
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
        row=np.zeros(ROW_FIELDS_MAX, dtype=np.int64),
    )
    header = state.header[0]
    header.mode = TradingMode.OPEN
    header.next_order_id = 1
    header.index_seed = index_seed
    header.order_high = header.level_high = header.node_high = 1
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
    larger = new_records(rows * new_stride, table.dtype)
    old_rows = len(table) // old_stride
    larger.reshape(rows, new_stride)[:old_rows, :old_stride] = table.reshape(old_rows, old_stride)
    return larger
