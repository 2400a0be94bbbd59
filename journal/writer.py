"""Appends groups in plain Python: the readable twin of the exchange's compiled journaler, byte for byte.

Owns one open segment and the `Position` in it. Never repairs anything and never retries: after the first error of a
write or a sync the writer is finished, and what was not synced is unknown. Invariants: a group never spans segments; a
group's `durable_upto` is what a sync had confirmed before the group was written.
"""

from __future__ import annotations

from dataclasses import replace
from types import TracebackType

from journal.format import (
    GROUP_HEADER_BYTES,
    SEGMENT_HEADER_BYTES,
    Bytes,
    group_bytes,
    pack_group_header,
    parse_group_header,
    xxh64,
)
from journal.segments import Position, roll, segment_name
from journal.storage import Place, storage_of


class Writer:
    """Appends groups of records from a `Position` that `begin_epoch` returned. A context manager."""

    def __init__(self, place: Place, position: Position) -> None:
        self._storage = storage_of(place)
        self.position = position
        self._file = self._storage.open(segment_name(position.segment_id))
        self._usable = True

    def append(self, records: Bytes) -> int:
        """Write one group of `records`, shape (n, record_bytes); return the sequence of the last one. Does not sync.

        Rolls to a new segment of the same size when the group does not fit. Raises `ValueError` when it fits in none,
        `OSError`.
        """
        at = self.position
        if records.ndim != 2 or records.shape[0] < 1 or records.shape[1] != at.record_bytes:
            raise ValueError(f"Records have the shape (n, {at.record_bytes}) with n >= 1, not {records.shape}.")
        size = group_bytes(len(records), at.record_bytes)
        if SEGMENT_HEADER_BYTES + size > at.size_bytes:
            raise ValueError(f"A group of {size} bytes does not fit in a segment of {at.size_bytes} bytes.")
        if at.used_bytes + size > at.size_bytes:
            self.roll()
            at = self.position
        payload = records.tobytes()
        header = pack_group_header(
            count=len(records),
            first_sequence=at.last_sequence + 1,
            epoch=at.epoch,
            durable_upto=at.durable_upto,
            prev_chain=at.chain,
            payload_hash=xxh64(payload),
            segment_id=at.segment_id,
        )
        self._start()
        self._file.write(at.used_bytes, header + payload)
        self._usable = True
        self.position = replace(
            at,
            used_bytes=at.used_bytes + GROUP_HEADER_BYTES + len(payload),
            last_sequence=at.last_sequence + len(records),
            chain=parse_group_header(header).check,
        )
        return self.position.last_sequence

    def sync(self) -> None:
        """Return when everything appended is on disk. Raises `OSError`, once: the writer can not be used afterwards."""
        self._start()
        self._file.sync()
        self._usable = True
        self.position = replace(self.position, durable_upto=self.position.last_sequence)

    def roll(self) -> None:
        """End the segment and begin the next one; everything before is on disk then. Raises `OSError`."""
        self._start()
        self.position = roll(self._storage, self.position, self.position.size_bytes)
        self._file.close()
        self._file = self._storage.open(segment_name(self.position.segment_id))
        self._usable = True

    def close(self) -> None:
        """Give the file back, without a sync."""
        self._usable = False
        self._file.close()

    def _start(self) -> None:
        """Unusable until the operation has succeeded: a failed write or sync is never tried again."""
        if not self._usable:
            raise OSError("This journal writer has failed or is closed; recover the journal and begin a new epoch.")
        self._usable = False

    def __enter__(self) -> Writer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()
