"""Reads groups in order, from a finished journal or from one that is being written.

Owns a place in the journal. Never delivers a group before all of it is there and its hashes and chain agree, never
delivers a record twice, never locks or changes anything. Follows the writer across segments and epochs: a new epoch
may write the newest groups again, with the same records. A delivered group may still be unsynced; `durable_upto`
says what a power cut can no longer take back.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from journal.errors import RESTORE_HINT, RefusalCode, Refused
from journal.format import (
    BOUNDARY_BYTES,
    GROUP_HEADER_BYTES,
    SEGMENT_HEADER_BYTES,
    Bytes,
    Corrupt,
    SegmentHeader,
    group_bytes,
    parse_group_header,
)
from journal.segments import list_segments, read_header, segment_name
from journal.storage import Place, StoredFile, storage_of
from journal.walk import FoundGroup, Walk, walk_groups

_AHEAD_BYTES = 64 * 1024
_AHEAD_BYTES_MAX = 4 * 1024 * 1024


@dataclass(slots=True)
class Group:
    """Records that were written together."""

    first_sequence: int
    """Of the first record in `payload`."""
    count: int
    epoch: int
    durable_upto: int
    """Highest sequence that was on disk when the group was written."""
    chain: int
    """Stands for the whole history up to the end of this group."""
    payload: Bytes
    """Shape (count, record_bytes), 8-byte aligned, owned by the receiver."""
    segment_id: int
    offset: int
    """Of the group's header in its segment."""

    @property
    def last_sequence(self) -> int:
        """Of the last record."""
        return self.first_sequence + self.count - 1


@dataclass(slots=True)
class Chunk:
    """Whole groups that lie one behind the other in a segment."""

    header: SegmentHeader
    offset: int
    """Of the first group in its segment."""
    data: Bytes
    found: list[FoundGroup]
    """At least one, with offsets in `data`."""


class Tailer:
    """Follows a journal from `from_sequence` on. A group that begins before it is delivered without its older records.

    `poll` raises `Refused` when the journal no longer reaches back that far, or is damaged where it should be whole.
    """

    def __init__(self, place: Place, from_sequence: int = 1) -> None:
        self._storage = storage_of(place)
        self._wanted = from_sequence
        self._walk: Walk | None = None
        self._file: StoredFile | None = None
        self._ahead_bytes = _AHEAD_BYTES
        self.durable_upto = 0
        """Highest sequence that the groups and headers read so far say is on disk."""

    @property
    def next_sequence(self) -> int:
        """Of the next record to be delivered."""
        return self._wanted

    def poll(self, limit_bytes: int = 8 * 1024 * 1024) -> list[Group]:
        """Return the complete groups that are there, at most about `limit_bytes` of them; an empty list: none yet."""
        if self._walk is None and not self._begin():
            return []
        groups: list[Group] = []
        taken = 0
        while taken < limit_bytes and (chunk := self._next_chunk()):
            wanted = [group for group in (self._group(chunk, found) for found in chunk.found) if group is not None]
            groups += wanted
            taken += len(chunk.data) if wanted else 0
        return groups

    def poll_records(self) -> tuple[int, Bytes] | None:
        """Return the sequence of a first record and it and its successors of several groups, up to about 4 MB.

        The array has shape (n, record_bytes) and is the caller's own. None: no further record is there yet. For small
        groups this is several times faster than `poll`.
        """
        if self._walk is None and not self._begin():
            return None
        while chunk := self._next_chunk():
            _, last_count, last_first, *_ = chunk.found[-1]
            first = chunk.found[0][2]
            end = last_first + last_count
            skipped = max(self._wanted - first, 0)
            if first + skipped < end:
                lines = chunk.data.reshape(-1, BOUNDARY_BYTES)
                keep = np.ones(len(lines), np.bool_)
                keep[[found[0] // BOUNDARY_BYTES for found in chunk.found]] = False
                self._wanted = end
                return first + skipped, lines[keep].reshape(-1, chunk.header.record_bytes)[skipped:]
        return None

    def close(self) -> None:
        """Give the file back."""
        if self._file is not None:
            self._file.close()
        self._file = self._walk = None

    def _begin(self) -> bool:
        """Open the newest segment that holds the wanted sequence. False while there is none at all."""
        ids = list_segments(self._storage)
        header = None
        for segment_id in reversed(ids):
            header = self._header(segment_id)
            if header.first_sequence <= self._wanted:
                self._open(header)
                return True
        if header is None:
            return False
        path = self._storage.path(segment_name(header.segment_id))
        reason = f"The journal begins at sequence {header.first_sequence}; {self._wanted} is no longer there."
        hint = "Start from a snapshot that is recent enough, or put the retired segments back."
        raise Refused(RefusalCode.START_MISSING, path, 0, self._wanted, header.first_sequence - 1, reason, hint)

    def _open(self, header: SegmentHeader) -> None:
        file = self._storage.open(segment_name(header.segment_id))
        self.close()
        self._file = file
        self.durable_upto = max(self.durable_upto, header.durable_upto, header.first_sequence - 1)
        self._walk = Walk(header, SEGMENT_HEADER_BYTES, header.first_sequence, header.prev_chain, self.durable_upto)

    def _header(self, segment_id: int) -> SegmentHeader:
        try:
            return read_header(self._storage, segment_id)
        except Corrupt as error:
            path = self._storage.path(segment_name(segment_id))
            raise Refused(RefusalCode.SEGMENT_HEADER, path, 0, None, None, str(error), RESTORE_HINT) from error

    def _next_chunk(self) -> Chunk | None:
        """Read on, in the next segments if need be; None when no further group is whole."""
        while True:
            if chunk := self._read():
                return chunk
            follower = self._follower()
            if follower is None:
                return None
            # Looked up after a vain read, the follower proves that another read sees all of this segment.
            if chunk := self._read():
                return chunk
            self._advance(follower)

    def _read(self) -> Chunk | None:
        """Read whole groups from the current place; None when the next one is not whole."""
        walk, file = self._walk, self._file
        if walk is None or file is None:
            return None
        try:
            next_group = parse_group_header(file.read(walk.offset, GROUP_HEADER_BYTES))
        except Corrupt:
            return None
        size = group_bytes(next_group.count, walk.header.record_bytes)
        data = file.load(walk.offset, max(size, self._ahead_bytes))
        step = Walk(walk.header, 0, walk.sequence, walk.chain, walk.durable_upto)
        found: list[FoundGroup] = []
        walk_groups(data.data, step, None, found)
        if step.misplaced:
            path = self._storage.path(segment_name(walk.header.segment_id))
            offset = walk.offset + step.offset
            raise Refused(RefusalCode.MISPLACED, path, offset, step.sequence, None, step.problem, RESTORE_HINT)
        chunk = Chunk(walk.header, walk.offset, data[: step.offset], found)
        walk.offset += step.offset
        walk.sequence, walk.chain, walk.durable_upto = step.sequence, step.chain, step.durable_upto
        self.durable_upto = max(self.durable_upto, step.durable_upto)
        self._ahead_bytes = (
            min(self._ahead_bytes * 2, _AHEAD_BYTES_MAX) if 2 * step.offset > len(data) else _AHEAD_BYTES
        )
        return chunk if found else None

    def _group(self, chunk: Chunk, found: FoundGroup) -> Group | None:
        """Return the group without the records that were delivered before; None when that is all of it."""
        at, count, first, durable_upto, check = found
        skipped = max(self._wanted - first, 0)
        if skipped >= count:
            return None
        header = chunk.header
        start = at + GROUP_HEADER_BYTES
        end = start + count * header.record_bytes
        payload = chunk.data[start + skipped * header.record_bytes : end].reshape(-1, header.record_bytes)
        self._wanted = first + count
        return Group(
            first + skipped,
            count - skipped,
            header.epoch,
            durable_upto,
            check,
            payload,
            header.segment_id,
            chunk.offset + at,
        )

    def _follower(self) -> SegmentHeader | None:
        """Return the header of the next segment, None when there is none yet."""
        walk = self._walk
        if walk is None:
            return None
        current = walk.header.segment_id
        later = [segment_id for segment_id in list_segments(self._storage) if segment_id > current]
        if not later:
            return None
        if later[0] != current + 1:
            path = self._storage.path(segment_name(current + 1))
            reason = f"Segment {current + 1} is gone; it was retired before it was read."
            hint = "Start again from a snapshot, or put the retired segments back."
            raise Refused(RefusalCode.SEGMENT_MISSING, path, 0, self._wanted, None, reason, hint)
        return self._header(current + 1)

    def _advance(self, follower: SegmentHeader) -> None:
        """Go on in the next segment, the current one having no further whole group."""
        walk = self._walk
        if walk is None:
            return
        path = self._storage.path(segment_name(walk.header.segment_id))
        if follower.first_sequence > walk.sequence:
            reason = (
                f"Segment {walk.header.segment_id} has no whole group after sequence {walk.sequence - 1}, but segment "
                f"{follower.segment_id} continues at {follower.first_sequence}."
            )
            last = follower.first_sequence - 1
            raise Refused(RefusalCode.ROT, path, walk.offset, walk.sequence, last, reason, RESTORE_HINT)
        if follower.first_sequence == walk.sequence and follower.prev_chain != walk.chain:
            reason = f"Segment {follower.segment_id} does not continue the chain of the one before it."
            path = self._storage.path(segment_name(follower.segment_id))
            raise Refused(RefusalCode.MISPLACED, path, 0, follower.first_sequence, None, reason, RESTORE_HINT)
        self._open(follower)


def records(place: Place, from_sequence: int = 1) -> Iterator[tuple[int, Bytes]]:
    """Yield all records from `from_sequence` on, as `Tailer.poll_records` returns them. Raises `Refused`, `OSError`."""
    tailer = Tailer(place, from_sequence)
    try:
        while batch := tailer.poll_records():
            yield batch
    finally:
        tailer.close()


def groups(place: Place, from_sequence: int = 1) -> Iterator[Group]:
    """Yield the groups of a journal from `from_sequence` to its end. Raises `Refused`, `OSError`."""
    tailer = Tailer(place, from_sequence)
    try:
        while batch := tailer.poll():
            yield from batch
    finally:
        tailer.close()
