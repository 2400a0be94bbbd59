"""Streams and who listens to them: each frame is built once and written to every listener, and nobody is waited for.

Owns the listener sets and what happens to a slow reader. Never encodes a message, never awaits. A listener is slow when
more than `buffer_bytes` wait in its transport. A conflated stream (depth, ticker) then skips it and, once its transport
has drained, sends it one fresh frame that makes up for all it missed; a stream of facts (trades) closes it, code 4008.

Invariant: what a listener of a conflated stream receives is a fresh frame, then every frame published after it without
a gap, until the next fresh frame.

Cost: one bounded `transport.write` a listener (`python -m bench.fanout`).
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable
from typing import NamedTuple, Protocol

from exchange.marketdata.messages import NS_PER_MS, close_frame

SLOW_READER = 4008
"""Close code: the reader does not keep up with a stream that can not be thinned."""

DRAINED_SHARE = 4
"""A conflated listener is caught up once a quarter of its buffer or less is waiting."""


class Transport(Protocol):
    """The part of asyncio's WriteTransport that is used."""

    def write(self, data: bytes) -> None: ...
    def get_write_buffer_size(self) -> int: ...


@dataclasses.dataclass
class Counts:
    """What the streams have done since the start; all only grow."""

    messages_encoded: int = 0
    messages_written: int = 0
    conflated: int = 0
    refreshed: int = 0
    dropped: int = 0


class Variant(NamedTuple):
    """How a connection wants its messages."""

    unit_ns: int  # of times: NS_PER_MS or NS_PER_US
    is_wrapped: bool  # {"stream":…,"data":…} around each payload


class Listener:
    """One connection, as streams see it. `write` raises RuntimeError (uvloop's) once the transport is closed."""

    __slots__ = (
        "_on_close",
        "backlog",
        "buffer_bytes",
        "drained_bytes",
        "is_closing",
        "subscriptions",
        "variant",
        "write",
    )

    def __init__(self, transport: Transport, buffer_bytes: int, on_close: Callable[[], None]) -> None:
        self.buffer_bytes = buffer_bytes
        self.drained_bytes = buffer_bytes // DRAINED_SHARE
        self.write = transport.write
        self.backlog = transport.get_write_buffer_size
        self.subscriptions: set[Stream] = set()
        self.variant = Variant(NS_PER_MS, is_wrapped=False)
        self.is_closing = False
        self._on_close = on_close

    def reply(self, frame: bytes) -> None:
        """Write an answer; a client that does not read its answers is closed like any slow reader."""
        if self.backlog() > self.buffer_bytes:
            self.close(SLOW_READER, f"slow_consumer: more than {self.buffer_bytes} bytes of answers wait to be read")
        elif not self.is_closing:
            self.send(frame)

    def send(self, frame: bytes) -> None:
        """Write a frame; nothing happens when the connection is lost and its task does not know it yet."""
        with contextlib.suppress(RuntimeError):
            self.write(frame)

    def close(self, code: int, reason: str) -> None:
        """Leave every stream and write a close frame behind what already waits; once. Then `on_close` is called."""
        if self.is_closing:
            return
        self.is_closing = True
        self.leave_all()
        self.send(close_frame(code, reason))
        self._on_close()

    def leave_all(self) -> None:
        """Stop listening to everything."""
        for stream in tuple(self.subscriptions):
            stream.leave(self)


class Stream:
    """One channel of one symbol: facts that are sent one by one and never thinned. `on_leave` hears of each goodbye."""

    def __init__(self, name: str, counts: Counts, on_leave: Callable[[], None] = lambda: None) -> None:
        self.name = name
        self.listeners: dict[Listener, None] = {}
        self._counts = counts
        self._on_leave = on_leave

    @property
    def has_listeners(self) -> bool:
        """Whether anybody hears this stream, now or once it has drained."""
        return bool(self.listeners)

    def join(self, listener: Listener) -> None:
        """Send `listener` everything from now on."""
        self.listeners[listener] = None
        listener.subscriptions.add(self)

    def leave(self, listener: Listener) -> None:
        """Send `listener` nothing more."""
        if self in listener.subscriptions:
            listener.subscriptions.discard(self)
            self.listeners.pop(listener, None)
            self._on_leave()

    def publish(self, frames: bytes, messages: int) -> None:
        """Write `frames`, which hold that many messages, to every listener that keeps up."""
        counts = self._counts
        counts.messages_encoded += messages
        slow = []
        lost = []
        for listener in self.listeners:
            if listener.backlog() > listener.buffer_bytes:
                slow.append(listener)
            else:
                try:
                    listener.write(frames)
                except RuntimeError:
                    lost.append(listener)
        counts.messages_written += messages * (len(self.listeners) - len(slow) - len(lost))
        for listener in lost:
            self.leave(listener)
        for listener in slow:
            self.fall_behind(listener)

    def fall_behind(self, listener: Listener) -> None:
        """The reader is slow: close it, because a hole in facts would be a lie."""
        self._counts.dropped += 1
        listener.close(SLOW_READER, f"slow_consumer: more than {listener.buffer_bytes} bytes wait, {self.name} goes on")


class ConflatedStream(Stream):
    """One channel of one symbol whose past can be replaced by one fresh message.

    `fresh` returns that message as a frame and keeps it until there is news; it is empty when there is nothing to tell.
    The stream is in `lagging` while a listener is behind, so that the owner knows whom to let catch up.
    """

    def __init__(
        self,
        name: str,
        counts: Counts,
        lagging: set[ConflatedStream],
        fresh: Callable[[], bytes],
        on_leave: Callable[[], None] = lambda: None,
    ) -> None:
        super().__init__(name, counts, on_leave)
        self.behind: dict[Listener, None] = {}
        self._lagging = lagging
        self._fresh = fresh

    @property
    def has_listeners(self) -> bool:
        """Whether anybody hears this stream, now or once it has drained."""
        return bool(self.listeners or self.behind)

    def join(self, listener: Listener) -> None:
        """Send `listener` a fresh frame as soon as it has room, and everything after that."""
        listener.subscriptions.add(self)
        self.behind[listener] = None
        self._lagging.add(self)
        self.catch_up()

    def leave(self, listener: Listener) -> None:
        """Send `listener` nothing more."""
        self.behind.pop(listener, None)
        super().leave(listener)

    def fall_behind(self, listener: Listener) -> None:
        """The reader is slow: skip it until it has drained."""
        self._counts.conflated += 1
        del self.listeners[listener]
        self.behind[listener] = None
        self._lagging.add(self)

    def catch_up(self) -> None:
        """Send one fresh frame to every listener that has drained, and count it in again."""
        drained = [who for who in self.behind if who.backlog() <= who.drained_bytes]
        for listener in drained:
            del self.behind[listener]
            if frame := self._fresh():
                listener.send(frame)
            self.listeners[listener] = None
        self._counts.refreshed += len(drained)
        self._counts.messages_written += len(drained)
        if not self.behind:
            self._lagging.discard(self)
