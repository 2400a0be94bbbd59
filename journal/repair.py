"""Mends a damaged journal with bytes from a copy, and only with bytes that prove themselves.

Owns the splicing of whole groups, segment headers and whole segments. Never invents a byte, never takes a group whose
check, hash, chain, segment and epoch do not fit exactly where it goes, and never overwrites bytes without keeping them
aside. Invariant: each splice is tried on an overlay under the same scan that judges a recovery, and is written only
when the damage at that place is gone. The journal must not be in use.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from journal.errors import RefusalCode, Refused, Unrepairable
from journal.format import SEGMENT_HEADER_BYTES, Bytes, Corrupt, SegmentHeader, parse_segment_header
from journal.scan import Scan, scan
from journal.segments import list_segments, read_header, segment_name
from journal.storage import Place, Storage, StoredFile, opened, publish, storage_of, write_aside
from journal.walk import Walk, walk_groups

_BY_HEADER = (RefusalCode.SEGMENT_HEADER, RefusalCode.SEGMENT_MISSING)


@dataclass(frozen=True, slots=True)
class Splice:
    """Bytes that were taken from the copy."""

    path: Path
    offset: int
    length: int
    aside: Path | None
    """Where the bytes that stood there are kept; None when there were none."""


def repair(place: Place, copy: Place) -> tuple[list[Splice], Scan]:
    """Splice bytes from the journal `copy` into the journal `place` until it scans clean; return what was done.

    Raises `Unrepairable` when the copy lacks what is needed (what was spliced before stays), `OSError`.
    """
    storage, source = storage_of(place), storage_of(copy)
    done: dict[tuple[str, int], Splice] = {}
    while True:
        code: RefusalCode | None = None
        try:
            found = scan(storage, first_needed=None)
        except Refused as refused:
            name, offset, code, why = refused.path.name, refused.offset, refused.code, str(refused)
        else:
            if found.torn is None:
                return list(done.values()), found
            name, offset = segment_name(found.segments[-1].segment_id), found.torn.offset
            why = "The last group is torn."
        if (name, offset) in done:
            raise Unrepairable(f"The copy does not mend {storage.path(name)} at offset {offset}. {why}")
        try:
            done[name, offset] = _mend(storage, source, name, offset, code, why)
        except Unrepairable:
            if code is None:
                return list(done.values()), found
            raise


def _mend(storage: Storage, source: Storage, name: str, offset: int, code: RefusalCode | None, why: str) -> Splice:
    """Mend one place: find the bytes, try them on an overlay, keep the old ones aside, write."""
    if name not in source.names():
        raise Unrepairable(f"The copy has no file {name}. {why}")
    copied = _load(source, name)
    if code in _BY_HEADER:
        _check_identity(storage, name, copied, why)
    missing = name not in storage.names()
    damaged = np.zeros(0, np.uint8) if missing else _load(storage, name)
    start, end = _range(damaged, copied, offset, code, missing, why)
    mended = np.zeros(max(len(damaged), end), np.uint8)
    mended[: len(damaged)] = damaged
    mended[start:end] = copied[start:end]
    _prove(Overlay(storage, name, mended), name, start, why)
    aside = write_aside(storage, "damage", damaged[start:end].tobytes()) if start < len(damaged) else None
    if missing:
        with opened(storage.create(f"{name}.tmp")) as file:
            file.write(0, mended.data)
            publish(storage, f"{name}.tmp", name, file)
    else:
        with opened(storage.open(name)) as file:
            file.write(start, mended[start:end].data)
            file.sync()
    return Splice(storage.path(name), start, end - start, aside)


def _range(
    damaged: Bytes, copied: Bytes, offset: int, code: RefusalCode | None, missing: bool, why: str
) -> tuple[int, int]:
    """Return the bytes to take: the file, its header, or as many groups as it takes until the damaged file goes on."""
    header = _header(copied)
    if missing:
        return 0, len(copied)
    if code in _BY_HEADER:
        return 0, SEGMENT_HEADER_BYTES
    if parse_segment_header(damaged.data) != header:
        raise Unrepairable(f"The copy's segment has another header: it is not a copy of this journal. {why}")
    here = _walk(header, damaged, SEGMENT_HEADER_BYTES, header.first_sequence, header.prev_chain)
    if here.offset != offset:
        raise Unrepairable(f"A copy can not mend this. {why}")
    there = Walk(header, offset, here.sequence, here.chain, 0)
    while True:
        at = there.offset
        walk_groups(copied.data, there, there.sequence + 1)
        if there.offset == at:
            break
        if _walk(header, damaged, there.offset, there.sequence, there.chain).groups:
            break
    if there.offset == offset:
        raise Unrepairable(f"The copy has no group that fits at offset {offset}: {there.problem} {why}")
    return offset, there.offset


def _walk(header: SegmentHeader, data: Bytes, offset: int, sequence: int, chain: int) -> Walk:
    walk = Walk(header, offset, sequence, chain, 0)
    walk_groups(data.data, walk, None)
    return walk


def _prove(overlay: Overlay, name: str, start: int, why: str) -> None:
    """Raise `Unrepairable` when a scan still refuses the file at `start` or before it."""
    try:
        scan(overlay, first_needed=None)
    except Refused as refused:
        here = refused.path.name == name
        at_header = start == 0 and refused.offset == SEGMENT_HEADER_BYTES and refused.code == RefusalCode.MISPLACED
        if here and (refused.offset <= start or at_header):
            raise Unrepairable(f"The bytes of the copy do not fit. {refused.reason} {why}") from refused


def _check_identity(storage: Storage, name: str, copied: Bytes, why: str) -> None:
    """Raise `Unrepairable` when the copied header names another journal than a header that is intact here."""
    theirs = _header(copied)
    for segment_id in list_segments(storage):
        if segment_name(segment_id) == name:
            continue
        with suppress(Corrupt):
            ours = read_header(storage, segment_id)
            mine = (ours.cluster_id, ours.stream, ours.record_bytes)
            if mine != (theirs.cluster_id, theirs.stream, theirs.record_bytes):
                raise Unrepairable(f"The copy is of another journal: its cluster, stream or record size differ. {why}")


def _header(copied: Bytes) -> SegmentHeader:
    try:
        return parse_segment_header(copied.data)
    except Corrupt as error:
        raise Unrepairable(f"The copy is damaged too: {error}") from error


def _load(storage: Storage, name: str) -> Bytes:
    with opened(storage.open(name)) as file:
        return file.load()


class Overlay:
    """A `Storage` for reading in which one file has other bytes."""

    def __init__(self, storage: Storage, name: str, data: Bytes) -> None:
        self._storage = storage
        self._name = name
        self._data = data

    def path(self, name: str) -> Path:
        return self._storage.path(name)

    def names(self) -> list[str]:
        return sorted({*self._storage.names(), self._name})

    def open(self, name: str) -> StoredFile:
        return ReadOnlyFile(self._data) if name == self._name else self._storage.open(name)

    def create(self, name: str) -> StoredFile:
        raise PermissionError(f"{name}: an overlay is for reading.")

    def rename(self, name: str, new_name: str) -> None:
        raise PermissionError(f"{name}: an overlay is for reading.")

    def remove(self, name: str) -> None:
        raise PermissionError(f"{name}: an overlay is for reading.")

    def sync(self) -> None:
        raise PermissionError("An overlay is for reading.")


class ReadOnlyFile:
    """A `StoredFile` over bytes in memory."""

    def __init__(self, data: Bytes) -> None:
        self._data = data

    def size_bytes(self) -> int:
        return len(self._data)

    def read(self, offset: int, length: int) -> bytes:
        return self._data[offset : offset + length].tobytes()

    def load(self, offset: int = 0, length: int | None = None) -> Bytes:
        return self._data[offset : None if length is None else offset + length]

    def write(self, offset: int, data: bytes | memoryview) -> None:
        raise PermissionError("An overlay is for reading.")

    def truncate(self, size_bytes: int) -> None:
        raise PermissionError("An overlay is for reading.")

    def sync(self) -> None:
        raise PermissionError("An overlay is for reading.")

    def close(self) -> None:
        """Nothing is held."""
