"""The two rings and the sequences around them: who may write a slot, who may read it, who sleeps and who wakes.

                 command ring                                   event ring
    publisher ──► CURSOR ──► JOURNALED ──► APPLIED ──► EVENT_CURSOR ──┬─► EVENTS_JOURNALED
    (one thread)  (journaler waits)  (engine waits)     (engine writes)└─► EVENTS_REPLIED

A slot lives at `sequence & mask`. A sequence is the last slot a stage has done with; each is alone on its cache line
and is written by one thread. Events are numbered from 1 since genesis: that number is the sequence of an event slot.

No-overwrite rule: sequence s may be written when s - slots, the last tenant of its slot, is not after the gating
sequence: the slowest reader. Command ring: the publisher's own count of replied commands, which never passes APPLIED,
which never passes JOURNALED. Event ring: the smaller of EVENTS_JOURNALED and EVENTS_REPLIED.

Waiting: look at the cursor for a moment, then announce PARKED, fence, look once more, sleep in `read(2)` on the
stage's eventfd. Waking: store the sequence, fence, and signal only if PARKED is set. One of the two sees the other; a
signal too many only makes a stage look once more. No thread spins while there is nothing to do.

Never decides what a slot means. Source of the design: the LMAX disruptor, SingleProducerSequencer.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any

import numpy as np

from exchange.core.compile import inlined, kernel
from exchange.core.records import RECORD_BYTES, slots
from exchange.disruptor.atomics import Sequences, fence, load_acquire, store_release
from exchange.disruptor.syscalls import Bytes, give_way, signal, wait

LINE = 8
"""int64 values in a cache line."""

CURSOR = 0 * LINE  # last command published; publisher
JOURNALED = 1 * LINE  # last command that may be applied: on disk, or only written when sync is off; journaler
DURABLE = 2 * LINE  # last command for which fdatasync returned 0; journaler
APPLIED = 3 * LINE  # last command whose events are all published; engine
EVENT_CURSOR = 4 * LINE  # last event published; engine
EVENTS_JOURNALED = 5 * LINE  # last event written to the event journal; event journaler
EVENTS_DURABLE = 6 * LINE  # last event known to be on disk; event journaler
EVENTS_REPLIED = 7 * LINE  # last event that the event loop has done with; event loop
VERSION = 8 * LINE  # odd while the engine changes the state; engine
READING = 9 * LINE  # 1 while the event loop reads the state or waits for its turn; event loop
FENCED = 10 * LINE  # 1 after the first fault, for ever: nothing is acknowledged any more; any stage
JOURNALER_PARKED = 11 * LINE  # 1 while the stage sleeps or is about to; the stage
ENGINE_PARKED = 12 * LINE
EVENT_JOURNALER_PARKED = 13 * LINE
LOOP_PARKED = 14 * LINE
JOURNALER_STOP = 15 * LINE  # 1: end when everything before the stage is done; pipeline
ENGINE_STOP = 16 * LINE
EVENT_JOURNALER_STOP = 17 * LINE
LINES = 18

LOOKS = 20
"""Looks at a cursor, each giving way to other threads, before a stage sleeps: `bench.pipeline`, docs/pipeline.md."""

LOOKS_AHEAD = 100
"""Looks of the event loop at the event cursor while the engine applies: about 30 us."""

STAMP = struct.Struct("<qq")
"""`sequence` and `ts_ns`, the first 16 bytes of a command."""


def new_sequences() -> Sequences:
    """Sequences that are all zero, 64-byte aligned, shape (LINES * LINE,)."""
    raw = np.zeros((LINES + 1) * LINE, np.int64)
    start = (-raw.ctypes.data % 64) // 8
    return raw[start : start + LINES * LINE]


@inlined
def slowest_event_reader(sequences: Sequences) -> int:
    """The gating sequence of the event ring."""
    return min(load_acquire(sequences, EVENTS_JOURNALED), load_acquire(sequences, EVENTS_REPLIED))


@kernel
def wake(sequences: Sequences, parked: int, fd: int) -> None:
    """Wake the stage behind `parked` if it sleeps; call it after the store that it waits for."""
    fence()
    if load_acquire(sequences, parked) != 0:
        signal(fd)


@kernel
def advance(sequences: Sequences, line: int, value: int, parked: int, fd: int) -> None:
    """Store one's own sequence, then wake who waits for it."""
    store_release(sequences, line, value)
    wake(sequences, parked, fd)


@kernel
def park_event_loop(sequences: Sequences, drained: int) -> int:
    """Announce that the event loop goes back to its selector; returns the event cursor to look at once more.

    The journaler wakes the event loop together with the engine, which takes longer to wake than the engine to apply one
    command. So while the engine has something to apply, look for its events for a moment first.
    """
    looks = 0
    while (
        looks < LOOKS_AHEAD
        and load_acquire(sequences, EVENT_CURSOR) == drained
        and load_acquire(sequences, JOURNALED) != load_acquire(sequences, APPLIED)
    ):
        looks += 1
        give_way()
    store_release(sequences, LOOP_PARKED, 1)
    fence()
    return load_acquire(sequences, EVENT_CURSOR)


@kernel
def wait_beyond(sequences: Sequences, cursor: int, done: int, parked: int, stop: int, fd: int, scratch: Bytes) -> int:
    """Wait until the sequence at `cursor` is beyond `done`; returns it, or `done` when the stage must end."""
    looks = 0
    while load_acquire(sequences, FENCED) == 0:
        published = load_acquire(sequences, cursor)
        if published != done:
            return published
        if load_acquire(sequences, stop) != 0:
            return load_acquire(sequences, cursor)
        if looks < LOOKS:
            looks += 1
            give_way()
            continue
        store_release(sequences, parked, 1)
        fence()
        if (
            load_acquire(sequences, cursor) == done
            and load_acquire(sequences, stop) == 0
            and load_acquire(sequences, FENCED) == 0
            and wait(fd, scratch) != 0
        ):
            store_release(sequences, FENCED, 1)
        store_release(sequences, parked, 0)
    return done


class CommandRing:
    """The publisher's side of the command ring: one thread stamps, writes and publishes commands.

    `stamped` is the last sequence written, `published` the last one that the journaler may see, `replied` the last one
    answered: the gating sequence. All three belong to the publisher's thread.
    """

    def __init__(self, slot_count: int, sequences: Sequences, last_sequence: int, ts_ns: int) -> None:
        if slot_count < 16 or slot_count & (slot_count - 1):
            raise ValueError(f"A ring has a power of two of slots, at least 16; {slot_count} is not.")
        self.slots = slot_count
        self.mask = slot_count - 1
        self.buffer = slots(slot_count)
        self.memory = self.buffer.reshape(-1).data
        self.sequences = sequences
        self.stamped = self.published = self.replied = last_sequence
        self.ts_ns = ts_ns
        self.reserved = slot_count // 8
        """Slots that only cancels and operators may take."""

    def room(self, *, reserve: bool) -> int:
        """Slots that may be written now; `reserve`: the reserved share counts too."""
        free = self.slots - (self.stamped - self.replied)
        return free if reserve else free - self.reserved

    def put(self, run: Sequence[Any], now_ns: int) -> None:
        """Write and stamp a run of commands, each 128 bytes, all of them or none. The caller has made sure of room."""
        self.ts_ns = ts_ns = max(self.ts_ns, now_ns)
        memory = self.memory
        sequence = self.stamped
        for command in run:
            sequence += 1
            start = (sequence & self.mask) * RECORD_BYTES
            memory[start : start + RECORD_BYTES] = command
            STAMP.pack_into(memory, start, sequence, ts_ns)
        self.stamped = sequence

    def put_many(self, commands: Bytes, now_ns: int) -> None:
        """As `put`, for an array of shape (n, 128); 1 million commands take about 20 ms."""
        self.ts_ns = max(self.ts_ns, now_ns)
        done = 0
        while done < len(commands):
            first = (self.stamped + 1) & self.mask
            count = min(len(commands) - done, self.slots - first)
            part = self.buffer[first : first + count]
            part[:] = commands[done : done + count]
            stamps = part.view(np.int64)
            stamps[:, 0] = np.arange(self.stamped + 1, self.stamped + 1 + count)
            stamps[:, 1] = self.ts_ns
            self.stamped += count
            done += count

    def answered_until_ns(self, now_ns: int) -> int:
        """Every command with an earlier time, past and to come, has been answered, though the clock be set back."""
        if self.replied == self.stamped:
            self.ts_ns = max(self.ts_ns, now_ns)
            return self.ts_ns
        oldest = (self.replied + 1) & self.mask
        return int(STAMP.unpack_from(self.memory, oldest * RECORD_BYTES)[1])

    def publish(self, fd: int) -> None:
        """Let the journaler see everything stamped; `fd` is its eventfd."""
        if self.published != self.stamped:
            self.published = self.stamped
            advance(self.sequences, CURSOR, self.stamped, JOURNALER_PARKED, fd)
