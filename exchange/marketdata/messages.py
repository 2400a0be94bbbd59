"""The WebSocket messages: what clients may say, what they are told, and the bytes of a frame.

Owns every field name of the streams (docs/marketdata.md shows each with an example) and the reading of requests. Never
writes to a connection. Event messages use Binance's names for what Binance has; prices and quantities are decimal
strings with all decimals of the symbol; times are milliseconds of engine time.

Sources: RFC 6455 section 5.2 (frames); Binance Spot WebSocket streams (field names); its error codes.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

import orjson

from exchange.marketdata.text import decimal_text
from exchange.marketdata.windows import DAY_MINUTES, NS_PER_MINUTE, Window

CHANNELS = ("depth", "trades", "ticker")
ACTIONS = ("subscribe", "unsubscribe")
FIELDS = ("action", "channel", "symbol")
NS_PER_MS = 1_000_000
NS_PER_US = 1_000
PERCENT_SCALE = 3

_TEXT, _CLOSE, _PONG = 0x81, 0x88, 0x8A
_SHORT, _MEDIUM, _LONG = (struct.Struct(head).pack for head in (">BB", ">BBH", ">BBQ"))
PING_FRAME = b"\x89\x00"
REASON_BYTES_MAX = 123
"""Of a close frame's reason: a control frame holds 125 bytes, and two of them are the code."""
_SHOWN_CHARACTERS = 40


class RequestError(Exception):
    """A client's message that can not be served: a code of the API and a sentence."""

    def __init__(self, code: int, sentence: str) -> None:
        super().__init__(sentence)
        self.code = code
        self.sentence = sentence


class Request(NamedTuple):
    """A well-formed client message. The symbol is not looked up yet."""

    action: str
    channel: str
    symbol: str


class Quote(NamedTuple):
    """What a ticker says besides its window; zeros where there is nothing."""

    last_price_ticks: int
    last_lots: int
    last_trade_id: int
    bid_ticks: int
    bid_lots: int
    ask_ticks: int
    ask_lots: int


def _frame(first: int, payload: bytes) -> bytes:
    size = len(payload)
    if size < 126:
        return _SHORT(first, size) + payload
    if size < 1 << 16:
        return _MEDIUM(first, 126, size) + payload
    return _LONG(first, 127, size) + payload


def text_frame(payload: bytes) -> bytes:
    """One unmasked, uncompressed, unfragmented text frame."""
    return _frame(_TEXT, payload)


def close_frame(code: int, reason: str) -> bytes:
    """A close frame; the reason is cut to what a control frame holds."""
    return _frame(_CLOSE, code.to_bytes(2, "big") + reason.encode()[:REASON_BYTES_MAX])


def pong_frame(payload: bytes) -> bytes:
    """The answer to a ping with this payload."""
    return _frame(_PONG, payload)


def read_request(message: object) -> Request:
    """Read a client message; raises RequestError with the first thing that is wrong with it."""
    if isinstance(message, orjson.JSONDecodeError):
        raise RequestError(-1135, "The message is not valid JSON.")
    if not isinstance(message, dict):
        raise RequestError(-1135, "The message must be a JSON object with action, channel and symbol.")
    for name in message:
        if name not in FIELDS:
            raise RequestError(-1103, f"Parameter {_shown(name)} is not known; send action, channel and symbol.")
    for name in FIELDS:
        if not isinstance(message.get(name), str) or not message[name]:
            raise RequestError(
                -1102, f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed: send a text."
            )
    request = Request(**message)
    if request.action not in ACTIONS:
        raise RequestError(-1020, f"Action {_shown(request.action)} is not supported; send {' or '.join(ACTIONS)}.")
    if request.channel not in CHANNELS:
        raise RequestError(-1130, f"Channel {_shown(request.channel)} does not exist; take {', '.join(CHANNELS)}.")
    return request


def unknown_symbol(symbol: str) -> RequestError:
    """The error for a symbol that this venue does not have."""
    return RequestError(-1121, f"Invalid symbol. {_shown(symbol)} is not traded here.")


def _shown(text: str) -> str:
    return repr(text if len(text) <= _SHOWN_CHARACTERS else text[:_SHOWN_CHARACTERS] + "…")


def error_message(error: RequestError) -> bytes:
    """What a client is told about its mistake."""
    return orjson.dumps({"error": {"code": error.code, "msg": error.sentence}})


def done_message(request: Request) -> bytes:
    """The acknowledgement of a subscribe or unsubscribe."""
    return orjson.dumps({"e": f"{request.action}d", "channel": request.channel, "s": request.symbol})


def depth_snapshot(symbol: bytes, ts_ns: int, members: bytes) -> bytes:
    """The first depth message of a subscription, and what replaces diffs that a slow reader missed."""
    return b'{"e":"depthSnapshot","E":%d,"s":"%b",%b}' % (ts_ns // NS_PER_MS, symbol, members)


def depth_update(
    symbol: bytes, ts_ns: int, first_id: int, last_id: int, bids: bytes, asks: bytes, unit_ns: int = NS_PER_MS
) -> bytes:
    """A diff: absolute quantities of the levels that changed, zero for a level that is gone."""
    return b'{"e":"depthUpdate","E":%d,"s":"%b","U":%d,"u":%d,"b":[%b],"a":[%b]}' % (
        ts_ns // unit_ns, symbol, first_id, last_id, bids, asks,
    )  # fmt: skip


def trade(symbol: bytes, ts_ns: int, trade_id: int, price: str, quantity: str, is_buyer_maker: bool) -> bytes:
    """One trade; `m` tells that the buyer was the maker."""
    return b'{"e":"trade","E":%d,"s":"%b","t":%d,"p":"%b","q":"%b","T":%d,"m":%b}' % (
        ts_ns // NS_PER_MS, symbol, trade_id, price.encode(), quantity.encode(), ts_ns // NS_PER_MS,
        b"true" if is_buyer_maker else b"false",
    )  # fmt: skip


def ticker(symbol: str, ts_ns: int, scales: tuple[int, int], quote: Quote, window: Window) -> bytes:
    """A rolling 24-hour ticker. `w` and `P` are rounded towards zero; all else is exact."""
    price_scale, qty_scale = scales
    change = quote.last_price_ticks - window.open_ticks if window.trades else 0
    percent = abs(change) * 10 ** (2 + PERCENT_SCALE) // window.open_ticks if window.trades else 0
    average = window.tick_lots // window.lots if window.trades else 0
    last_id = quote.last_trade_id if window.trades else 0

    def price(ticks: int) -> str:
        return decimal_text(ticks, price_scale)

    def quantity(lots: int) -> str:
        return decimal_text(lots, qty_scale)

    return orjson.dumps(
        {
            "e": "24hrTicker",
            "E": ts_ns // NS_PER_MS,
            "s": symbol,
            "p": price(change),
            "P": decimal_text(-percent if change < 0 else percent, PERCENT_SCALE),
            "w": price(average),
            "c": price(quote.last_price_ticks),
            "Q": quantity(quote.last_lots),
            "b": price(quote.bid_ticks),
            "B": quantity(quote.bid_lots),
            "a": price(quote.ask_ticks),
            "A": quantity(quote.ask_lots),
            "o": price(window.open_ticks),
            "h": price(window.high_ticks),
            "l": price(window.low_ticks),
            "v": quantity(window.lots),
            "q": decimal_text(window.tick_lots, price_scale + qty_scale),
            "O": max(ts_ns // NS_PER_MINUTE - DAY_MINUTES + 1, 0) * NS_PER_MINUTE // NS_PER_MS,
            "C": ts_ns // NS_PER_MS,
            "F": window.first_trade_id,
            "L": last_id,
            "n": window.trades,
        }
    )
