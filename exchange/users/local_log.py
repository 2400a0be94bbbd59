"""What must hold while PostgreSQL is away: API keys and revocations, in one small file of this machine.

Owns `keyring.jsonl` of the data directory: one JSON object a line, each with a `kind` and a checksum, appended and
synced before `append` returns. The kinds belong to others (`take`), and so do the meaning and the sealing of what is in
them: nothing secret may come here in the clear.

    start   load ──► take(kinds, live) by each owner ──► compact: what the owners say is live replaces the file
    then    append(record), in a thread; after a write that failed, and when the file has grown, compact first

Invariants: mode 0600; a line is whole or it is not there: a torn last line was never acknowledged and is cut; a changed
line anywhere else is refused, because a revocation must not be lost. Kinds that nobody took are kept as they are.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import pathlib
import stat
import zlib
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeAlias

import orjson

from exchange.datadir import replace_privately
from exchange.users.keys import KeysUnusable

log = logging.getLogger("exchange.users")

Record: TypeAlias = dict[str, Any]
FILE_NAME = "keyring.jsonl"
GROWN_BYTES = 4 << 20
"""From here the file is compacted when it has doubled since it last was."""
_CHECKSUM = "crc"


class LogRefused(KeysUnusable):
    """The file can not be used; the text is a sentence that says why and what to do."""


def _line(record: Record) -> bytes:
    return orjson.dumps({**record, _CHECKSUM: zlib.crc32(orjson.dumps(record))}) + b"\n"


def _record(line: bytes) -> Record:
    """The record of a line. Raises ValueError."""
    record = orjson.loads(line)
    if not isinstance(record, dict) or not isinstance(record.get("kind"), str):
        raise ValueError(line)
    if record.pop(_CHECKSUM, None) != zlib.crc32(orjson.dumps(record)):
        raise ValueError(line)
    return record


class LocalLog:
    """The file of one process: `load`, `take` by every owner, `compact`; then `append`; then `close`."""

    def __init__(self, path: pathlib.Path) -> None:
        self.path = path
        self._records: list[Record] = []
        self._owners: list[Callable[[], Iterable[Record]]] = []
        self._under_way: list[bytes] = []
        self._file = -1
        self._size = 0
        self._compacted_size = 0
        self._is_whole = False
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="local-log")
        """One thread: writes never overlap, whatever becomes of those who wait for them."""

    def load(self) -> None:
        """Read the file; a missing one is empty. Raises LogRefused, OSError."""
        try:
            mode = self.path.stat().st_mode
            text = self.path.read_bytes()
        except FileNotFoundError:
            return
        if stat.S_IMODE(mode) & 0o077:
            raise LogRefused(f"The keys in {self.path} can be read by others; run: chmod 600 {self.path}")
        *lines, torn = text.split(b"\n")
        for number, line in enumerate(lines, 1):
            try:
                self._records.append(_record(line))
            except ValueError:
                raise LogRefused(
                    f"Line {number} of {self.path} was changed: a revoked key might count again. "
                    "Put the file back from a backup."
                ) from None
        if torn:
            log.warning("%s ended in the middle of a line, which was never acknowledged; it is cut", self.path)

    def take(self, kinds: Iterable[str], live: Callable[[], Iterable[Record]]) -> list[Record]:
        """Become the owner of `kinds`: their records, oldest first. `live` gives those that are still worth keeping."""
        mine = frozenset(kinds)
        self._owners.append(live)
        taken = [record for record in self._records if record["kind"] in mine]
        self._records = [record for record in self._records if record["kind"] not in mine]
        return taken

    def compact(self) -> None:
        """Replace the file by what is live. Raises OSError; the old file stands then."""
        self._replace(self._live())

    async def append(self, *records: Record) -> None:
        """Keep more records; they are on the disk when this returns. Raises OSError; then nobody knows.

        A record may come twice after a compaction. A caller that has changed its memory first loses nothing by a
        failure: the next append writes what is live.
        """
        line = b"".join(map(_line, records))
        self._under_way.append(line)
        loop = asyncio.get_running_loop()
        try:
            grown = self._size >= max(GROWN_BYTES, 2 * self._compacted_size)
            everything = self._live() if grown else None
            if not await loop.run_in_executor(self._thread, self._write, everything, line):
                await loop.run_in_executor(self._thread, self._write, self._live(), line)
        finally:
            self._under_way.remove(line)

    def close(self) -> None:
        """Wait for the last write and give the file back."""
        self._thread.shutdown()
        self._close()

    def _live(self) -> bytes:
        """What the file should hold: what the owners have, and what they will have when their `append` returns."""
        kept = [*self._records, *(record for live in self._owners for record in live())]
        return b"".join([*map(_line, kept), *self._under_way])

    # ---- on the thread, but for `compact` at the start ------------------------------------------------------------

    def _replace(self, content: bytes) -> None:
        self._is_whole = False
        replace_privately(self.path, content)
        self._close()
        self._file = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
        self._size = self._compacted_size = len(content)
        self._is_whole = True

    def _close(self) -> None:
        file, self._file = self._file, -1
        if file >= 0:
            os.close(file)

    def _write(self, everything: bytes | None, line: bytes) -> bool:
        """Append `line`, or replace the file by `everything`, which has it; False: only the latter will do."""
        if everything is not None:
            self._replace(everything)
            return True
        if not self._is_whole:
            return False
        try:
            if os.write(self._file, line) != len(line):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            os.fsync(self._file)
        except OSError:
            # What is on the disk now is not known, and a second sync would not tell: the next append replaces the file.
            self._is_whole = False
            raise
        self._size += len(line)
        return True
