"""Every byte of a journal of 2,150 records flipped, sectors lost or swapped: never other records than were written."""

from __future__ import annotations

import itertools
import random

import pytest

from journal.errors import Refused
from journal.format import SEGMENT_HEADER_BYTES, Stream, group_bytes, parse_segment_header
from journal.recovery import begin_epoch, recover
from journal.scan import scan
from journal.segments import segment_name
from journal.walk import group_headers
from journal.writer import Writer
from tests.journal import journals
from tests.journal.sim_disk import SECTOR_BYTES, SimDisk

RECORD_BYTES = 64
LAST = 2_150
CONFIRMED = 2_100
COUNTS = (100, 1, 150, 99, 50, 100)


@pytest.fixture(scope="module")
def disk() -> SimDisk:
    """Two epochs, five segments, a superseded tail, an unconfirmed last group and zeros after it."""
    made = SimDisk()
    counts = itertools.cycle(COUNTS)
    for upto in (900, LAST):
        recovered = recover(
            made, stream=Stream.EVENTS, cluster_id=journals.CLUSTER, watermarks={}, record_bytes=RECORD_BYTES
        )
        with Writer(made, begin_epoch(made, recovered, segment_bytes=40_000)) as writer:
            while writer.position.last_sequence < upto:
                count = min(next(counts), upto - writer.position.last_sequence)
                writer.append(journals.records(writer.position.last_sequence + 1, count, RECORD_BYTES))
                writer.sync()
    assert journals.read(made) == written(LAST)
    assert len(made.names()) == 5
    name, start, end = last_group(made)
    assert start > SEGMENT_HEADER_BYTES
    made.seen[name].truncate(end + 1_000)
    return made


def written(last: int) -> list[bytes]:
    return [record.tobytes() for record in journals.records(1, last, RECORD_BYTES)]


def last_group(disk: SimDisk) -> tuple[str, int, int]:
    """Name of the last segment, where its last group begins and ends."""
    name = disk.names()[-1]
    *_, (offset, group) = group_headers(memoryview(disk.seen[name].seen), SEGMENT_HEADER_BYTES, RECORD_BYTES)
    return name, offset, offset + group_bytes(group.count, RECORD_BYTES)


def judge(disk: SimDisk, name: str, offset: int, confirmed: int, read: bool = True) -> bool:
    """Scan the disk as it is. True if it is refused; else its records are a prefix, cut only where that is allowed."""
    try:
        found = scan(disk)
    except Refused:
        return True
    assert found.last_sequence >= confirmed, (name, offset)
    assert not read or journals.read(disk) == written(found.last_sequence), (name, offset)
    return False


def test_any_byte_flipped_is_refused_or_cuts_the_unconfirmed_group(disk: SimDisk) -> None:
    last_name, last_start, last_end = last_group(disk)
    choose = random.Random(7)
    for name in disk.names():
        data = disk.seen[name].seen
        for offset in range(len(data)):
            bit = 1 << choose.randrange(8)
            data[offset] ^= bit
            refused = judge(disk, name, offset, CONFIRMED, read=choose.random() < 0.02)
            data[offset] ^= bit
            if name == last_name and offset >= last_start:
                assert not refused, "a flip after the last proof is a torn tail"
            elif not refused:
                assert (name, offset >= superseded_start(disk)) == (segment_name(2), True), (name, offset)
    assert last_end < len(disk.seen[last_name].seen)


def superseded_start(disk: SimDisk) -> int:
    """Where the groups of segment 2 begin that segment 3, of the next epoch, has written again."""
    data = memoryview(disk.seen[segment_name(2)].seen)
    first = parse_segment_header(memoryview(disk.seen[segment_name(3)].seen)).first_sequence
    headers = group_headers(data, SEGMENT_HEADER_BYTES, RECORD_BYTES)
    return next(offset for offset, group in headers if group.first_sequence == first)


def test_any_bit_of_headers_flipped_is_refused_unless_unconfirmed(disk: SimDisk) -> None:
    last_name, last_start, _ = last_group(disk)
    for name in disk.names():
        data = disk.seen[name].seen
        groups = [offset for offset, _ in group_headers(memoryview(data), SEGMENT_HEADER_BYTES, RECORD_BYTES)]
        places = [*range(SEGMENT_HEADER_BYTES), *(at + byte for at in groups[:2] + groups[-1:] for byte in range(64))]
        for offset, bit in itertools.product(places, range(8)):
            data[offset] ^= 1 << bit
            refused = judge(disk, name, offset, CONFIRMED)
            data[offset] ^= 1 << bit
            unconfirmed = name == last_name and offset >= last_start
            superseded = name == segment_name(2) and offset >= superseded_start(disk)
            assert refused or unconfirmed or superseded, (name, offset, bit)


@pytest.mark.parametrize("how", ["zeros", "garbage", "swapped"])
def test_sectors_lost_are_refused_or_cut_the_unconfirmed_group(disk: SimDisk, how: str) -> None:
    last_name, last_start, last_end = last_group(disk)
    choose = random.Random(11)
    for name in disk.names():
        data = disk.seen[name].seen
        for first in range(0, len(data), SECTOR_BYTES):
            upto = min(len(data), first + SECTOR_BYTES * choose.randrange(1, 4))
            original = bytes(data)
            if how == "zeros":
                data[first:upto] = bytes(upto - first)
            elif how == "garbage":
                data[first:upto] = choose.randbytes(upto - first)
            else:
                other = choose.randrange(len(data) // SECTOR_BYTES) * SECTOR_BYTES
                here, there = original[first : first + SECTOR_BYTES], original[other : other + SECTOR_BYTES]
                data[first : first + len(there)], data[other : other + len(here)] = there, here
                data[len(original) :] = b""
            # Where the proof itself is lost with the group that it proves, only an outside watermark can tell.
            confirmed = CONFIRMED if name != last_name or upto <= last_start or first >= last_start else 0
            judge(disk, name, first, confirmed if how != "swapped" else 0)
            data[:] = original
    assert last_end < len(disk.seen[last_name].seen)
