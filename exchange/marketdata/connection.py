"""One client of the streams: its listener, its limits, its pings.

Owns what a client may take and what it has used of it. Never reads a message and never awaits. A client is pinged every
`ping_s`; one that was silent for three pings is disconnected. Binance ends a connection after a day; so do we.
"""

from __future__ import annotations

import asyncio
import socket
from typing import NamedTuple

from aiohttp import WSCloseCode

from exchange.marketdata.messages import PING_FRAME
from exchange.marketdata.streams import Listener, Variant
from exchange.marketdata.variants import VariantStream

PINGS_UNANSWERED_MAX = 3


class Limits(NamedTuple):
    """What one client, and all of them together, may take. docs/streams.md says how each shows."""

    connections_max: int = 10_000
    connections_per_address: int = 300
    subscriptions_max: int = 1_024  # of one connection
    message_bytes_max: int = 8_192  # of one client message of our own protocol
    method_bytes_max: int = 65_536  # of one client message with a method: it may name a thousand streams
    messages_per_second: int = 50  # client messages of one connection, pings and pongs included
    buffer_bytes: int = 256 * 1_024  # waiting for one reader, in the process and again in the kernel
    ping_s: float = 20.0  # between two pings; a client that is silent for three of them is gone
    life_s: float = 86_400.0  # of a connection that speaks Binance's protocol
    idle_s: float = 60.0  # a connection of our own protocol may be without a subscription
    handshake_s: float = 5.0  # from accept to upgrade
    close_s: float = 5.0  # from our close frame to the end of the connection


class Connection:
    """One client: its listener and what it has used of its limits."""

    def __init__(self, transport: asyncio.Transport, limits: Limits, variant: Variant, *, is_binance: bool) -> None:
        self.listener = Listener(transport, limits.buffer_bytes, self._closing)
        self.listener.variant = variant
        self.names: dict[str, VariantStream | None] = {}
        """The streams of Binance's protocol that it asked for; None: there is no such stream."""
        self.is_binance = is_binance
        """It came by a path, or has sent a message, that only Binance's protocol has."""
        self._loop = asyncio.get_running_loop()
        self.idle_since = self.heard_at = self._begun_at = self._loop.time()
        self._transport = transport
        self._limits = limits
        self._second = 0.0
        self._messages = 0
        self._beat_timer = self._loop.call_later(limits.ping_s, self._beat)
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, limits.buffer_bytes)

    def _closing(self) -> None:
        self._beat_timer.cancel()
        self._loop.call_later(self._limits.close_s, self._transport.abort)

    def end(self) -> None:
        """Leave every stream and end the transport, by force if its peer does not read what waits."""
        self._beat_timer.cancel()
        self.listener.leave_all()
        self._transport.close()
        self._loop.call_later(self._limits.close_s, self._transport.abort)

    def abort(self) -> None:
        """Leave every stream and end the transport, whatever waits in it."""
        self._beat_timer.cancel()
        self.listener.leave_all()
        self._transport.abort()

    def _beat(self) -> None:
        now = self._loop.time()
        if now - self.heard_at >= PINGS_UNANSWERED_MAX * self._limits.ping_s:
            self._transport.abort()
        elif self.is_binance and now - self._begun_at >= self._limits.life_s:
            self.listener.close(WSCloseCode.GOING_AWAY, f"a connection lives {self._limits.life_s:g} s; connect again")
        else:
            self._beat_timer = self._loop.call_later(self._limits.ping_s, self._beat)
            self.listener.send(PING_FRAME)

    def hear(self) -> bool:
        """Note a client message; False when this second already had its share."""
        now = self.heard_at = self._loop.time()
        if now - self._second >= 1.0:
            self._second = now
            self._messages = 0
        self._messages += 1
        return self._messages <= self._limits.messages_per_second

    def idle_left(self) -> float | None:
        """Seconds until the connection is closed for listening to nothing; None while that can not happen."""
        if self.is_binance or self.listener.subscriptions or self.listener.is_closing:
            return None
        return max(self.idle_since + self._limits.idle_s - self._loop.time(), 0.001)

    def note_idle(self) -> None:
        """Begin to count idle time if nothing is listened to any more."""
        if not self.listener.subscriptions:
            self.idle_since = self._loop.time()
