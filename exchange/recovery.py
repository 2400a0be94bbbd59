"""From a data directory to an engine that may serve: the newest proven snapshot and the commands after it.

    snapshots ──► newest usable one, or genesis
    commands  ──► decision table (docs/recovery.md): whole | torn tail cut | refused
    replay    ──► state; every recorded event must come out again; missing ones are written
    epoch     ──► unconfirmed tail rewritten and synced; only then is anything served

Owns the order of these steps and the report. Never starts empty where something was: what is missing is refused with a
sentence. The caller holds the lock on the directory.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from exchange import checkpoint
from exchange.checkpoint import Checkpoint
from exchange.core.kernel import Engine
from exchange.datadir import DataDirectory
from exchange.replay import CHUNK_COMMANDS, Replay
from exchange.settings import Settings
from journal import recovery as journals
from journal.errors import Refused
from journal.format import GROUP_HEADER_BYTES, RECORD_BYTES, SEGMENT_HEADER_BYTES, Bytes
from journal.segments import Position
from journal.writer import Writer

COMMANDS, EVENTS = 1, 2
"""Stream numbers in the segment headers."""


@dataclass(frozen=True, slots=True)
class Recovered:
    """An engine with where its journals go on, and what was found and done, as sentences."""

    engine: Engine
    commands: Position
    events: Position
    report: tuple[str, ...]


class _Journals(NamedTuple):
    commands: journals.Recovered
    events: journals.Recovered


class _EventsUnusable(Exception):
    """The event journal can not be continued; it is set aside and computed anew. A sentence."""


def recover(directory: DataDirectory, settings: Settings) -> Recovered:
    """Bring the data directory into a state that may be served from.

    Raises journal.errors.Refused and replay.HistoryDiffers when it must not be served from; OSError.
    """
    report: list[str] = []
    bases = list(checkpoint.usable(directory.snapshots, report))
    newest = bases[0] if bases else checkpoint.genesis()
    commands = _check_commands(directory, newest, report)
    try:
        engine, events = _replay(directory, settings, newest, commands, report)
    except _EventsUnusable as error:
        oldest = checkpoint.genesis() if commands.first_sequence == 1 else (bases or [newest])[-1]
        _set_aside(directory.events, f"{error}", report)
        engine, events = _replay(directory, settings, oldest, commands, report)
    position = journals.begin_epoch(directory.commands, commands, segment_bytes=settings.segment_bytes)
    return Recovered(engine, position, events, tuple(report))


def _check_commands(directory: DataDirectory, newest: Checkpoint, report: list[str]) -> journals.Recovered:
    """The command journal by the decision table, with the newest snapshot as the outside watermark."""
    if newest.path:
        report.append(f"Snapshot {newest.path.name} is proven: sequence {newest.sequence}.")
    with _progress("checking the journal", "bytes") as shown:
        found = journals.recover(
            directory.commands,
            stream=COMMANDS,
            cluster_id=directory.cluster_id,
            watermarks={"newest snapshot": newest.sequence} if newest.path else {},
            first_needed=newest.sequence + 1,
            progress=shown,
        )
    report += found.report
    return found


def _replay(
    directory: DataDirectory, settings: Settings, base: Checkpoint, commands: journals.Recovered, report: list[str]
) -> tuple[Engine, Position]:
    """Replay from `base` to the end of the commands; returns the engine and where the event journal goes on."""
    try:
        events = journals.recover(
            directory.events,
            stream=EVENTS,
            cluster_id=directory.cluster_id,
            watermarks={},
            first_needed=base.event_count + 1,
        )
    except Refused as error:
        raise _EventsUnusable(f"The event journal is damaged: {error}") from error
    if events.records and events.last_sequence < base.event_count:
        raise _EventsUnusable(
            f"The event journal ends at event {events.last_sequence}, the snapshot has seen {base.event_count}."
        )
    position = journals.begin_epoch(directory.events, events, segment_bytes=settings.segment_bytes)
    group_slots = (settings.segment_bytes - SEGMENT_HEADER_BYTES - GROUP_HEADER_BYTES) // RECORD_BYTES
    with Writer(directory.events, position) as writer:
        missing = 0

        def write_missing(computed: Bytes) -> None:
            nonlocal missing
            missing += len(computed)
            step = min(group_slots, CHUNK_COMMANDS)
            for first in range(0, len(computed), step):
                writer.append(computed[first : first + step])

        began_s = time.monotonic()
        replay = Replay(Engine(base.state), directory.commands, directory.events, events.last_sequence, write_missing)
        try:
            _run(replay, commands.last_sequence)
            if replay.recorded_left:
                raise _EventsUnusable(
                    "The event journal has events of commands that the command journal does not have."
                )
        finally:
            replay.close()
        writer.sync()
        replayed = commands.last_sequence - base.sequence
        if replayed:
            elapsed_s = time.monotonic() - began_s
            report.append(
                f"Replayed {replayed} commands from sequence {base.sequence + 1} in {elapsed_s:.1f} s; "
                f"{missing} of their events were missing in the event journal and are there again."
            )
        return replay.engine, writer.position


def _run(replay: Replay, last_sequence: int) -> None:
    first = replay.sequence
    with _progress("replaying", "commands") as shown:
        while replay.sequence < last_sequence:
            if not replay.step():
                break
            shown(replay.sequence - first, last_sequence - first)


def _set_aside(events: Path, reason: str, report: list[str]) -> None:
    """Rename the event journal: it is derived and is computed anew from the commands."""
    number = 1
    while (aside := events.with_name(f"{events.name}-aside-{number}")).exists():
        number += 1
    events.rename(aside)
    events.mkdir(mode=0o700)
    report.append(f"{reason} It is kept as {aside} and computed anew from the commands.")


@contextmanager
def _progress(title: str, unit: str) -> Iterator[journals.Progress]:
    """A progress bar on standard error for what takes longer than a moment; silent where that is no terminal."""
    columns = (TextColumn(title), BarColumn(), MofNCompleteColumn(), TextColumn(unit), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(title, total=None)

        def show(done: int, total: int) -> None:
            bar.update(task, completed=done, total=total)

        yield show
