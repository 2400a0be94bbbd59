"""The pipeline as the edge sees it: submit commands, await their events, read the state, listen, stop.

Owns the threads and the order in which they start and stop (docs/pipeline.md draws them), admission, the stamps, and
what happens after a fault. Everything public is called on the event loop's thread. A command is published at the end
of the turn of the event loop in which it was submitted, with all others of that turn: one wake-up a turn.

Never: refuses what it has stamped; resolves a future before the command is durable (or written, with sync off) and
applied; resolves any future with a result after a fault.
"""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeVar

from exchange.core.codes import CommandFlag
from exchange.core.kernel import Engine
from exchange.disruptor import ring
from exchange.disruptor.errors import (
    EXIT_SOFTWARE,
    OutcomeUnknown,
    Overloaded,
    PipelineFault,
    RingFull,
    Stopped,
    StorageLow,
)
from exchange.disruptor.journaler import GROUP_SLOTS_MIN, NOBODY, Journaler, Lines
from exchange.disruptor.replies import Listener, Replies
from exchange.disruptor.ring import CommandRing, advance, new_sequences
from exchange.disruptor.sequencer import Sequencer
from exchange.disruptor.syscalls import Bytes
from exchange.disruptor.turnstile import reader_enters, reader_leaves
from journal.segments import Position

T = TypeVar("T")
_FLAGS_BYTE = 17

_COMMAND_LINES = Lines(
    ring.CURSOR,
    ring.JOURNALED,
    ring.DURABLE,
    ring.JOURNALER_PARKED,
    ring.JOURNALER_STOP,
    ring.ENGINE_PARKED,
    ring.LOOP_PARKED,
)
_EVENT_LINES = Lines(
    ring.EVENT_CURSOR,
    ring.EVENTS_JOURNALED,
    ring.EVENTS_DURABLE,
    ring.EVENT_JOURNALER_PARKED,
    ring.EVENT_JOURNALER_STOP,
    ring.ENGINE_PARKED,
    NOBODY,
)


class Statistics(NamedTuple):
    """Where every stage stands. Sequences of commands, ordinals of events."""

    stamped: int
    published: int
    journaled: int
    durable: int
    applied: int
    replied: int
    events: int
    events_journaled: int
    events_durable: int
    events_replied: int
    ring_free: int
    unsynced_ms: float
    """Age of the oldest published command that the journaler has not released."""
    storage_low: bool
    groups: int
    event_groups: int


class _Stage(NamedTuple):
    body: Journaler | Sequencer
    name: str
    stop_line: int
    parked_line: int
    fd: int
    ended: asyncio.Future[None]


class Pipeline:
    """Ring, journaler, engine, event journal and replies of one engine; see the module's docstring."""

    is_still = False
    """Whether it takes no command at all (`exchange/disruptor/still.py`)."""

    def __init__(
        self,
        engine: Engine,
        commands: Position,
        events: Position,
        *,
        sync: bool,
        loop: asyncio.AbstractEventLoop,
        ring_slots: int = 1 << 16,
        event_slots: int = 1 << 17,
        unsynced_ms_max: int = 250,
    ) -> None:
        header = engine.state.header[0]
        if (commands.last_sequence, events.last_sequence) != (int(header.sequence), int(header.event_count)):
            raise ValueError(
                f"The journals end at command {commands.last_sequence} and event {events.last_sequence}, "
                f"the state at command {int(header.sequence)} and event {int(header.event_count)}."
            )
        self.sync = sync
        self.fault: PipelineFault | None = None
        self._engine = engine
        self._loop = loop
        self._unsynced_ns_max = unsynced_ms_max * 1_000_000
        self._sequences = sequences = new_sequences()
        sequences[ring.CURSOR] = commands.last_sequence
        self._ring = CommandRing(ring_slots, sequences, commands.last_sequence, int(header.ts_ns))
        journal_fd, engine_fd, event_journal_fd = (os.eventfd(0, os.EFD_CLOEXEC) for _ in range(3))
        self._replies = Replies(event_slots, self._ring, loop, engine_fd, events.last_sequence)
        self._replies.after_batch = self._after_batch
        self._journaler, self._event_journaler = self._new_journalers(
            commands, events, (journal_fd, engine_fd, event_journal_fd)
        )
        self._sequencer = Sequencer(
            engine, self._ring.buffer, self._replies.buffer, sequences, (engine_fd, event_journal_fd, self._replies.fd)
        )
        self._stages = (
            _Stage(
                self._journaler,
                "journaler",
                ring.JOURNALER_STOP,
                ring.JOURNALER_PARKED,
                journal_fd,
                loop.create_future(),
            ),
            _Stage(self._sequencer, "engine", ring.ENGINE_STOP, ring.ENGINE_PARKED, engine_fd, loop.create_future()),
            _Stage(
                self._event_journaler,
                "event-journaler",
                ring.EVENT_JOURNALER_STOP,
                ring.EVENT_JOURNALER_PARKED,
                event_journal_fd,
                loop.create_future(),
            ),
        )
        self._fault_callbacks: list[Callable[[PipelineFault], None]] = []
        self._unsynced: deque[tuple[int, int]] = deque()
        self._publish_scheduled = False
        self._stopping = False
        self._drained: asyncio.Future[None] = loop.create_future()

    def _new_journalers(
        self, commands: Position, events: Position, fds: tuple[int, int, int]
    ) -> tuple[Journaler, Journaler]:
        """The journalers of commands and of events; `fds` are the eventfds of the three stages, in their order."""
        journal_fd, engine_fd, event_journal_fd = fds
        journaler = Journaler(
            self._ring.buffer,
            self._sequences,
            _COMMAND_LINES,
            commands,
            synced=self.sync,
            own_fd=journal_fd,
            next_fd=engine_fd,
            then_fd=self._replies.fd,
        )
        event_journaler = Journaler(
            self._replies.buffer,
            self._sequences,
            _EVENT_LINES,
            events,
            synced=False,
            own_fd=event_journal_fd,
            next_fd=engine_fd,
        )
        return journaler, event_journaler

    # ---- starting and stopping ------------------------------------------------------------------------------------

    def start(self) -> None:
        """Compile the loops by running each once with nothing to do, then start the threads."""
        for stage in self._stages:
            self._sequences[stage.stop_line] = 1
            stage.body.enter()
            self._sequences[stage.stop_line] = 0
        self.read(lambda _state: None)
        self._replies.start()
        for stage in self._stages:
            threading.Thread(target=self._run, args=(stage,), name=stage.name, daemon=True).start()

    async def stop(self, timeout_s: float = 10.0) -> None:
        """Stop admitting, answer everything stamped, sync, end the threads.

        Raises PipelineFault when there was a fault or something is still stuck after `timeout_s`: the process must then
        end with `exit_code`.
        """
        self._stopping = True
        self._publish()
        self._after_batch()
        try:
            async with asyncio.timeout(timeout_s):
                await self._drained
                for stage in self._stages:
                    advance(self._sequences, stage.stop_line, 1, stage.parked_line, stage.fd)
                    await stage.ended
        except TimeoutError:
            detail = f"The pipeline did not stop within {timeout_s} s: {self.statistics()}."
            self._fail(PipelineFault(detail, EXIT_SOFTWARE))
        if self.fault is not None:
            raise self.fault
        self._replies.stop()
        for fd in (*(stage.fd for stage in self._stages), self._replies.fd):
            os.close(fd)

    def _run(self, stage: _Stage) -> None:
        """The body of a stage's thread."""
        fault: PipelineFault | None = PipelineFault(f"The thread {stage.name} ended with an exception.", EXIT_SOFTWARE)
        try:
            stage.body.run()
            fault = None
        except PipelineFault as raised:
            fault = raised
        finally:
            if fault is not None:
                self._sequences[ring.FENCED] = 1
            self._loop.call_soon_threadsafe(self._ended, stage, fault)

    def _ended(self, stage: _Stage, fault: PipelineFault | None) -> None:
        if not stage.ended.done():
            stage.ended.set_result(None)
        if fault is not None:
            self._fail(fault)

    def _fail(self, fault: PipelineFault) -> None:
        """Acknowledge nothing more, wake every stage so that it sees FENCED, say that outcomes are unknown."""
        if self.fault is not None:
            return
        self.fault = fault
        self._stopping = True
        self._sequences[ring.FENCED] = 1
        for stage in self._stages:
            os.eventfd_write(stage.fd, 1)
        self._replies.abandon(OutcomeUnknown(f"Whether this command took place is not known: {fault.detail}"))
        if not self._drained.done():
            self._drained.set_result(None)
        for callback in self._fault_callbacks:
            callback(fault)

    # ---- commands -------------------------------------------------------------------------------------------------

    def submit(self, run: Sequence[Any], *, cancel: bool = False) -> list[asyncio.Future[bytes]]:
        """Stamp a run of commands, each a buffer of 128 bytes, and promise their events: k * 128 bytes a command.

        The run is published, journaled and applied in one piece when all its commands but the last have the flag
        LINKED. `cancel`: it may take the reserved share and is taken when storage is low or the disk is slow
        (cancels, operators). Raises Refused before anything is stamped; a future fails with OutcomeUnknown after a
        fault.
        """
        count = len(run)
        if not 0 < count <= GROUP_SLOTS_MIN or run[-1][_FLAGS_BYTE] & CommandFlag.LINKED:
            raise ValueError(f"A run has 1 to {GROUP_SLOTS_MIN} commands, the last one not linked.")
        self._admit(count, cancel)
        self._ring.put(run, time.time_ns())
        self._schedule()
        return self._replies.expect(self._ring.stamped - count + 1, count)

    def post(self, commands: Bytes, *, cancel: bool = False) -> int:
        """Stamp commands, shape (n, 128) u1, that nobody waits for; returns the last sequence. Refusals as in `submit`.

        The array ends with a command that is not linked.
        """
        if commands[-1, _FLAGS_BYTE] & CommandFlag.LINKED:
            raise ValueError("The last command of a batch can not be linked to one after it.")
        self._admit(len(commands), cancel)
        self._ring.put_many(commands, time.time_ns())
        self._schedule()
        return self._ring.stamped

    def _admit(self, count: int, cancel: bool) -> None:
        if self._stopping:
            raise Stopped("The exchange is stopping and takes no more commands.")
        if self._ring.room(reserve=cancel) < count:
            waiting = self._ring.stamped - self._ring.replied
            raise RingFull(f"{waiting} commands wait for their turn; no more are taken.")
        if cancel:
            return
        if self._journaler.spares.storage_low or self._event_journaler.spares.storage_low:
            raise StorageLow("There is no room on the disk for the next journal segment; only cancels are taken.")
        unsynced = self._unsynced
        if unsynced and time.monotonic_ns() - unsynced[0][1] > self._unsynced_ns_max and self._unsynced_ms() > 0:
            raise Overloaded(f"The oldest command that is not on disk waits for {self._unsynced_ms():.0f} ms.")

    def _schedule(self) -> None:
        if not self._publish_scheduled:
            self._publish_scheduled = True
            self._loop.call_soon(self._publish)

    def _publish(self) -> None:
        self._publish_scheduled = False
        commands = self._ring
        if commands.published != commands.stamped and self.fault is None:
            self._unsynced.append((commands.stamped, time.monotonic_ns()))
            commands.publish(self._stages[0].fd)

    def _after_batch(self) -> None:
        self._forget_synced()
        if self._stopping and self._ring.replied == self._ring.stamped and not self._drained.done():
            self._drained.set_result(None)

    def _forget_synced(self) -> None:
        journaled = int(self._sequences[ring.JOURNALED])
        while self._unsynced and self._unsynced[0][0] <= journaled:
            self._unsynced.popleft()

    def _unsynced_ms(self) -> float:
        self._forget_synced()
        return (time.monotonic_ns() - self._unsynced[0][1]) / 1e6 if self._unsynced else 0.0

    # ---- reading --------------------------------------------------------------------------------------------------

    @property
    def last_sequence(self) -> int:
        """The last sequence stamped."""
        return self._ring.stamped

    @property
    def told_until_ns(self) -> int:
        """The engine time up to which listeners have been given every event that there will ever be."""
        return self._ring.answered_until_ns(time.time_ns())

    def read(self, function: Callable[..., T], *args: Any) -> tuple[T, int]:
        """Call `function(state, *args)` while the engine stands still; returns its result and the state's sequence.

        The engine waits meanwhile: the function copies what it needs and is back within microseconds.
        """
        reader_enters(self._sequences)
        try:
            state = self._engine.state
            return function(state, *args), int(state.header[0].sequence)
        finally:
            reader_leaves(self._sequences, self._stages[1].fd)

    def on_events(self, listener: Listener) -> None:
        """Call `listener(events, count)` with each batch of `count` slots; the memory is valid during the call only."""
        self._replies.listen(listener)

    def on_fault(self, callback: Callable[[PipelineFault], None]) -> None:
        """Call `callback(fault)` once, when there is a fault: the process must end with `fault.exit_code`."""
        self._fault_callbacks.append(callback)

    def statistics(self) -> Statistics:
        """Where every stage stands now."""
        at = [int(value) for value in self._sequences[:: ring.LINE]]
        line = ring.LINE
        return Statistics(
            stamped=self._ring.stamped,
            published=self._ring.published,
            journaled=at[ring.JOURNALED // line],
            durable=at[ring.DURABLE // line],
            applied=at[ring.APPLIED // line],
            replied=self._ring.replied,
            events=at[ring.EVENT_CURSOR // line],
            events_journaled=at[ring.EVENTS_JOURNALED // line],
            events_durable=at[ring.EVENTS_DURABLE // line],
            events_replied=at[ring.EVENTS_REPLIED // line],
            ring_free=self._ring.room(reserve=True),
            unsynced_ms=self._unsynced_ms(),
            storage_low=self._journaler.spares.storage_low or self._event_journaler.spares.storage_low,
            groups=self._journaler.groups,
            event_groups=self._event_journaler.groups,
        )
