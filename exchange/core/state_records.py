"""The records that the state is made of.

Owns their layout. A field's comment says its meaning and what zero means: zeroed memory is the empty state. Slots are
u4 and slot 0 of a pool is "none".
"""

from __future__ import annotations

from typing import Any

import numpy as np

Dtype = np.dtype[Any]
CLIENT_ID_WORDS = [("client_id_0", "<i4"), *((f"client_id_{word}", "<i8") for word in range(1, 5))]
"""A client id of 36 characters, as words that are copied and compared at once."""

HEADER: Dtype = np.dtype(
    [
        ("sequence", "<i8"),  # last command applied
        ("ts_ns", "<i8"),  # its time
        ("mode", "<i8"),  # TradingMode of the venue
        ("withdrawals_mode", "<i8"),  # TradingMode of WITHDRAW_HOLD; zero is OPEN
        ("next_order_id", "<i8"),
        ("link_failed_sequence", "<i8"),  # last command that was refused though what follows it hangs on it
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
        ("specials", "<i8"),  # open special orders
        ("terms_free", "<i8"),
        ("terms_high", "<i8"),
        ("terms", "<i8"),  # terms in use
        ("next_list_id", "<i8"),
        ("list_free", "<i8"),
        ("list_high", "<i8"),
        ("lists", "<i8"),  # open order lists
        ("staged", "<i8"),  # commands of the list under construction, as long as
        ("staged_sequence", "<i8"),  # the last of them is the last command
        ("key_guards", "<i8"),  # keys that have a rule
        ("countdowns", "<i8"),
        ("countdown_next_ts_ns", "<i8"),  # no countdown is due earlier; zero: none is armed
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
    [
        ("mode", "<i2"),  # TradingMode; zero: no such account
        ("guarded", "<i2"),  # 1: it has a rule other than TRADE_GROUP
        ("maker_fee_ppm", "<i4"),
        ("taker_fee_ppm", "<i4"),
        ("trade_group", "<i4"),  # zero: none
    ],
    align=True,
)
ACCOUNT_GUARD: Dtype = np.dtype(
    [
        ("orders_max", "<i8"),
        ("window_ns", "<i8"),
        ("window_start_ts_ns", "<i8"),
        ("orders", "<i8"),  # accepted in the window
    ],
    align=True,
)
KEY_ROW: Dtype = np.dtype(
    [
        ("notional_day_max_atoms", "<i8"),  # zero: no guard
        ("used_atoms", "<i8"),  # of the day
        ("day", "<i4"),  # ts // 86 400 s
        ("asset", "<i4"),
    ],
    align=True,
)
MARKET_ROW: Dtype = np.dtype(
    [
        ("last_ticks", "<i8"),  # price of the last trade; zero: none yet
        ("passed_low_ticks", "<i8"),  # trade prices since nothing was due any more; zeros: none
        ("passed_high_ticks", "<i8"),
        ("phase_end_ts_ns", "<i8"),
        ("indicative_price_ticks", "<i8"),  # what AUCTION_INDICATED said last
        ("indicative_lots", "<i8"),
        ("parts", "<i8"),  # bound of the parts that open icebergs may still show
        ("due_head", "<u4"),  # the due queue, chained as a level's
        ("due_tail", "<u4"),
        ("trail_head", "<u4"),  # the trailing list, chained through the terms
        ("trail_tail", "<u4"),
        ("specials", "<u4"),  # open special orders
        ("trailing", "<u4"),  # of which with trailing_bips
        ("phase", "u1"),  # Phase
        ("watched", "u1"),  # 1: it ever had a special order, a rule or an auction, so the hash covers it
        ("guarded", "u1"),  # 1: it has a rule, or its phase is not CONTINUOUS
        ("spare", "u1"),
    ],
    align=True,
)
"""What changes with every trade of a symbol, and what waits for it."""

REFERENCE_BUCKET: Dtype = np.dtype(
    [
        ("number", "<i8"),  # ts // width; stands at number % BUCKETS
        ("lots", "<i8"),  # zero: empty
        ("sum_high", "<i8"),  # of price * lots: high * 2^62 + low
        ("sum_low", "<i8"),
    ],
    align=True,
)
BREAKER_BUCKET: Dtype = np.dtype([("number", "<i8"), ("low_ticks", "<i8"), ("high_ticks", "<i8")], align=True)
"""high_ticks zero: empty."""

COUNTDOWN_ROW: Dtype = np.dtype(
    [("due_ts_ns", "<i8"), ("account", "<i4"), ("symbol", "<i4"), ("key", "<i4"), ("spare", "<i4")], align=True
)
"""A binary heap in the order of its fields."""

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
        ("symbol", "<i2"),
        ("special", "u1"),  # SPECIAL, ICEBERG, LEG; zero: nothing but the book concerns it
        ("stage", "u1"),  # Stage
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
        ("terms", "<u4"),  # slot of its terms; zero: none, it is neither special nor GTD
        ("key", "<i4"),
        ("client_hash", "<i4"),
        *CLIENT_ID_WORDS,
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
        ("peg_type", "u1"),
        ("list_role", "u1"),
        ("spare_0", "u1"),
        ("trailing_bips", "<i2"),
        ("peg_offset_levels", "<i2"),
        ("key", "<i4"),
        ("stop_price_ticks", "<i8"),
        ("iceberg_lots", "<i8"),
        ("list_id", "<i8"),
        ("client_hash", "<i4"),
        *CLIENT_ID_WORDS,
    ],
    align=True,
)
TERMS: Dtype = np.dtype(
    [
        ("expire_ts_ns", "<i8"),  # GTD
        ("stop_price_ticks", "<i8"),
        ("iceberg_lots", "<i8"),
        ("shown_lots", "<i8"),  # what stands on the book for all to see
        ("held_atoms", "<i8"),  # what it holds while it is not on the book
        ("extreme_ticks", "<i8"),  # the best price since it trails
        ("working_ts_ns", "<i8"),  # when it entered; zero: it has not
        ("list_id", "<i8"),  # zero: not a leg
        ("list", "<u4"),  # slot of its list, which may be gone while its last leg ends
        ("trail_next", "<u4"),
        ("trail_prev", "<u4"),
        ("next_free", "<u4"),
        ("trailing_bips", "<i2"),
        ("peg_offset_levels", "<i2"),
        ("peg_type", "u1"),
        ("list_role", "u1"),
        ("spare", "<i2"),
    ],
    align=True,
)
LIST_ROW: Dtype = np.dtype(
    [
        ("list_id", "<i8"),  # zero: a free slot
        ("first_order_id", "<i8"),  # ids of the legs follow each other
        ("slot_0", "<u4"),  # the legs in order; zero: closed, or there is none
        ("slot_1", "<u4"),
        ("slot_2", "<u4"),
        ("next_free", "<u4"),
        ("account", "<i4"),
        ("symbol", "<i4"),
        ("list_type", "u1"),
        ("spare_0", "u1"),
        ("spare", "<i2"),
        *CLIENT_ID_WORDS,
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
    (CLOSED, 168),
    (TERMS, 88),
    (MARKET_ROW, 88),
    (TRANSFER_ROW, 32),
):
    if _dtype.itemsize != _bytes:
        raise AssertionError(f"a state record is {_dtype.itemsize} bytes, not {_bytes}: {_dtype}")
