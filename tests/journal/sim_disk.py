"""A disk that forgets: a `Storage` in memory whose `crash` keeps any part of what was not synced.

Owns the model of what a file system may do to unsynced work when the power goes: each unsynced 512-byte sector is as it
was or as it was written, one of them may be torn within; an unsynced length is the old or the new one; each unsynced
name operation has happened or not, whatever became of the others. Synced work is never lost. Source: the fault models
of SQLite and FoundationDB.
"""

from __future__ import annotations

import errno
import functools
import random
from pathlib import Path

import numpy as np

from journal.format import Bytes

SECTOR_BYTES = 512


class PowerCut(Exception):
    """The power went at this operation."""


class SimFile:
    """One file: what programs see and what is on the disk."""

    def __init__(self, disk: SimDisk) -> None:
        self.disk = disk
        self.seen = bytearray()
        self.synced = bytearray()
        self.dirty: set[int] = set()

    def size_bytes(self) -> int:
        return len(self.seen)

    def read(self, offset: int, length: int) -> bytes:
        return bytes(self.seen[offset : offset + length])

    def load(self, offset: int = 0, length: int | None = None) -> Bytes:
        end = None if length is None else offset + length
        return np.frombuffer(bytearray(self.seen[offset:end]), np.uint8)

    def write(self, offset: int, data: bytes | memoryview) -> None:
        """A write may be cut short by the power in the middle: what was taken so far is unsynced like the rest."""
        view = memoryview(data).cast("B")
        taken = len(view)
        if self.disk.tick():
            taken = self.disk.random.randrange(len(view) + 1)
        end = offset + taken
        if end > len(self.seen):
            self.seen.extend(bytes(end - len(self.seen)))
        self.seen[offset:end] = view[:taken]
        self.dirty.update(range(offset // SECTOR_BYTES, -(-end // SECTOR_BYTES)))
        self.disk.cut()

    def truncate(self, size_bytes: int) -> None:
        self.disk.tick()
        self.disk.cut()
        self.seen[:] = self.seen[:size_bytes].ljust(size_bytes, b"\0")

    def sync(self) -> None:
        self.disk.tick()
        self.disk.cut()
        self.synced[:] = self.seen
        self.dirty.clear()

    def close(self) -> None:
        """Closing promises nothing."""

    def crash(self, random_: random.Random) -> None:
        """Keep an arbitrary part of the unsynced sectors and either length."""
        kept = bytearray(self.synced)
        kept.extend(bytes(max(0, len(self.seen) - len(kept))))
        for sector in sorted(self.dirty):
            first, last = sector * SECTOR_BYTES, min((sector + 1) * SECTOR_BYTES, len(self.seen))
            choice = random_.randrange(4)
            if choice == 0:
                last = random_.randrange(first, last + 1) if last > first else first
            if choice != 1:
                kept[first:last] = self.seen[first:last]
        size = random_.choice((len(self.seen), len(self.synced)))
        self.seen = kept[:size].ljust(size, b"\0")
        self.synced = bytearray(self.seen)
        self.dirty.clear()


class SimDisk:
    """A directory of `SimFile`s. `cut_at` counts operations until the power goes; None: it stays."""

    def __init__(self, seed: int = 0) -> None:
        self.random = random.Random(seed)
        self.seen: dict[str, SimFile] = {}
        self.synced: dict[str, SimFile] = {}
        self.pending: list[tuple[str, str | None, SimFile | None]] = []
        self.operations = 0
        self.cut_at: int | None = None

    def tick(self) -> bool:
        """Count an operation; True when the power goes during it."""
        self.operations += 1
        return self.cut_at is not None and self.operations >= self.cut_at

    def cut(self) -> None:
        if self.cut_at is not None and self.operations >= self.cut_at:
            raise PowerCut

    def path(self, name: str) -> Path:
        return _path(name)

    def names(self) -> list[str]:
        return sorted(self.seen)

    def open(self, name: str) -> SimFile:
        if name not in self.seen:
            raise FileNotFoundError(errno.ENOENT, "No such file", name)
        return self.seen[name]

    def create(self, name: str) -> SimFile:
        if name in self.seen:
            raise FileExistsError(errno.EEXIST, "File exists", name)
        file = SimFile(self)
        self._change(name, None, file)
        return file

    def rename(self, name: str, new_name: str) -> None:
        self._change(new_name, name, self.open(name))

    def remove(self, name: str) -> None:
        self.open(name)
        self._change(name, None, None)

    def sync(self) -> None:
        self.tick()
        self.cut()
        self.synced = dict(self.seen)
        self.pending.clear()

    def _change(self, name: str, old_name: str | None, file: SimFile | None) -> None:
        self.tick()
        self.cut()
        self.pending.append((name, old_name, file))
        _apply(self.seen, name, old_name, file)

    def crash(self) -> None:
        """The power went: what programs see from now on is what a disk may have kept."""
        names = dict(self.synced)
        for change in self.pending:
            if self.random.randrange(2):
                _apply(names, *change)
        self.seen, self.synced = names, dict(names)
        self.pending.clear()
        self.cut_at = None
        for file in names.values():
            file.crash(self.random)


@functools.cache
def _path(name: str) -> Path:
    return Path("/simulated") / name


def _apply(names: dict[str, SimFile], name: str, old_name: str | None, file: SimFile | None) -> None:
    if old_name is not None:
        names.pop(old_name, None)
    if file is None:
        names.pop(name, None)
    else:
        names[name] = file
