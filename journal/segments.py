"""Segment files: their names, how one comes to be, how one ends, how old ones go.

Owns the order of system calls that makes the following true after a power cut at any instant: a segment that can be
seen has its header, its first groups and its whole length on disk; when segment k+1 can be seen, every record before
its `first_sequence` is on disk; the segments that remain after a retirement have no gap. Never reads groups.
"""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass, replace
from pathlib import Path

from journal.format import (
    BOUNDARY_BYTES,
    SEGMENT_HEADER_BYTES,
    SegmentHeader,
    pack_segment_header,
    parse_segment_header,
)
from journal.storage import Place, Storage, opened, publish, storage_of, write_zeros

_NAME = re.compile(r"([0-9]{8,})\.journal")
_SPARE = "spare.journal.tmp"
_FILLING = "filling.journal.tmp"


@dataclass(frozen=True, slots=True)
class Position:
    """Where the next group of a journal goes; what its header must say."""

    path: Path
    cluster_id: bytes
    stream: int
    record_bytes: int
    segment_id: int
    epoch: int
    size_bytes: int
    """Length of the segment file."""
    used_bytes: int
    """Offset of the next group."""
    last_sequence: int
    """Of the last record written; the next group begins one later."""
    chain: int
    """`check` of the last group written."""
    durable_upto: int
    """Highest sequence known to be on disk."""


def segment_name(segment_id: int) -> str:
    """Return the file name of a segment."""
    return f"{segment_id:08d}.journal"


def list_segments(place: Place) -> list[int]:
    """Return the ids of the segments in a directory, rising. Other files are not the journal's and are passed over."""
    matches = (_NAME.fullmatch(name) for name in storage_of(place).names())
    ids = sorted(int(match[1]) for match in matches if match)
    return [segment_id for segment_id in ids if segment_id > 0]


def read_header(storage: Storage, segment_id: int) -> SegmentHeader:
    """Read the header of one segment. Raises `Corrupt`, `OSError`."""
    with opened(storage.open(segment_name(segment_id))) as file:
        return parse_segment_header(file.read(0, SEGMENT_HEADER_BYTES))


def prepare_spare(place: Place, size_bytes: int) -> None:
    """Write a file of zeros that the next `create` turns into a segment in two short syncs; any thread, any time."""
    storage = storage_of(place)
    names = storage.names()
    if _SPARE in names:
        return
    if _FILLING in names:
        storage.remove(_FILLING)
    with opened(storage.create(_FILLING)) as file:
        write_zeros(file, 0, size_bytes)
        publish(storage, _FILLING, _SPARE, file)


def create(place: Place, header: SegmentHeader, size_bytes: int, groups: bytes | memoryview = b"") -> Path:
    """Create a segment of `size_bytes` that begins with `groups`; return where it is.

    It appears under its name only when all of it is on disk. Raises `FileExistsError` when the segment is there,
    `ValueError` when the groups do not fit, `OSError` when the disk fails or is full: then no segment appears.
    """
    storage = storage_of(place)
    name = segment_name(header.segment_id)
    start = SEGMENT_HEADER_BYTES + len(groups)
    if start > size_bytes or size_bytes % BOUNDARY_BYTES:
        raise ValueError(f"A segment has a multiple of {BOUNDARY_BYTES} bytes, at least {start}; {size_bytes} is not.")
    names = storage.names()
    if name in names:
        raise FileExistsError(f"The segment {storage.path(name)} exists already.")
    temporary = f"{name}.tmp"
    if temporary in names:
        storage.remove(temporary)
    if _SPARE in names:
        storage.rename(_SPARE, temporary)
        file = storage.open(temporary)
    else:
        file = storage.create(temporary)
    with opened(file):
        ready = file.size_bytes()
        file.write(0, pack_segment_header(header) + bytes(groups))
        write_zeros(file, max(ready, start), size_bytes)
        file.truncate(size_bytes)
        publish(storage, temporary, name, file)
    return storage.path(name)


def roll(place: Place, position: Position, size_bytes: int) -> Position:
    """End the segment at `position` and begin the next one, of `size_bytes`. Returns the position in the new segment.

    Syncs the finished segment first, so that the new one's existence proves that everything before it is on disk, and
    cuts the finished one to its used length last, when nothing depends on it. Raises `OSError`.
    """
    storage = storage_of(place)
    header = SegmentHeader(
        cluster_id=position.cluster_id,
        segment_id=position.segment_id + 1,
        first_sequence=position.last_sequence + 1,
        prev_chain=position.chain,
        epoch=position.epoch,
        stream=position.stream,
        durable_upto=position.last_sequence,
        record_bytes=position.record_bytes,
    )
    with opened(storage.open(segment_name(position.segment_id))) as finished:
        finished.sync()
        path = create(storage, header, size_bytes)
        finished.truncate(position.used_bytes)
        finished.sync()
    return replace(
        position,
        path=path,
        segment_id=header.segment_id,
        size_bytes=size_bytes,
        used_bytes=SEGMENT_HEADER_BYTES,
        durable_upto=position.last_sequence,
    )


def retire(place: Place, upto_sequence: int) -> list[Path]:
    """Delete the oldest segments that hold nothing after `upto_sequence`; never the last one. Returns their paths.

    Each removal is on disk before the next, so that a power cut leaves no gap. Raises `Corrupt`, `OSError`.
    """
    storage = storage_of(place)
    ids = list_segments(storage)
    retired: list[Path] = []
    for segment_id, follower in itertools.pairwise(ids):
        if read_header(storage, follower).first_sequence - 1 > upto_sequence:
            break
        storage.remove(segment_name(segment_id))
        storage.sync()
        retired.append(storage.path(segment_name(segment_id)))
    return retired
