"""What the addresses beside spot trading answer, as types. See `market_answers.py`."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from exchange.gateway.openapi.market_answers import AssetName, Decimal, Nothing, SymbolName, Time


class SystemStatus(Struct, forbid_unknown_fields=True):
    """0 while the venue takes orders."""

    status: Literal[0, 1]
    msg: Literal["normal", "system_maintenance"]


class NoSymbols(Struct, forbid_unknown_fields=True):
    """There are no derivatives."""

    symbols: Annotated[list[Nothing], Meta(max_length=0)]


class NoTransfers(Struct, forbid_unknown_fields=True):
    """There is one wallet, and so nothing between wallets."""

    total: Literal[0]
    rows: Annotated[list[Nothing], Meta(max_length=0)]


class AccountStatus(Struct, forbid_unknown_fields=True):
    """Whether the account may be used."""

    data: Literal["Normal"]


class Coin(Struct, forbid_unknown_fields=True):
    """An asset, and what the account has of it."""

    coin: AssetName
    name: AssetName
    free: Decimal
    locked: Decimal
    freeze: Decimal
    withdrawing: Decimal
    ipoing: Decimal
    ipoable: Decimal
    storage: Decimal
    isLegalMoney: bool
    trading: bool
    depositAllEnable: bool
    withdrawAllEnable: bool
    networkList: Annotated[list[Nothing], Meta(max_length=0)]


class TradeFee(Struct, forbid_unknown_fields=True):
    """The account's rates on a symbol, as fractions."""

    symbol: SymbolName
    makerCommission: Decimal
    takerCommission: Decimal


class ApiRestrictions(Struct, forbid_unknown_fields=True):
    """What the key that asks may do."""

    ipRestrict: bool
    createTime: Time
    enableReading: bool
    enableSpotAndMarginTrading: bool
    enableWithdrawals: bool
    enableInternalTransfer: bool
    enableMargin: bool
    enableFutures: bool
    permitsUniversalTransfer: bool
    enableVanillaOptions: bool
    enablePortfolioMarginTrading: bool
    tradingAuthorityExpirationTime: Time | UnsetType = UNSET
