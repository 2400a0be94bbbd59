"""The event journal as the projector reads it: whole commands, from the event after the projection's position on.

Owns the reading, and the proof that a journal continues a projection: the last event that was applied must be in the
journal, with the same command. Never holds more than one read and one command besides what it hands out.
`events_before` reads the other way, a piece at a time.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from exchange.core.codes import EventFlag
from exchange.core.records import ANY, slots
from exchange.persistence.copying import Array
from exchange.persistence.fold import Position
from exchange.persistence.projection import ProjectionRefused
from journal.errors import RefusalCode, Refused
from journal.reader import Tailer
from journal.segments import list_segments, read_header
from journal.storage import Directory

_FLAGS_AT = 17


class EventLog:
    """Events of one directory, in order. Raises journal.errors.Refused, OSError wherever it reads."""

    def __init__(self, place: Path, position: Position) -> None:
        """Stand behind `position`. Raises ProjectionRefused when that is not a position of this journal."""
        self._held: Array = slots(0)
        self._tailer = _tailer_at(place, position)

    def read(self, count: int) -> Array | None:
        """The events of the next whole commands, about `count` of them, as (n, 128) u1; None: there are none yet."""
        while len(self._held) < count or not self._has_end(self._held):
            found = self._tailer.poll_records()
            if found is None:
                break
            self._held = np.concatenate((self._held, found[1])) if len(self._held) else found[1]
        ends = np.flatnonzero(self._held[:, _FLAGS_AT] & EventFlag.LAST) + 1
        if not len(ends):
            return None
        end = int(ends[min(int(np.searchsorted(ends, count)), len(ends) - 1)])
        taken, self._held = self._held[:end], self._held[end:]
        return taken

    def close(self) -> None:
        """Give the files back."""
        self._tailer.close()

    @staticmethod
    def _has_end(events: Array) -> bool:
        return bool((events[:, _FLAGS_AT] & EventFlag.LAST).any())


def events_before(place: Path, event: int, first_event: int, count: int) -> tuple[int, Array] | None:
    """(ordinal of the first, events): the last ones before `event` and not before `first_event`, at most `count`.

    None: the journal has none of them, or not any more. Raises what an EventLog raises.
    """
    storage = Directory(place)
    ids = list_segments(storage)
    begin = max(first_event, read_header(storage, ids[0]).first_sequence if ids else event, event - count)
    if begin >= event:
        return None
    tailer = Tailer(place, begin)
    parts: list[Array] = []
    try:
        while tailer.next_sequence < event and (found := tailer.poll_records()) is not None:
            parts.append(found[1])
    except Refused as error:
        if error.code != RefusalCode.START_MISSING:
            raise
        return events_before(place, event, first_event, count)  # they were retired a moment ago
    finally:
        tailer.close()
    return begin, np.concatenate(parts)[: event - begin]


def cluster_of(place: Path) -> bytes | None:
    """The id of the venue that a journal belongs to; None while there is no segment."""
    storage = Directory(place)
    ids = list_segments(storage)
    return read_header(storage, ids[-1]).cluster_id if ids else None


def _tailer_at(place: Path, position: Position) -> Tailer:
    """A tailer whose next event is the one after `position`."""
    if position.event == 0:
        return Tailer(place)
    tailer = Tailer(place, position.event)
    try:
        found = tailer.poll(1)
    except Refused as error:
        tailer.close()
        if error.code != RefusalCode.START_MISSING or error.last_sequence != position.event:
            raise
        return Tailer(place, position.event + 1)
    tailer.close()
    if not found:
        raise ProjectionRefused(
            f"PostgreSQL has seen event {position.event} of command {position.sequence}, and the event journal {place} "
            "ends before it: acknowledged data was lost. Put the newer files of the journal back. "
            "`exchange projection rebuild` gives up what only PostgreSQL knows."
        )
    last: Any = found[0].payload[0].view(ANY)[0]
    if int(last["sequence"]) != position.sequence or not last["flags"] & EventFlag.LAST:
        raise ProjectionRefused(
            f"PostgreSQL took event {position.event} for the last one of command {position.sequence}, and in the event "
            f"journal {place} it is one of command {int(last['sequence'])}: these are two histories. Put the journal "
            "back that belongs to the database, or run `exchange projection rebuild`."
        )
    return Tailer(place, position.event + 1)
