"""What the package says no with: a code for programs, sentences for people.

Codes are append-only: scripts of operators depend on them.
"""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path


class RefusalCode(StrEnum):
    """Why a journal is not safe to continue; the rows of the decision table in `docs/journal.md`."""

    ROT = "rot_in_durable_data"
    ACKNOWLEDGED_DATA_MISSING = "acknowledged_data_missing"
    ACKNOWLEDGED_TAIL_LOST = "acknowledged_tail_lost"
    MISPLACED = "misplaced_group"
    SEGMENT_ENDS_EARLY = "segment_ends_early"
    SEGMENT_MISSING = "segment_missing"
    SEGMENT_HEADER = "segment_header_damaged"
    FOREIGN = "foreign_segment"
    START_MISSING = "start_missing"


class Refused(Exception):
    """The journal is damaged where data may have been acknowledged, or is not the one it should be.

    `first_sequence` and `last_sequence` bound the records concerned; None where the files do not tell.
    """

    def __init__(
        self,
        code: RefusalCode,
        path: Path,
        offset: int,
        first_sequence: int | None,
        last_sequence: int | None,
        reason: str,
        hint: str,
    ) -> None:
        super().__init__(reason)
        self.code = code
        self.path = path
        self.offset = offset
        self.first_sequence = first_sequence
        self.last_sequence = last_sequence
        self.reason = reason
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.reason} File {self.path}, offset {self.offset}, {self._range()}. {self.hint}"

    def _range(self) -> str:
        if self.first_sequence is None:
            return "sequences unknown"
        if self.last_sequence is None or self.last_sequence < self.first_sequence:
            return f"from sequence {self.first_sequence}"
        return f"sequences {self.first_sequence} to {self.last_sequence}"


class Unrepairable(Exception):
    """The copy can not mend the journal. `str()` is a sentence."""


RESTORE_HINT = (
    "Nothing was changed. If a copy of the journal has these bytes, `python -m journal repair DIR --from COPY` puts "
    "them back and proves them by check and chain; otherwise restore a backup."
)
WATERMARK_HINT = (
    "Nothing was changed. Look for the newer files of this journal (another disk, a standby, a backup) and put them "
    "back; starting without them would lose what was acknowledged."
)
FOREIGN_HINT = "Nothing was changed. Move the file away and put back the one that belongs here."
