"""What the public sockets tell and take, as types: Binance's streams and our own. See `market_answers.py`.

Python's names say what a field is; `name=` is what it is called on the wire.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta, Struct, field

from exchange.gateway.openapi.market_answers import Change, Decimal, Depth, Id, Level, SymbolName, Time
from exchange.marketdata.methods import ID_CHARACTERS_MAX, NAME_CHARACTERS_MAX

Interval = Literal["1s", "1m", "3m", "5m", "15m", "30m", "1h", "2h", "4h", "6h", "8h", "12h", "1d", "3d", "1w", "1M"]
TradeId = Annotated[int, Meta(ge=-1, description="-1 or 0 when there was no trade.")]
CallId = int | Annotated[str, Meta(max_length=ID_CHARACTERS_MAX)] | None
StreamName = Annotated[str, Meta(max_length=NAME_CHARACTERS_MAX)]
Count = Annotated[int, Meta(ge=0)]


class Event(Struct, forbid_unknown_fields=True):
    """What every event has."""

    kind: str = field(name="e")
    time: Time = field(name="E")
    symbol: SymbolName = field(name="s")


# ---- books ----------------------------------------------------------------------------------------------------------


class DepthUpdate(Event, forbid_unknown_fields=True):
    """Levels that changed: absolute quantities, zero for a level that is gone. `U` is the previous `u` + 1."""

    kind: Literal["depthUpdate"] = field(name="e")
    first_update_id: Id = field(name="U")
    last_update_id: Id = field(name="u")
    bids: list[Level] = field(name="b")
    asks: list[Level] = field(name="a")


class PartialDepth(Depth, forbid_unknown_fields=True):
    """The first levels of each side, best prices first."""


class BestPrices(Struct, forbid_unknown_fields=True):
    """The best price of each side with its quantity, zeros where there is none."""

    update_id: Count = field(name="u")
    symbol: SymbolName = field(name="s")
    bid: Decimal = field(name="b")
    bid_quantity: Decimal = field(name="B")
    ask: Decimal = field(name="a")
    ask_quantity: Decimal = field(name="A")


# ---- trades ---------------------------------------------------------------------------------------------------------


class OwnTrade(Event, forbid_unknown_fields=True):
    """A trade. `m`: the buyer was the maker."""

    kind: Literal["trade"] = field(name="e")
    trade_id: Id = field(name="t")
    price: Decimal = field(name="p")
    quantity: Decimal = field(name="q")
    trade_time: Time = field(name="T")
    is_buyer_maker: bool = field(name="m")


class TradePrint(OwnTrade, forbid_unknown_fields=True):
    """A trade. `m`: the buyer was the maker; `M` is true."""

    is_best_match: bool = field(name="M")


class AggregateTrade(Event, forbid_unknown_fields=True):
    """Fills of one order at one price, as one. `f` and `l`: first and last trade id."""

    kind: Literal["aggTrade"] = field(name="e")
    id: Id = field(name="a")
    price: Decimal = field(name="p")
    quantity: Decimal = field(name="q")
    first_trade_id: Id = field(name="f")
    last_trade_id: Id = field(name="l")
    trade_time: Time = field(name="T")
    is_buyer_maker: bool = field(name="m")
    is_best_match: bool = field(name="M")


class AuctionEvent(Event, forbid_unknown_fields=True):
    """How a symbol trades now.

    In AUCTION `p`, `q` and `i` are the price and quantity that would trade and demand less supply; in CONTINUOUS `p`
    and `q` are of the auction that ended; in PAUSED `p` is the last price. `T`: when the phase ends, zero: not known.
    """

    kind: Literal["auction"] = field(name="e")
    phase: Literal["CONTINUOUS", "AUCTION", "PAUSED"]
    price: Decimal = field(name="p")
    quantity: Decimal = field(name="q")
    imbalance: Change = field(name="i")
    end_time: Annotated[int, Meta(ge=0)] = field(name="T")


# ---- statistics -----------------------------------------------------------------------------------------------------


class CandleFields(Struct, forbid_unknown_fields=True):
    """A candle. `x`: it is closed; `V` and `Q`: volumes of buying takers."""

    open_time: Time = field(name="t")
    close_time: Time = field(name="T")
    symbol: SymbolName = field(name="s")
    interval: Interval = field(name="i")
    first_trade_id: TradeId = field(name="f")
    last_trade_id: TradeId = field(name="L")
    open: Decimal = field(name="o")
    close: Decimal = field(name="c")
    high: Decimal = field(name="h")
    low: Decimal = field(name="l")
    volume: Decimal = field(name="v")
    trades: Count = field(name="n")
    is_closed: bool = field(name="x")
    quote_volume: Decimal = field(name="q")
    taker_buy_volume: Decimal = field(name="V")
    taker_buy_quote_volume: Decimal = field(name="Q")
    unused: Literal["0"] = field(name="B")


class Kline(Event, forbid_unknown_fields=True):
    """The current candle while it changes, and each candle once more when it is closed."""

    kind: Literal["kline"] = field(name="e")
    candle: CandleFields = field(name="k")


class Extent(Event, forbid_unknown_fields=True):
    """Last, open, high and low price, volumes in base and quote."""

    last: Decimal = field(name="c")
    open: Decimal = field(name="o")
    high: Decimal = field(name="h")
    low: Decimal = field(name="l")
    volume: Decimal = field(name="v")
    quote_volume: Decimal = field(name="q")


class MiniTicker(Extent, forbid_unknown_fields=True):
    """Prices and volumes of the last 24 hours."""

    kind: Literal["24hrMiniTicker"] = field(name="e")


class Window(Extent, forbid_unknown_fields=True):
    """Statistics of a window."""

    change: Change = field(name="p")
    change_percent: Change = field(name="P")
    average: Decimal = field(name="w")
    open_time: Time = field(name="O")
    close_time: Time = field(name="C")
    first_trade_id: TradeId = field(name="F")
    last_trade_id: TradeId = field(name="L")
    trades: Count = field(name="n")


class WindowTicker(Window, forbid_unknown_fields=True):
    """Statistics of a rolling window, which `e` names."""

    kind: Literal["1hTicker", "4hTicker", "1dTicker"] = field(name="e")


class OwnTicker(Window, forbid_unknown_fields=True):
    """Statistics of the last 24 hours, with last quantity and best prices."""

    kind: Literal["24hrTicker"] = field(name="e")
    last_quantity: Decimal = field(name="Q")
    bid: Decimal = field(name="b")
    bid_quantity: Decimal = field(name="B")
    ask: Decimal = field(name="a")
    ask_quantity: Decimal = field(name="A")


class DayTicker(OwnTicker, forbid_unknown_fields=True):
    """Statistics of the last 24 hours; `x` is the last price before them."""

    previous_close: Decimal = field(name="x")


class AveragePriceEvent(Event, forbid_unknown_fields=True):
    """The average price of the last minutes, weighted by quantity; `T`: of the last trade."""

    kind: Literal["avgPrice"] = field(name="e")
    interval: str = field(name="i")
    average: Decimal = field(name="w")
    trade_time: Time = field(name="T")


# ---- Binance's protocol ---------------------------------------------------------------------------------------------


class StreamCall(Struct, forbid_unknown_fields=True):
    """SUBSCRIBE, UNSUBSCRIBE: `params` are names. SET_PROPERTY: `["combined", true]`. GET_PROPERTY: `["combined"]`."""

    method: Literal["SUBSCRIBE", "UNSUBSCRIBE", "LIST_SUBSCRIPTIONS", "SET_PROPERTY", "GET_PROPERTY"]
    params: list[StreamName | bool] = []
    id: CallId = None


class StreamResult(Struct, forbid_unknown_fields=True):
    """Null for what was done, a list of names, or the value of a property."""

    result: list[StreamName] | bool | None
    id: CallId


class StreamErrorFields(Struct, forbid_unknown_fields=True):
    """0: unknown property, 1: wrong value, 2: invalid request, 3: not JSON."""

    code: Literal[0, 1, 2, 3]
    msg: str


class StreamError(Struct, forbid_unknown_fields=True):
    """A call that can not be served; the connection lives on."""

    error: StreamErrorFields
    id: CallId


class Wrapped(Struct, forbid_unknown_fields=True):
    """Every message of a connection to /stream, or with the property `combined`."""

    stream: StreamName
    data: Any


class Shutdown(Struct, forbid_unknown_fields=True):
    """The exchange stops; connections are closed next."""

    kind: Literal["serverShutdown"] = field(name="e")
    time: Time = field(name="E")


# ---- our own protocol -----------------------------------------------------------------------------------------------


class OwnRequest(Struct, forbid_unknown_fields=True):
    """Begin or end a subscription."""

    action: Literal["subscribe", "unsubscribe"]
    channel: Literal["depth", "trades", "ticker"]
    symbol: SymbolName


class OwnDone(Struct, forbid_unknown_fields=True):
    """It was done; what follows is of the subscription."""

    kind: Literal["subscribed", "unsubscribed"] = field(name="e")
    channel: Literal["depth", "trades", "ticker"]
    symbol: SymbolName = field(name="s")


class OwnErrorFields(Struct, forbid_unknown_fields=True):
    """A code of the REST interface, and a sentence."""

    code: Annotated[int, Meta(le=-1)]
    msg: str


class OwnError(Struct, forbid_unknown_fields=True):
    """A message that can not be served; the connection lives on."""

    error: OwnErrorFields


class DepthSnapshot(Event, forbid_unknown_fields=True):
    """The book: at the beginning, and again when diffs were skipped for a slow reader."""

    kind: Literal["depthSnapshot"] = field(name="e")
    last_update_id: Count = field(name="lastUpdateId")
    bids: list[Level]
    asks: list[Level]
