"""The files under a journal: the few operations that durability depends on, in one place.

Owns every system call of the packages `journal` and `snapshots`. Never knows what the bytes mean. Files are read with
`pread` into memory, not mapped: an unreadable sector is an `OSError` that can be reported, where a mapping kills the
process with SIGBUS, and a file may be truncated under a reader. A write loops until every byte is taken. `Storage` is a
protocol so that a simulated disk that loses unsynced sectors can stand in for the real one under the same journal code.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

import numpy as np

from journal.format import Bytes

_CHUNK_BYTES = 4 * 1024 * 1024


class StoredFile(Protocol):
    """One open file."""

    def size_bytes(self) -> int:
        """Return the length of the file."""

    def read(self, offset: int, length: int) -> bytes:
        """Return up to `length` bytes from `offset`: fewer only at the end of the file."""

    def load(self, offset: int = 0, length: int | None = None) -> Bytes:
        """Return the bytes from `offset` on, at most `length`, in an 8-byte aligned array of the caller's own."""

    def write(self, offset: int, data: bytes | memoryview) -> None:
        """Write all of `data` at `offset`; not durable before `sync`."""

    def truncate(self, size_bytes: int) -> None:
        """Set the length; not durable before `sync`."""

    def sync(self) -> None:
        """Return when data and length are on disk. After an error nothing about them is known: do not try again."""

    def close(self) -> None:
        """Give the file back."""


class Storage(Protocol):
    """One directory of files."""

    def path(self, name: str) -> Path:
        """Return where `name` is, for people."""

    def names(self) -> list[str]:
        """Return the names in the directory, sorted."""

    def open(self, name: str) -> StoredFile:
        """Open an existing file for reading and writing, or for reading where writing is not permitted."""

    def create(self, name: str) -> StoredFile:
        """Create an empty file; `FileExistsError` if there is one."""

    def rename(self, name: str, new_name: str) -> None:
        """Rename atomically, replacing `new_name`; not durable before `sync`."""

    def remove(self, name: str) -> None:
        """Remove a file; not durable before `sync`."""

    def sync(self) -> None:
        """Return when names are on disk."""


class DirectoryFile:
    """A `StoredFile` over a file descriptor."""

    def __init__(self, fd: int) -> None:
        self.fd = fd

    def size_bytes(self) -> int:
        return os.fstat(self.fd).st_size

    def read(self, offset: int, length: int) -> bytes:
        parts: list[bytes] = []
        while length > 0:
            part = os.pread(self.fd, length, offset)
            if not part:
                break
            parts.append(part)
            offset += len(part)
            length -= len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def load(self, offset: int = 0, length: int | None = None) -> Bytes:
        size_bytes = max(self.size_bytes() - offset, 0)
        data = np.empty(size_bytes if length is None else min(length, size_bytes), np.uint8)
        done = 0
        while done < len(data):
            taken = os.preadv(self.fd, [data[done:].data], offset + done)
            if taken == 0:
                break
            done += taken
        return data[:done]

    def write(self, offset: int, data: bytes | memoryview) -> None:
        view = memoryview(data).cast("B")
        done = 0
        while done < len(view):
            done += os.pwrite(self.fd, view[done:], offset + done)

    def truncate(self, size_bytes: int) -> None:
        os.ftruncate(self.fd, size_bytes)

    def sync(self) -> None:
        os.fdatasync(self.fd)

    def close(self) -> None:
        os.close(self.fd)


class Directory:
    """A `Storage` over a directory of the file system, which must exist."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.root = Path(path)

    def path(self, name: str) -> Path:
        return self.root / name

    def names(self) -> list[str]:
        return sorted(path.name for path in self.root.iterdir())

    def open(self, name: str) -> DirectoryFile:
        path = self.root / name
        writable = os.access(path, os.W_OK)
        return DirectoryFile(os.open(path, (os.O_RDWR if writable else os.O_RDONLY) | os.O_CLOEXEC))

    def create(self, name: str) -> DirectoryFile:
        return DirectoryFile(os.open(self.root / name, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644))

    def rename(self, name: str, new_name: str) -> None:
        (self.root / name).rename(self.root / new_name)

    def remove(self, name: str) -> None:
        (self.root / name).unlink()

    def sync(self) -> None:
        fd = os.open(self.root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)


Place = Storage | str | os.PathLike[str]
"""What every function of the package takes as its directory."""


def storage_of(place: Place) -> Storage:
    """Return `place` itself, or the directory that it names."""
    return Directory(place) if isinstance(place, (str, os.PathLike)) else place


@contextmanager
def opened(file: StoredFile) -> Iterator[StoredFile]:
    """Close `file` when the block ends."""
    try:
        yield file
    finally:
        file.close()


def write_zeros(file: StoredFile, offset: int, end: int) -> None:
    """Really write zeros from `offset` to `end`: a hole would be allocated during a later, timed sync."""
    zeros = memoryview(bytes(min(_CHUNK_BYTES, max(end - offset, 0))))
    while offset < end:
        taken = min(len(zeros), end - offset)
        file.write(offset, zeros[:taken])
        offset += taken


def publish(storage: Storage, temporary: str, name: str, file: StoredFile) -> None:
    """Make a finished temporary file appear under `name`: sync, rename, sync the directory. Never half a file."""
    file.sync()
    storage.rename(temporary, name)
    storage.sync()


def write_aside(storage: Storage, stem: str, data: bytes | memoryview) -> Path:
    """Keep `data` in a new durable file `{stem}-{n}.bin`, n being the first free number. Returns where it is."""
    taken = set(storage.names())
    number = next(n for n in range(len(taken) + 1) if f"{stem}-{n}.bin" not in taken)
    name = f"{stem}-{number}.bin"
    temporary = f"{name}.tmp"
    if temporary in taken:
        storage.remove(temporary)
    with opened(storage.create(temporary)) as file:
        file.write(0, data)
        publish(storage, temporary, name, file)
    return storage.path(name)


def remove_temporaries(storage: Storage) -> list[str]:
    """Remove what a crash left half-written (`*.tmp`). Returns the names."""
    names = [name for name in storage.names() if name.endswith(".tmp")]
    for name in names:
        storage.remove(name)
    if names:
        storage.sync()
    return names
