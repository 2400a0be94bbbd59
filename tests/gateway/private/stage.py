"""An engine, its event journal and the private events on top, without a pipeline: a test decides what comes when.

The engine may be ahead of the events that are handed over, and events are handed over in any cut, as in a live venue.
"""

from __future__ import annotations

import asyncio
import random
from pathlib import Path
from typing import Any

import orjson

from exchange.core import readers
from exchange.core.kernel import Engine
from exchange.core.records import RECORD_BYTES
from exchange.core.state import TINY, State, new_state
from exchange.gateway.private.user_data import DEFAULT_LIMITS, Limits, UserData
from exchange.gateway.symbols import Reference
from journal import recovery
from journal.format import Stream
from journal.writer import Writer
from tests.core.plans import BUSY
from tests.core.streams import Flow

CLUSTER_ID = b"private-events--"
SEGMENT_BYTES = 1 << 18


class Ear:
    """A sink that keeps everything."""

    def __init__(self) -> None:
        self.heard: list[tuple[bytes, int]] = []

    def event(self, payload: bytes, sequence: int) -> None:
        self.heard.append((payload, sequence))

    @property
    def bodies(self) -> list[dict[str, Any]]:
        return [orjson.loads(payload) for payload, _ in self.heard]


class Stage:
    """A venue under a stream of commands; every event is in the journal at once."""

    def __init__(self, directory: Path, seed: int, kind: str = BUSY, limits: Limits = DEFAULT_LIMITS) -> None:
        self.directory = directory
        self.limits = limits
        self.random = random.Random(seed)
        self.flow = Flow(seed, kind)
        self.engine = Engine(new_state(TINY))
        self.pending = b""
        """Events that the engine has done and nobody was told of."""
        directory.mkdir(parents=True, exist_ok=True)
        recovered = recovery.recover(directory, stream=Stream.EVENTS, cluster_id=CLUSTER_ID, watermarks={})
        self.writer = Writer(directory, recovery.begin_epoch(directory, recovered, segment_bytes=SEGMENT_BYTES))
        self.user_data = self.new_user_data()

    def new_user_data(self) -> UserData:
        """The private events of a process that starts now: all events so far are in its past."""
        return UserData(
            self.read, lambda: reference_of(self.engine.state), self.directory, self.event_count(), self.limits
        )

    def read(self, function: Any, *args: Any) -> tuple[Any, int]:
        return function(self.engine.state, *args), int(self.engine.state.header[0].sequence)

    def event_count(self) -> int:
        return int(self.engine.state.header[0].event_count)

    def apply(self, count: int) -> None:
        """The next `count` commands; their events are pending."""
        commands, _ = self.flow.take(count)
        self.run(commands)

    def run(self, commands: Any) -> None:
        """These commands; their events are pending."""
        events = self.engine.run(commands)
        for first in range(0, len(events), 1000):
            self.writer.append(events[first : first + 1000])
        self.pending += events.tobytes()

    def hand_over(self, count: int = 1 << 30) -> None:
        """Tell of the first `count` pending events, in one batch."""
        count = min(count, len(self.pending) // RECORD_BYTES)
        if count:
            self.user_data.on_events(memoryview(self.pending), count)
            self.pending = self.pending[count * RECORD_BYTES :]

    def hand_over_cut(self) -> None:
        """Tell of everything that is pending, in batches of any size."""
        while self.pending:
            self.hand_over(self.random.choice((1, 1, 2, 3, 7, 50)))

    def close(self) -> None:
        self.writer.close()


def reference_of(state: State) -> Reference:
    return Reference(readers.assets(state), readers.symbols(state))


async def settled(ear: Ear, sequence: int) -> None:
    """Wait until a message of at least this sequence was heard."""
    async with asyncio.timeout(30):
        while not ear.heard or ear.heard[-1][1] < sequence:
            await asyncio.sleep(0)


