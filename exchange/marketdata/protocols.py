"""The two protocols that a connection may speak: our own ("action") and Binance's ("method").

Owns what each client message does. Never reads the socket. A message with `action` is of the seed's protocol, one with
`method` of Binance's; any other is answered in the protocol that the connection speaks.

Every answer is written before the first message of the stream that it acknowledges.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import orjson
from aiohttp import WSCloseCode

from exchange.marketdata import messages, methods
from exchange.marketdata.connection import Connection, Limits
from exchange.marketdata.messages import RequestError
from exchange.marketdata.methods import Call, CallError
from exchange.marketdata.streams import Listener, Stream, Variant
from exchange.marketdata.variants import VariantStream


class Market(NamedTuple):
    """What the protocols and the server ask of the market data."""

    find: Callable[[str, str], Stream | None]
    """The stream of our own protocol of (channel, symbol); None for an unknown symbol."""
    join: Callable[[str, Listener], VariantStream | None]
    """Let a listener hear the public stream of this name; None: there is none."""
    on_join: Callable[[], None]
    """Somebody has subscribed."""
    refusal: Callable[[], str]
    """Why nobody is served now, or an empty text."""
    now_ns: Callable[[], int]
    """Engine time."""


class Protocols:
    """Answers the messages of clients."""

    def __init__(self, limits: Limits, market: Market) -> None:
        self._limits = limits
        self._market = market

    def answer(self, connection: Connection, text: str) -> None:
        """Do what a client message says and answer it."""
        try:
            message = orjson.loads(text)
        except orjson.JSONDecodeError as error:
            message = error
        is_own = not connection.is_binance
        if isinstance(message, dict) and ("action" in message or "method" in message):
            is_own = "action" in message
        if not is_own:
            connection.is_binance = True
            self._serve_call(connection, message)
        elif len(text.encode()) > self._limits.message_bytes_max:
            sentence = f"message too big; current limit is {self._limits.message_bytes_max} bytes"
            connection.listener.close(WSCloseCode.MESSAGE_TOO_BIG, sentence)
        else:
            self._serve_request(connection, message)

    def subscribe(self, connection: Connection, names: list[str], *, keeps_unknown: bool) -> None:
        """Let a connection hear these public streams too; no name comes twice."""
        new = [name for name in names if name not in connection.names]
        if len(connection.names) + len(new) > self._limits.subscriptions_max:
            self._too_many(connection)
            return
        for name in new:
            if connection.listener.is_closing:
                return
            stream = self._market.join(name, connection.listener)
            if stream is not None or keeps_unknown:
                connection.names[name] = stream
        self._market.on_join()

    def _too_many(self, connection: Connection) -> None:
        sentence = f"too many subscriptions; current limit is {self._limits.subscriptions_max}"
        connection.listener.close(WSCloseCode.POLICY_VIOLATION, sentence)

    def _serve_call(self, connection: Connection, message: object) -> None:
        listener = connection.listener
        try:
            if isinstance(message, orjson.JSONDecodeError):
                raise methods.invalid_json(message)
            call = methods.read_call(message)
        except CallError as error:
            listener.reply(messages.text_frame(methods.error_message(error)))
            return
        listener.reply(messages.text_frame(methods.result_message(self._result(connection, call), call.call_id)))
        if call.method == "SUBSCRIBE":
            self.subscribe(connection, call.names, keeps_unknown=True)

    def _result(self, connection: Connection, call: Call) -> object:
        if call.method == "LIST_SUBSCRIPTIONS":
            return list(connection.names)
        if call.method == "GET_PROPERTY":
            return connection.listener.variant.is_wrapped
        if call.method == "SET_PROPERTY":
            self._set_combined(connection, call.is_combined)
        elif call.method == "UNSUBSCRIBE":
            self._unsubscribe(connection, call.names)
        return None

    @staticmethod
    def _unsubscribe(connection: Connection, names: list[str]) -> None:
        for name in names:
            stream = connection.names.pop(name, None)
            if stream is not None:
                stream.leave(connection.listener)

    @staticmethod
    def _set_combined(connection: Connection, is_wrapped: bool) -> None:
        listener = connection.listener
        variant = Variant(listener.variant.unit_ns, is_wrapped)
        if variant != listener.variant:
            for stream in connection.names.values():
                if stream is not None:
                    stream.move(listener, variant)
            listener.variant = variant

    def _serve_request(self, connection: Connection, message: object) -> None:
        listener = connection.listener
        try:
            request = messages.read_request(message)
            stream = self._market.find(request.channel, request.symbol)
            if stream is None:
                raise messages.unknown_symbol(request.symbol)
            if request.action == "unsubscribe":
                if stream not in listener.subscriptions:
                    raise RequestError(-2036, f"There is no active subscription to {stream.name}.")
                stream.leave(listener)
                connection.note_idle()
            elif stream in listener.subscriptions:
                raise RequestError(-2035, f"The subscription to {stream.name} is already active.")
        except RequestError as error:
            listener.reply(messages.text_frame(messages.error_message(error)))
            return
        if request.action == "subscribe" and len(listener.subscriptions) >= self._limits.subscriptions_max:
            self._too_many(connection)
            return
        listener.reply(messages.text_frame(messages.done_message(request)))
        if request.action == "subscribe" and not listener.is_closing:
            stream.join(listener)
            self._market.on_join()
