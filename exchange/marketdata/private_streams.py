"""A stream of one listener whose messages come from elsewhere: the private events behind a listenKey.

Owns the way of such a message to the connection that named the key, as of any public stream: framed, wrapped on
/stream, and closed with a reason when its reader is too slow. Never knows what is in a message or whose it is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from exchange.marketdata.streams import Listener
from exchange.marketdata.variants import Source, VariantStream

Send = Callable[[bytes], None]
Close = Callable[[int, str], None]
Detach = Callable[[], None]
Attach = Callable[[Send, Close, int], Awaitable[Detach]]
"""Begins to call `send(payload)` with JSON, and `close(code, reason)` to end the connection; returns how to stop it.

The third is the unit of its times, in ns.
"""


class PrivateStream(VariantStream):
    """Lives from its listener's coming to its going."""

    def __init__(self, name: str, source: Source, attach: Attach, listener: Listener) -> None:
        super().__init__(name, source)
        self.on_empty = self._end
        self._detach: Detach | None = None
        self.join(listener)
        self._attaching = asyncio.get_running_loop().create_task(self._begin(attach, listener))

    async def _begin(self, attach: Attach, listener: Listener) -> None:
        self._detach = await attach(self._tell, listener.close, listener.variant.unit_ns)
        if not self.has_listeners:
            self._end()

    def _tell(self, payload: bytes) -> None:
        self.publish([lambda _unit_ns: payload])

    def _end(self) -> None:
        if self._detach is not None:
            self._detach()
