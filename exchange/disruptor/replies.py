"""The event loop's side of the event ring: events become replies to who waits, and batches for who listens.

    eventfd readable ──► a batch of contiguous slots ──► listeners ──► futures of the commands in it ──► EVENTS_REPLIED

Owns the futures (one list, indexed like the command ring, so a reply needs no search) and the only Python that runs
per command. Events of a command that nobody waits for are scanned by compiled code and cost Python nothing. A batch
is at most BATCH_SLOTS long, then the event loop gets its turn.

Never: resolves a future with a result once FENCED is set; gives memory of the ring to anyone beyond a call; decodes
an event.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import numpy as np

from exchange.core.codes import EventFlag
from exchange.core.compile import kernel
from exchange.core.event_records import view_events
from exchange.core.records import RECORD_BYTES, slots
from exchange.disruptor.atomics import Sequences
from exchange.disruptor.errors import OutcomeUnknown
from exchange.disruptor.ring import (
    ENGINE_PARKED,
    EVENT_CURSOR,
    EVENTS_REPLIED,
    FENCED,
    LOOP_PARKED,
    CommandRing,
    advance,
    park_event_loop,
)
from exchange.disruptor.syscalls import Bytes

BATCH_SLOTS = 2048
"""Event slots handled in one turn of the event loop, about 1 ms when every command has a waiter."""

Listener = Callable[[memoryview, int], None]
Rows = np.ndarray[Any, np.dtype[np.int64]]


@kernel
def collect(events: Any, first: int, count: int, waiting: Bytes, rows: Rows) -> tuple[int, int]:
    """Find the commands in event slots `first` .. `first + count` that are waited for.

    Fills rows of (command slot, first byte, end byte, 1 if the command's last event is among them), bytes counted from
    slot `first`; clears the marks of finished commands. Returns (rows, last sequence that is finished, zero if none).
    """
    found = 0
    finished = 0
    start = 0
    for i in range(count):
        event = events[first + i]
        last = event["flags"] & EventFlag.LAST != 0
        if last:
            finished = event.sequence
        if last or i == count - 1:
            slot = event.sequence & (len(waiting) - 1)
            if waiting[slot]:
                rows[found, 0] = slot
                rows[found, 1] = start * RECORD_BYTES
                rows[found, 2] = (i + 1) * RECORD_BYTES
                rows[found, 3] = last
                found += 1
                if last:
                    waiting[slot] = 0
            start = i + 1
    return found, finished


class Replies:
    """Drains the event ring on the event loop's thread."""

    def __init__(
        self, slot_count: int, commands: CommandRing, loop: asyncio.AbstractEventLoop, engine_fd: int, events_done: int
    ) -> None:
        if slot_count < 16 or slot_count & (slot_count - 1):
            raise ValueError(f"A ring has a power of two of slots, at least 16; {slot_count} is not.")
        self.buffer = slots(slot_count)
        self.fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self.drained = events_done
        self._memory = self.buffer.reshape(-1).data.toreadonly()
        self._any = view_events(self.buffer).any
        self._mask = slot_count - 1
        self._commands = commands
        self._sequences: Sequences = commands.sequences
        self._engine_fd = engine_fd
        self._loop = loop
        self._marks = bytearray(commands.slots)
        self._waiting = np.frombuffer(self._marks, np.uint8)
        self._futures: list[asyncio.Future[bytes] | None] = [None] * commands.slots
        self._rows = np.zeros((BATCH_SLOTS, 4), np.int64)
        self._carried = b""
        self._listeners: list[Listener] = []
        self.after_batch: Callable[[], None] = lambda: None
        """Called when a batch is done with: the pipeline looks at its clock and at a pending stop."""
        self._sequences[EVENTS_REPLIED] = events_done

    def start(self) -> None:
        """Begin to watch the eventfd."""
        self._loop.add_reader(self.fd, self._woken)
        self._park()

    def stop(self) -> None:
        """Stop watching."""
        self._loop.remove_reader(self.fd)

    def listen(self, listener: Listener) -> None:
        """Call `listener(events, count)` with every batch from now on, in order of the events."""
        self._listeners.append(listener)

    def expect(self, first_sequence: int, count: int) -> list[asyncio.Future[bytes]]:
        """One future for each of `count` commands that have just been stamped."""
        futures = [self._loop.create_future() for _ in range(count)]
        mask = self._commands.mask
        for sequence, future in enumerate(futures, first_sequence):
            self._futures[sequence & mask] = future
            self._marks[sequence & mask] = 1
        return futures

    def abandon(self, error: OutcomeUnknown) -> None:
        """Fail every future that waits."""
        for future in self._pending():
            future.set_exception(error)
            future.exception()  # whoever awaits it still gets it; who has gone away leaves no warning behind

    def _pending(self) -> Iterator[asyncio.Future[bytes]]:
        for slot, future in enumerate(self._futures):
            if future is not None and not future.done():
                yield future
            self._futures[slot] = None
            self._marks[slot] = 0

    def _woken(self) -> None:
        with suppress(BlockingIOError):
            os.eventfd_read(self.fd)
        self._drain()

    def _park(self) -> None:
        if park_event_loop(self._sequences, self.drained) != self.drained:
            self._loop.call_soon(self._drain)

    def _drain(self) -> None:
        """Handle one batch; come back for more after other callbacks, or park."""
        sequences = self._sequences
        if sequences[FENCED]:
            return
        sequences[LOOP_PARKED] = 0
        published = int(sequences[EVENT_CURSOR])
        if published == self.drained:
            self._park()
            return
        first = (self.drained + 1) & self._mask
        count = min(published - self.drained, self._mask + 1 - first, BATCH_SLOTS)
        batch = self._memory[first * RECORD_BYTES : (first + count) * RECORD_BYTES]
        for listener in self._listeners:
            listener(batch, count)
        found, finished = collect(self._any, first, count, self._waiting, self._rows)
        if found:
            self._resolve(bytes(batch), found)
        if finished:
            self._commands.replied = int(finished)
        self.drained += count
        advance(sequences, EVENTS_REPLIED, self.drained, ENGINE_PARKED, self._engine_fd)
        self.after_batch()
        if count == published - self.drained + count:
            self._park()
        else:
            self._loop.call_soon(self._drain)

    def _resolve(self, batch: bytes, found: int) -> None:
        futures = self._futures
        for slot, start, end, last in self._rows[:found].tolist():
            if not last:
                self._carried += batch[start:end]
                continue
            future = futures[slot]
            futures[slot] = None
            if future is not None and not future.done():
                future.set_result(self._carried + batch[start:end])
            self._carried = b""
