"""Small journals with known records: how the tests make, poke and read them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from journal.format import SEGMENT_HEADER_BYTES, Bytes, Stream, group_bytes
from journal.reader import groups
from journal.recovery import Recovered, begin_epoch
from journal.recovery import recover as recover_journal
from journal.segments import Position, segment_name
from journal.storage import Place
from journal.walk import group_headers
from journal.writer import Writer

CLUSTER = bytes(range(16))
SMALL_SEGMENT = 4096


def records(first: int, count: int, record_bytes: int = 128) -> Bytes:
    """Records that can be told apart and depend on their sequence alone."""
    words = np.arange(record_bytes // 8, dtype=np.uint64) + np.uint64(1)
    sequences = np.arange(first, first + count, dtype=np.uint64)
    return (sequences[:, None] * words * np.uint64(0x9E3779B97F4A7C15)).view(np.uint8)


def recover(
    place: Place, cluster_id: bytes = CLUSTER, first_needed: int = 1, record_bytes: int = 128, **watermarks: int
) -> Recovered:
    """Recover with the arguments that never vary filled in."""
    return recover_journal(
        place,
        stream=Stream.COMMANDS,
        cluster_id=cluster_id,
        watermarks=watermarks,
        first_needed=first_needed,
        record_bytes=record_bytes,
    )


def begin(place: Place, segment_bytes: int = SMALL_SEGMENT, cluster_id: bytes = CLUSTER) -> Position:
    """Recover and begin the next epoch."""
    return begin_epoch(place, recover(place, cluster_id), segment_bytes=segment_bytes)


def write(
    place: Place,
    counts: list[int],
    *,
    segment_bytes: int = SMALL_SEGMENT,
    sync: bool = True,
    cluster_id: bytes = CLUSTER,
) -> Position:
    """Begin an epoch and append groups of `counts` records, each synced before the next."""
    with Writer(place, begin(place, segment_bytes, cluster_id)) as writer:
        for count in counts:
            writer.append(records(writer.position.last_sequence + 1, count))
            if sync:
                writer.sync()
        return writer.position


def read(place: Place, from_sequence: int = 1) -> list[bytes]:
    """Every record from `from_sequence` on, checked to be gapless."""
    found: list[bytes] = []
    for group in groups(place, from_sequence):
        assert group.first_sequence == from_sequence + len(found)
        assert group.count == len(group.payload)
        found += [record.tobytes() for record in group.payload]
    return found


def expected(last: int, first: int = 1) -> list[bytes]:
    """What `read` returns of an intact journal."""
    return [record.tobytes() for record in records(first, last - first + 1)] if last >= first else []


def offsets(directory: Path, segment_id: int = 1) -> list[int]:
    """Where the groups of a segment begin, and where the last one ends."""
    data = (directory / segment_name(segment_id)).read_bytes()
    found = list(group_headers(memoryview(data), SEGMENT_HEADER_BYTES, 128))
    return [offset for offset, _ in found] + [found[-1][0] + group_bytes(found[-1][1].count)]


def poke(path: Path, offset: int, data: bytes) -> None:
    """Overwrite bytes of a file in place."""
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(data)
