"""What the signed routes answer, as types. See `market_answers.py`."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from exchange.gateway.openapi.market_answers import (
    AssetName,
    Change,
    Decimal,
    Filter,
    Id,
    Nothing,
    OrderTypeName,
    RateLimit,
    StpModeName,
    SymbolName,
    Time,
)
from exchange.gateway.parameters import CLIENT_ID_PATTERN

ClientId = Annotated[str, Meta(pattern=CLIENT_ID_PATTERN)]
SideName = Literal["BUY", "SELL"]
TimeInForceName = Literal["GTC", "IOC", "FOK", "GTD"]
StatusName = Literal["NEW", "PENDING_NEW", "PARTIALLY_FILLED", "FILLED", "CANCELED", "EXPIRED", "EXPIRED_IN_MATCH"]
ListId = Annotated[int, Meta(ge=-1, description="Of the order list that the order is a leg of; -1: none.")]
TimeOrNot = Annotated[int, Meta(ge=-1, description="As other times; -1: it has not happened.")]
ExpiryReason = Literal[
    "UNFILLED_IOC_QUANTITY_EXPIRED",
    "UNFILLED_FOK_ORDER_EXPIRED",
    "INSUFFICIENT_LIQUIDITY",
    "EXECUTION_RULE_PRICE_RANGE_EXCEEDED",
    "OCO_TRIGGER",
    "OTO_PHASE_ONE_EXPIRED",
    "GOOD_TILL_DATE_REACHED",
    "CANNOT_PAY",
    "NO_LEVEL",
    "WOULD_TAKE",
    "NO_PEG_PRICE",
    "BAD_QUANTITY_OR_PRICE",
]
"""Why an order expired; from CANNOT_PAY on: it could not go to the book when its turn came."""


class Special(Struct, forbid_unknown_fields=True, kw_only=True):
    """What only stops, trailing stops, icebergs and pegged orders have."""

    stopPrice: Decimal | UnsetType = UNSET
    trailingDelta: int | UnsetType = UNSET
    trailingTime: TimeOrNot | UnsetType = UNSET
    icebergQty: Decimal | UnsetType = UNSET
    pegPriceType: Literal["PRIMARY_PEG", "MARKET_PEG"] | UnsetType = UNSET
    pegOffsetType: Literal["PRICE_LEVEL"] | UnsetType = UNSET
    pegOffsetValue: int | UnsetType = UNSET
    peggedPrice: Decimal | UnsetType = UNSET


class Fill(Struct, forbid_unknown_fields=True):
    """One fill of the order that came in; the commission is in the asset that it receives."""

    price: Decimal
    qty: Decimal
    commission: Decimal
    commissionAsset: AssetName
    tradeId: Id


class Placed(Special, forbid_unknown_fields=True):
    """A new order. ACK ends with `transactTime`; `fills` is FULL's; `duplicate` says that it was placed before."""

    symbol: SymbolName
    orderId: Id
    orderListId: ListId
    clientOrderId: ClientId
    transactTime: Time
    price: Decimal | UnsetType = UNSET
    origQty: Decimal | UnsetType = UNSET
    executedQty: Decimal | UnsetType = UNSET
    origQuoteOrderQty: Decimal | UnsetType = UNSET
    cummulativeQuoteQty: Decimal | UnsetType = UNSET
    status: StatusName | UnsetType = UNSET
    timeInForce: TimeInForceName | UnsetType = UNSET
    type: OrderTypeName | UnsetType = UNSET
    side: SideName | UnsetType = UNSET
    workingTime: TimeOrNot | UnsetType = UNSET
    selfTradePreventionMode: StpModeName | UnsetType = UNSET
    duplicate: (
        Annotated[bool, Meta(description="There, and true, when the same placement came before.")] | UnsetType
    ) = UNSET
    preventedQuantity: Decimal | UnsetType = UNSET
    expiryReason: Annotated[ExpiryReason, Meta(description="Why it ended by itself, if it did.")] | UnsetType = UNSET
    fills: list[Fill] | UnsetType = UNSET


class Rates(Struct, forbid_unknown_fields=True):
    """Fees as fractions."""

    maker: Decimal
    taker: Decimal


class Discount(Struct, forbid_unknown_fields=True):
    """There is none."""

    enabledForAccount: bool
    enabledForSymbol: bool
    discountAsset: str
    discount: Decimal


class Tested(Struct, forbid_unknown_fields=True):
    """Nothing, or what the order would be charged."""

    standardCommissionForOrder: Rates | UnsetType = UNSET
    specialCommissionForOrder: Rates | UnsetType = UNSET
    taxCommissionForOrder: Rates | UnsetType = UNSET
    discount: Discount | UnsetType = UNSET


class Canceled(Special, forbid_unknown_fields=True):
    """An order as a cancel ended it; `clientOrderId` is the name of the cancel."""

    symbol: SymbolName
    origClientOrderId: ClientId
    orderId: Id
    orderListId: ListId
    clientOrderId: ClientId
    transactTime: Time
    price: Decimal
    origQty: Decimal
    executedQty: Decimal
    origQuoteOrderQty: Decimal
    cummulativeQuoteQty: Decimal
    status: StatusName
    timeInForce: TimeInForceName
    type: OrderTypeName
    side: SideName
    selfTradePreventionMode: StpModeName


class Order(Special, forbid_unknown_fields=True):
    """An order as it stands, open or closed; `goodTillDate` of a GTD order."""

    symbol: SymbolName
    orderId: Id
    orderListId: ListId
    clientOrderId: ClientId | Literal[""]
    price: Decimal
    origQty: Decimal
    executedQty: Decimal
    origQuoteOrderQty: Decimal
    cummulativeQuoteQty: Decimal
    status: StatusName
    timeInForce: TimeInForceName
    type: OrderTypeName
    side: SideName
    time: Time
    updateTime: Time
    isWorking: Annotated[bool, Meta(description="False while it waits for a price or for its list.")]
    workingTime: TimeOrNot
    selfTradePreventionMode: StpModeName
    goodTillDate: Time | UnsetType = UNSET
    expiryReason: Annotated[ExpiryReason, Meta(description="From history: why it ended by itself.")] | UnsetType = UNSET


class AmendedOrder(Special, forbid_unknown_fields=True):
    """The order as the amendment left it; three names differ from those of other answers, as Binance has it."""

    symbol: SymbolName
    orderId: Id
    orderListId: ListId
    origClientOrderId: ClientId
    clientOrderId: ClientId
    price: Decimal
    qty: Decimal
    executedQty: Decimal
    quoteOrderQty: Decimal
    cumulativeQuoteQty: Decimal
    status: StatusName
    timeInForce: TimeInForceName
    type: OrderTypeName
    side: SideName
    selfTradePreventionMode: StpModeName
    workingTime: Time


class Amended(Struct, forbid_unknown_fields=True):
    """An amendment that kept the order's place in its queue."""

    transactTime: Time
    executionId: Id
    amendedOrder: AmendedOrder


class Replaced(Struct, forbid_unknown_fields=True):
    """Both halves were done."""

    cancelResult: Literal["SUCCESS"]
    cancelResponse: Canceled
    newOrderResult: Literal["SUCCESS"]
    newOrderResponse: Placed


class CommissionRates(Struct, forbid_unknown_fields=True):
    """Fees as fractions."""

    maker: Decimal
    taker: Decimal
    buyer: Decimal
    seller: Decimal


class Balance(Struct, forbid_unknown_fields=True):
    """What there is of an asset, and what orders and withdrawals hold of it."""

    asset: AssetName
    free: Decimal
    locked: Decimal


class Account(Struct, forbid_unknown_fields=True):
    """Balances, fees and rights. The four commissions are in units of 1/10,000."""

    makerCommission: int
    takerCommission: int
    buyerCommission: int
    sellerCommission: int
    commissionRates: CommissionRates
    canTrade: bool
    canWithdraw: bool
    canDeposit: bool
    brokered: bool
    requireSelfTradePrevention: bool
    preventSor: bool
    updateTime: Time
    accountType: Literal["SPOT"]
    balances: list[Balance]
    permissions: list[str]
    uid: Id
    sequence: Annotated[int, Meta(ge=0, description="Of the last private event that the balances include.")]


class Commission(Struct, forbid_unknown_fields=True):
    """What the account pays on a symbol, as fractions."""

    symbol: SymbolName
    standardCommission: CommissionRates
    specialCommission: CommissionRates
    taxCommission: CommissionRates
    discount: Discount


class OrderCount(RateLimit, forbid_unknown_fields=True):
    """The unfilled orders of the account in a window, and how many it may have."""

    count: Annotated[int, Meta(ge=0)]


class Amendment(Struct, forbid_unknown_fields=True):
    """How the quantity of an order became smaller."""

    symbol: SymbolName
    orderId: Id
    executionId: Id
    origClientOrderId: ClientId
    newClientOrderId: ClientId
    origQty: Decimal
    newQty: Decimal
    time: Time


class PreventedMatch(Struct, forbid_unknown_fields=True):
    """A match within the account, or its trade group, that was stopped."""

    symbol: SymbolName
    preventedMatchId: Id
    takerOrderId: Id
    makerSymbol: SymbolName
    makerOrderId: Id
    tradeGroupId: Id
    selfTradePreventionMode: StpModeName
    price: Decimal
    takerPreventedQuantity: Decimal
    makerPreventedQuantity: Decimal
    transactTime: Time


class Countdown(Struct, forbid_unknown_fields=True):
    """A dead man's timer as it is from now on; `symbol` is empty for one of all symbols."""

    symbol: str
    countdownTime: Annotated[str, Meta(pattern="^[0-9]+$")]


class ListenKey(Struct, forbid_unknown_fields=True):
    """The name of a user data stream."""

    listenKey: str


class MyFilters(Struct, forbid_unknown_fields=True):
    """The filters that an order of the account on a symbol must pass."""

    exchangeFilters: Annotated[list[Nothing], Meta(max_length=0)]
    symbolFilters: list[Filter]
    assetFilters: Annotated[list[Nothing], Meta(max_length=0)]


class AccountTrade(Struct, forbid_unknown_fields=True):
    """The account's side of a trade; the commission is in the asset that this side receives."""

    symbol: SymbolName
    id: Id
    orderId: Id
    orderListId: ListId
    price: Decimal
    qty: Decimal
    quoteQty: Decimal
    commission: Decimal
    commissionAsset: AssetName
    time: Time
    isBuyer: bool
    isMaker: bool
    isBestMatch: bool


class Posting(Struct, forbid_unknown_fields=True):
    """A change of what is available and of what is locked of an asset."""

    asset: AssetName
    available: Change
    locked: Change


class Entry(Struct, forbid_unknown_fields=True):
    """What one event did to the account's balances."""

    entryId: Id
    sequence: Id
    time: Time
    type: Literal[
        "OPENING", "HOLD", "RELEASE", "TRADE", "DEPOSIT", "WITHDRAW_HOLD", "WITHDRAW_SETTLE", "WITHDRAW_RELEASE"
    ]
    symbol: SymbolName | None
    orderId: Id | None
    tradeId: Id | None
    transferId: int | None
    postings: list[Posting]
