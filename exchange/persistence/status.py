"""How far the projection is behind the event journal: what `exchange projection status` says.

Owns the comparison of the row `projection` with the end of the journal's files. Never changes anything, and needs no
running exchange.
"""

from __future__ import annotations

import pathlib
import time
from typing import NamedTuple

from exchange.core.records import ANY
from exchange.persistence.database import Target
from journal.reader import records
from journal.segments import list_segments, read_header
from journal.storage import Directory


class JournalEnd(NamedTuple):
    """The newest event in the journal's files, and the command that it belongs to. Zeros: there is none."""

    event: int
    sequence: int


class Status(NamedTuple):
    """Where the projection stands, and where the journal ends."""

    state: str
    """nothing | current | behind | ahead: nothing was projected yet; ahead means that the journal has lost data."""
    first_event: int
    applied_event: int
    applied_sequence: int
    journal_event: int
    journal_sequence: int
    lag_events: int
    lag_s: float
    """For how long the oldest event that is not projected has been in the journal."""

    def sentences(self) -> tuple[str, ...]:
        """The status for people."""
        journal = f"The event journal ends at event {self.journal_event} (sequence {self.journal_sequence})."
        if self.state == "nothing":
            return ("Nothing was projected yet.", journal)
        words = {
            "current": "The projection has all of the journal",
            "behind": f"The projection is {self.lag_events} events ({self.lag_s:.1f} s) behind",
            "ahead": "The projection is ahead of the journal: acknowledged data is lost",
        }[self.state]
        since = "" if self.first_event == 1 else f" History begins with event {self.first_event}."
        return (f"{words}: event {self.applied_event} (sequence {self.applied_sequence}).{since}", journal)


async def status(target: Target, data_dir: pathlib.Path) -> Status:
    """Compare row and files. Raises journal.errors.Refused, asyncpg.PostgresError, OSError."""
    connection = await target.connect("exchange status")
    try:
        row = None
        if await connection.fetchval("select to_regclass('exchange_order.projection') is not null"):
            row = await connection.fetchrow(
                "select first_event, applied_event, applied_sequence from exchange_order.projection"
            )
    finally:
        await connection.close(timeout=5.0)
    events = data_dir / "journal" / "events"
    end = journal_end(events)
    if row is None:
        return Status("nothing", 0, 0, 0, *end, end.event, _age_s(events, 1) if end.event else 0.0)
    first, event, sequence = row
    lag = max(end.event - event, 0)
    state = "behind" if lag else "current" if event == end.event else "ahead"
    return Status(state, first, event, sequence, *end, lag, _age_s(events, event + 1) if lag else 0.0)


def journal_end(events: pathlib.Path) -> JournalEnd:
    """Read the newest segments of an event journal. Raises journal.errors.Refused, journal.format.Corrupt, OSError."""
    storage = Directory(events)
    for segment_id in reversed(list_segments(storage)):
        begin = read_header(storage, segment_id).first_sequence
        end = JournalEnd(0, 0)
        for first, found in records(events, begin):
            end = JournalEnd(first + len(found) - 1, int(found[-1:].view(ANY)["sequence"][0, 0]))
        if end.event:
            return end
    return JournalEnd(0, 0)


def _age_s(events: pathlib.Path, event: int) -> float:
    """How long ago an event happened; that of the oldest one still there where it was retired."""
    ids = list_segments(events)
    begin = read_header(Directory(events), ids[0]).first_sequence
    for _, found in records(events, max(event, begin)):
        return max(time.time() - int(found[:1].view(ANY)["ts_ns"][0, 0]) / 1e9, 0.0)
    return 0.0
