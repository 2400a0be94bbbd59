"""What the public routes answer, as types: the schemas of the OpenAPI document, with which tests decode real answers.

Field names are the protocol's, so they are not Python's. Never used to make an answer: a type that made the answers
could not be wrong about them.
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import UNSET, Meta, Struct, UnsetType, field

from exchange.gateway.amounts import AMOUNT_PATTERN

Decimal = Annotated[str, Meta(pattern=AMOUNT_PATTERN, examples=["0.01000000"])]
Id = Annotated[int, Meta(ge=1, extra_json_schema={"format": "int64"})]
Time = Annotated[
    int, Meta(ge=0, description="Since 1970, in the unit of the request: milliseconds without X-MBX-TIME-UNIT.")
]
Change = Annotated[str, Meta(pattern=r"^-?[0-9]+(\.[0-9]+)?$")]
SymbolName = Annotated[str, Meta(pattern="^[A-Z0-9_]{1,32}$")]
AssetName = Annotated[str, Meta(pattern="^[A-Z0-9]{1,16}$")]
OrderTypeName = Literal[
    "LIMIT", "MARKET", "LIMIT_MAKER", "STOP_LOSS", "STOP_LOSS_LIMIT", "TAKE_PROFIT", "TAKE_PROFIT_LIMIT"
]
StpModeName = Literal["NONE", "EXPIRE_TAKER", "EXPIRE_MAKER", "EXPIRE_BOTH", "DECREMENT"]


class Nothing(Struct, forbid_unknown_fields=True):
    """An empty object."""


class HistoryHealth(Struct, forbid_unknown_fields=True):
    """How far the projection into PostgreSQL is. It has no more than `state` where there is none."""

    state: Literal["starting", "following", "waiting", "stopped", "unavailable"] | UnsetType = UNSET
    database: Literal["up", "down"] | UnsetType = UNSET
    sequence: int | UnsetType = UNSET
    lagCommands: int | UnsetType = UNSET
    lagEvents: int | UnsetType = UNSET
    lagSeconds: float | UnsetType = UNSET
    reason: str | UnsetType = UNSET


class Health(Struct, forbid_unknown_fields=True):
    """Whether the venue takes commands, and how it was started."""

    status: Literal["ok", "stopping"]
    service: str
    version: str
    mode: Literal["OPEN", "CANCEL_ONLY", "HALTED"]
    sync: Literal["always", "off"]
    durable: bool
    demo: bool
    sequence: Annotated[int, Meta(ge=0)]
    history: HistoryHealth


class ServerTime(Struct, forbid_unknown_fields=True):
    """The clock by which signed requests are judged."""

    serverTime: Time


class PriceFilter(Struct, forbid_unknown_fields=True, tag_field="filterType", tag="PRICE_FILTER"):
    """Bounds and step of a price."""

    minPrice: Decimal
    maxPrice: Decimal
    tickSize: Decimal


class LotSize(Struct, forbid_unknown_fields=True, tag_field="filterType", tag="LOT_SIZE"):
    """Bounds and step of a quantity."""

    minQty: Decimal
    maxQty: Decimal
    stepSize: Decimal


class MarketLotSize(Struct, forbid_unknown_fields=True, tag_field="filterType", tag="MARKET_LOT_SIZE"):
    """Bounds and step of a MARKET order's quantity."""

    minQty: Decimal
    maxQty: Decimal
    stepSize: Decimal


class Notional(Struct, forbid_unknown_fields=True, tag_field="filterType", tag="NOTIONAL"):
    """Bounds of price times quantity."""

    minNotional: Decimal
    applyMinToMarket: bool
    maxNotional: Decimal
    applyMaxToMarket: bool
    avgPriceMins: int


class MaxNumOrders(Struct, forbid_unknown_fields=True, tag_field="filterType", tag="MAX_NUM_ORDERS"):
    """How many orders an account may have open on the symbol."""

    maxNumOrders: int


class MaxNumAlgoOrders(Struct, forbid_unknown_fields=True, tag_field="filterType", tag="MAX_NUM_ALGO_ORDERS"):
    """How many of them may be stops."""

    maxNumAlgoOrders: int


class MaxNumIcebergOrders(Struct, forbid_unknown_fields=True, tag_field="filterType", tag="MAX_NUM_ICEBERG_ORDERS"):
    """How many of them may be icebergs."""

    maxNumIcebergOrders: int


class MaxNumOrderLists(Struct, forbid_unknown_fields=True, tag_field="filterType", tag="MAX_NUM_ORDER_LISTS"):
    """How many order lists an account may have open on the symbol."""

    maxNumOrderLists: int


class IcebergParts(Struct, forbid_unknown_fields=True, tag_field="filterType", tag="ICEBERG_PARTS"):
    """How many parts an iceberg may have."""

    limit: int


class TrailingDelta(Struct, forbid_unknown_fields=True, tag_field="filterType", tag="TRAILING_DELTA"):
    """Bounds of `trailingDelta`, the same for every order."""

    minTrailingAboveDelta: int
    maxTrailingAboveDelta: int
    minTrailingBelowDelta: int
    maxTrailingBelowDelta: int


class PercentPriceBySide(Struct, forbid_unknown_fields=True, tag_field="filterType", tag="PERCENT_PRICE_BY_SIDE"):
    """How far a price may be from the reference price; `avgPriceMins` 0: from the last price."""

    bidMultiplierUp: Decimal
    bidMultiplierDown: Decimal
    askMultiplierUp: Decimal
    askMultiplierDown: Decimal
    avgPriceMins: int


class MaxPosition(Struct, forbid_unknown_fields=True, tag_field="filterType", tag="MAX_POSITION"):
    """What an account may have of the base asset, its open BUY orders counted."""

    maxPosition: Decimal


Filter = (
    PriceFilter
    | LotSize
    | MarketLotSize
    | Notional
    | MaxNumOrders
    | MaxNumAlgoOrders
    | MaxNumIcebergOrders
    | MaxNumOrderLists
    | IcebergParts
    | TrailingDelta
    | PercentPriceBySide
    | MaxPosition
)


class SymbolInfo(Struct, forbid_unknown_fields=True):
    """A symbol and its rules."""

    symbol: SymbolName
    status: Literal["TRADING", "BREAK", "HALT", "AUCTION_MATCH"]
    baseAsset: AssetName
    baseAssetPrecision: int
    quoteAsset: AssetName
    quotePrecision: int
    quoteAssetPrecision: int
    baseCommissionPrecision: int
    quoteCommissionPrecision: int
    orderTypes: list[OrderTypeName]
    icebergAllowed: bool
    ocoAllowed: bool
    otoAllowed: bool
    opoAllowed: bool
    quoteOrderQtyMarketAllowed: bool
    allowTrailingStop: bool
    cancelReplaceAllowed: bool
    amendAllowed: bool
    pegInstructionsAllowed: bool
    isSpotTradingAllowed: bool
    isMarginTradingAllowed: bool
    filters: list[Filter]
    permissions: list[str]
    permissionSets: list[list[str]]
    defaultSelfTradePreventionMode: StpModeName
    allowedSelfTradePreventionModes: list[StpModeName]


class RateLimit(Struct, forbid_unknown_fields=True):
    """How much of something is allowed in an interval."""

    rateLimitType: Literal["REQUEST_WEIGHT", "RAW_REQUESTS", "ORDERS"]
    interval: Literal["SECOND", "MINUTE", "HOUR", "DAY"]
    intervalNum: int
    limit: int


class ExchangeInfo(Struct, forbid_unknown_fields=True):
    """What may be traded, and by which rules."""

    timezone: Literal["UTC"]
    serverTime: Time
    rateLimits: list[RateLimit]
    exchangeFilters: Annotated[list[Nothing], Meta(max_length=0)]
    symbols: list[SymbolInfo]


class PriceRange(Struct, forbid_unknown_fields=True):
    """How far from the reference price a taker may trade; a bound that is off is left out."""

    ruleType: Literal["PRICE_RANGE"]
    bidLimitMultUp: Decimal | UnsetType = UNSET
    bidLimitMultDown: Decimal | UnsetType = UNSET
    askLimitMultUp: Decimal | UnsetType = UNSET
    askLimitMultDown: Decimal | UnsetType = UNSET


class SymbolExecutionRules(Struct, forbid_unknown_fields=True):
    """The rules of execution of a symbol, none where none is set."""

    symbol: SymbolName
    rules: list[PriceRange]


class ExecutionRules(Struct, forbid_unknown_fields=True):
    """By which rules orders are executed."""

    symbolRules: list[SymbolExecutionRules]


class ReferencePrice(Struct, forbid_unknown_fields=True):
    """What collars and the range of execution are measured from."""

    symbol: SymbolName
    referencePrice: Decimal
    timestamp: Time


Level = Annotated[list[Decimal], Meta(min_length=2, max_length=2, description="Price and quantity.")]


class Depth(Struct, forbid_unknown_fields=True):
    """The book, best prices first."""

    lastUpdateId: int
    bids: list[Level]
    asks: list[Level]


class Trade(Struct, forbid_unknown_fields=True):
    """A trade as anybody may see it."""

    id: Id
    price: Decimal
    qty: Decimal
    quoteQty: Decimal
    time: Time
    isBuyerMaker: bool
    isBestMatch: bool


class AggTrade(Struct, forbid_unknown_fields=True):
    """Fills of one order at one price, as one."""

    id: Id = field(name="a")
    price: Decimal = field(name="p")
    quantity: Decimal = field(name="q")
    first_trade_id: Id = field(name="f")
    last_trade_id: Id = field(name="l")
    time: Time = field(name="T")
    is_buyer_maker: bool = field(name="m")
    is_best_match: bool = field(name="M")


class Candle(Struct, forbid_unknown_fields=True, array_like=True):
    """Open time, open, high, low, close, volume, close time, quote volume, trades, of buying takers: volumes; "0"."""

    open_time: Time
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal
    close_time: Time
    quote_volume: Decimal
    trades: int
    taker_buy_volume: Decimal
    taker_buy_quote_volume: Decimal
    unused: Literal["0"]


class AveragePrice(Struct, forbid_unknown_fields=True):
    """The average price of the last minutes, weighted by quantity."""

    mins: int
    price: Decimal
    closeTime: Time


class Ticker(Struct, forbid_unknown_fields=True):
    """Statistics of a window. A change and an average are of FULL, best prices and last quantity of FULL of a day."""

    symbol: SymbolName
    openPrice: Decimal
    highPrice: Decimal
    lowPrice: Decimal
    lastPrice: Decimal
    volume: Decimal
    quoteVolume: Decimal
    openTime: Time
    closeTime: Time
    firstId: Annotated[int, Meta(ge=-1, description="Of the first trade; -1 when there was none.")]
    lastId: Annotated[int, Meta(ge=-1, description="Of the last trade; -1 when there was none.")]
    count: Annotated[int, Meta(ge=0)]
    priceChange: Change | UnsetType = UNSET
    priceChangePercent: Change | UnsetType = UNSET
    weightedAvgPrice: Decimal | UnsetType = UNSET
    prevClosePrice: Decimal | UnsetType = UNSET
    lastQty: Decimal | UnsetType = UNSET
    bidPrice: Decimal | UnsetType = UNSET
    bidQty: Decimal | UnsetType = UNSET
    askPrice: Decimal | UnsetType = UNSET
    askQty: Decimal | UnsetType = UNSET


class Price(Struct, forbid_unknown_fields=True):
    """The price of the last trade."""

    symbol: SymbolName
    price: Decimal


class BookTicker(Struct, forbid_unknown_fields=True):
    """The best prices of the published book."""

    symbol: SymbolName
    bidPrice: Decimal
    bidQty: Decimal
    askPrice: Decimal
    askQty: Decimal
