"""What the signed routes answer about order lists, as types. See `market_answers.py`."""

from __future__ import annotations

from typing import Literal

from msgspec import UNSET, Struct, UnsetType

from exchange.gateway.openapi.account_answers import (
    Canceled,
    ClientId,
    ListId,
    Placed,
    SideName,
    Special,
    StatusName,
    TimeInForceName,
)
from exchange.gateway.openapi.market_answers import Decimal, Id, OrderTypeName, StpModeName, SymbolName, Time


class Leg(Struct, forbid_unknown_fields=True):
    """An order of a list; the client id is empty of one that closed so long ago that nobody knows it."""

    symbol: SymbolName
    orderId: Id
    clientOrderId: ClientId | Literal[""]


class OrderList(Struct, forbid_unknown_fields=True, kw_only=True):
    """An order list and its legs, in their order. `contingencyType`: OTO where a leg waits for another."""

    orderListId: Id
    contingencyType: Literal["OCO", "OTO"]
    listStatusType: Literal["EXEC_STARTED", "ALL_DONE"]
    listOrderStatus: Literal["EXECUTING", "ALL_DONE"]
    listClientOrderId: ClientId
    transactionTime: Time
    symbol: SymbolName
    orders: list[Leg]


class PlacedList(OrderList, forbid_unknown_fields=True):
    """A new order list, and each leg as it was answered if it had come alone."""

    orderReports: list[Placed]


class CanceledList(OrderList, forbid_unknown_fields=True):
    """An order list as a cancel ended it, and the legs that were open until then."""

    orderReports: list[Canceled]


class CanceledOrList(Special, forbid_unknown_fields=True, kw_only=True):
    """The fields of Canceled, or those of CanceledList: msgspec decodes no union of structs without tags."""

    symbol: SymbolName
    orderListId: ListId
    origClientOrderId: ClientId | UnsetType = UNSET
    orderId: Id | UnsetType = UNSET
    clientOrderId: ClientId | UnsetType = UNSET
    transactTime: Time | UnsetType = UNSET
    price: Decimal | UnsetType = UNSET
    origQty: Decimal | UnsetType = UNSET
    executedQty: Decimal | UnsetType = UNSET
    origQuoteOrderQty: Decimal | UnsetType = UNSET
    cummulativeQuoteQty: Decimal | UnsetType = UNSET
    status: StatusName | UnsetType = UNSET
    timeInForce: TimeInForceName | UnsetType = UNSET
    type: OrderTypeName | UnsetType = UNSET
    side: SideName | UnsetType = UNSET
    selfTradePreventionMode: StpModeName | UnsetType = UNSET
    contingencyType: Literal["OCO", "OTO"] | UnsetType = UNSET
    listStatusType: Literal["ALL_DONE"] | UnsetType = UNSET
    listOrderStatus: Literal["ALL_DONE"] | UnsetType = UNSET
    listClientOrderId: ClientId | UnsetType = UNSET
    transactionTime: Time | UnsetType = UNSET
    orders: list[Leg] | UnsetType = UNSET
    orderReports: list[Canceled] | UnsetType = UNSET
