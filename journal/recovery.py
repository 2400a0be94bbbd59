"""Makes a journal ready to go on after any stop: cut a torn tail, begin an epoch, rewrite what no one proved durable.

Owns the only changes that are ever made to written segments without being asked to: cutting a torn, unconfirmed tail
(its bytes are kept aside first) and cutting the zeros after the last group. Never cuts anything that may have been
acknowledged: then `recover` raises `Refused` and has changed nothing. Invariants: both steps may be interrupted at any
system call and run again; after `begin_epoch` every record up to `last_sequence` is on disk, also when the page cache
had shown bytes that the disk never got. Source: the decision table of `docs/journal.md`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from journal.format import (
    BOUNDARY_BYTES,
    FIRST_SEGMENT_ID,
    GENESIS_CHAIN,
    GROUP_HEADER_BYTES,
    RECORD_BYTES,
    SEGMENT_BYTES,
    SEGMENT_HEADER_BYTES,
    SegmentHeader,
    pack_group_header,
    parse_group_header,
    parse_segment_header,
)
from journal.scan import Progress, Scan, Torn, scan
from journal.segments import Position, create, segment_name
from journal.storage import Place, Storage, opened, remove_temporaries, storage_of, write_aside
from journal.walk import group_headers


@dataclass(frozen=True, slots=True)
class Recovered:
    """A journal that is whole: what `begin_epoch` needs to go on with it, and what to tell people."""

    cluster_id: bytes
    stream: int
    record_bytes: int
    first_sequence: int
    """Of the oldest record kept."""
    last_sequence: int
    """Of the newest record; `first_sequence - 1` when there is none."""
    chain: int
    epoch: int
    """Of the newest segment; 0 when there is none."""
    next_segment_id: int
    durable_upto: int
    """Highest sequence that the files prove to have been on disk; what follows is the unconfirmed tail."""
    used_bytes: int
    """Of the newest segment; 0 when there is none."""
    segments: int
    groups: int
    records: int
    torn_bytes: int
    torn_records: int
    """Records announced by whole group headers in the torn bytes."""
    tail_path: Path | None
    """Where the torn bytes are kept."""
    report: tuple[str, ...]
    """What was found and done, as sentences."""


def recover(
    place: Place,
    *,
    stream: int,
    cluster_id: bytes,
    watermarks: Mapping[str, int],
    first_needed: int = 1,
    record_bytes: int = RECORD_BYTES,
    progress: Progress | None = None,
) -> Recovered:
    """Check the whole journal in `place`, cut a torn tail, and return what there is.

    `watermarks` name sequences that others have seen acknowledged ("newest snapshot": 4711). `first_needed` is the
    first sequence that must still be there: 1, or one after the snapshot to start from. The caller holds a lock on the
    directory. Raises `Refused` when what may have been acknowledged is damaged, `OSError`.
    """
    storage = storage_of(place)
    temporaries = remove_temporaries(storage)
    found = scan(
        storage,
        stream=stream,
        cluster_id=cluster_id,
        watermarks=watermarks,
        first_needed=first_needed,
        progress=progress,
    )
    tail_path = None
    if found.torn:
        tail_path = _cut_tail(storage, segment_name(found.segments[-1].segment_id), found.torn)
    newest = found.segments[-1] if found.segments else None
    return Recovered(
        cluster_id=cluster_id,
        stream=stream,
        record_bytes=found.record_bytes or record_bytes,
        first_sequence=found.first_sequence,
        last_sequence=found.last_sequence,
        chain=found.chain,
        epoch=found.epoch,
        next_segment_id=newest.segment_id + 1 if newest else FIRST_SEGMENT_ID,
        durable_upto=min(found.durable_upto, found.last_sequence),
        used_bytes=newest.used_bytes if newest else 0,
        segments=len(found.segments),
        groups=found.groups,
        records=found.records,
        torn_bytes=found.torn.end - found.torn.offset if found.torn else 0,
        torn_records=found.torn.records if found.torn else 0,
        tail_path=tail_path,
        report=tuple(_report(found, temporaries, tail_path)),
    )


def begin_epoch(place: Place, recovered: Recovered, *, segment_bytes: int = SEGMENT_BYTES) -> Position:
    """Create the first segment of the next epoch, with the unconfirmed tail rewritten into it; return where to append.

    The segment appears only when all of it is on disk, so a stop at any instant leaves the journal as before or as
    after. The groups of the older segment from the new one's `first_sequence` on are superseded. Raises `OSError`.
    """
    storage = storage_of(place)
    epoch, segment_id = recovered.epoch + 1, recovered.next_segment_id
    first_sequence, prev_chain, groups, chain = _rewrite(storage, recovered, epoch, segment_id)
    header = SegmentHeader(
        cluster_id=recovered.cluster_id,
        segment_id=segment_id,
        first_sequence=first_sequence,
        prev_chain=prev_chain,
        epoch=epoch,
        stream=recovered.stream,
        durable_upto=recovered.last_sequence,
        record_bytes=recovered.record_bytes,
    )
    used_bytes = SEGMENT_HEADER_BYTES + len(groups)
    size_bytes = max(segment_bytes, -(-used_bytes // BOUNDARY_BYTES) * BOUNDARY_BYTES)
    path = create(storage, header, size_bytes, groups)
    if recovered.used_bytes:
        _cut_zeros(storage, segment_name(segment_id - 1), recovered.used_bytes)
    return Position(
        path=path,
        cluster_id=recovered.cluster_id,
        stream=recovered.stream,
        record_bytes=recovered.record_bytes,
        segment_id=segment_id,
        epoch=epoch,
        size_bytes=size_bytes,
        used_bytes=used_bytes,
        last_sequence=recovered.last_sequence,
        chain=chain,
        durable_upto=recovered.last_sequence,
    )


def _rewrite(storage: Storage, recovered: Recovered, epoch: int, segment_id: int) -> tuple[int, int, bytes, int]:
    """Return first sequence, chain before it, bytes and last chain of the unconfirmed tail in its new segment."""
    if recovered.durable_upto >= recovered.last_sequence or not recovered.used_bytes:
        return recovered.last_sequence + 1, recovered.chain, b"", recovered.chain
    with opened(storage.open(segment_name(segment_id - 1))) as file:
        data = file.load()[: recovered.used_bytes].data
    first_sequence, prev_chain, chain = 0, GENESIS_CHAIN, parse_segment_header(data).prev_chain
    parts: list[bytes | memoryview] = []
    for offset, group in group_headers(data, SEGMENT_HEADER_BYTES, recovered.record_bytes):
        if group.last_sequence <= recovered.durable_upto:
            chain = group.check
            continue
        if not parts:
            first_sequence, prev_chain = group.first_sequence, chain
        head = pack_group_header(
            count=group.count,
            first_sequence=group.first_sequence,
            epoch=epoch,
            durable_upto=recovered.durable_upto,
            prev_chain=chain,
            payload_hash=group.payload_hash,
            segment_id=segment_id,
        )
        chain = parse_group_header(head).check
        payload = offset + GROUP_HEADER_BYTES
        parts += [head, data[payload : payload + group.count * recovered.record_bytes]]
    return first_sequence, prev_chain, b"".join(parts), chain


def _cut_tail(storage: Storage, name: str, torn: Torn) -> Path:
    with opened(storage.open(name)) as file:
        path = write_aside(storage, "tail", file.read(torn.offset, torn.end - torn.offset))
        file.truncate(torn.offset)
        file.sync()
    return path


def _cut_zeros(storage: Storage, name: str, used_bytes: int) -> None:
    with opened(storage.open(name)) as file:
        if file.size_bytes() > used_bytes:
            file.truncate(used_bytes)
            file.sync()


def _report(found: Scan, temporaries: list[str], tail_path: Path | None) -> list[str]:
    lines = [f"Removed {name}, left half-written by a stop." for name in temporaries]
    if not found.segments:
        return [*lines, "The journal is empty."]
    lines.append(
        f"Checked {found.records} records in {found.groups} groups and {len(found.segments)} segments, sequences "
        f"{found.first_sequence} to {found.last_sequence}, epoch {found.epoch}."
    )
    if found.torn:
        lines.append(
            f"Cut a torn tail of {found.torn.end - found.torn.offset} bytes after sequence {found.last_sequence}: no "
            f"sync had confirmed it ({found.torn.records} records in {found.torn.groups} whole headers). Its bytes are "
            f"in {tail_path}."
        )
    unconfirmed = found.last_sequence - found.durable_upto
    if unconfirmed > 0:
        lines.append(f"The last {unconfirmed} records are whole but not proven durable: they are written again.")
    return lines
