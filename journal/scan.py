"""Reads a whole journal and says what is intact; changes nothing.

Owns the decision table of `docs/journal.md`: from the first anomaly, the proof of what was durable (`durable_upto` in
segment headers and in groups, also in groups after the anomaly) and the outside watermarks it decides between a clean
end, a torn tail and `Refused`. Invariants: a scan that returns has checked every byte of every record that it counts;
only the last segment may end in a torn tail, because the next one appears only after the one before it is on disk.
Source: PostgreSQL, etcd and TigerBeetle practice on torn writes against rot.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from journal.errors import FOREIGN_HINT, RESTORE_HINT, WATERMARK_HINT, RefusalCode, Refused
from journal.format import (
    GENESIS_CHAIN,
    GROUP_HEADER_BYTES,
    SEGMENT_HEADER_BYTES,
    Bytes,
    Corrupt,
    GroupHeader,
    SegmentHeader,
    parse_group_header,
)
from journal.segments import list_segments, read_header, segment_name
from journal.storage import Place, Storage, opened, storage_of
from journal.walk import FoundGroup, Walk, group_headers, later_headers, walk_groups

Progress = Callable[[int, int], None]
"""Called with bytes done and bytes in all."""


@dataclass(frozen=True, slots=True)
class SegmentScan:
    """One intact segment: what it holds of the journal, up to where the next segment takes over."""

    segment_id: int
    first_sequence: int
    epoch: int
    groups: int
    records: int
    used_bytes: int
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Torn:
    """A write that never finished, at the end of the last segment."""

    offset: int
    end: int
    """Where the zeros begin again."""
    groups: int
    """Group headers in it that are whole."""
    records: int
    """Records that these headers announce."""


@dataclass(slots=True)
class Scan:
    """What is intact in a journal."""

    cluster_id: bytes | None = None
    stream: int | None = None
    record_bytes: int | None = None
    first_sequence: int = 1
    """Of the oldest record kept."""
    last_sequence: int = 0
    """Of the newest whole record; `first_sequence - 1` when there is none."""
    chain: int = GENESIS_CHAIN
    epoch: int = 0
    """Of the newest segment; 0 when there is none."""
    durable_upto: int = 0
    """Highest sequence that the files themselves prove to have been on disk."""
    segments: list[SegmentScan] = field(default_factory=list)
    torn: Torn | None = None
    superseded: list[GroupHeader] = field(default_factory=list)
    """Whole groups of the segment before that the next one, of a later epoch, must have taken over."""

    @property
    def records(self) -> int:
        """Records in all."""
        return self.last_sequence - self.first_sequence + 1

    @property
    def groups(self) -> int:
        """Groups in all."""
        return sum(segment.groups for segment in self.segments)


def scan(
    place: Place,
    *,
    stream: int | None = None,
    cluster_id: bytes | None = None,
    watermarks: Mapping[str, int] | None = None,
    first_needed: int | None = 1,
    progress: Progress | None = None,
) -> Scan:
    """Check the journal in `place`.

    `stream` and `cluster_id` are what it must be (None: whatever the first segment says), `watermarks` name sequences
    that others have seen acknowledged, `first_needed` is the first sequence that must still be there (None:
    whatever is the oldest kept). Raises `Refused`, `OSError`.
    """
    storage = storage_of(place)
    ids = list_segments(storage)
    headers = _read_headers(storage, ids)
    result = Scan(cluster_id, stream)
    if not headers:
        _check_watermarks(storage, watermarks or {}, 1, 1, 0)
        if first_needed is not None and first_needed > 1:
            raise _start_missing(storage, 1, first_needed, None)
        return result
    _check_headers(storage, headers, result, first_needed)
    total = sum(_size_bytes(storage, segment_id) for segment_id in ids)
    done = 0
    for header, follower in zip(headers, [*headers[1:], None], strict=True):
        with opened(storage.open(segment_name(header.segment_id))) as file:
            data = file.load()
        _scan_segment(storage, data, header, follower, watermarks or {}, result)
        done += len(data)
        if progress:
            progress(done, total)
    return result


def _read_headers(storage: Storage, ids: list[int]) -> list[SegmentHeader]:
    headers: list[SegmentHeader] = []
    for segment_id in ids:
        path = storage.path(segment_name(segment_id))
        if headers and segment_id != headers[-1].segment_id + 1:
            missing = headers[-1].segment_id + 1
            raise Refused(
                RefusalCode.SEGMENT_MISSING,
                storage.path(segment_name(missing)),
                0,
                headers[-1].first_sequence,
                None,
                f"The journal has segments {headers[-1].segment_id} and {segment_id} but none between them.",
                RESTORE_HINT,
            )
        try:
            header = read_header(storage, segment_id)
        except Corrupt as error:
            first = headers[-1].first_sequence if headers else None
            raise Refused(RefusalCode.SEGMENT_HEADER, path, 0, first, None, str(error), RESTORE_HINT) from error
        if header.segment_id != segment_id:
            reason = f"The header says that this is segment {header.segment_id}, its name says {segment_id}."
            raise Refused(RefusalCode.FOREIGN, path, 0, header.first_sequence, None, reason, FOREIGN_HINT)
        headers.append(header)
    return headers


def _check_headers(storage: Storage, headers: list[SegmentHeader], result: Scan, first_needed: int | None) -> None:
    """Hold the headers against each other and against what the journal must be; fill in what they tell."""
    oldest = headers[0]
    if result.cluster_id is None:
        result.cluster_id = oldest.cluster_id
    if result.stream is None:
        result.stream = oldest.stream
    result.record_bytes = oldest.record_bytes
    before = None
    for header in headers:
        reason = _header_mismatch(header, before, result)
        if reason:
            path = storage.path(segment_name(header.segment_id))
            raise Refused(RefusalCode.FOREIGN, path, 0, header.first_sequence, None, reason, FOREIGN_HINT)
        before = header
    if first_needed is not None and oldest.first_sequence > first_needed:
        raise _start_missing(storage, oldest.segment_id, first_needed, oldest.first_sequence - 1)
    result.first_sequence = oldest.first_sequence
    result.last_sequence = oldest.first_sequence - 1
    result.chain = oldest.prev_chain
    result.durable_upto = max(max(header.durable_upto, header.first_sequence - 1) for header in headers)


def _header_mismatch(header: SegmentHeader, before: SegmentHeader | None, result: Scan) -> str:
    if header.cluster_id != result.cluster_id:
        wanted = (result.cluster_id or b"").hex()
        return f"The segment was written by cluster {header.cluster_id.hex()}, this journal is cluster {wanted}'s."
    if header.stream != result.stream:
        return f"The segment belongs to stream {header.stream}, this journal is stream {result.stream}."
    if header.record_bytes != result.record_bytes:
        return f"The segment has records of {header.record_bytes} bytes, this journal has {result.record_bytes}."
    if header.first_sequence < 1 or (header.first_sequence == 1 and header.prev_chain != GENESIS_CHAIN):
        return f"The segment begins at sequence {header.first_sequence} with a chain that no journal begins with."
    if before is not None and (header.epoch < before.epoch or header.first_sequence < before.first_sequence):
        return (
            f"The segment has epoch {header.epoch} and first sequence {header.first_sequence}, older than epoch "
            f"{before.epoch} and first sequence {before.first_sequence} of the segment before it."
        )
    return ""


def _scan_segment(
    storage: Storage,
    data: Bytes,
    header: SegmentHeader,
    follower: SegmentHeader | None,
    watermarks: Mapping[str, int],
    result: Scan,
) -> None:
    """Walk one segment and decide what its end means; adds to `result` or raises `Refused`."""
    path = storage.path(segment_name(header.segment_id))
    if header.first_sequence != result.last_sequence + 1 or header.prev_chain != result.chain:
        reason = f"Segment {header.segment_id} does not continue the segment before it: sequence or chain differ."
        raise Refused(RefusalCode.MISPLACED, path, 0, header.first_sequence, None, reason, FOREIGN_HINT)
    walk = Walk(header, SEGMENT_HEADER_BYTES, header.first_sequence, header.prev_chain, result.durable_upto)
    walk_groups(data.data, walk, follower.first_sequence if follower else None)
    result.durable_upto = walk.durable_upto
    if walk.misplaced:
        raise Refused(RefusalCode.MISPLACED, path, walk.offset, walk.sequence, None, walk.problem, RESTORE_HINT)
    if follower is None:
        result.torn = _judge_end(storage, data, walk, watermarks)
    elif walk.problem:
        raise _closed_segment_refused(storage, data, walk, follower)
    _check_taken_over(path, data, walk, follower is None, result.superseded)
    result.superseded = _check_handover(storage, data, walk, follower) if follower else []
    result.last_sequence, result.chain, result.epoch = walk.sequence - 1, walk.chain, header.epoch
    records = walk.sequence - header.first_sequence
    result.segments.append(
        SegmentScan(
            header.segment_id, header.first_sequence, header.epoch, walk.groups, records, walk.offset, len(data)
        )
    )


def _judge_end(storage: Storage, data: Bytes, walk: Walk, watermarks: Mapping[str, int]) -> Torn | None:
    """The decision table for the last segment. Returns None for a clean end."""
    path = storage.path(segment_name(walk.header.segment_id))
    rest = np.flatnonzero(data[walk.offset :])
    later = later_headers(data, walk.offset, walk.header) if rest.size else []
    proof = max([walk.durable_upto, *(group.durable_upto for group in later)])
    following = [group.first_sequence for group in later if group.first_sequence > walk.sequence]
    if proof >= walk.sequence:
        code = RefusalCode.ROT if rest.size else RefusalCode.ACKNOWLEDGED_DATA_MISSING
        found = f"damaged: {_inner(walk.problem)}" if rest.size else f"missing after sequence {walk.sequence - 1}"
        reason = f"Durable data is {found}, and the journal itself says that sequence {proof} was on disk."
        last = min(following) - 1 if following else proof
        raise Refused(code, path, walk.offset, walk.sequence, last, reason, RESTORE_HINT)
    _check_watermarks(storage, watermarks, walk.sequence, walk.header.segment_id, walk.offset, bool(rest.size))
    if not rest.size:
        return None
    end = walk.offset + int(rest[-1]) + 1
    return Torn(walk.offset, end, len(later), sum(group.count for group in later))


def _check_watermarks(
    storage: Storage,
    watermarks: Mapping[str, int],
    sequence: int,
    segment_id: int,
    offset: int,
    damaged: bool = False,
) -> None:
    """Refuse when anyone has seen `sequence`, the first that the journal does not have."""
    beyond = {name: mark for name, mark in watermarks.items() if mark >= sequence}
    if not beyond:
        return
    seen = ", ".join(f"{name} at {mark}" for name, mark in sorted(beyond.items()))
    code = RefusalCode.ACKNOWLEDGED_DATA_MISSING if damaged else RefusalCode.ACKNOWLEDGED_TAIL_LOST
    what = "is damaged" if damaged else "ends"
    reason = f"The journal {what} after sequence {sequence - 1}, but more was acknowledged: {seen}."
    path = storage.path(segment_name(segment_id))
    hint = RESTORE_HINT if damaged else WATERMARK_HINT
    raise Refused(code, path, offset, sequence, max(beyond.values()), reason, hint)


def _closed_segment_refused(storage: Storage, data: Bytes, walk: Walk, follower: SegmentHeader) -> Refused:
    path = storage.path(segment_name(walk.header.segment_id))
    later = later_headers(data, walk.offset, walk.header)
    following = [group.first_sequence for group in later if group.first_sequence > walk.sequence]
    last = min([follower.first_sequence, *following]) - 1
    if data[walk.offset :].any():
        reason = f"Durable data is damaged: {_inner(walk.problem)}, and segment {follower.segment_id} comes after it."
        return Refused(RefusalCode.ROT, path, walk.offset, walk.sequence, last, reason, RESTORE_HINT)
    reason = (
        f"Segment {walk.header.segment_id} ends after sequence {walk.sequence - 1}, but segment {follower.segment_id} "
        f"continues at {follower.first_sequence}."
    )
    return Refused(RefusalCode.SEGMENT_ENDS_EARLY, path, walk.offset, walk.sequence, last, reason, RESTORE_HINT)


def _check_taken_over(path: Path, data: Bytes, walk: Walk, newest: bool, superseded: list[GroupHeader]) -> None:
    """Hold the first groups of an epoch against the whole groups that they replace: the records must be the same."""
    taken = {group.first_sequence: group for _, group in _groups_before(data, walk)} if superseded else {}
    for old in superseded:
        new = taken.get(old.first_sequence)
        same = new is not None and (new.count, new.payload_hash) == (old.count, old.payload_hash)
        if not same and (newest or old.first_sequence < walk.sequence):
            reason = (
                f"Segment {walk.header.segment_id} replaces sequences {old.first_sequence} to {old.last_sequence} of "
                "the segment before it with other records: these are two histories."
            )
            raise Refused(RefusalCode.MISPLACED, path, 0, old.first_sequence, old.last_sequence, reason, FOREIGN_HINT)


def _groups_before(data: Bytes, walk: Walk) -> Iterator[tuple[int, GroupHeader]]:
    """Yield the groups that the walk has passed."""
    return group_headers(data.data[: walk.offset], SEGMENT_HEADER_BYTES, walk.header.record_bytes)


def _check_handover(storage: Storage, data: Bytes, walk: Walk, follower: SegmentHeader) -> list[GroupHeader]:
    """Hold the end of a closed segment against what its follower says about it; return the groups it supersedes."""
    path = storage.path(segment_name(follower.segment_id))
    if walk.sequence != follower.first_sequence or walk.chain != follower.prev_chain:
        reason = (
            f"Segment {follower.segment_id} says that sequence {follower.first_sequence - 1} ends with chain "
            f"{follower.prev_chain:016x}; segment {walk.header.segment_id} reaches {walk.sequence - 1} with chain "
            f"{walk.chain:016x}."
        )
        raise Refused(RefusalCode.MISPLACED, path, 0, follower.first_sequence, None, reason, FOREIGN_HINT)
    rest = Walk(walk.header, walk.offset, walk.sequence, walk.chain, walk.durable_upto)
    found: list[FoundGroup] = []
    walk_groups(data.data, rest, None, found)
    if found and follower.epoch == walk.header.epoch:
        reason = (
            f"Segment {walk.header.segment_id} goes on after sequence {walk.sequence - 1} where segment "
            f"{follower.segment_id} of the same epoch begins."
        )
        raise Refused(RefusalCode.MISPLACED, path, 0, follower.first_sequence, None, reason, FOREIGN_HINT)
    return [parse_group_header(data[at : at + GROUP_HEADER_BYTES].data) for at, *_ in found]


def _inner(sentence: str) -> str:
    """Return `sentence` as a part of another one."""
    return sentence[0].lower() + sentence[1:-1]


def _start_missing(storage: Storage, segment_id: int, first_needed: int, last: int | None) -> Refused:
    reason = f"The journal does not reach back to sequence {first_needed}, which is needed to start."
    hint = "Nothing was changed. Put the older segments back, or a snapshot that is recent enough."
    path = storage.path(segment_name(segment_id))
    return Refused(RefusalCode.START_MISSING, path, 0, first_needed, last, reason, hint)


def _size_bytes(storage: Storage, segment_id: int) -> int:
    with opened(storage.open(segment_name(segment_id))) as file:
        return file.size_bytes()
