"""One recorded day through a venue: files in, file and report out.

Owns the loop over messages and the file of our book, which appears under its name only when it is complete.

    messages, book ──► Replay.steps ──► actions ──► EngineVenue | ServerVenue ──► outcomes ──► Replay
                                                        └──► our book after each message ──► OUT

Through the engine, our book is the engine's own. Through a server it is what our orders there make up by its answers (a
server publishes its book in intervals); at the end it is compared with the depth that the server publishes.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import pathlib
import time
from collections.abc import Callable, Iterator
from typing import TextIO

from exchange.market_replay.engine_venue import AssetSum, EngineVenue
from exchange.market_replay.lobster import (
    NANOSECONDS,
    BookRow,
    Malformed,
    Message,
    format_row,
    read_book,
    read_messages,
)
from exchange.market_replay.replay import Counts, Replay
from exchange.market_replay.server_venue import ServerVenue

PROGRESS_EVERY = 64
Progress = Callable[[int], None]


@dataclasses.dataclass
class Report:
    """What a replay came to."""

    counts: Counts
    rows_equal: int = 0  # rows of our book that equal the recorded one at every level written
    first_difference: int = 0  # number of the first row that does not, zero: none
    commands: int = 0  # sent to the engine, or requests to the server
    seconds: float = 0.0
    batch_per_second: float = 0.0  # the same commands in batches, through the engine: commands a second of CPU time
    sums: list[AssetSum] = dataclasses.field(default_factory=list)  # through the engine
    published_equal: bool | None = None  # through a server: its published depth became the last recorded row


def recorded_day(messages: pathlib.Path, book: pathlib.Path, levels: int) -> Iterator[tuple[Message, BookRow]]:
    """The messages with the book after each. Raises Malformed, also for books that are too short or not deep enough."""
    rows = read_book(book)
    number = 0
    for number, message in enumerate(read_messages(messages), 1):
        row = next(rows, None)
        if row is None:
            raise Malformed(book, number, f"the file has ended, but {messages} has a message on this line")
        if number == 1 and len(row) < 4 * levels:
            raise Malformed(book, 1, f"the recording has {len(row) // 4} levels, {levels} were asked for")
        yield message, row
    if number == 0:
        raise Malformed(messages, 1, "the file has no messages")
    if next(rows, None) is not None:
        raise Malformed(book, number + 1, f"{messages} has ended, but this file has a row more")


@contextlib.contextmanager
def _complete_file(path: pathlib.Path) -> Iterator[TextIO]:
    """A file for writing that gets its name when the block ends well."""
    part = path.with_name(path.name + ".part")
    try:
        with part.open("w", encoding="ascii") as file:
            yield file
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


class _Comparison:
    """Writes our rows and compares them with the recorded ones."""

    def __init__(self, report: Report, file: TextIO, levels: int) -> None:
        self._report = report
        self._file = file
        self._columns = 4 * levels

    def add(self, number: int, ours: list[int], recorded: BookRow) -> None:
        self._file.write(format_row(ours))
        if ours == list(recorded[: self._columns]):
            self._report.rows_equal += 1
        elif self._report.first_difference == 0:
            self._report.first_difference = number


def replay_through_engine(
    messages: pathlib.Path, book: pathlib.Path, levels: int, out: pathlib.Path, on_progress: Progress
) -> Report:
    """Replay a day and write the top `levels` of the engine's book after each message.

    `on_progress` is told the number of messages done. Raises Malformed, VenueRefused, InvariantBroken, OSError.
    """
    venue = EngineVenue(levels)
    replay = Replay()
    report = Report(replay.counts)
    started = time.perf_counter()
    with _complete_file(out) as file:
        comparison = _Comparison(report, file, levels)
        for number, (message, recorded) in enumerate(recorded_day(messages, book, levels), 1):
            venue.at(message.ts_ns)
            steps = replay.steps(message, recorded)
            action = next(steps, None)
            while action is not None:
                outcome = venue.execute(action)
                try:
                    action = steps.send(outcome)
                except StopIteration:
                    break
            comparison.add(number, venue.row(), recorded)
            if number % PROGRESS_EVERY == 0:
                on_progress(number)
    report.seconds = time.perf_counter() - started
    report.commands = venue.commands
    report.sums = venue.check()
    report.batch_per_second = venue.in_batches()
    return report


async def replay_through_server(
    messages: pathlib.Path,
    book: pathlib.Path,
    levels: int,
    out: pathlib.Path,
    on_progress: Progress,
    venue: ServerVenue,
    speed: float,
) -> Report:
    """Replay a day at `speed` times the recorded one (0: without waiting) and write the book that our orders make up.

    Raises Malformed, ServerRefused, OSError.
    """
    replay = Replay()
    report = Report(replay.counts)
    last: BookRow = ()
    started = time.perf_counter()
    opening_ts_ns = -1
    with _complete_file(out) as file:
        async with venue:
            comparison = _Comparison(report, file, levels)
            for number, (message, recorded) in enumerate(recorded_day(messages, book, levels), 1):
                if opening_ts_ns < 0:
                    opening_ts_ns = message.ts_ns
                if speed:
                    due = started + (message.ts_ns - opening_ts_ns) / NANOSECONDS / speed
                    await asyncio.sleep(max(0.0, due - time.perf_counter()))
                steps = replay.steps(message, recorded)
                action = next(steps, None)
                while action is not None:
                    outcome = await venue.execute(action)
                    try:
                        action = steps.send(outcome)
                    except StopIteration:
                        break
                comparison.add(number, replay.ledger.row(levels), recorded)
                last = recorded
                if number % PROGRESS_EVERY == 0:
                    on_progress(number)
            report.published_equal = await venue.book_equals(last, levels)
    report.seconds = time.perf_counter() - started
    report.commands = venue.requests
    return report
