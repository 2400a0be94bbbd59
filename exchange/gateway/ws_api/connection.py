"""One client of the WebSocket API: what it has used of its limits, who it is, and how it is told things.

Owns the state of a connection from its handshake to its end. Never awaits a write: answers and events go straight to
the transport, and a client that does not read them is closed, 4008, because neither can be left out. Never reads a
request.

A client is pinged every `ping_s` and must be heard of (a pong, or anything) every `pong_s`. A connection that has never
shown a key may be silent for `idle_s`, and then is closed; one that has may be silent for as long as it answers pings.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import NamedTuple, Protocol

from aiohttp import WSCloseCode
from aiohttp.abc import AbstractStreamWriter

from exchange.gateway.address import Address, limited
from exchange.marketdata.messages import REASON_BYTES_MAX, close_frame, text_frame
from exchange.marketdata.streams import SLOW_READER
from exchange.users.keys import Key

PING_FRAME = b"\x89\x00"


class Limits(NamedTuple):
    """What one client, and all of them together, may take. docs/ws-api.md says how each shows."""

    connections_max: int = 10_000
    connections_per_address: int = 300
    message_bytes_max: int = 16_384  # of one client message
    messages_per_second: int = 5_000  # client messages of one connection, pings and pongs included
    in_flight_max: int = 256  # requests of one connection that are not answered yet
    buffer_bytes: int = 1 << 20  # waiting for one reader, in the process and again in the kernel
    subscriptions_max: int = 10_000  # user data streams of one connection, one after the other or at once
    ping_s: float = 20.0
    pong_s: float = 60.0
    life_s: float = 24 * 3_600.0
    idle_s: float = 300.0
    close_s: float = 5.0  # from our close frame to the end of the connection


class Channel(Protocol):
    """A user data stream that a connection listens to."""

    key: Key
    is_of_session: bool
    last_sequence: int

    @property
    def is_over(self) -> bool:
        """Whether nothing more comes."""

    def end(self, reason: str) -> None:
        """Tell it that the stream is over, and listen no more."""


class Session(NamedTuple):
    """Who a connection is after session.logon."""

    key: Key
    since_ns: int


class Connection:
    """One client. `host` is the Host of its handshake, `unit_ns` its unit of times; it may want no `rateLimits`."""

    def __init__(
        self,
        transport: asyncio.Transport,
        writer: AbstractStreamWriter,
        address: Address,
        host: str,
        limits: Limits,
        *,
        unit_ns: int,
        shows_limits: bool,
        since_ns: int,
    ) -> None:
        self.address = address
        self.host = host
        self.limited = limited(address)
        self.unit_ns = unit_ns
        self.shows_limits = shows_limits
        self.since_ns = since_ns
        self.session: Session | None = None
        self.channels: dict[int, Channel] = {}
        """The user data streams that it listens to, by subscription id."""
        self.next_channel = 0
        self.in_flight = 0
        self.is_known = False
        """Whether a request on it was ever signed with a key."""
        self.is_closing = False
        self._transport = transport
        self._writer = writer
        self._limits = limits
        self._loop = asyncio.get_running_loop()
        now = self._loop.time()
        self._since_s = self._heard_s = self._asked_s = self._second_s = self._pinged_s = now
        self._messages = 0

    def client(self) -> Address:
        """Where its requests come from."""
        return self.address

    def hear(self) -> bool:
        """Count one message of the client; False when this second already had its share."""
        now = self._loop.time()
        self._heard_s = now
        if now - self._second_s >= 1.0:
            self._second_s = now
            self._messages = 0
        self._messages += 1
        return self._messages <= self._limits.messages_per_second

    def begin(self) -> None:
        """Count a request, which is in flight from here on."""
        self._asked_s = self._heard_s
        self.in_flight += 1

    def check(self, now: float) -> None:
        """Ping it when it is time, end it when it was silent for too long or has lived long enough."""
        limits = self._limits
        if now - self._heard_s >= limits.pong_s:
            self._transport.abort()
        elif now - self._since_s >= limits.life_s:
            self.close(WSCloseCode.GOING_AWAY, f"a connection lives for {limits.life_s / 3600:g} h; connect again")
        elif not self.is_known and not self.in_flight and now - self._asked_s >= limits.idle_s:
            self.close(WSCloseCode.POLICY_VIOLATION, f"idle: no request for {limits.idle_s:g} s and no key")
        elif now - self._pinged_s >= limits.ping_s:
            self._pinged_s = now
            self.write(PING_FRAME)

    def tell(self, message: bytes) -> None:
        """Write an answer or an event; a client that does not read is closed."""
        if self._transport.get_write_buffer_size() > self._limits.buffer_bytes:
            self.close(SLOW_READER, self._too_slow())
        elif not self.is_closing:
            self.write(text_frame(message))

    def _too_slow(self) -> str:
        """The reason, with where to resume each stream; whole ones only, as many as a close frame has room for."""
        reason = f"slow_consumer: more than {self._limits.buffer_bytes} bytes wait"
        before = "; fromSequence "
        for number, channel in self.channels.items():
            more = f"{before}{number}:{channel.last_sequence}"
            if len(reason) + len(more) > REASON_BYTES_MAX:
                break
            reason, before = reason + more, " "
        return reason

    def write(self, frame: bytes) -> None:
        """Write a frame; nothing happens when the connection is lost and its task does not know it yet."""
        if not self._transport.is_closing():
            self._transport.write(frame)

    def close(self, code: int, reason: str) -> None:
        """Write a close frame behind what already waits, once; the client has `close_s` to read it."""
        if self.is_closing:
            return
        self.is_closing = True
        self.write(close_frame(code, reason))
        self._loop.call_later(self._limits.close_s, self._transport.abort)

    async def drain(self) -> None:
        """Wait until the client has read most of what was written, or is gone; only a past is so long as to need that.

        All who wait for a connection wait for one future of aiohttp's: who is cancelled must leave it to the others.
        """
        with contextlib.suppress(ConnectionError):
            await asyncio.shield(self._loop.create_task(self._writer.drain()))

    def abort(self) -> None:
        """End the transport now, whatever waits in it."""
        self.is_closing = True
        self._transport.abort()

    def end(self) -> None:
        """The task of the connection is over: end the transport, by force if its peer does not read what waits."""
        self.is_closing = True
        self._transport.close()
        self._loop.call_later(self._limits.close_s, self._transport.abort)
