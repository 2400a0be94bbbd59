"""Walks the groups of one segment that is in memory.

Owns the innermost loop of verification and the search for whole headers after an anomaly. Never opens a file, never
decides what an anomaly means: `scan` does. Invariant: a group is counted only when its header check, its records' hash,
its place in the sequence, its link in the chain, its segment and its epoch all agree.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from xxhash import xxh64_intdigest

from journal.format import (
    BOUNDARY_BYTES,
    GROUP_HEADER_BYTES,
    GROUP_MAGIC,
    GROUP_MAGIC_U4,
    GROUP_STRUCT,
    Bytes,
    Corrupt,
    GroupHeader,
    SegmentHeader,
    parse_group_header,
)

FoundGroup: TypeAlias = tuple[int, int, int, int, int]
"""Offset, count, first sequence, durable_upto and check of a group."""


@dataclass(slots=True)
class Walk:
    """A walk over the groups of one segment: where it stands, what it met."""

    header: SegmentHeader
    offset: int
    sequence: int
    """Of the next record."""
    chain: int
    durable_upto: int
    groups: int = 0
    problem: str = ""
    """Why the walk ended before its stop; empty if it did not."""
    misplaced: bool = False
    """The problem is a group that is intact and does not belong here."""


def walk_groups(view: memoryview, walk: Walk, stop: int | None, found: list[FoundGroup] | None = None) -> None:
    """Advance `walk` over whole, linked groups until the next sequence is `stop` or something is wrong.

    Adds each group to `found` where the caller wants them.
    """
    header = walk.header
    segment_id, epoch, record_bytes = header.segment_id, header.epoch, header.record_bytes
    offset, sequence, chain, durable_upto = walk.offset, walk.sequence, walk.chain, walk.durable_upto
    size, groups, unpack = len(view), 0, GROUP_STRUCT.unpack_from
    while stop is None or sequence < stop:
        payload = offset + GROUP_HEADER_BYTES
        if payload > size:
            walk.problem = "The file ends inside a group header."
            break
        magic, count, first, its_epoch, its_durable, prev_chain, payload_hash, its_segment, check = unpack(view, offset)
        if magic != GROUP_MAGIC or check != xxh64_intdigest(view[offset : payload - 8]):
            walk.problem = "The group header does not match its check."
            break
        if first != sequence or prev_chain != chain or its_segment != segment_id or its_epoch != epoch or count < 1:
            walk.misplaced = True
            walk.problem = _mismatch(parse_group_header(view[offset:payload]), header, sequence, chain)
            break
        end = payload + count * record_bytes
        if end > size:
            walk.problem = "The file ends inside the records of a group."
            break
        if payload_hash != xxh64_intdigest(view[payload:end]):
            walk.problem = "The records of a group do not match their hash."
            break
        if found is not None:
            found.append((offset, count, first, its_durable, check))
        offset, chain, groups = end, check, groups + 1
        sequence += count
        if its_durable > durable_upto:
            durable_upto = its_durable
    walk.offset, walk.sequence, walk.chain, walk.durable_upto = offset, sequence, chain, durable_upto
    walk.groups += groups


def group_headers(view: memoryview, offset: int, record_bytes: int) -> Iterator[tuple[int, GroupHeader]]:
    """Yield offset and header of the groups from `offset` on, without reading records, until no header is whole."""
    while True:
        try:
            header = parse_group_header(view[offset : offset + GROUP_HEADER_BYTES])
        except Corrupt:
            return
        yield offset, header
        offset += GROUP_HEADER_BYTES + header.count * record_bytes


def later_headers(data: Bytes, offset: int, header: SegmentHeader) -> list[GroupHeader]:
    """Return the whole group headers of this segment that begin at any 64-byte boundary from `offset` on."""
    first = -(-offset // BOUNDARY_BYTES)
    boundaries = data[: len(data) // BOUNDARY_BYTES * BOUNDARY_BYTES].view("<u4")[:: BOUNDARY_BYTES // 4]
    found: list[GroupHeader] = []
    for index in np.flatnonzero(boundaries[first:] == GROUP_MAGIC_U4):
        at = (first + int(index)) * BOUNDARY_BYTES
        try:
            group = parse_group_header(data[at : at + GROUP_HEADER_BYTES].data)
        except Corrupt:
            continue
        if group.segment_id == header.segment_id and group.epoch == header.epoch:
            found.append(group)
    return found


def _mismatch(group: GroupHeader, header: SegmentHeader, sequence: int, chain: int) -> str:
    if group.segment_id != header.segment_id or group.epoch != header.epoch:
        return (
            f"A group of segment {group.segment_id}, epoch {group.epoch} stands in segment {header.segment_id}, "
            f"epoch {header.epoch}."
        )
    if group.first_sequence != sequence:
        return f"A group begins at sequence {group.first_sequence} where {sequence} must follow."
    return f"The group at sequence {sequence} continues chain {group.prev_chain:016x}, but the chain is {chain:016x}."
