"""The engine's loop: journaled commands in, events out, nothing else.

    wait for JOURNALED ──► version odd ──► apply a slice ──► version even ──► copy events to the event ring ──► APPLIED

A slice is at most SLICE commands, more only to finish a linked run; a reader is let in between slices, so it sees a
run applied whole or not at all. Events go into a linear scratch buffer first: the engine never waits for a slow
reader while it holds the lock. What the kernel can not do itself (a pool is full, the scratch is too small) it
returns to Python for, holding the lock and the events so far, and is entered again at the same command.

Never: applies a command that is not journaled; publishes after a fault; reads a clock; allocates in the loop. A fault
sets FENCED before anything of the slice is published, so that nothing of it is acknowledged.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from exchange.core.codes import CommandFlag, Fault
from exchange.core.compile import inlined, kernel
from exchange.core.kernel import Engine, Status, apply
from exchange.core.records import RECORD_BYTES, slots
from exchange.core.slots import any_command
from exchange.core.state import State
from exchange.disruptor.atomics import Sequences, fence, load_acquire, store_release
from exchange.disruptor.errors import EXIT_SOFTWARE, PipelineFault
from exchange.disruptor.ring import (
    APPLIED,
    ENGINE_PARKED,
    ENGINE_STOP,
    EVENT_CURSOR,
    EVENT_JOURNALER_PARKED,
    FENCED,
    JOURNALED,
    LOOKS,
    LOOP_PARKED,
    VERSION,
    slowest_event_reader,
    wait_beyond,
    wake,
)
from exchange.disruptor.syscalls import Bytes, give_way, wait
from exchange.disruptor.turnstile import engine_enters, engine_leaves

SLICE = 256
"""Commands applied under one hold of the sequence lock, about 50 us."""
SCRATCH_SLOTS = 4096
"""Event slots of the scratch buffer at the start."""

_RECORD_WORDS = RECORD_BYTES // 8

Words = np.ndarray[Any, np.dtype[np.int64]]


@kernel
def _wait_for_room(sequences: Sequences, slot_count: int, fd: int, scratch: Bytes) -> int:
    """Event slots that may be written, at least one; zero when the stage must end."""
    looks = 0
    while load_acquire(sequences, FENCED) == 0:
        cursor = load_acquire(sequences, EVENT_CURSOR)
        room = slot_count - (cursor - slowest_event_reader(sequences))
        if room > 0:
            return room
        if looks < LOOKS:
            looks += 1
            give_way()
            continue
        store_release(sequences, ENGINE_PARKED, 1)
        fence()
        if cursor - slowest_event_reader(sequences) == slot_count and load_acquire(sequences, FENCED) == 0:
            wait(fd, scratch)
        store_release(sequences, ENGINE_PARKED, 0)
    return 0


@kernel
def _publish_events(
    events: Words,
    used: int,
    ring: Words,
    sequences: Sequences,
    own_fd: int,
    journaler_fd: int,
    loop_fd: int,
    scratch: Bytes,
) -> None:
    """Copy `used` events from the scratch to the event ring, waiting for its slowest reader."""
    slot_count = len(ring) // _RECORD_WORDS
    copied = 0
    while copied < used:
        room = _wait_for_room(sequences, slot_count, own_fd, scratch)
        if room == 0:
            return
        cursor = load_acquire(sequences, EVENT_CURSOR)
        slot = (cursor + 1) & (slot_count - 1)
        count = min(used - copied, room, slot_count - slot)
        source = copied * _RECORD_WORDS
        target = slot * _RECORD_WORDS
        for i in range(count * _RECORD_WORDS):
            ring[target + i] = events[source + i]
        copied += count
        store_release(sequences, EVENT_CURSOR, cursor + count)
        wake(sequences, LOOP_PARKED, loop_fd)
        wake(sequences, EVENT_JOURNALER_PARKED, journaler_fd)


@inlined
def _is_linked(commands: Bytes, slot: int) -> int:
    flags: int = any_command(commands, slot)["flags"] & CommandFlag.LINKED
    return flags


@kernel
def _apply_slice(
    state: State, commands: Bytes, events: Bytes, applied: int, journaled: int, used: int
) -> tuple[int, int, int]:
    """Apply SLICE commands from `applied + 1` on, then to the end of a linked run; returns (applied, used, Status)."""
    slot_count = len(commands)
    upto = min(journaled, applied + SLICE)
    while True:
        first = (applied + 1) & (slot_count - 1)
        done, used, status = apply(state, commands, first, min(upto - applied, slot_count - first), events, used)
        applied += done
        if status != Status.DONE:
            return applied, used, status
        if applied == upto:
            if not _is_linked(commands, applied & (slot_count - 1)):
                return applied, used, status
            upto += 1


@kernel
def sequence_commands(
    state: State,
    commands: Bytes,
    events: Bytes,
    event_words: Words,
    ring: Words,
    sequences: Sequences,
    fds: tuple[int, int, int],
    scratch: Bytes,
    applied: int,
    used: int,
) -> tuple[int, int, int]:
    """Run the engine until it is stopped or needs Python; returns (applied, used, Status).

    DONE: stopped. Otherwise the lock is held and `used` events of commands up to `applied` are in the scratch: call
    again with both. `fds` are the eventfds of the engine, the event journaler and the event loop.
    """
    slot_mask = len(commands) - 1
    while True:
        if load_acquire(sequences, VERSION) & 1 == 0:
            journaled = wait_beyond(sequences, JOURNALED, applied, ENGINE_PARKED, ENGINE_STOP, fds[0], scratch)
            if journaled == applied:
                return applied, used, Status.DONE
            engine_enters(sequences, fds[0], scratch)
        journaled = load_acquire(sequences, JOURNALED)
        applied, used, status = _apply_slice(state, commands, events, applied, journaled, used)
        if status == Status.FAULT:
            store_release(sequences, FENCED, 1)
        if status == Status.EVENTS_FULL and used >= SLICE and not _is_linked(commands, applied & slot_mask):
            status = Status.DONE
        if status != Status.DONE:
            return applied, used, status
        engine_leaves(sequences)
        _publish_events(event_words, used, ring, sequences, fds[0], fds[1], fds[2], scratch)
        used = 0
        store_release(sequences, APPLIED, applied)


class Sequencer:
    """The engine's thread body: the compiled loop, and what only Python does (growing, faults)."""

    def __init__(
        self, engine: Engine, commands: Bytes, event_ring: Bytes, sequences: Sequences, fds: tuple[int, int, int]
    ) -> None:
        self._engine = engine
        self._commands = commands
        self._ring = event_ring.reshape(-1).view(np.int64)
        self._sequences = sequences
        self._fds = fds
        self._wait_scratch = np.zeros(8, np.uint8)
        self._buffer = slots(SCRATCH_SLOTS)
        self._applied = int(engine.state.header[0].sequence)
        self._used = 0
        sequences[APPLIED] = self._applied
        sequences[EVENT_CURSOR] = int(engine.state.header[0].event_count)

    def enter(self) -> Status:
        """Run the compiled loop; returns why it came back."""
        self._applied, self._used, status = sequence_commands(
            self._engine.state,
            self._commands,
            self._buffer,
            self._buffer.reshape(-1).view(np.int64),
            self._ring,
            self._sequences,
            self._fds,
            self._wait_scratch,
            self._applied,
            self._used,
        )
        return Status(status)

    def run(self) -> None:
        """Apply until stopped. Raises PipelineFault when the engine faults; FENCED is set by then."""
        try:
            while (status := self.enter()) != Status.DONE:
                if status == Status.NEEDS_ROOM:
                    self._engine.grow()
                elif status == Status.EVENTS_FULL:
                    self._enlarge_scratch()
                else:
                    header = self._engine.state.header[0]
                    fault = Fault(int(header.fault)).name
                    after = int(header.sequence)
                    detail = f"The engine stopped with {fault} after sequence {after}."
                    raise PipelineFault(detail, EXIT_SOFTWARE, sequence=after + 1, fault=fault)
        except MemoryError as error:
            detail = f"There is no memory to enlarge the state after sequence {self._applied}."
            raise PipelineFault(detail, EXIT_SOFTWARE) from error
        except PipelineFault:
            raise
        except Exception as error:
            fault, after = type(error).__name__, int(self._engine.state.header[0].sequence)
            detail = f"The engine ended with the exception {fault} after sequence {after}."
            raise PipelineFault(detail, EXIT_SOFTWARE, sequence=after + 1, fault=fault) from error
        finally:
            if self._sequences[VERSION] & 1:
                self._sequences[FENCED] = 1
                engine_leaves(self._sequences)

    def _enlarge_scratch(self) -> None:
        """Make room for the events so far, those of the next command, and as many again."""
        needed = self._used + int(self._engine.state.header[0].events_needed)
        larger = slots(1 << (2 * needed + SCRATCH_SLOTS).bit_length())
        larger[: self._used] = self._buffer[: self._used]
        self._buffer = larger
