"""The events of one account between two ordinals, out of the event journal.

Owns the reading of files for a resume, and its bounds. Runs in a thread of its own and blocks. The journal is written a
moment behind the engine, so the newest events may have to be waited for; what the engine has done is there in the end,
or the venue has stopped.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from exchange.core.codes import EventFlag
from exchange.disruptor.interest import pick, view_events_of
from exchange.gateway.private.mirror import Event, decode
from exchange.gateway.wire import FLAGS_AT
from journal.errors import RefusalCode, Refused
from journal.reader import Tailer

_LOOK_EVERY_S = 0.002
_BACK_EVENTS = (256, 65_536)
"""How far before the wanted event the beginning of its command is looked for, at first and then."""


Records = tuple[int, Any]


class TooOld(Exception):
    """The journal does not reach back so far, or there is more than is read for one resume."""


class NotWritten(Exception):
    """The newest events did not appear in the journal in time."""


class Limits(NamedTuple):
    """How much one resume may read."""

    events: int = 2_000_000
    """From the newest event backward: 256 MB."""
    found: int = 100_000
    """Events that concern the account."""
    wait_s: float = 5.0
    """For events that the engine has done and that are not in the journal yet."""


class Seen(NamedTuple):
    """An event that concerns the account, or ends a command that did; as `Mirror.tell` takes it."""

    event: Event
    ordinal: int
    is_last: bool


def events_between(directory: Path, account: int, first: int, last: int, limits: Limits) -> list[Seen]:
    """What concerns the account among events `first` .. `last`, and before `first` in the command it belongs to.

    May begin with whole commands before that. Raises TooOld, NotWritten, journal.errors.Refused, OSError.
    """
    for back in (*_BACK_EVENTS, limits.events):
        begin = max(1, first - back)
        found = _read(directory, account, begin, (first, last), limits)
        if found is not None:
            return found
        if begin == 1:
            break
    raise TooOld


def _begun(directory: Path, begin: int, first: int) -> tuple[Tailer, Records | None, bool]:
    """A tailer from `begin` on, or from the journal's own beginning, with what it read first.

    Also says whether a command begins there for sure.
    """
    tailer = Tailer(directory, begin)
    try:
        return tailer, tailer.poll_records(), begin == 1
    except Refused as error:
        tailer.close()
        if error.code != RefusalCode.START_MISSING:
            raise
        begin = (error.last_sequence or 0) + 1
        if begin > first:
            raise TooOld from error
    tailer = Tailer(directory, begin)
    return tailer, tailer.poll_records(), True


def _parts(tailer: Tailer, part: Records | None, last: int, wait_s: float) -> Iterator[Records]:
    """(ordinal of the first one, events) up to the event `last`; waits for those that are not written yet."""
    deadline_s = time.monotonic() + wait_s
    while True:
        if part is not None:
            deadline_s = time.monotonic() + wait_s
            yield part[0], part[1][: last - part[0] + 1]
            if tailer.next_sequence > last:
                return
        elif time.monotonic() > deadline_s:
            raise NotWritten
        else:
            time.sleep(_LOOK_EVERY_S)
        part = tailer.poll_records()


def _read(directory: Path, account: int, begin: int, wanted: tuple[int, int], limits: Limits) -> list[Seen] | None:
    """Read from `begin` on; None when the command of the first wanted event began even before."""
    first, last = wanted
    marked = np.zeros(account + 1, np.uint8)
    marked[account] = 1
    carried = np.zeros(1, np.int64)
    found: list[Seen] = []
    tailer, part, at_boundary = _begun(directory, begin, first)
    try:
        for ordinal, events in _parts(tailer, part, last, limits.wait_s):
            skipped = 0
            if not at_boundary:
                ends = np.flatnonzero(events[: max(0, first - ordinal), FLAGS_AT] & EventFlag.LAST)
                if not len(ends):
                    if ordinal + len(events) > first:
                        return None
                    continue
                at_boundary, skipped = True, int(ends[0]) + 1
            found += _picked(events[skipped:], ordinal + skipped, marked, carried)
            if len(found) > limits.found:
                raise TooOld
    finally:
        tailer.close()
    return found


def _picked(records: Any, first_ordinal: int, marked: Any, carried: Any) -> list[Seen]:
    indexes = np.zeros(len(records), np.int64)
    batch = view_events_of(np.ascontiguousarray(records), len(records))
    count = pick(batch, marked, carried, indexes)
    found = []
    for index in indexes[:count].tolist():
        slot = batch[index].tobytes()
        found.append(Seen(decode(slot), first_ordinal + index, bool(slot[FLAGS_AT] & EventFlag.LAST)))
    return found
