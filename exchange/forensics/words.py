"""Sentences by code: what each reason, refusal, mode and type means.

Owns one table an enum; a test holds that none of them lacks a member. A sentence of a reason follows "It ended: ", one
of a refusal stands alone.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Any

from exchange.core.codes import (
    AccountRule,
    AuctionAction,
    CloseReason,
    CommandKind,
    EventKind,
    KeyRule,
    Limit,
    ListRole,
    ListStatus,
    ListType,
    OrderStatus,
    OrderType,
    PegType,
    Phase,
    RejectCode,
    Scope,
    Side,
    Stage,
    StpMode,
    SymbolRule,
    TimeInForce,
    TradingMode,
    TransferState,
)

CLOSED_BECAUSE: dict[CloseReason, str] = {
    CloseReason.NONE: "no reason was recorded",
    CloseReason.CANCELED: "its owner canceled it",
    CloseReason.IOC_REMAINDER: "it was IOC, so what could not trade at once was given up",
    CloseReason.FOK_UNFILLABLE: "it was FOK and could not be filled whole, so it traded nothing",
    CloseReason.NO_LIQUIDITY: "the other side of the book had nothing more that it could take",
    CloseReason.GTD_EXPIRED: "its time was over (GTD)",
    CloseReason.LIST: "another leg of its order list made it end",
    CloseReason.CANNOT_PAY: "when its turn came, its account could not pay for it",
    CloseReason.NO_LEVEL: "when its turn came, the venue had no price level left for it",
    CloseReason.WOULD_TAKE: "when its turn came, it would have taken, which a LIMIT_MAKER never does",
    CloseReason.PRICE_RANGE: "the next price was outside of the range in which the symbol may trade",
    CloseReason.NO_PEG_PRICE: "when its turn came, the book had no level to take its pegged price from",
    CloseReason.BAD_QUANTITY_OR_PRICE: "when its turn came, its quantity, price or notional was outside of what the "
    "symbol allows",
    CloseReason.MASS_CANCELED: "an operator canceled all orders in a scope that it was in",
    CloseReason.COUNTDOWN: "its owner's countdown ran out (the dead man's timer)",
}

REFUSED_BECAUSE: dict[RejectCode, str] = {
    RejectCode.NONE: "No reason was recorded.",
    RejectCode.UNKNOWN_KIND: "This build knows no such command.",
    RejectCode.UNKNOWN_ACCOUNT: "There is no such account of a user.",
    RejectCode.UNKNOWN_ASSET: "There is no such asset.",
    RejectCode.CLIENT_ORDER_ID_CONFLICT: "The client id names another order or list of the account.",
    RejectCode.LINK_FAILED: "The command before it, on which it depends, was refused.",
    RejectCode.UNKNOWN_SYMBOL: "There is no such symbol.",
    RejectCode.UNKNOWN_ORDER: "The account has no such open order.",
    RejectCode.VENUE_CLOSED: "The mode of the venue does not allow it.",
    RejectCode.SYMBOL_CLOSED: "The mode or the phase of the symbol does not allow it.",
    RejectCode.ACCOUNT_CLOSED: "The mode of the account does not allow it.",
    RejectCode.INVALID_SIDE: "The side is neither BUY nor SELL.",
    RejectCode.INVALID_ORDER_TYPE: "There is no such order type.",
    RejectCode.INVALID_TIME_IN_FORCE: "There is no such time in force, or the order type does not go with it.",
    RejectCode.INVALID_STP_MODE: "There is no such mode of self-trade prevention.",
    RejectCode.INVALID_EXPIRY: "The time to expire has passed, is missing, is too far, or goes with another kind.",
    RejectCode.UNSUPPORTED_FIELD: "A field is set that does not go with the order type or time in force.",
    RejectCode.INVALID_PRICE: "A price must be there and above zero, or must not be there.",
    RejectCode.PRICE_TOO_LOW: "The price is below the lowest of the symbol.",
    RejectCode.PRICE_TOO_HIGH: "The price is above the highest of the symbol.",
    RejectCode.PRICE_OFF_TICK: "The price is not a multiple of the symbol's price step.",
    RejectCode.INVALID_QUANTITY: "A quantity or a quote amount must be there and above zero, and not both.",
    RejectCode.QUANTITY_TOO_LOW: "The quantity is below the lowest of the symbol.",
    RejectCode.QUANTITY_TOO_HIGH: "The quantity is above the highest of the symbol.",
    RejectCode.QUANTITY_OFF_LOT: "The quantity is not a multiple of the symbol's quantity step.",
    RejectCode.NOTIONAL_TOO_LOW: "The notional is below the lowest of the symbol.",
    RejectCode.NOTIONAL_TOO_HIGH: "The notional is above the highest of the symbol.",
    RejectCode.INVALID_REDUCTION: "The new quantity must lie between what is filled and the present one, on a step.",
    RejectCode.TOO_MANY_ORDERS: "The account has as many open orders on the symbol as it may.",
    RejectCode.VENUE_FULL: "The venue has as many open orders as it may.",
    RejectCode.TOO_MANY_LEVELS: "The venue has as many price levels as it may.",
    RejectCode.WOULD_TAKE: "It would have taken, which a LIMIT_MAKER never does.",
    RejectCode.WOULD_TRIGGER: "The condition of the stop holds already.",
    RejectCode.INVALID_TRAILING: "The trailing distance is outside of what is allowed.",
    RejectCode.INVALID_ICEBERG: "The shown part of the iceberg is outside of what is allowed.",
    RejectCode.NO_REFERENCE_PRICE: "There is no price from which its price could be made.",
    RejectCode.PRICE_OUT_OF_COLLAR: "The price is too far from the reference price of the symbol.",
    RejectCode.TOO_MANY_ALGO_ORDERS: "There are as many open stops on the symbol as there may be.",
    RejectCode.TOO_MANY_ICEBERGS: "The account has as many open icebergs on the symbol as it may.",
    RejectCode.POSITION_TOO_HIGH: "The account could come to have more of the base asset than it may.",
    RejectCode.INVALID_AMOUNT: "Amount and transfer id must be above zero.",
    RejectCode.TRANSFER_ID_CONFLICT: "The transfer id names another transfer.",
    RejectCode.UNKNOWN_TRANSFER: "There is no transfer with this id.",
    RejectCode.TRANSFER_FINISHED: "The transfer has ended the other way.",
    RejectCode.SUPPLY_EXCEEDED: "The venue can not hold so much of the asset.",
    RejectCode.TOO_MANY_TRANSFERS: "The venue has as many transfers as it may.",
    RejectCode.EXPOSURE_TOO_HIGH: "The account would have more of the asset locked than it may.",
    RejectCode.ORDER_RATE_TOO_HIGH: "The account has placed as many orders in this window as it may.",
    RejectCode.KEY_NOTIONAL_TOO_HIGH: "The orders of the API key would amount to more than it may place in a day.",
    RejectCode.WITHDRAWALS_CLOSED: "Withdrawals are halted.",
    RejectCode.ID_OUT_OF_RANGE: "The id is outside of what the venue's limits allow.",
    RejectCode.ALREADY_EXISTS: "There is one with this id already.",
    RejectCode.INVALID_SCALE: "The scales do not fit each other.",
    RejectCode.INVALID_PARAMETERS: "The parameters of the symbol contradict each other or could overflow.",
    RejectCode.INVALID_FEE: "A fee is outside of 0 to 10 %.",
    RejectCode.INVALID_MODE: "There is no such scope, or no such mode for it.",
    RejectCode.ILLEGAL_MODE_CHANGE: "HALTED goes to CANCEL_ONLY before it goes to OPEN.",
    RejectCode.INVALID_LIMIT: "There is no such limit, or the value is outside of its range.",
    RejectCode.AUCTION_ORDER: "While an auction collects, only LIMIT orders that are GTC or GTD may enter.",
    RejectCode.INVALID_LIST: "The command does not fit the order list that is being made.",
    RejectCode.INSUFFICIENT_BALANCE: "The account can not pay for it.",
    RejectCode.INVALID_RULE: "There is no such rule, or the value is outside of its range.",
    RejectCode.TOO_MANY_LISTS: "The account has as many open order lists on the symbol as it may.",
    RejectCode.INVALID_AUCTION: "The auction can not start or end now, or not like this.",
    RejectCode.TOO_MANY_COUNTDOWNS: "The venue has as many countdowns as it may.",
    RejectCode.SKIPPED_BY_OPERATOR: "An operator pair had it passed over, because the engine could not survive it.",
}

PREVENTED_BY: dict[StpMode, str] = {
    StpMode.NONE: "without prevention",
    StpMode.EXPIRE_TAKER: "EXPIRE_TAKER ends the taker",
    StpMode.EXPIRE_MAKER: "EXPIRE_MAKER ends the maker",
    StpMode.EXPIRE_BOTH: "EXPIRE_BOTH ends both",
    StpMode.DECREMENT: "DECREMENT takes the smaller quantity off both",
}

STANDS: dict[Stage, str] = {
    Stage.BOOK: "on the book",
    Stage.STOP: "in the trigger book, for a price",
    Stage.TRAIL: "in the trigger book, following the price",
    Stage.DUE: "for its turn",
    Stage.PENDING: "for the other leg of its list",
}

CODES: dict[str, type[IntEnum]] = {
    "side": Side,
    "order_type": OrderType,
    "time_in_force": TimeInForce,
    "stp_mode": StpMode,
    "list_role": ListRole,
    "peg_type": PegType,
    "stage": Stage,
    "list_type": ListType,
    "list_status": ListStatus,
    "scope": Scope,
    "mode": TradingMode,
    "phase": Phase,
    "action": AuctionAction,
    "limit": Limit,
    "reject": RejectCode,
    "reason": CloseReason,
    "status": OrderStatus,
    "command_kind": CommandKind,
    "transfer_state": TransferState,
}
"""Fields of records that hold a code, and the enum that names it. `kind` depends on the sort of record."""

RULES: dict[int, type[IntEnum]] = {
    Scope.SYMBOL: SymbolRule,
    Scope.ACCOUNT: AccountRule,
    Scope.KEY: KeyRule,
}
"""Who a rule speaks of, and the enum that names it."""


def name_of(enum: type[IntEnum], value: int) -> str:
    """The name of a code, or the number that none has."""
    try:
        return enum(value).name
    except ValueError:
        return f"{enum.__name__} {value}"


def coded(fields: dict[str, Any], kinds: type[CommandKind] | type[EventKind]) -> dict[str, Any]:
    """A record with names in place of its codes."""
    shown = dict(fields)
    for field, enum in CODES.items():
        if field in shown and not (shown[field] == 0 and field in _NOTHING):
            shown[field] = name_of(enum, shown[field])
    if "rule" in shown and fields["scope"] in RULES:
        shown["rule"] = name_of(RULES[fields["scope"]], shown["rule"])
    shown["kind"] = name_of(kinds, shown["kind"])
    return shown


_NOTHING = frozenset(name for name, enum in CODES.items() if not any(member.value == 0 for member in enum))
"""Codes that have no member for zero: zero means that the record has none."""
