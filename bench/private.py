"""`python -m bench.private`: what private events cost, with nobody listening, one account, and a stream that resumes.

The events are those of a flow over 64 accounts. They are handed over in batches as the event ring does. The stream that
is resumed out of a journal must equal the live one to the byte.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from bench.flow import Shape, cached
from bench.flow_engine import FIRST_ACCOUNT, Wrong, fresh_engine, prepare
from exchange.core.kernel import Engine
from exchange.core.records import RECORD_BYTES
from exchange.disruptor.replies import BATCH_SLOTS
from exchange.gateway.private.user_data import UserData
from exchange.persistence.postings import fold_ledger
from exchange.persistence.reference import Reference
from exchange.persistence.slots import Slots
from journal import recovery
from journal.format import Stream
from journal.writer import Writer

ROUNDS = 5
GROUP_EVENTS = 4_096
STRANGER = FIRST_ACCOUNT + 1_000
"""An account that nothing happens to."""

Array = np.ndarray[Any, np.dtype[np.uint8]]


class Kept:
    """A sink that keeps the messages and says when it has so many."""

    def __init__(self, wanted: int = 0) -> None:
        self.payloads: list[bytes] = []
        self.is_full = asyncio.Event()
        self._wanted = wanted

    def event(self, payload: bytes, sequence: int) -> None:
        """Keep one."""
        self.payloads.append(payload)
        if len(self.payloads) == self._wanted:
            self.is_full.set()


class Venue:
    """The engine before and after the flow, and the events in between."""

    def __init__(self, commands: int) -> None:
        prepared = prepare(cached(Shape("touch", commands)), client_ids=True)
        self.before = fresh_engine(prepared)
        self.after = Engine()
        self.setup: Array = self.after.run(prepared.setup).copy()
        self.events: Array = self.after.run(prepared.commands).copy()
        self.first = len(self.setup)

    def hand_over(self, user_data: UserData) -> float:
        """All events in batches; returns seconds of CPU time."""
        view = memoryview(self.events.reshape(-1).data).toreadonly()
        began = time.thread_time()
        for first in range(0, len(self.events), BATCH_SLOTS):
            batch = view[first * RECORD_BYTES : (first + BATCH_SLOTS) * RECORD_BYTES]
            user_data.on_events(batch, len(batch) // RECORD_BYTES)
        return time.thread_time() - began

    def user_data(self, engine: Engine, events_dir: Path, event_count: int) -> UserData:
        """Private events that begin behind event `event_count`."""
        return UserData(lambda function, *of: (function(engine.state, *of), 0), events_dir, event_count)


async def _listening(venue: Venue, directory: Path, account: int, sinks: int) -> tuple[float, list[bytes], int]:
    """The best of some rounds with so many listeners: (seconds, messages of one of them, where it began)."""
    best, kept, began = float("inf"), Kept(), 0
    for _ in range(ROUNDS):
        user_data = venue.user_data(venue.before, directory, venue.first)
        ears = [Kept() for _ in range(sinks)]
        for ear in ears:
            began = (await user_data.subscribe(account, ear)).sequence
        best = min(best, venue.hand_over(user_data))
        kept = ears[0] if ears else kept
    return best, kept.payloads, began


async def _resumed(venue: Venue, directory: Path, account: int, after: int, wanted: int) -> tuple[float, list[bytes]]:
    """(seconds of the wall clock until all was told, messages) of a stream that resumes before the first event."""
    user_data = venue.user_data(venue.after, directory, venue.first + len(venue.events))
    ear = Kept(wanted)
    began = time.perf_counter()
    await user_data.subscribe(account, ear, from_sequence=after)
    async with asyncio.timeout(60):
        await ear.is_full.wait()
    return time.perf_counter() - began, ear.payloads


def _write_journal(venue: Venue, directory: Path) -> None:
    """An event journal that begins with the events of the flow."""
    recovered = recovery.recover(directory, stream=Stream.EVENTS, cluster_id=b"bench.private---", watermarks={})
    with Writer(directory, recovery.begin_epoch(directory, recovered, segment_bytes=1 << 26)) as writer:
        for part in (venue.setup, venue.events):
            for first in range(0, len(part), GROUP_EVENTS):
                writer.append(part[first : first + GROUP_EVENTS])


def _ledger_us(venue: Venue) -> float:
    """What the projection's ledger takes for the three events of a small command."""
    reference = Reference()
    reference.know_symbol(1, 1, 2, 100_000)
    rounds = 200
    began = time.thread_time()
    for number in range(rounds):
        fold_ledger(Slots(venue.events[number * 3 : number * 3 + 3], 1), reference)
    return (time.thread_time() - began) / rounds * 1e6


async def measure(commands: int) -> dict[str, Any]:
    """All figures. Raises Wrong."""
    venue = Venue(commands)
    account, events = FIRST_ACCOUNT, len(venue.events)
    with tempfile.TemporaryDirectory() as folder:
        directory = Path(folder)
        _write_journal(venue, directory)
        nobody, *_ = await _listening(venue, directory, account, 0)
        stranger, *_ = await _listening(venue, directory, STRANGER, 1)
        one, messages, began = await _listening(venue, directory, account, 1)
        hundred, *_ = await _listening(venue, directory, account, 100)
        seconds, resumed = await _resumed(venue, directory, account, began, len(messages))
    if resumed != messages:
        raise Wrong(f"{len(resumed)} messages were told again, not the {len(messages)} that were told live")
    return {
        "ok": True,
        "events": events,
        "messages": len(messages),
        "ns_per_event_nobody_listens": round(nobody / events * 1e9, 2),
        "ns_per_event_another_account_listens": round(stranger / events * 1e9, 2),
        "us_per_message": round((one - stranger) / len(messages) * 1e6, 2),
        "us_per_message_to_100_listeners": round((hundred - stranger) / len(messages) * 1e6, 2),
        "us_of_the_ledger_for_3_events": round(_ledger_us(venue), 1),
        "resume_ms": round(seconds * 1e3, 1),
        "resume_ns_per_event": round(seconds / events * 1e9, 1),
    }


def main() -> int:
    """Print the figures; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--commands", type=int, default=200_000)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    try:
        figures = asyncio.run(measure(options.commands))
    except Wrong as error:
        sys.stderr.write(f"bench.private: {error}.\n")
        return 1
    if options.json:
        print(json.dumps(figures))
    else:
        for name, value in figures.items():
            print(f"{name:38} {value:>12}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
