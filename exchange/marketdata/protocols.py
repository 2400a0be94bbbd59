"""The two protocols that a connection may speak: our own ("action") and Binance's ("method").

Owns what each client message does. Never reads the socket. A message with `action` is of the seed's protocol, one with
`method` of Binance's; any other is answered in the protocol that the connection speaks.

Every answer is written before the first message of the stream that it acknowledges.
"""

from __future__ import annotations

import asyncio
import functools
import time
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

TURN_S = 0.001
"""A new stream costs up to 0.3 ms, and a client may name a thousand."""


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
        self._turn = asyncio.Lock()

    async def answer(self, connection: Connection, text: str) -> None:
        """Do what a client message says and answer it. Raises nothing."""
        try:
            message = orjson.loads(text)
        except orjson.JSONDecodeError as error:
            message = error
        is_own = not connection.is_binance
        if isinstance(message, dict) and ("action" in message or "method" in message):
            is_own = "action" in message
        if not is_own:
            connection.is_binance = True
            await self._serve_call(connection, message)
        elif len(text.encode()) > self._limits.message_bytes_max:
            sentence = f"message too big; current limit is {self._limits.message_bytes_max} bytes"
            connection.listener.close(WSCloseCode.MESSAGE_TOO_BIG, sentence)
        else:
            self._serve_request(connection, message)

    async def subscribe(self, connection: Connection, names: list[str], *, keeps_unknown: bool) -> None:
        """Let a connection hear these public streams too; no name comes twice."""
        new = [name for name in names if name not in connection.names]
        if len(connection.names) + len(new) > self._limits.subscriptions_max:
            self._too_many(connection)
            return

        def join(name: str) -> None:
            if not connection.listener.is_closing:
                stream = self._market.join(name, connection.listener)
                if stream is not None or keeps_unknown:
                    connection.names[name] = stream

        await self._in_turns(join, new)
        self._market.on_join()

    async def _in_turns(self, do: Callable[[str], None], names: list[str]) -> None:
        """`do` all names; of whatever clients ask for, no more than TURN_S in a turn of the event loop."""
        left = iter(names)
        is_done = False
        while not is_done:
            async with self._turn:
                end = time.perf_counter() + TURN_S
                for name in left:
                    do(name)
                    if time.perf_counter() > end:
                        await asyncio.sleep(0)
                        break
                else:
                    is_done = True

    def _too_many(self, connection: Connection) -> None:
        sentence = f"too many subscriptions; current limit is {self._limits.subscriptions_max}"
        connection.listener.close(WSCloseCode.POLICY_VIOLATION, sentence)

    async def _serve_call(self, connection: Connection, message: object) -> None:
        listener = connection.listener
        try:
            if isinstance(message, orjson.JSONDecodeError):
                raise methods.invalid_json(message)
            call = methods.read_call(message)
        except CallError as error:
            listener.reply(messages.text_frame(methods.error_message(error)))
            return
        if call.method == "UNSUBSCRIBE":
            await self._in_turns(functools.partial(self._leave, connection), call.names)
        answer = messages.text_frame(methods.result_message(self._result(connection, call), call.call_id))
        if call.method == "SUBSCRIBE" and listener.has_room():
            release = listener.hold()
            await self.subscribe(connection, call.names, keeps_unknown=True)
            release(answer)
        else:
            listener.reply(answer)

    def _result(self, connection: Connection, call: Call) -> object:
        if call.method == "LIST_SUBSCRIPTIONS":
            return list(connection.names)
        if call.method == "GET_PROPERTY":
            return connection.listener.variant.is_wrapped
        if call.method == "SET_PROPERTY":
            self._set_combined(connection, call.is_combined)
        return None

    @staticmethod
    def _leave(connection: Connection, name: str) -> None:
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
