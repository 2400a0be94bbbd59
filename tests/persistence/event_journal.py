"""An event journal in a data directory that grows as a test says, without a server."""

from __future__ import annotations

import functools
import pathlib
from typing import Any

import numpy as np

from exchange.core.codes import EventFlag
from exchange.core.event_records import event_dict
from exchange.core.kernel import Engine
from exchange.datadir import DataDirectory
from exchange.recovery import EVENTS
from journal import recovery as journals
from journal.writer import Writer
from tests.core.plans import BUSY
from tests.core.streams import stream
from tests.oracle.projection import OracleProjection

COMMANDS = 3_000
DAY_NS = 86_400 * 10**9
SEGMENT_BYTES = 1 << 17
GROUP_EVENTS = 37
"""Not a divisor of anything: groups cut commands in two."""
Events = np.ndarray[Any, np.dtype[np.uint8]]


@functools.cache
def _stream_events(seed: int, kind: str) -> Events:
    commands, _, _ = stream(seed, COMMANDS, kind)
    return Engine().run(commands).copy()


def events_of(seed: int, kind: str = BUSY, stretch_ns: int = 10**11) -> Events:
    """The engine's events of a seeded stream, whose clock goes `stretch_ns` times as fast from 2025-12-30 on."""
    events = _stream_events(seed, kind).copy()
    ts_ns = events[:, 8:16].view("<i8")
    ts_ns *= stretch_ns
    ts_ns += 20_452 * DAY_NS + 7
    return events


def ends_of(events: Events) -> np.ndarray[Any, np.dtype[np.int64]]:
    """The number of events after each command."""
    return np.flatnonzero(events[:, 17] & EventFlag.LAST) + 1


def oracle_of(events: Events) -> OracleProjection:
    """What the projection of these events must be."""
    oracle = OracleProjection()
    for slot in events:
        oracle.apply(event_dict(slot))
    return oracle


class EventJournal:
    """The event journal of a data directory; `append` writes groups of a few events."""

    def __init__(self, data_dir: pathlib.Path) -> None:
        self.data_dir = data_dir
        with DataDirectory(data_dir) as directory:
            self.place = directory.events
            self.cluster_id = directory.cluster_id
            found = journals.recover(self.place, stream=EVENTS, cluster_id=self.cluster_id, watermarks={})
            begun = journals.begin_epoch(self.place, found, segment_bytes=SEGMENT_BYTES)
        self._writer = Writer(self.place, begun)

    def append(self, events: Events) -> None:
        """Write events behind the others."""
        for first in range(0, len(events), GROUP_EVENTS):
            self._writer.append(np.ascontiguousarray(events[first : first + GROUP_EVENTS]))

    def close(self) -> None:
        """Give the file back."""
        self._writer.close()
