"""What is said of every socket: the public streams by kind, our own channels, the methods of the WebSocket API.

Owns one row a stream kind, channel and method. One without a row fails a test, which says what to write; tests hold
every type against real messages.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from exchange.gateway.openapi import private_messages as private
from exchange.gateway.openapi import stream_messages as told
from exchange.gateway.openapi.market_answers import Nothing
from exchange.marketdata.names import Kind


class StreamRow(NamedTuple):
    """A kind of stream: its name with {parameters}, one name that is meant, the type of its messages."""

    name: str
    example: str
    message: Any


PARAMETERS = {
    "symbol": "A symbol in lower case without `_`: `btcusdt`.",
    "speed": "Nothing or `@1000ms`: once a second. `@100ms`: as it is published.",
    "levels": "5, 10 or 20 a side.",
    "interval": "1s 1m 3m 5m 15m 30m 1h 2h 4h 6h 8h 12h 1d 3d 1w 1M; with `@+08:00` behind it, days begin in UTC+8.",
    "window": "1h, 4h or 1d.",
    "listenKey": "What `POST /api/v3/userDataStream` answered.",
}
STREAMS: dict[Kind, StreamRow] = {
    Kind.DEPTH: StreamRow("{symbol}@depth{speed}", "btcusdt@depth@100ms", told.DepthUpdate),
    Kind.PARTIAL_DEPTH: StreamRow("{symbol}@depth{levels}{speed}", "btcusdt@depth5@100ms", told.PartialDepth),
    Kind.TRADE: StreamRow("{symbol}@trade", "btcusdt@trade", told.TradePrint),
    Kind.AGG_TRADE: StreamRow("{symbol}@aggTrade", "btcusdt@aggTrade", told.AggregateTrade),
    Kind.BOOK_TICKER: StreamRow("{symbol}@bookTicker", "btcusdt@bookTicker", told.BestPrices),
    Kind.KLINE: StreamRow("{symbol}@kline_{interval}", "btcusdt@kline_1s", told.Kline),
    Kind.TICKER: StreamRow("{symbol}@ticker", "btcusdt@ticker", told.DayTicker),
    Kind.MINI_TICKER: StreamRow("{symbol}@miniTicker", "btcusdt@miniTicker", told.MiniTicker),
    Kind.AVG_PRICE: StreamRow("{symbol}@avgPrice", "btcusdt@avgPrice", told.AveragePriceEvent),
    Kind.AUCTION: StreamRow("{symbol}@auction", "btcusdt@auction", told.AuctionEvent),
    Kind.WINDOW_TICKER: StreamRow("{symbol}@ticker_{window}", "btcusdt@ticker_1h", told.WindowTicker),
    Kind.ALL_TICKERS: StreamRow("!ticker@arr", "!ticker@arr", list[told.DayTicker]),
    Kind.ALL_MINI_TICKERS: StreamRow("!miniTicker@arr", "!miniTicker@arr", list[told.MiniTicker]),
    Kind.ALL_WINDOW_TICKERS: StreamRow("!ticker_{window}@arr", "!ticker_1h@arr", list[told.WindowTicker]),
}

OWN_CHANNELS: dict[str, tuple[Any, ...]] = {
    "depth": (told.DepthSnapshot, told.DepthUpdate),
    "trades": (told.OwnTrade,),
    "ticker": (told.OwnTicker,),
}
"""What each channel of our own protocol tells."""


class MethodRow(NamedTuple):
    """A method of the WebSocket API that is no endpoint: what it does, its parameters, the type of its result."""

    about: str
    parameters: tuple[str, ...]
    result: Any


_SIGNED = ("apiKey", "timestamp", "recvWindow", "signature")
SESSION_METHODS: dict[str, MethodRow] = {
    "session.logon": MethodRow("Requests need no key and no signature from here on.", _SIGNED, private.SessionStatus),
    "session.status": MethodRow("Who the connection is.", (), private.SessionStatus),
    "session.logout": MethodRow("The session ends, and its user data streams.", (), private.SessionStatus),
    "session.cancelOnDisconnect": MethodRow(
        "Whether the orders of the key are canceled when the connection ends.",
        ("enabled", *_SIGNED),
        private.CancelOnDisconnect,
    ),
    "session.subscriptions": MethodRow("The user data streams of the connection.", (), list[private.Subscription]),
    "userDataStream.subscribe": MethodRow(
        "The user data stream of the session's account, from `fromSequence` on.",
        ("fromSequence",),
        private.NewSubscription,
    ),
    "userDataStream.subscribe.signature": MethodRow(
        "The user data stream of any key's account.", ("fromSequence", *_SIGNED), private.NewSubscription
    ),
    "userDataStream.unsubscribe": MethodRow("One stream of the connection, or all.", ("subscriptionId",), Nothing),
}
