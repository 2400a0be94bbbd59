"""The registry of every number that stands in a journal. A line here is never changed and never removed.

The journal of any release must be readable for ever, so a code keeps its number and a record field its place. New codes
and fields in free bytes are added here in the same change that adds them to `exchange/core/codes.py` or
`exchange/core/records.py`.
"""

from __future__ import annotations

from enum import IntEnum, IntFlag

import pytest

from exchange.core import codes, event_records, records
from tests.core.layouts import LAYOUTS, SHARED

REGISTRY: dict[str, dict[int, str]] = {
    "CommandKind": {
        1: "SET_LIMIT",
        2: "ADD_ASSET",
        3: "ADD_SYMBOL",
        4: "CHANGE_SYMBOL",
        5: "OPEN_ACCOUNT",
        6: "SET_FEES",
        7: "SET_TRADING_MODE",
        8: "SET_RULE",
        9: "AUCTION",
        16: "DEPOSIT",
        17: "WITHDRAW_HOLD",
        18: "WITHDRAW_SETTLE",
        19: "WITHDRAW_RELEASE",
        32: "PLACE",
        33: "CANCEL",
        34: "CANCEL_ALL",
        35: "REDUCE",
        36: "PLACE_LIST",
        37: "MASS_CANCEL",
        38: "COUNTDOWN",
        48: "TICK",
        49: "HASH",
        50: "SKIP",
        51: "SKIPPED",
    },
    "CommandFlag": {
        1: "LINKED",
        2: "ALLOW_FAILURE",
    },
    "EventKind": {
        1: "REJECTED",
        2: "ORDER_ACCEPTED",
        3: "ORDER_DUPLICATE",
        4: "TRADE",
        5: "PREVENTED",
        6: "ORDER_REDUCED",
        7: "ORDER_CLOSED",
        8: "CANCELED_ALL",
        9: "ORDER_ENTERED",
        10: "ORDER_SHOWN",
        11: "ORDER_FUNDED",
        12: "ORDER_TERMS",
        13: "STAGED",
        14: "LIST_CHANGED",
        15: "MASS_CANCELED",
        16: "TRANSFERRED",
        17: "TRANSFER_DUPLICATE",
        18: "COUNTDOWN_SET",
        19: "COUNTDOWN_FIRED",
        20: "AUCTION_STARTED",
        21: "AUCTION_INDICATED",
        22: "AUCTION_ENDED",
        23: "BREAKER_TRIPPED",
        31: "LIMIT_SET",
        32: "ASSET_ADDED",
        33: "SYMBOL_ADDED",
        34: "SYMBOL_CHANGED",
        35: "ACCOUNT_OPENED",
        36: "FEES_SET",
        37: "TRADING_MODE_SET",
        38: "RULE_SET",
        48: "TICKED",
        49: "HASHED",
        50: "SKIP_NOTED",
    },
    "EventFlag": {
        1: "LAST",
        2: "OFF_BOOK",
    },
    "Side": {
        0: "BUY",
        1: "SELL",
    },
    "OrderType": {
        1: "LIMIT",
        2: "MARKET",
        3: "LIMIT_MAKER",
        4: "STOP_LOSS",
        5: "STOP_LOSS_LIMIT",
        6: "TAKE_PROFIT",
        7: "TAKE_PROFIT_LIMIT",
    },
    "TimeInForce": {
        1: "GTC",
        2: "IOC",
        3: "FOK",
        4: "GTD",
    },
    "Stage": {
        0: "BOOK",
        1: "STOP",
        2: "TRAIL",
        3: "DUE",
        4: "PENDING",
    },
    "PegType": {
        0: "NONE",
        1: "PRIMARY_PEG",
        2: "MARKET_PEG",
    },
    "ListType": {
        1: "OCO",
        2: "OTO",
        3: "OTOCO",
        4: "OPO",
        5: "OPOCO",
    },
    "ListRole": {
        0: "NONE",
        1: "WORKING",
        2: "PENDING",
        3: "ABOVE",
        4: "BELOW",
    },
    "ListStatus": {
        1: "STARTED",
        2: "DONE",
    },
    "StpMode": {
        0: "NONE",
        1: "EXPIRE_TAKER",
        2: "EXPIRE_MAKER",
        3: "EXPIRE_BOTH",
        4: "DECREMENT",
    },
    "TradingMode": {
        1: "OPEN",
        2: "CANCEL_ONLY",
        3: "HALTED",
    },
    "Phase": {
        0: "CONTINUOUS",
        1: "AUCTION",
        2: "PAUSED",
    },
    "AuctionAction": {
        1: "START",
        2: "UNCROSS",
    },
    "Scope": {
        0: "VENUE",
        1: "SYMBOL",
        2: "ACCOUNT",
        3: "KEY",
        4: "WITHDRAWALS",
    },
    "OrderStatus": {
        1: "NEW",
        2: "PARTIALLY_FILLED",
        3: "FILLED",
        4: "CANCELED",
        5: "EXPIRED",
        6: "EXPIRED_IN_MATCH",
        7: "PENDING_NEW",
    },
    "CloseReason": {
        0: "NONE",
        1: "CANCELED",
        2: "IOC_REMAINDER",
        3: "FOK_UNFILLABLE",
        4: "NO_LIQUIDITY",
        5: "GTD_EXPIRED",
        6: "LIST",
        7: "CANNOT_PAY",
        8: "NO_LEVEL",
        9: "WOULD_TAKE",
        10: "PRICE_RANGE",
        11: "NO_PEG_PRICE",
        12: "BAD_QUANTITY_OR_PRICE",
        13: "MASS_CANCELED",
        14: "COUNTDOWN",
    },
    "TransferState": {
        1: "DEPOSITED",
        2: "HELD",
        3: "SETTLED",
        4: "RELEASED",
    },
    "Limit": {
        0: "ASSETS",
        1: "SYMBOLS",
        2: "ACCOUNTS",
        3: "OPEN_ORDERS",
        4: "LEVELS",
        5: "TRANSFERS",
        6: "CLOSED_ORDERS",
    },
    "SymbolRule": {
        0: "BID_UP_BIPS",
        1: "BID_DOWN_BIPS",
        2: "ASK_UP_BIPS",
        3: "ASK_DOWN_BIPS",
        4: "RANGE_UP_BIPS",
        5: "RANGE_DOWN_BIPS",
        6: "REFERENCE_WINDOW_NS",
        7: "BREAKER_BIPS",
        8: "BREAKER_WINDOW_NS",
        9: "BREAKER_PAUSE_NS",
        10: "AUCTION_NS",
        11: "POSITION_MAX_LOTS",
        12: "ALGO_ORDERS_MAX",
        13: "ICEBERG_ORDERS_MAX",
        14: "LISTS_MAX",
        15: "ICEBERG_PARTS_MAX",
        16: "TRAILING_MIN_BIPS",
        17: "TRAILING_MAX_BIPS",
    },
    "AccountRule": {
        0: "TRADE_GROUP",
        1: "ORDERS_MAX",
        2: "ORDERS_WINDOW_NS",
        3: "LOCKED_MAX_ATOMS",
    },
    "KeyRule": {
        0: "NOTIONAL_DAY_MAX_ATOMS",
    },
    "RejectCode": {
        0: "NONE",
        1: "UNKNOWN_KIND",
        2: "UNKNOWN_ACCOUNT",
        3: "UNKNOWN_ASSET",
        4: "CLIENT_ORDER_ID_CONFLICT",
        5: "LINK_FAILED",
        6: "UNKNOWN_SYMBOL",
        7: "UNKNOWN_ORDER",
        8: "VENUE_CLOSED",
        9: "SYMBOL_CLOSED",
        10: "ACCOUNT_CLOSED",
        11: "INVALID_SIDE",
        12: "INVALID_ORDER_TYPE",
        13: "INVALID_TIME_IN_FORCE",
        14: "INVALID_STP_MODE",
        15: "INVALID_EXPIRY",
        16: "UNSUPPORTED_FIELD",
        17: "INVALID_PRICE",
        18: "PRICE_TOO_LOW",
        19: "PRICE_TOO_HIGH",
        20: "PRICE_OFF_TICK",
        21: "INVALID_QUANTITY",
        22: "QUANTITY_TOO_LOW",
        23: "QUANTITY_TOO_HIGH",
        24: "QUANTITY_OFF_LOT",
        25: "NOTIONAL_TOO_LOW",
        26: "NOTIONAL_TOO_HIGH",
        27: "INVALID_REDUCTION",
        28: "TOO_MANY_ORDERS",
        29: "VENUE_FULL",
        30: "TOO_MANY_LEVELS",
        31: "WOULD_TAKE",
        32: "WOULD_TRIGGER",
        33: "INVALID_TRAILING",
        34: "INVALID_ICEBERG",
        35: "NO_REFERENCE_PRICE",
        36: "PRICE_OUT_OF_COLLAR",
        37: "TOO_MANY_ALGO_ORDERS",
        38: "TOO_MANY_ICEBERGS",
        39: "POSITION_TOO_HIGH",
        40: "INVALID_AMOUNT",
        41: "TRANSFER_ID_CONFLICT",
        42: "UNKNOWN_TRANSFER",
        43: "TRANSFER_FINISHED",
        44: "SUPPLY_EXCEEDED",
        45: "TOO_MANY_TRANSFERS",
        46: "EXPOSURE_TOO_HIGH",
        47: "ORDER_RATE_TOO_HIGH",
        48: "KEY_NOTIONAL_TOO_HIGH",
        49: "WITHDRAWALS_CLOSED",
        50: "ID_OUT_OF_RANGE",
        51: "ALREADY_EXISTS",
        52: "INVALID_SCALE",
        53: "INVALID_PARAMETERS",
        54: "INVALID_FEE",
        55: "INVALID_MODE",
        56: "ILLEGAL_MODE_CHANGE",
        57: "INVALID_LIMIT",
        58: "AUCTION_ORDER",
        59: "INVALID_LIST",
        60: "INSUFFICIENT_BALANCE",
        61: "INVALID_RULE",
        62: "TOO_MANY_LISTS",
        63: "INVALID_AUCTION",
        64: "TOO_MANY_COUNTDOWNS",
        65: "SKIPPED_BY_OPERATOR",
    },
    "Fault": {
        0: "NONE",
        1: "SEQUENCE_GAP",
        2: "TIME_REVERSED",
        3: "HASH_MISMATCH",
    },
    "Account": {
        0: "WORLD",
        1: "FEES",
        16: "FIRST_USER",
    },
}
"""Enum -> number -> name."""


def _enums() -> dict[str, type[IntEnum] | type[IntFlag]]:
    return {
        name: value
        for name, value in vars(codes).items()
        if isinstance(value, type) and issubclass(value, IntEnum | IntFlag) and value.__module__ == codes.__name__
    }


def test_every_enum_of_codes_is_registered() -> None:
    assert _enums().keys() == REGISTRY.keys()


@pytest.mark.parametrize("name", REGISTRY)
def test_code_has_its_registered_number(name: str) -> None:
    assert {member.value: member.name for member in _enums()[name]} == REGISTRY[name]


def test_every_record_is_registered() -> None:
    used = {id(dtype) for dtype in [*records.COMMAND_DTYPES.values(), *event_records.EVENT_DTYPES.values()]}
    registered = {id(getattr(records, name, None) or getattr(event_records, name)) for name in LAYOUTS}
    assert used <= registered


@pytest.mark.parametrize("name", LAYOUTS)
def test_record_field_has_its_registered_place(name: str) -> None:
    layout = LAYOUTS[name]
    for word, fields in SHARED.items():
        layout = layout.replace(word, fields)
    dtype = getattr(records, name, None) or getattr(event_records, name)
    assert [
        f"{field}:{dtype.fields[field][0].str[1:]}@{dtype.fields[field][1]}" for field in dtype.names
    ] == layout.split()


def test_every_kind_has_a_record() -> None:
    assert records.COMMAND_DTYPES.keys() == set(codes.CommandKind)
    assert event_records.EVENT_DTYPES.keys() == set(codes.EventKind)
