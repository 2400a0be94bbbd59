"""The 128-byte records: what a command looks like in the ring, in the journal and in every reader.

Events have the same making and stand in `event_records.py`.

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

from exchange.core.codes import CommandKind, ListRole, ListType

RECORD_BYTES = 128
CLIENT_ID_BYTES = 36
NAME_BYTES = 16

Field = tuple[str, str, int]


def record(*fields: Field) -> np.dtype[Any]:
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


HEAD: tuple[Field, ...] = (
    ("sequence", "<i8", 0),  # gapless from 1, one per command; written by the ring's publisher
    ("ts_ns", "<i8", 8),  # engine time, never decreasing; written by the ring's publisher
    ("kind", "u1", 16),  # CommandKind / EventKind
    # CommandFlag / EventFlag bits; to be read as record["flags"], because NumPy's scalars have a .flags of their own
    ("flags", "u1", 17),
)
CLIENT_ID: tuple[Field, ...] = (
    ("client_id_0", "<i4", 92),  # the 36 characters as one i4 and four i8, so that kernels compare words
    ("client_id_1", "<i8", 96),
    ("client_id_2", "<i8", 104),
    ("client_id_3", "<i8", 112),
    ("client_id_4", "<i8", 120),
)

ANY = record(*HEAD)
"""The fields that every command and every event has."""

# ---- commands -----------------------------------------------------------------------------------------------------

PLACE = record(
    *HEAD,
    ("side", "u1", 18),  # Side
    ("order_type", "u1", 19),  # OrderType
    ("time_in_force", "u1", 20),  # TimeInForce
    ("stp_mode", "u1", 21),  # StpMode
    ("list_role", "u1", 22),  # ListRole; zero: not a leg
    ("peg_type", "u1", 23),  # PegType
    ("account", "<i4", 24),
    ("symbol", "<i4", 28),
    ("price_ticks", "<i8", 32),  # limit price; zero for MARKET
    ("qty_lots", "<i8", 40),  # zero for MARKET by quote amount
    ("quote_atoms", "<i8", 48),  # MARKET by quote amount: how much to spend or receive; else zero
    ("expire_ts_ns", "<i8", 56),  # GTD: the first TICK at or after it closes the order; else zero
    ("stop_price_ticks", "<i8", 64),  # stops: the trade price that triggers, or starts a trailing one; else zero
    ("iceberg_lots", "<i8", 72),  # how much of it shows at a time; zero: all
    ("key", "<i4", 80),  # number of the API key that sent it; zero: none
    ("trailing_bips", "<i2", 88),  # how far the price comes back before a trailing stop triggers; zero: not trailing
    ("peg_offset_levels", "<i2", 90),  # levels behind the best one
    *CLIENT_ID,  # all zero: none
)
TARGET = record(  # CANCEL, REDUCE, CANCEL_ALL
    *HEAD,
    ("account", "<i4", 24),
    ("symbol", "<i4", 28),  # zero: whichever (CANCEL, REDUCE) or every one (CANCEL_ALL)
    ("order_id", "<i8", 32),  # zero: the order is named by its client id; CANCEL_ALL: zero
    ("qty_lots", "<i8", 40),  # REDUCE: the new total quantity (filled part included)
    *CLIENT_ID,
)
LIST = record(  # PLACE_LIST: opens a linked run of legs
    *HEAD,
    ("list_type", "u1", 18),  # ListType
    ("account", "<i4", 24),
    ("symbol", "<i4", 28),
    *CLIENT_ID,  # of the list; all zero: none
)
LIST_ROLES: dict[int, tuple[ListRole, ...]] = {
    ListType.OCO: (ListRole.ABOVE, ListRole.BELOW),
    ListType.OTO: (ListRole.WORKING, ListRole.PENDING),
    ListType.OTOCO: (ListRole.WORKING, ListRole.ABOVE, ListRole.BELOW),
    ListType.OPO: (ListRole.WORKING, ListRole.PENDING),
    ListType.OPOCO: (ListRole.WORKING, ListRole.ABOVE, ListRole.BELOW),
}
"""The legs that follow a PLACE_LIST, in order."""
SWEEP = record(  # MASS_CANCEL
    *HEAD,
    ("scope", "u1", 18),  # Scope
    ("account", "<i4", 24),  # Scope.ACCOUNT, Scope.KEY
    ("symbol", "<i4", 28),  # Scope.SYMBOL; ACCOUNT and KEY: zero means every one
    ("key", "<i4", 32),  # Scope.KEY
)
COUNTDOWN = record(
    *HEAD,
    ("account", "<i4", 24),
    ("symbol", "<i4", 28),  # zero: every one
    ("key", "<i4", 32),  # zero: every one
    ("countdown_ns", "<i8", 40),  # from the command's ts_ns on; zero disarms
)
TRANSFER = record(  # DEPOSIT, WITHDRAW_HOLD, WITHDRAW_SETTLE, WITHDRAW_RELEASE
    *HEAD,
    ("account", "<i4", 24),
    ("asset", "<i4", 28),
    ("transfer_id", "<i8", 32),  # chosen by the caller, never used for anything else, > 0
    ("amount_atoms", "<i8", 40),
)
ASSET = record(  # ADD_ASSET
    *HEAD,
    ("scale", "u1", 18),  # decimals of the atom, 0..18
    ("asset", "<i4", 28),
    ("name_0", "<i8", 112),  # 16 ASCII characters, opaque to the engine
    ("name_1", "<i8", 120),
)
SYMBOL = record(  # ADD_SYMBOL, CHANGE_SYMBOL (which ignores assets, scales and name)
    *HEAD,
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
ACCOUNT = record(  # OPEN_ACCOUNT, SET_FEES
    *HEAD,
    ("account", "<i4", 24),
    ("maker_fee_ppm", "<i4", 32),  # -1: the symbol's rate
    ("taker_fee_ppm", "<i4", 36),  # -1: the symbol's rate
)
MODE = record(  # SET_TRADING_MODE
    *HEAD,
    ("scope", "u1", 18),  # Scope, not KEY
    ("mode", "u1", 19),  # TradingMode
    ("account", "<i4", 24),  # Scope.ACCOUNT, else zero
    ("symbol", "<i4", 28),  # Scope.SYMBOL, else zero
)
RULE = record(  # SET_RULE
    *HEAD,
    ("scope", "u1", 18),  # Scope: SYMBOL, ACCOUNT or KEY
    ("rule", "u1", 19),  # SymbolRule, AccountRule or KeyRule
    ("account", "<i4", 24),
    ("symbol", "<i4", 28),
    ("value", "<i8", 32),  # zero: off
    ("asset", "<i4", 40),  # the rules that are about an asset
    ("key", "<i4", 44),
)
AUCTION = record(  # AUCTION
    *HEAD,
    ("action", "u1", 18),  # AuctionAction
    ("symbol", "<i4", 28),
    ("end_ts_ns", "<i8", 32),  # START: the first TICK at or after it ends the auction; zero: UNCROSS does
)
SKIP = record(  # SKIP; SKIPPED has nothing but its head
    *HEAD,
    ("at_sequence", "<i8", 32),  # the command that is passed over
    ("name_0", "<i8", 112),  # why, 16 ASCII characters
    ("name_1", "<i8", 120),
)
LIMIT = record(  # SET_LIMIT
    *HEAD,
    ("limit", "u1", 18),  # Limit
    ("value", "<i8", 32),
)
HASH = record(  # HASH command: what the state hash was at an earlier HASH; HASHED event: what it is at this one
    *HEAD,
    ("at_sequence", "<i8", 32),  # command: the sequence of the HASH it repeats, zero: none; event: its own sequence
    ("hash_0", "<i8", 40),
    ("hash_1", "<i8", 48),
)

COMMAND_DTYPES: dict[CommandKind, np.dtype[Any]] = {
    CommandKind.SET_LIMIT: LIMIT,
    CommandKind.ADD_ASSET: ASSET,
    CommandKind.ADD_SYMBOL: SYMBOL,
    CommandKind.CHANGE_SYMBOL: SYMBOL,
    CommandKind.OPEN_ACCOUNT: ACCOUNT,
    CommandKind.SET_FEES: ACCOUNT,
    CommandKind.SET_TRADING_MODE: MODE,
    CommandKind.SET_RULE: RULE,
    CommandKind.AUCTION: AUCTION,
    CommandKind.DEPOSIT: TRANSFER,
    CommandKind.WITHDRAW_HOLD: TRANSFER,
    CommandKind.WITHDRAW_SETTLE: TRANSFER,
    CommandKind.WITHDRAW_RELEASE: TRANSFER,
    CommandKind.PLACE: PLACE,
    CommandKind.CANCEL: TARGET,
    CommandKind.CANCEL_ALL: TARGET,
    CommandKind.REDUCE: TARGET,
    CommandKind.PLACE_LIST: LIST,
    CommandKind.MASS_CANCEL: SWEEP,
    CommandKind.COUNTDOWN: COUNTDOWN,
    CommandKind.TICK: ANY,
    CommandKind.HASH: HASH,
    CommandKind.SKIP: SKIP,
    CommandKind.SKIPPED: ANY,
}


class Commands(NamedTuple):
    """One buffer of command slots, seen through each dtype. All arrays have the same length and share memory."""

    any: Any
    place: Any
    target: Any


def slots(count: int) -> np.ndarray[Any, Any]:
    """A zeroed, 64-byte-aligned buffer of `count` records, shape (count, 128), u1."""
    raw = np.zeros(count * RECORD_BYTES + 64, dtype=np.uint8)
    start = -raw.ctypes.data % 64
    return raw[start : start + count * RECORD_BYTES].reshape(count, RECORD_BYTES)


def view_as(buffer: np.ndarray[Any, Any], dtype: np.dtype[Any]) -> Any:
    return buffer.reshape(-1).view(dtype).view(np.recarray)


def view_commands(buffer: np.ndarray[Any, Any]) -> Commands:
    """The views of a command buffer; `buffer` is contiguous u1 with a size that is a multiple of RECORD_BYTES."""
    return Commands(view_as(buffer, ANY), view_as(buffer, PLACE), view_as(buffer, TARGET))


def command_dict(slot: np.ndarray[Any, Any]) -> dict[str, int]:
    """One command slot (128 u1) as {field: int} by its kind, "client_id" and "name" as text. For people and tests."""
    return as_dict(slot, COMMAND_DTYPES[CommandKind(int(slot[16]))])


def as_dict(slot: np.ndarray[Any, Any], dtype: np.dtype[Any]) -> dict[str, Any]:
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
