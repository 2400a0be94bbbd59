"""The 128-byte records: what a command and an event look like in the ring, in the journal and in every reader.

A slot is two cache lines. All commands share the first 24 bytes but for the narrow codes in bytes 18..23, all events
likewise; the rest is read through the dtype that belongs to the kind (a union, spelled as several views of one buffer).
Integers are little-endian and signed; text is ASCII padded with zero bytes. No field has two meanings; a byte that no
field of the kind names is zero. Units are the suffix: ticks, lots, atoms, ns, ppm, bips.

    0        8        16              24       28       32                                        92            127
    +--------+--------+-+-+-----------+--------+--------+-----------------------------------------+-------------+
    |sequence| ts_ns  |k|f| codes     |account | symbol |  prices, quantities, amounts            | client id   |
    +--------+--------+-+-+-----------+--------+--------+-----------------------------------------+-------------+

Source of the field names: the vocabulary in CONTRIBUTING.md.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from exchange.core.codes import CommandKind, EventKind

RECORD_BYTES = 128
CLIENT_ID_BYTES = 36
NAME_BYTES = 16

Field = tuple[str, str, int]


def _record(*fields: Field) -> np.dtype[Any]:
    """A packed-by-offset dtype of RECORD_BYTES from (name, format, offset) rows; refuses overlaps."""
    end = 0
    for name, form, offset in fields:
        if offset < end:
            raise AssertionError(f"field {name} at {offset} overlaps the field before it, which ends at {end}")
        end = offset + np.dtype(form).itemsize
    names, formats, offsets = zip(*fields, strict=True)
    return np.dtype(
        {"names": list(names), "formats": list(formats), "offsets": list(offsets), "itemsize": RECORD_BYTES}, align=True
    )


_HEAD: tuple[Field, ...] = (
    ("sequence", "<i8", 0),  # gapless from 1, one per command; written by the ring's publisher
    ("ts_ns", "<i8", 8),  # engine time, never decreasing; written by the ring's publisher
    ("kind", "u1", 16),  # CommandKind / EventKind
    # CommandFlag / EventFlag bits; to be read as record["flags"], because NumPy's scalars have a .flags of their own
    ("flags", "u1", 17),
)
_CLIENT_ID: tuple[Field, ...] = (
    ("client_id_0", "<i4", 92),  # the 36 characters as one i4 and four i8, so that kernels compare words
    ("client_id_1", "<i8", 96),
    ("client_id_2", "<i8", 104),
    ("client_id_3", "<i8", 112),
    ("client_id_4", "<i8", 120),
)

ANY = _record(*_HEAD)
"""The fields that every command and every event has."""

# ---- commands -----------------------------------------------------------------------------------------------------

PLACE = _record(
    *_HEAD,
    ("side", "u1", 18),  # Side
    ("order_type", "u1", 19),  # OrderType
    ("time_in_force", "u1", 20),  # TimeInForce
    ("stp_mode", "u1", 21),  # StpMode
    ("list_role", "u1", 22),  # reserved for order lists: zero
    ("peg_type", "u1", 23),  # reserved for pegged orders: zero
    ("account", "<i4", 24),
    ("symbol", "<i4", 28),
    ("price_ticks", "<i8", 32),  # limit price; zero for MARKET
    ("qty_lots", "<i8", 40),  # zero for MARKET by quote amount
    ("quote_atoms", "<i8", 48),  # MARKET by quote amount: how much to spend or receive; else zero
    ("expire_ts_ns", "<i8", 56),  # GTD: the first TICK at or after it closes the order; else zero
    ("stop_price_ticks", "<i8", 64),  # reserved: zero
    ("iceberg_lots", "<i8", 72),  # reserved: zero
    ("order_list_id", "<i8", 80),  # reserved: zero
    ("trailing_bips", "<i2", 88),  # reserved: zero
    ("peg_offset_ticks", "<i2", 90),  # reserved: zero
    *_CLIENT_ID,  # all zero: none
)
TARGET = _record(  # CANCEL, REDUCE, CANCEL_ALL
    *_HEAD,
    ("account", "<i4", 24),
    ("symbol", "<i4", 28),  # zero: whichever (CANCEL, REDUCE) or every one (CANCEL_ALL)
    ("order_id", "<i8", 32),  # zero: the order is named by its client id; CANCEL_ALL: zero
    ("qty_lots", "<i8", 40),  # REDUCE: the new total quantity (filled part included)
    *_CLIENT_ID,
)
TRANSFER = _record(  # DEPOSIT, WITHDRAW_HOLD, WITHDRAW_SETTLE, WITHDRAW_RELEASE
    *_HEAD,
    ("account", "<i4", 24),
    ("asset", "<i4", 28),
    ("transfer_id", "<i8", 32),  # chosen by the caller, never used for anything else, > 0
    ("amount_atoms", "<i8", 40),
)
ASSET = _record(  # ADD_ASSET
    *_HEAD,
    ("scale", "u1", 18),  # decimals of the atom, 0..18
    ("asset", "<i4", 28),
    ("name_0", "<i8", 112),  # 16 ASCII characters, opaque to the engine
    ("name_1", "<i8", 120),
)
SYMBOL = _record(  # ADD_SYMBOL, CHANGE_SYMBOL (which ignores assets, scales and name)
    *_HEAD,
    ("price_scale", "u1", 18),  # decimals of one price tick
    ("qty_scale", "u1", 19),  # decimals of one lot
    ("symbol", "<i4", 28),
    ("base_asset", "<i4", 32),
    ("quote_asset", "<i4", 36),
    ("price_min_ticks", "<i8", 40),
    ("price_max_ticks", "<i8", 48),
    ("qty_min_lots", "<i8", 56),
    ("qty_max_lots", "<i8", 64),
    ("notional_min_atoms", "<i8", 72),
    ("notional_max_atoms", "<i8", 80),
    ("price_step_ticks", "<i4", 88),
    ("qty_step_lots", "<i4", 92),
    ("orders_max", "<i4", 96),  # open orders an account may have on this symbol
    ("maker_fee_ppm", "<i4", 100),
    ("taker_fee_ppm", "<i4", 104),
    ("name_0", "<i8", 112),
    ("name_1", "<i8", 120),
)
ACCOUNT = _record(  # OPEN_ACCOUNT, SET_FEES
    *_HEAD,
    ("account", "<i4", 24),
    ("maker_fee_ppm", "<i4", 32),  # -1: the symbol's rate
    ("taker_fee_ppm", "<i4", 36),  # -1: the symbol's rate
)
MODE = _record(  # SET_TRADING_MODE
    *_HEAD,
    ("scope", "u1", 18),  # Scope
    ("mode", "u1", 19),  # TradingMode
    ("account", "<i4", 24),  # Scope.ACCOUNT, else zero
    ("symbol", "<i4", 28),  # Scope.SYMBOL, else zero
)
LIMIT = _record(  # SET_LIMIT
    *_HEAD,
    ("limit", "u1", 18),  # Limit
    ("value", "<i8", 32),
)
HASH = _record(  # HASH command: what the state hash was at an earlier HASH; HASHED event: what it is at this one
    *_HEAD,
    ("at_sequence", "<i8", 32),  # command: the sequence of the HASH it repeats, zero: none; event: its own sequence
    ("hash_0", "<i8", 40),
    ("hash_1", "<i8", 48),
)

# ---- events -------------------------------------------------------------------------------------------------------

ORDER_EVENT = _record(  # REJECTED, ORDER_ACCEPTED, ORDER_DUPLICATE, ORDER_REDUCED, ORDER_CLOSED
    *_HEAD,
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
    ("qty_lots", "<i8", 48),  # ACCEPTED: the order's; REDUCED, CLOSED: taken away; DUPLICATE: total
    ("quote_atoms", "<i8", 56),  # as submitted (MARKET by quote amount)
    ("hold_delta_atoms", "<i8", 64),  # change of the account's hold, in the asset that the side pays with
    ("filled_lots", "<i8", 72),  # so far
    ("filled_quote_atoms", "<i8", 80),  # so far
    ("command_kind", "u1", 88),  # CommandKind that caused it
    ("status", "u1", 89),  # OrderStatus after the event; zero for REJECTED
    *_CLIENT_ID,
)
TRADE = _record(
    *_HEAD,
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
PREVENTED = _record(  # a match that self-trade prevention stopped; an order whose leaves are zero after it is closed
    *_HEAD,
    ("side", "u1", 18),  # the taker's
    ("stp_mode", "u1", 19),  # the taker's
    ("symbol", "<i4", 24),
    ("account", "<i4", 28),
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
TRANSFER_EVENT = _record(  # TRANSFERRED, TRANSFER_DUPLICATE
    *_HEAD,
    ("command_kind", "u1", 18),
    ("transfer_state", "u1", 19),  # TransferState after the event
    ("account", "<i4", 24),
    ("asset", "<i4", 28),
    ("transfer_id", "<i8", 32),
    ("amount_atoms", "<i8", 40),
)
CANCELED_ALL = _record(
    *_HEAD,
    ("account", "<i4", 24),
    ("symbol", "<i4", 28),  # as in the command: zero means every symbol
    ("canceled_count", "<i8", 32),  # how many ORDER_CLOSED events came before this one
)
TICKED = _record(
    *_HEAD,
    ("expired_count", "<i8", 32),  # how many GTD orders it closed; EXPIRIES_PER_TICK means there may be more
)

COMMAND_DTYPES: dict[CommandKind, np.dtype[Any]] = {
    CommandKind.SET_LIMIT: LIMIT,
    CommandKind.ADD_ASSET: ASSET,
    CommandKind.ADD_SYMBOL: SYMBOL,
    CommandKind.CHANGE_SYMBOL: SYMBOL,
    CommandKind.OPEN_ACCOUNT: ACCOUNT,
    CommandKind.SET_FEES: ACCOUNT,
    CommandKind.SET_TRADING_MODE: MODE,
    CommandKind.DEPOSIT: TRANSFER,
    CommandKind.WITHDRAW_HOLD: TRANSFER,
    CommandKind.WITHDRAW_SETTLE: TRANSFER,
    CommandKind.WITHDRAW_RELEASE: TRANSFER,
    CommandKind.PLACE: PLACE,
    CommandKind.CANCEL: TARGET,
    CommandKind.CANCEL_ALL: TARGET,
    CommandKind.REDUCE: TARGET,
    CommandKind.TICK: ANY,
    CommandKind.HASH: HASH,
}
EVENT_DTYPES: dict[EventKind, np.dtype[Any]] = {
    EventKind.REJECTED: ORDER_EVENT,
    EventKind.ORDER_ACCEPTED: ORDER_EVENT,
    EventKind.ORDER_DUPLICATE: ORDER_EVENT,
    EventKind.TRADE: TRADE,
    EventKind.PREVENTED: PREVENTED,
    EventKind.ORDER_REDUCED: ORDER_EVENT,
    EventKind.ORDER_CLOSED: ORDER_EVENT,
    EventKind.CANCELED_ALL: CANCELED_ALL,
    EventKind.TRANSFERRED: TRANSFER_EVENT,
    EventKind.TRANSFER_DUPLICATE: TRANSFER_EVENT,
    EventKind.LIMIT_SET: LIMIT,
    EventKind.ASSET_ADDED: ASSET,
    EventKind.SYMBOL_ADDED: SYMBOL,
    EventKind.SYMBOL_CHANGED: SYMBOL,
    EventKind.ACCOUNT_OPENED: ACCOUNT,
    EventKind.FEES_SET: ACCOUNT,
    EventKind.TRADING_MODE_SET: MODE,
    EventKind.TICKED: TICKED,
    EventKind.HASHED: HASH,
}


class Commands(NamedTuple):
    """One buffer of command slots, seen through each dtype. All arrays have the same length and share memory."""

    any: Any
    place: Any
    target: Any


class Events(NamedTuple):
    """One buffer of event slots, seen through each dtype. All arrays have the same length and share memory."""

    any: Any
    order: Any
    trade: Any


def slots(count: int) -> np.ndarray[Any, Any]:
    """A zeroed, 64-byte-aligned buffer of `count` records, shape (count, 128), u1."""
    raw = np.zeros(count * RECORD_BYTES + 64, dtype=np.uint8)
    start = -raw.ctypes.data % 64
    return raw[start : start + count * RECORD_BYTES].reshape(count, RECORD_BYTES)


def _view(buffer: np.ndarray[Any, Any], dtype: np.dtype[Any]) -> Any:
    return buffer.reshape(-1).view(dtype).view(np.recarray)


def view_commands(buffer: np.ndarray[Any, Any]) -> Commands:
    """The views of a command buffer; `buffer` is contiguous u1 with a size that is a multiple of RECORD_BYTES."""
    return Commands(_view(buffer, ANY), _view(buffer, PLACE), _view(buffer, TARGET))


def view_events(buffer: np.ndarray[Any, Any]) -> Events:
    """The views of an event buffer; `buffer` is contiguous u1 with a size that is a multiple of RECORD_BYTES."""
    return Events(_view(buffer, ANY), _view(buffer, ORDER_EVENT), _view(buffer, TRADE))


def event_dict(slot: np.ndarray[Any, Any]) -> dict[str, int]:
    """One event slot (128 u1) as {field: int} by its kind, "client_id" and "name" as text. For people and tests."""
    return _as_dict(slot, EVENT_DTYPES[EventKind(int(slot[16]))])


def command_dict(slot: np.ndarray[Any, Any]) -> dict[str, int]:
    """One command slot (128 u1) as {field: int} by its kind, "client_id" and "name" as text. For people and tests."""
    return _as_dict(slot, COMMAND_DTYPES[CommandKind(int(slot[16]))])


def _as_dict(slot: np.ndarray[Any, Any], dtype: np.dtype[Any]) -> dict[str, Any]:
    record = np.ascontiguousarray(slot).view(dtype)[0]
    fields: dict[str, Any] = {
        name: int(record[name]) for name in dtype.names or () if not name.startswith(("client_id_", "name_"))
    }
    if "client_id_0" in (dtype.names or ()):
        fields["client_id"] = bytes(slot[92:128]).rstrip(b"\0").decode("ascii", "replace")
    if "name_0" in (dtype.names or ()):
        fields["name"] = bytes(slot[112:128]).rstrip(b"\0").decode("ascii", "replace")
    return fields


def fill_command(
    slot: np.ndarray[Any, Any], kind: CommandKind, client_id: str = "", name: str = "", **fields: int
) -> None:
    """Write one command into a slot (128 u1): every byte that no argument names becomes zero.

    Raises ValueError for a field the kind does not have, a value that does not fit, or too long a text.
    """
    dtype = COMMAND_DTYPES[kind]
    record = np.zeros(1, dtype=dtype)
    record["kind"] = kind
    for key, value in fields.items():
        try:
            record[key] = value
        except (ValueError, OverflowError) as error:
            raise ValueError(f"{kind.name} has no field {key}, or {value} does not fit in it") from error
    slot[:] = record.view(np.uint8)
    for text, width in ((client_id, CLIENT_ID_BYTES), (name, NAME_BYTES)):
        if text:
            raw = text.encode("ascii")
            if len(raw) > width:
                raise ValueError(f"{text!r} is longer than {width} characters")
            slot[RECORD_BYTES - width : RECORD_BYTES - width + len(raw)] = np.frombuffer(raw, np.uint8)
