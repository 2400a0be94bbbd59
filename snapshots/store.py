"""Snapshot files in a directory: write, list, load, verify, retain.

Owns the order of system calls after which either the whole snapshot is there or none of it: write a temporary file,
sync it, rename it, sync the directory. Never hands out an array before the whole file has matched its digest, and
checks each array again as it is read. A file is `{sequence:020d}.snapshot`. One process writes into a directory at a
time.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

import numpy as np
import xxhash

from journal.storage import Directory, Place, StoredFile, opened, publish, remove_temporaries, storage_of
from snapshots.format import (
    BOUNDARY_BYTES,
    DIGEST_BYTES,
    HEADER_BYTES,
    Array,
    Corrupt,
    Header,
    Index,
    Snapshot,
    Stored,
    pack_header,
    parse_header,
    parse_index,
    plan,
    raw,
)

Progress = Callable[[int, int], None]
"""Called with bytes done and bytes in all."""

_NAME = re.compile(r"([0-9]{20})\.snapshot")
_CHUNK_BYTES = 4 * 1024 * 1024


def write(directory: Place, sequence: int, arrays: Mapping[str, Array], meta: Mapping[str, str | int]) -> Path:
    """Write a snapshot of `arrays` (each at least one-dimensional) at `sequence`; return its path once it is durable.

    Trailing rows of zeros are not stored. Replaces a snapshot of the same sequence. Removes what an earlier stop left
    half-written. Raises `OSError` (no snapshot appears, the temporary file is removed), `ValueError`.
    """
    storage = storage_of(directory)
    remove_temporaries(storage)
    index, placed, file_bytes = plan(arrays, meta)
    name = f"{sequence:020d}.snapshot"
    temporary = f"{name}.tmp"
    try:
        with opened(storage.create(temporary)) as file:
            digest = xxhash.xxh3_128()
            offset = 0
            head = pack_header(Header(len(index), sequence, file_bytes)) + index
            parts: list[memoryview] = [memoryview(head)]
            for _, array in placed:
                parts += [raw(array).data, memoryview(bytes(-array.nbytes % BOUNDARY_BYTES))]
            for part in parts:
                digest.update(part)
                file.write(offset, part)
                offset += len(part)
            file.write(offset, digest.digest())
            publish(storage, temporary, name, file)
    except OSError:
        with suppress(FileNotFoundError):
            storage.remove(temporary)
        raise
    return storage.path(name)


def sequence_of(path: Path) -> int:
    """Return the sequence in the name of a snapshot file; -1 when it is none."""
    match = _NAME.fullmatch(path.name)
    return int(match[1]) if match else -1


def list_snapshots(directory: str | Path) -> list[Path]:
    """Return the snapshot files of a directory, newest first, unverified. An absent directory has none."""
    root = Path(directory)
    paths = [path for path in root.iterdir() if _NAME.fullmatch(path.name)] if root.is_dir() else []
    return sorted(paths, reverse=True)


def verify(path: Path, progress: Progress | None = None) -> tuple[Header, Index]:
    """Check the whole file against its digest; return what it says is in it. Raises `Corrupt`, `OSError`."""
    with opened(_open(path)) as file:
        return _verify(path, file, progress)


def load(path: Path, progress: Progress | None = None) -> Snapshot:
    """Verify a snapshot file and read its arrays. Raises `Corrupt`, `OSError`."""
    with opened(_open(path)) as file:
        header, index = _verify(path, file, progress)
        return Snapshot(header.sequence, {at.name: _read(path, file, at) for at in index.arrays}, index.meta)


def retain(directory: str | Path, keep: int = 2, needed_upto: int | None = None) -> list[Path]:
    """Delete snapshots that are older than the `keep` newest that verify; return their paths.

    One more is kept when somebody still needs the state at sequence `needed_upto`: the newest that is not after it. A
    damaged snapshot does not count, so it never pushes out a good one. Raises `ValueError`, `OSError`.
    """
    if keep < 1:
        raise ValueError(f"At least one snapshot is kept, not {keep}.")
    storage = Directory(directory)
    good = 0
    is_covered = needed_upto is None
    removed: list[Path] = []
    for path in list_snapshots(directory):
        covers = not is_covered and needed_upto is not None and sequence_of(path) <= needed_upto
        if good >= keep and not covers:
            storage.remove(path.name)
            removed.append(path)
        elif _is_good(path):
            good += 1
            is_covered = is_covered or covers
    if removed:
        storage.sync()
    return removed


def _is_good(path: Path) -> bool:
    try:
        verify(path)
    except Corrupt:
        return False
    return True


def _open(path: Path) -> StoredFile:
    return Directory(path.parent).open(path.name)


def _verify(path: Path, file: StoredFile, progress: Progress | None) -> tuple[Header, Index]:
    size_bytes = file.size_bytes()
    try:
        header = parse_header(file.read(0, HEADER_BYTES))
        if header.file_bytes != size_bytes or size_bytes < HEADER_BYTES + header.index_bytes + DIGEST_BYTES:
            raise Corrupt(f"it has {size_bytes} bytes where its header says {header.file_bytes}")
        digest = xxhash.xxh3_128()
        offset, end = 0, size_bytes - DIGEST_BYTES
        while offset < end:
            part = file.read(offset, min(_CHUNK_BYTES, end - offset))
            if not part:
                raise Corrupt(f"it ends at offset {offset}")
            digest.update(part)
            offset += len(part)
            if progress:
                progress(offset, end)
        if digest.digest() != file.read(end, DIGEST_BYTES):
            raise Corrupt("its bytes do not match their digest")
        if sequence_of(path) not in (header.sequence, -1):
            raise Corrupt(f"it holds sequence {header.sequence}, its name says {sequence_of(path)}")
        return header, parse_index(file.read(HEADER_BYTES, header.index_bytes))
    except Corrupt as error:
        raise Corrupt(f"The snapshot {path} can not be used: {error}.") from error


def _read(path: Path, file: StoredFile, at: Stored) -> Array:
    """Read one array into its full shape and check it again: the file may have changed since it was verified."""
    array = np.zeros(at.shape, at.dtype)
    stored = file.load(at.offset, at.stored_bytes)
    if xxhash.xxh3_128_hexdigest(stored.data) != at.digest:
        raise Corrupt(f"The snapshot {path} can not be used: the array {at.name} does not match its digest.")
    raw(array)[: len(stored)] = stored
    return array
