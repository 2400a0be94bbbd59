"""The commands of a journal as an engine is to see them: what two operators had passed over is passed over.

Owns the one place where that happens, for recovery, the follower and every tool that replays. The journal's bytes are
the truth and stay as they are: a SKIP behind a command says that nobody applies it, and here the kind SKIPPED stands in
its slot, with its sequence and time and nothing else (docs/engine-guards.md, section 24). Whoever gives commands of a
journal to an engine reads them here.

Finding the SKIPs reads one cache line a command of what lies behind the start: no hash, no copy.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from exchange.core.codes import CommandKind
from exchange.core.records import SKIP
from journal.format import GROUP_HEADER_BYTES, SEGMENT_HEADER_BYTES, Bytes, Corrupt
from journal.reader import Tailer
from journal.segments import list_segments, read_header, segment_name
from journal.storage import Directory, opened
from journal.walk import group_headers

_KIND_AT = 16


def skipped(commands: Path, from_sequence: int = 1) -> frozenset[int]:
    """The sequences that are passed over, as far as the journal says so from `from_sequence` on. Raises OSError.

    A damaged journal says nothing here: whoever reads it on finds the damage.
    """
    storage = Directory(commands)
    found: set[int] = set()
    for segment_id in reversed(list_segments(storage)):
        try:
            header = read_header(storage, segment_id)
        except Corrupt:
            continue
        with opened(storage.open(segment_name(segment_id))) as file:
            data = file.load()
        for offset, group in group_headers(data.data, SEGMENT_HEADER_BYTES, header.record_bytes):
            at = offset + GROUP_HEADER_BYTES
            records = data[at : at + group.count * header.record_bytes]
            if len(records) < group.count * header.record_bytes:
                break
            records = records.reshape(-1, header.record_bytes)
            for row in np.flatnonzero(records[:, _KIND_AT] == CommandKind.SKIP).tolist():
                at_sequence = int(np.ascontiguousarray(records[row]).view(SKIP)[0]["at_sequence"])
                if at_sequence < group.first_sequence + row:  # only what is behind it
                    found.add(at_sequence)
        if header.first_sequence <= from_sequence:
            break
    return frozenset(found)


class CommandReader:
    """Follows a command journal from a sequence on, as an engine is to see it."""

    def __init__(self, commands: Path, from_sequence: int) -> None:
        self._tailer = Tailer(commands, from_sequence)
        self._skipped = sorted(skipped(commands, from_sequence))

    def poll_records(self) -> tuple[int, Bytes] | None:
        """As `journal.reader.Tailer.poll_records`. Raises journal.errors.Refused, OSError."""
        found = self._tailer.poll_records()
        if found is not None:
            first, commands = found
            for sequence in self._skipped:
                if first <= sequence < first + len(commands):
                    _pass_over(commands[sequence - first])
        return found

    def close(self) -> None:
        """Give the file back."""
        self._tailer.close()


def _pass_over(slot: Bytes) -> None:
    """SKIPPED in the place of a command: sequence and time stay."""
    slot[_KIND_AT] = CommandKind.SKIPPED
    slot[_KIND_AT + 1 :] = 0
