"""The journaler: one compiled loop that writes a ring to a journal, group by group.

    wait for the cursor ──► cut a group ──► stage header + records ──► pwrite ──► fdatasync ──► release own sequence

The same loop serves the command journal (every group synced before its commands may be applied) and the event journal
(derived, synced when a segment ends). A group is everything published, cut at `group_slots` and never inside a linked
run. It is staged in one buffer, so a ring's end is no boundary and a group is one write. When the segment can not
take the group the loop returns to Python, which rolls to the spare segment that a helper thread prepared, and enters
it again.

Never: acknowledge before fdatasync returned 0 (unless sync is off); go on, write again or sync again after an error:
the first one sets FENCED, the sequence stays where it is, and the thread ends. The bytes are those of
`journal/format.py`; a test compares them with `journal.writer`. Sources: docs/journal.md; fsync(2) and the PostgreSQL
fsync reports of 2018.
"""

from __future__ import annotations

import os
import threading
from enum import IntEnum
from typing import Any, NamedTuple

import numpy as np

from exchange.core.codes import CommandFlag
from exchange.core.compile import kernel
from exchange.core.records import RECORD_BYTES
from exchange.disruptor.atomics import Sequences, load_acquire, store_release
from exchange.disruptor.errors import EXIT_IO, PipelineFault
from exchange.disruptor.ring import FENCED, wait_beyond, wake
from exchange.disruptor.syscalls import Bytes, pwrite_all, sync
from exchange.disruptor.xxh64 import Words, xxh64
from journal import segments
from journal.format import GROUP_HEADER_BYTES, GROUP_HEADER_DTYPE, GROUP_MAGIC_U4, SEGMENT_HEADER_BYTES, Stream

GROUP_SLOTS_MAX = 4096
"""Records in the largest group, 512 KiB: at 256 KiB a sync already costs less than the write (docs/pipeline.md)."""
GROUP_SLOTS_MIN = 16
"""Records that fit the smallest segment; no linked run is longer."""
SPARE_RETRY_SECONDS = 1.0

_RECORD_WORDS = RECORD_BYTES // 8
_HEADER_WORDS = GROUP_HEADER_BYTES // 8
_FLAGS_WORD = 2  # bytes 16..23 of a record
_LINKED = np.uint64(CommandFlag.LINKED << 8)  # byte 17, as bits of that word

_Tail = np.dtype(
    [
        ("fd", "<i8"),  # of the segment file
        ("used_bytes", "<i8"),  # offset of the next group
        ("size_bytes", "<i8"),  # of the segment
        ("segment_id", "<i8"),
        ("epoch", "<i8"),
        ("chain", "<u8"),  # check of the last group
        ("groups", "<i8"),  # written since the start
        ("error", "<i8"),  # errno that ended the loop
    ],
    align=True,
)


class Ended(IntEnum):
    """Why the loop returned."""

    STOPPED = 0
    ROLL = 1
    FAILED = 2


class Lines(NamedTuple):
    """Which sequences the loop uses."""

    cursor: int
    own: int
    durable: int
    parked: int
    stop: int
    next_parked: int
    then_parked: int
    """Of the stage behind the next one, woken at the same time; NOBODY if there is none."""


NOBODY = -1


class Staging(NamedTuple):
    """One group before it is written, seen as bytes, as words and as its header; shared memory."""

    data: Bytes
    words: Words
    header: Any
    scratch: Bytes


def _new_staging(group_slots: int) -> Staging:
    data = np.zeros(GROUP_HEADER_BYTES + group_slots * RECORD_BYTES + 64, np.uint8)
    start = -data.ctypes.data % 64
    data = data[start : start + GROUP_HEADER_BYTES + group_slots * RECORD_BYTES]
    header = data[:GROUP_HEADER_BYTES].view(GROUP_HEADER_DTYPE).view(np.recarray)
    return Staging(data, data.view(np.uint64), header, np.zeros(8, np.uint8))


@kernel
def whole_runs(ring: Words, slot_mask: int, first: int, count: int) -> int:
    """The largest number of records, at most `count`, from sequence `first` that does not end inside a linked run."""
    while count > 0 and ring[((first + count - 1) & slot_mask) * _RECORD_WORDS + _FLAGS_WORD] & _LINKED:
        count -= 1
    return count


@kernel
def _stage(ring: Words, slot_mask: int, first: int, count: int, durable_upto: int, tail: Any, staging: Staging) -> None:
    """Fill the staging buffer with the group of `count` records from sequence `first`."""
    words = staging.words
    at = _HEADER_WORDS
    left = count
    slot = first & slot_mask
    while left > 0:
        part = min(left, slot_mask + 1 - slot)
        start = slot * _RECORD_WORDS
        for i in range(part * _RECORD_WORDS):
            words[at + i] = ring[start + i]
        at += part * _RECORD_WORDS
        left -= part
        slot = 0
    header = staging.header[0]
    header.magic = GROUP_MAGIC_U4
    header.count = count
    header.first_sequence = first
    header.epoch = tail[0].epoch
    header.durable_upto = durable_upto
    header.prev_chain = tail[0].chain
    header.payload_hash = xxh64(words, _HEADER_WORDS, count * _RECORD_WORDS)
    header.segment_id = tail[0].segment_id
    header.check = xxh64(words, 0, _HEADER_WORDS - 1)


@kernel
def journal_groups(
    ring: Words,
    slot_mask: int,
    sequences: Sequences,
    lines: Lines,
    tail: Any,
    staging: Staging,
    group_slots: int,
    linked: bool,
    synced: bool,
    own_fd: int,
    next_fd: int,
    then_fd: int,
) -> int:
    """Write groups until the stage is stopped, the segment is full or a call fails; returns Ended."""
    done = load_acquire(sequences, lines.own)
    while True:
        published = wait_beyond(sequences, lines.cursor, done, lines.parked, lines.stop, own_fd, staging.scratch)
        if published == done:
            return Ended.STOPPED
        count = min(published - done, group_slots)
        if linked:
            count = whole_runs(ring, slot_mask, done + 1, count)
        size_bytes = GROUP_HEADER_BYTES + count * RECORD_BYTES
        if tail[0].used_bytes + size_bytes > tail[0].size_bytes:
            return Ended.ROLL
        _stage(ring, slot_mask, done + 1, count, load_acquire(sequences, lines.durable), tail, staging)
        error = pwrite_all(tail[0].fd, staging.data, size_bytes, tail[0].used_bytes)
        if error == 0 and synced:
            error = sync(tail[0].fd)
        if error != 0:
            store_release(sequences, FENCED, 1)
            tail[0].error = -error
            return Ended.FAILED
        done += count
        tail[0].used_bytes += size_bytes
        tail[0].chain = staging.header[0].check
        tail[0].groups += 1
        if synced:
            store_release(sequences, lines.durable, done)
        store_release(sequences, lines.own, done)
        wake(sequences, lines.next_parked, next_fd)
        if lines.then_parked != NOBODY:
            wake(sequences, lines.then_parked, then_fd)


class SpareKeeper:
    """Keeps one prepared segment beside a journal, on its own thread, and says when the disk has no room for it."""

    def __init__(self, position: segments.Position) -> None:
        self.directory = position.path.parent
        self.size_bytes = position.size_bytes
        self.storage_low = False
        self._wanted = threading.Event()
        self._ended = threading.Event()
        name = f"spare-{Stream(position.stream).name.lower()}"
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Begin with the first spare."""
        self._wanted.set()
        self._thread.start()

    def ask(self) -> None:
        """The spare has been used: prepare another."""
        self._wanted.set()

    def stop(self, timeout_s: float) -> None:
        """End the thread; one that is stuck in a write is left to the end of the process."""
        self._ended.set()
        self._wanted.set()
        self._thread.join(timeout_s)

    def prepare(self) -> None:
        """Prepare a spare if there is none; whether it could be done is `storage_low`."""
        try:
            segments.prepare_spare(self.directory, self.size_bytes)
            self.storage_low = False
        except OSError:
            self.storage_low = True

    def _run(self) -> None:
        while True:
            self._wanted.wait(SPARE_RETRY_SECONDS if self.storage_low else None)
            self._wanted.clear()
            if self._ended.is_set():
                return
            self.prepare()


class Journaler:
    """A journal's thread body: the compiled loop, and what only Python does (roll, final sync, faults)."""

    def __init__(
        self,
        ring: Bytes,
        sequences: Sequences,
        lines: Lines,
        position: segments.Position,
        *,
        synced: bool,
        own_fd: int,
        next_fd: int,
        then_fd: int = NOBODY,
    ) -> None:
        self._ring = ring.reshape(-1).view(np.uint64)
        self._slot_mask = len(ring) - 1
        self._sequences = sequences
        self._lines = lines
        self._synced = synced
        self._fds = (own_fd, next_fd, then_fd)
        self.position = position
        room = (position.size_bytes - SEGMENT_HEADER_BYTES - GROUP_HEADER_BYTES) // RECORD_BYTES
        self._group_slots = min(GROUP_SLOTS_MAX, room, len(ring))
        if self._group_slots < GROUP_SLOTS_MIN:
            raise ValueError(f"A segment of {position.size_bytes} bytes can not hold {GROUP_SLOTS_MIN} records.")
        self._staging = _new_staging(self._group_slots)
        self._tail: Any = np.zeros(1, _Tail).view(np.recarray)
        self.spares = SpareKeeper(position)
        sequences[lines.own] = position.last_sequence
        sequences[lines.durable] = position.durable_upto
        self._open(position)

    @property
    def groups(self) -> int:
        """Groups written since the start."""
        return int(self._tail[0].groups)

    @property
    def name(self) -> str:
        """The stream, for people."""
        return Stream(self.position.stream).name.lower()

    def enter(self) -> int:
        """Run the compiled loop; returns Ended."""
        return journal_groups(
            self._ring,
            self._slot_mask,
            self._sequences,
            self._lines,
            self._tail,
            self._staging,
            self._group_slots,
            self.position.stream == Stream.COMMANDS,
            self._synced,
            *self._fds,
        )

    def run(self) -> None:
        """Write until stopped. Raises PipelineFault after the first error; FENCED is set by then."""
        self.spares.start()
        try:
            while (ended := self.enter()) == Ended.ROLL:
                self._roll()
            if ended == Ended.FAILED:
                raise OSError(int(self._tail[0].error), os.strerror(int(self._tail[0].error)))
            if not self._sequences[FENCED]:
                self._finish()
        except OSError as error:
            self._sequences[FENCED] = 1
            place = f"{self.position.path} at offset {int(self._tail[0].used_bytes)}"
            raise PipelineFault(f"The journal of {self.name} can not go on: {place}: {error}.", EXIT_IO) from error
        finally:
            os.close(int(self._tail[0].fd))
            self.spares.stop(1.0)

    def _reached(self) -> segments.Position:
        """Where the journal stands now."""
        tail = self._tail[0]
        position = self.position
        return segments.Position(
            path=position.path,
            cluster_id=position.cluster_id,
            stream=position.stream,
            record_bytes=position.record_bytes,
            segment_id=position.segment_id,
            epoch=position.epoch,
            size_bytes=position.size_bytes,
            used_bytes=int(tail.used_bytes),
            last_sequence=int(self._sequences[self._lines.own]),
            chain=int(tail.chain),
            durable_upto=int(self._sequences[self._lines.durable]),
        )

    def _roll(self) -> None:
        self.position = segments.roll(self.position.path.parent, self._reached(), self.position.size_bytes)
        self.spares.ask()
        self._sequences[self._lines.durable] = self.position.durable_upto
        os.close(int(self._tail[0].fd))
        self._open(self.position)

    def _open(self, position: segments.Position) -> None:
        tail = self._tail[0]
        tail.fd = os.open(position.path, os.O_RDWR | os.O_CLOEXEC)
        tail.used_bytes = position.used_bytes
        tail.size_bytes = position.size_bytes
        tail.segment_id = position.segment_id
        tail.epoch = position.epoch
        tail.chain = position.chain

    def _finish(self) -> None:
        if not self._synced:
            os.fdatasync(int(self._tail[0].fd))
            self._sequences[self._lines.durable] = self._sequences[self._lines.own]
        self.position = self._reached()
