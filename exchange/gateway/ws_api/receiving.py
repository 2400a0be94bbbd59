"""A WebSocket that gives each message to a function, in the turn of the event loop in which it came.

Owns the way of a message from aiohttp's parser to us. aiohttp's own puts it into a queue and wakes a task that takes it
out of there: 4 of the 17 us of a bare echo (`python -m bench.wsapi`). Handshake, parser and masks stay aiohttp's.
Nothing is written here, and nothing waits: whoever gets the messages bounds what they cause.

Source: `WebSocketResponse._post_start` and `WebSocketDataQueue` of aiohttp 3.14, whose attributes are used; the lock
files pin it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from aiohttp import WebSocketError, WSCloseCode, WSMessage, web
from aiohttp._websocket.reader import WebSocketDataQueue, WebSocketReader
from aiohttp._websocket.writer import WebSocketWriter

Take = Callable[[WSMessage], None]


class _Receiver(WebSocketDataQueue):
    """Takes the place of the queue between parser and reader."""

    def __init__(self, socket: ReceivingSocket, request: web.BaseRequest) -> None:
        super().__init__(request.protocol, 1, loop=asyncio.get_running_loop())
        self._socket = socket

    def feed_data(self, data: Any, size: int) -> None:
        """A message."""
        self._socket.take(data)

    def feed_eof(self) -> None:
        """The connection is lost."""
        self._socket.finish(WSCloseCode.ABNORMAL_CLOSURE)

    def set_exception(self, exc: BaseException, exc_cause: BaseException | None = None) -> None:
        """What came is no WebSocket frame, or too large; nothing is parsed after it."""
        self._socket.finish(exc.code if isinstance(exc, WebSocketError) else WSCloseCode.PROTOCOL_ERROR, str(exc))


class ReceivingSocket(web.WebSocketResponse):
    """`take` gets every message, control frames too, once the handshake is done; `ended` then waits for the end."""

    def __init__(self, message_bytes_max: int) -> None:
        super().__init__(compress=False, autoping=False, autoclose=False, max_msg_size=message_bytes_max)
        self.take: Take = self._keep
        self._early: list[WSMessage] = []
        self._end: asyncio.Future[tuple[int, str]] = asyncio.get_running_loop().create_future()

    def _keep(self, message: WSMessage) -> None:
        self._early.append(message)

    def _post_start(self, request: web.BaseRequest, protocol: str | None, writer: WebSocketWriter) -> None:
        self._ws_protocol = protocol
        self._writer = writer
        self._parser = WebSocketReader(_Receiver(self, request), self._max_msg_size, compress=False, decode_text=True)
        request.protocol.set_parser(self._parser)
        request.protocol.keep_alive(False)

    def receive_with(self, take: Take) -> None:
        """Give `take` what came with the handshake, and every message from now on."""
        self.take = take
        early, self._early = self._early, []
        for message in early:
            take(message)

    def finish(self, code: int, reason: str = "") -> None:
        """Nothing more will come; the first reason counts."""
        if not self._end.done():
            self._end.set_result((code, reason))

    async def ended(self) -> tuple[int, str]:
        """Wait until nothing more comes; returns the close code and reason that the client should be told."""
        return await self._end

    async def write_eof(self, data: bytes = b"") -> None:
        """Nothing: whoever served the connection has ended it."""
