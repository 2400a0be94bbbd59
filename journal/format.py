"""The bytes of a journal, version 1: segment header, group header, hash. `docs/journal.md` draws both with a ruler.

Owns the layout: constants, dtypes, how a header is packed and parsed. Never opens a file and never judges a journal as
a whole: `recovery` does. Invariants: all integers are little-endian; a segment is one 128-byte header and groups; a
group is one 64-byte header and `count` records, a multiple of 64 bytes, so every group starts on a 64-byte boundary; a
header ends with the XXH64 of the bytes before it. The chain value of a group is its `check`, which covers the chain
value before it and the hash of its records: one number stands for the whole history. Source: XXH64,
https://github.com/Cyan4973/xxHash/blob/dev/doc/xxhash_spec.md.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt
import xxhash

Bytes: TypeAlias = npt.NDArray[np.uint8]
Buffer: TypeAlias = bytes | bytearray | memoryview

VERSION = 1
SEGMENT_MAGIC = b"XJOURNAL"
GROUP_MAGIC = b"XGRP"
GROUP_MAGIC_U4 = int.from_bytes(GROUP_MAGIC, "little")
RECORD_BYTES = 128
"""The default record size; a header names its own, any multiple of 64."""
SEGMENT_HEADER_BYTES = 128
GROUP_HEADER_BYTES = 64
BOUNDARY_BYTES = 64
"""Every group starts at a multiple of this."""
CLUSTER_ID_BYTES = 16
SEGMENT_BYTES = 64 * 1024 * 1024
"""The default size of a segment file."""
GENESIS_CHAIN = 0
"""The chain value before sequence 1."""
FIRST_SEGMENT_ID = 1


class Stream(IntEnum):
    """Which journal a segment belongs to; append-only, it is in segment headers."""

    COMMANDS = 1
    EVENTS = 2


SEGMENT_HEADER_DTYPE = np.dtype(
    {
        "names": [
            "magic",  # b"XJOURNAL"
            "version",  # 1
            "record_bytes",  # size of one record, a multiple of 64
            "cluster_id",  # which installation wrote it
            "segment_id",  # from 1, rising by one, equals the file name
            "first_sequence",  # of the first record that this segment may hold
            "prev_chain",  # chain value of the group that ends at first_sequence - 1
            "epoch",  # rises by one with every start of the writing process
            "stream",  # Stream
            "reserved_u4",  # 0
            "durable_upto",  # highest sequence that was on disk when this file got its name
            "reserved",  # zeros
            "check",  # XXH64 of bytes 0..120
        ],
        "formats": ["S8", "<u4", "<u4", "V16", "<i8", "<i8", "<u8", "<i8", "<u4", "<u4", "<i8", "V40", "<u8"],
        "offsets": [0, 8, 12, 16, 32, 40, 48, 56, 64, 68, 72, 80, 120],
        "itemsize": 128,
    }
)
GROUP_HEADER_DTYPE = np.dtype(
    {
        "names": [
            "magic",  # GROUP_MAGIC_U4: the bytes "XGRP"
            "count",  # records that follow, at least 1
            "first_sequence",  # of the first record
            "epoch",  # equals the segment's
            "durable_upto",  # highest sequence for which fdatasync had returned 0 when this group was written
            "prev_chain",  # check of the group before, GENESIS_CHAIN before sequence 1
            "payload_hash",  # XXH64 of the count * record_bytes bytes that follow
            "segment_id",  # equals the segment's
            "check",  # XXH64 of bytes 0..56; the chain value of this group
        ],
        "formats": ["<u4", "<u4", "<i8", "<i8", "<i8", "<u8", "<u8", "<i8", "<u8"],
        "offsets": [0, 4, 8, 16, 24, 32, 40, 48, 56],
        "itemsize": 64,
    }
)
assert SEGMENT_HEADER_DTYPE.itemsize == SEGMENT_HEADER_BYTES == 2 * BOUNDARY_BYTES
assert GROUP_HEADER_DTYPE.itemsize == GROUP_HEADER_BYTES == BOUNDARY_BYTES
assert RECORD_BYTES % BOUNDARY_BYTES == 0
assert SEGMENT_BYTES % BOUNDARY_BYTES == 0

_SEGMENT = struct.Struct("<8sII16sqqQqIIq40s")
_GROUP = struct.Struct("<4sIqqqQQq")
_CHECK = struct.Struct("<Q")
assert _SEGMENT.size == SEGMENT_HEADER_BYTES - 8
assert _GROUP.size == GROUP_HEADER_BYTES - 8
GROUP_STRUCT = struct.Struct("<4sIqqqQQqQ")
"""All nine fields of a group header, for loops that can not afford a `GroupHeader` a group."""
assert GROUP_STRUCT.size == GROUP_HEADER_BYTES

_ZEROS = bytes(40)


class Corrupt(Exception):
    """Bytes that are not what the format says. `str()` is a sentence."""


class SegmentHeader(NamedTuple):
    """The first 128 bytes of a segment, without magic, version and check."""

    cluster_id: bytes
    segment_id: int
    first_sequence: int
    prev_chain: int
    epoch: int
    stream: int
    durable_upto: int
    record_bytes: int = RECORD_BYTES


@dataclass(frozen=True, slots=True)
class GroupHeader:
    """The first 64 bytes of a group, without magic. `check` is the chain value."""

    count: int
    first_sequence: int
    epoch: int
    durable_upto: int
    prev_chain: int
    payload_hash: int
    segment_id: int
    check: int

    @property
    def last_sequence(self) -> int:
        """Sequence of the last record."""
        return self.first_sequence + self.count - 1


def xxh64(data: Buffer, seed: int = 0) -> int:
    """Return the XXH64 of `data` as an unsigned 64-bit integer."""
    return xxhash.xxh64_intdigest(data, seed)


def pack_segment_header(header: SegmentHeader) -> bytes:
    """Return the 128 bytes of `header`. Raises `ValueError` on a cluster id or record size that can not be written."""
    if len(header.cluster_id) != CLUSTER_ID_BYTES:
        raise ValueError(f"A cluster id has {CLUSTER_ID_BYTES} bytes, this one has {len(header.cluster_id)}.")
    if header.record_bytes <= 0 or header.record_bytes % BOUNDARY_BYTES:
        raise ValueError(f"A record is a multiple of {BOUNDARY_BYTES} bytes, {header.record_bytes} is not.")
    body = _SEGMENT.pack(
        SEGMENT_MAGIC,
        VERSION,
        header.record_bytes,
        header.cluster_id,
        header.segment_id,
        header.first_sequence,
        header.prev_chain,
        header.epoch,
        header.stream,
        0,
        header.durable_upto,
        _ZEROS,
    )
    return body + _CHECK.pack(xxh64(body))


def parse_segment_header(data: Buffer) -> SegmentHeader:
    """Read the first 128 bytes of `data`. Raises `Corrupt` with the first thing that is wrong."""
    if len(data) < SEGMENT_HEADER_BYTES:
        raise Corrupt(f"The file has {len(data)} bytes, a segment header has {SEGMENT_HEADER_BYTES}.")
    head = bytes(data[:SEGMENT_HEADER_BYTES])
    magic, version, record_bytes, *named, zero, durable_upto, rest = _SEGMENT.unpack_from(head)
    if magic != SEGMENT_MAGIC:
        raise Corrupt("The file does not begin with the magic of a segment.")
    if _CHECK.unpack_from(head, _SEGMENT.size)[0] != xxh64(head[: _SEGMENT.size]):
        raise Corrupt("The check of the segment header does not match its bytes.")
    if version != VERSION:
        raise Corrupt(f"The segment has format version {version}, this program reads version {VERSION}.")
    if zero or rest != _ZEROS or record_bytes == 0 or record_bytes % BOUNDARY_BYTES:
        raise Corrupt("The segment header has a field that version 1 never writes.")
    return SegmentHeader._make((*named, durable_upto, record_bytes))


def pack_group_header(
    *,
    count: int,
    first_sequence: int,
    epoch: int,
    durable_upto: int,
    prev_chain: int,
    payload_hash: int,
    segment_id: int,
) -> bytes:
    """Return the 64 bytes before `count` records whose XXH64 is `payload_hash`; the last 8 are the chain value."""
    body = _GROUP.pack(GROUP_MAGIC, count, first_sequence, epoch, durable_upto, prev_chain, payload_hash, segment_id)
    return body + _CHECK.pack(xxh64(body))


def parse_group_header(data: Buffer) -> GroupHeader:
    """Read the first 64 bytes of `data`. Raises `Corrupt`; says nothing about the records that follow."""
    if len(data) < GROUP_HEADER_BYTES:
        raise Corrupt(f"{len(data)} bytes are left, a group header has {GROUP_HEADER_BYTES}.")
    head = bytes(data[:GROUP_HEADER_BYTES])
    magic, *fields = GROUP_STRUCT.unpack(head)
    header = GroupHeader(*fields)
    if magic != GROUP_MAGIC:
        raise Corrupt("No group begins here: the magic is missing.")
    if header.check != xxh64(head[: _GROUP.size]):
        raise Corrupt("The check of the group header does not match its bytes.")
    if header.count < 1:
        raise Corrupt("The group header counts no records, which is never written.")
    return header


def group_bytes(count: int, record_bytes: int = RECORD_BYTES) -> int:
    """Return the size of a group of `count` records, header included."""
    return GROUP_HEADER_BYTES + count * record_bytes
