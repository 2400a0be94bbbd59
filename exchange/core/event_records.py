"""The 128-byte records of events. What holds for all records is said in `records.py`."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from exchange.core.codes import EventKind
from exchange.core.records import (
    ACCOUNT,
    ANY,
    ASSET,
    CLIENT_ID,
    HASH,
    HEAD,
    LIMIT,
    MODE,
    RULE,
    SKIP,
    SYMBOL,
    as_dict,
    record,
    view_as,
)

ORDER_EVENT = record(
    # REJECTED, ORDER_ACCEPTED, ORDER_DUPLICATE, ORDER_REDUCED, ORDER_CLOSED, ORDER_ENTERED, ORDER_SHOWN, ORDER_FUNDED
    *HEAD,
    ("reject", "u1", 18),  # RejectCode; zero unless REJECTED
    ("reason", "u1", 19),  # CloseReason; zero unless ORDER_CLOSED
    ("side", "u1", 20),
    ("order_type", "u1", 21),
    ("time_in_force", "u1", 22),
    ("stp_mode", "u1", 23),
    ("account", "<i4", 24),
    ("symbol", "<i4", 28),
    ("order_id", "<i8", 32),
    ("price_ticks", "<i8", 40),
    # ACCEPTED: the order's; REDUCED, CLOSED: taken away; DUPLICATE: total; ENTERED: leaves; SHOWN: change, signed
    ("qty_lots", "<i8", 48),
    ("quote_atoms", "<i8", 56),  # as submitted (MARKET by quote amount)
    ("hold_delta_atoms", "<i8", 64),  # change of the account's hold, in the asset that the side pays with
    ("filled_lots", "<i8", 72),  # so far
    ("filled_quote_atoms", "<i8", 80),  # so far
    ("command_kind", "u1", 88),  # CommandKind that caused it
    ("status", "u1", 89),  # OrderStatus after the event; zero for REJECTED
    *CLIENT_ID,
)
TRADE = record(
    *HEAD,
    ("side", "u1", 18),  # the taker's
    ("symbol", "<i4", 24),
    ("taker_account", "<i4", 28),
    ("maker_account", "<i4", 32),
    ("taker_order_id", "<i8", 40),
    ("maker_order_id", "<i8", 48),
    ("trade_id", "<i8", 56),  # gapless from 1 per symbol
    ("price_ticks", "<i8", 64),  # the maker's
    ("qty_lots", "<i8", 72),
    ("quote_atoms", "<i8", 80),  # notional: price_ticks * qty_lots * quote_atoms_per_tick_lot
    ("taker_fee_atoms", "<i8", 88),  # in the asset the taker receives
    ("maker_fee_atoms", "<i8", 96),  # in the asset the maker receives
    ("taker_leaves_lots", "<i8", 104),
    ("maker_leaves_lots", "<i8", 112),  # zero: the maker is filled and closed
    ("taker_release_atoms", "<i8", 120),  # price improvement: part of a BUY taker's hold that becomes available again
)
PREVENTED = record(  # a match that self-trade prevention stopped; an order whose leaves are zero after it is closed
    *HEAD,
    ("side", "u1", 18),  # the taker's
    ("stp_mode", "u1", 19),  # the taker's
    ("symbol", "<i4", 24),
    ("account", "<i4", 28),  # the taker's
    ("maker_account", "<i4", 32),  # when it is another one of the trade group, else zero
    ("taker_order_id", "<i8", 40),
    ("maker_order_id", "<i8", 48),
    ("price_ticks", "<i8", 64),  # the maker's
    ("taker_prevented_lots", "<i8", 72),  # taken off the taker
    ("maker_prevented_lots", "<i8", 80),  # taken off the maker
    ("taker_release_atoms", "<i8", 88),
    ("maker_release_atoms", "<i8", 96),
    ("taker_leaves_lots", "<i8", 104),
    ("maker_leaves_lots", "<i8", 112),
)
ORDER_TERMS = record(  # what a special order has beyond a plain one; follows its ORDER_ACCEPTED
    *HEAD,
    ("list_role", "u1", 18),  # ListRole
    ("peg_type", "u1", 19),  # PegType
    ("stage", "u1", 20),  # Stage in which it begins
    ("account", "<i4", 24),
    ("symbol", "<i4", 28),
    ("order_id", "<i8", 32),
    ("stop_price_ticks", "<i8", 40),
    ("iceberg_lots", "<i8", 48),
    ("list_id", "<i8", 56),
    ("expire_ts_ns", "<i8", 64),
    ("trailing_bips", "<i2", 72),
    ("peg_offset_levels", "<i2", 74),
    ("key", "<i4", 76),
)
LIST_EVENT = record(  # STAGED, LIST_CHANGED
    *HEAD,
    ("list_type", "u1", 18),  # ListType
    ("list_status", "u1", 19),  # ListStatus; zero for STAGED
    ("account", "<i4", 24),
    ("symbol", "<i4", 28),
    ("list_id", "<i8", 32),  # from here to the legs zero for STAGED
    ("order_id_0", "<i8", 40),  # the legs in order; zero: there is none
    ("order_id_1", "<i8", 48),
    ("order_id_2", "<i8", 56),
    *CLIENT_ID,  # LIST_CHANGED: of the list; STAGED: of the staged command
)
MASS_CANCELED = record(
    *HEAD,
    ("scope", "u1", 18),
    ("more", "u1", 19),  # 1: there may be more to cancel
    ("account", "<i4", 24),
    ("symbol", "<i4", 28),
    ("key", "<i4", 32),
    ("canceled_count", "<i8", 40),  # without the legs that followed
)
COUNTDOWN_EVENT = record(  # COUNTDOWN_SET, COUNTDOWN_FIRED
    *HEAD,
    ("account", "<i4", 24),
    ("symbol", "<i4", 28),
    ("key", "<i4", 32),
    ("countdown_ns", "<i8", 40),  # as in the command; zero for COUNTDOWN_FIRED
    ("due_ts_ns", "<i8", 48),  # zero: disarmed
)
AUCTION_EVENT = record(  # AUCTION_STARTED, AUCTION_INDICATED, AUCTION_ENDED, BREAKER_TRIPPED
    *HEAD,
    ("symbol", "<i4", 28),
    ("end_ts_ns", "<i8", 32),  # STARTED: of the auction, zero: UNCROSS ends it; TRIPPED: of the pause
    ("price_ticks", "<i8", 40),  # INDICATED, ENDED: the auction's, zero: none; TRIPPED: of the last trade
    ("qty_lots", "<i8", 48),  # INDICATED: would trade; ENDED: traded
    ("imbalance_lots", "<i8", 56),  # INDICATED: demand less supply at the price
    ("trades_count", "<i8", 64),  # ENDED
    ("low_ticks", "<i8", 72),  # TRIPPED: extremes of the window
    ("high_ticks", "<i8", 80),
)
TRANSFER_EVENT = record(  # TRANSFERRED, TRANSFER_DUPLICATE
    *HEAD,
    ("command_kind", "u1", 18),
    ("transfer_state", "u1", 19),  # TransferState after the event
    ("account", "<i4", 24),
    ("asset", "<i4", 28),
    ("transfer_id", "<i8", 32),
    ("amount_atoms", "<i8", 40),
)
CANCELED_ALL = record(
    *HEAD,
    ("account", "<i4", 24),
    ("symbol", "<i4", 28),  # as in the command: zero means every symbol
    ("canceled_count", "<i8", 32),  # how many ORDER_CLOSED events came before this one
)
TICKED = record(
    *HEAD,
    ("expired_count", "<i8", 32),  # how many GTD orders it closed; EXPIRIES_PER_TICK means there may be more
)

EVENT_DTYPES: dict[EventKind, np.dtype[Any]] = {
    EventKind.REJECTED: ORDER_EVENT,
    EventKind.ORDER_ACCEPTED: ORDER_EVENT,
    EventKind.ORDER_DUPLICATE: ORDER_EVENT,
    EventKind.TRADE: TRADE,
    EventKind.PREVENTED: PREVENTED,
    EventKind.ORDER_REDUCED: ORDER_EVENT,
    EventKind.ORDER_CLOSED: ORDER_EVENT,
    EventKind.CANCELED_ALL: CANCELED_ALL,
    EventKind.ORDER_ENTERED: ORDER_EVENT,
    EventKind.ORDER_SHOWN: ORDER_EVENT,
    EventKind.ORDER_FUNDED: ORDER_EVENT,
    EventKind.ORDER_TERMS: ORDER_TERMS,
    EventKind.STAGED: LIST_EVENT,
    EventKind.LIST_CHANGED: LIST_EVENT,
    EventKind.MASS_CANCELED: MASS_CANCELED,
    EventKind.TRANSFERRED: TRANSFER_EVENT,
    EventKind.TRANSFER_DUPLICATE: TRANSFER_EVENT,
    EventKind.COUNTDOWN_SET: COUNTDOWN_EVENT,
    EventKind.COUNTDOWN_FIRED: COUNTDOWN_EVENT,
    EventKind.AUCTION_STARTED: AUCTION_EVENT,
    EventKind.AUCTION_INDICATED: AUCTION_EVENT,
    EventKind.AUCTION_ENDED: AUCTION_EVENT,
    EventKind.BREAKER_TRIPPED: AUCTION_EVENT,
    EventKind.LIMIT_SET: LIMIT,
    EventKind.ASSET_ADDED: ASSET,
    EventKind.SYMBOL_ADDED: SYMBOL,
    EventKind.SYMBOL_CHANGED: SYMBOL,
    EventKind.ACCOUNT_OPENED: ACCOUNT,
    EventKind.FEES_SET: ACCOUNT,
    EventKind.TRADING_MODE_SET: MODE,
    EventKind.RULE_SET: RULE,
    EventKind.TICKED: TICKED,
    EventKind.HASHED: HASH,
    EventKind.SKIP_NOTED: SKIP,
}


class Events(NamedTuple):
    """One buffer of event slots, seen through each dtype. All arrays have the same length and share memory."""

    any: Any
    order: Any
    trade: Any


def view_events(buffer: np.ndarray[Any, Any]) -> Events:
    """The views of an event buffer; `buffer` is contiguous u1 with a size that is a multiple of RECORD_BYTES."""
    return Events(view_as(buffer, ANY), view_as(buffer, ORDER_EVENT), view_as(buffer, TRADE))


def event_dict(slot: np.ndarray[Any, Any]) -> dict[str, int]:
    """One event slot (128 u1) as {field: int} by its kind, "client_id" and "name" as text. For people and tests."""
    return as_dict(slot, EVENT_DTYPES[EventKind(int(slot[16]))])
