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
from dataclasses import dataclass, replace

from exchange import checkpoint
from exchange.checkpoint import Checkpoint
from exchange.commands import skipped
from exchange.core.kernel import Engine
from exchange.datadir import DataDirectory
from exchange.poison import STARTS, Failure, note, poisoned
from exchange.progress import progress
from exchange.replay import CHUNK_COMMANDS, Poisoned, Replay
from exchange.settings import Settings
from journal import recovery as journals
from journal.errors import Refused
from journal.format import GROUP_HEADER_BYTES, RECORD_BYTES, SEGMENT_HEADER_BYTES, Bytes
from journal.reader import groups
from journal.reader import records as journal_records
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
    poison: Failure | None = None
    """Set: the engine stands before a command that it can not survive, and the journals go on behind that."""
    last_ts_ns: int = 0
    """Of the last command in the journal, applied or not."""


class _EventsUnusable(Exception):
    """The event journal can not be continued; it is set aside and computed anew. A sentence."""


def recover(directory: DataDirectory, settings: Settings, projected_sequence: int = 0) -> Recovered:
    """Bring the data directory into a state that may be served from.

    `projected_sequence` is the last command that PostgreSQL has seen the events of, zero if it was not asked.

    Raises journal.errors.Refused and replay.HistoryDiffers when it must not be served from; replay.Poisoned when the
    engine did not survive a command, which is noted; OSError.
    """
    report: list[str] = []
    usable = checkpoint.usable(directory.snapshots, report)
    newest = next(usable, None) or checkpoint.genesis()
    complaint = ""
    try:
        events = _check_events(directory, newest)
    except _EventsUnusable as error:
        events, complaint = None, str(error)
    watermarks = {"PostgreSQL": projected_sequence}
    if events:
        watermarks["event journal"] = _last_event_sequence(directory, events)
    if newest.path:
        report.append(f"Snapshot {newest.path.name} is proven: sequence {newest.sequence}.")
        watermarks["newest snapshot"] = newest.sequence
    with progress("checking the journal", "bytes") as shown:
        commands = journals.recover(
            directory.commands,
            stream=COMMANDS,
            cluster_id=directory.cluster_id,
            watermarks=watermarks,
            first_needed=newest.sequence + 1,
            progress=shown,
        )
    report += commands.report
    base = newest
    if events is None:
        base = checkpoint.genesis() if commands.first_sequence == 1 else [newest, *usable][-1]
        events = _set_aside(directory, base, complaint, report)
    poison = _standing_before(directory, base, commands, watermarks.get("event journal", 0), report)
    upto = poison.sequence - 1 if poison else commands.last_sequence
    try:
        engine, position = _replay(directory, settings, base, upto, events, report)
    except Poisoned as error:
        note(directory.path, error.sequence, error.fault, starting=True)
        raise
    begun = journals.begin_epoch(directory.commands, commands, segment_bytes=settings.segment_bytes)
    last_ts_ns = _last_ts_ns(directory, commands.last_sequence) if poison else 0
    return Recovered(engine, begun, position, tuple(report), poison, last_ts_ns)


def _standing_before(
    directory: DataDirectory, base: Checkpoint, commands: journals.Recovered, applied: int, report: list[str]
) -> Failure | None:
    """The command that is not worth another try; None: replay to the end. `applied`: it had events once."""
    failure = poisoned(directory.path)
    if failure is None or not max(base.sequence, applied) < failure.sequence <= commands.last_sequence:
        return None
    if failure.sequence in skipped(directory.commands, failure.sequence):
        return None
    report.append(
        f"The engine did not survive command {failure.sequence} ({failure.fault}) at {STARTS} starts: the venue stands "
        f"HALTED before it. Commands up to {commands.last_sequence} wait behind it."
    )
    return failure


def _last_ts_ns(directory: DataDirectory, sequence: int) -> int:
    """The time of a command."""
    _, records = next(iter(journal_records(directory.commands, sequence)))
    return int.from_bytes(records[0, 8:16].tobytes(), "little")


def _check_events(directory: DataDirectory, base: Checkpoint) -> journals.Recovered:
    """The event journal, if it can be continued from `base`."""
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
    if events.last_sequence < base.event_count:
        raise _EventsUnusable(
            f"The event journal ends at event {events.last_sequence}, the snapshot has seen {base.event_count}."
        )
    return events


def _last_event_sequence(directory: DataDirectory, events: journals.Recovered) -> int:
    """The command that the last recorded event belongs to: it was on disk before it was applied. 0: none."""
    last = 0
    for group in groups(directory.events, events.last_sequence) if events.records else ():
        last = int.from_bytes(group.payload[-1, :8].tobytes(), "little")
    return last


def _set_aside(directory: DataDirectory, base: Checkpoint, reason: str, report: list[str]) -> journals.Recovered:
    """Rename the event journal, which is derived, and begin an empty one behind `base`."""
    number = 1
    while (aside := directory.events.with_name(f"events-aside-{number}")).exists():
        number += 1
    directory.events.rename(aside)
    directory.events.mkdir(mode=0o700)
    report.append(f"{reason} It is kept as {aside} and computed anew from the commands.")
    empty = journals.recover(directory.events, stream=EVENTS, cluster_id=directory.cluster_id, watermarks={})
    last = base.event_count
    return replace(empty, first_sequence=last + 1, last_sequence=last, durable_upto=last)


def _replay(
    directory: DataDirectory,
    settings: Settings,
    base: Checkpoint,
    upto: int,
    events: journals.Recovered,
    report: list[str],
) -> tuple[Engine, Position]:
    """Replay from `base` to command `upto`; returns the engine and where the event journal goes on."""
    position = journals.begin_epoch(directory.events, events, segment_bytes=settings.segment_bytes)
    group_slots = (settings.segment_bytes - SEGMENT_HEADER_BYTES - GROUP_HEADER_BYTES) // RECORD_BYTES
    missing = 0
    with Writer(directory.events, position) as writer:

        def write_missing(computed: Bytes) -> None:
            nonlocal missing
            missing += len(computed)
            step = min(group_slots, CHUNK_COMMANDS)
            for first in range(0, len(computed), step):
                writer.append(computed[first : first + step])

        began_s = time.monotonic()
        engine = Engine(base.state)
        replay = Replay(engine, directory.commands, directory.events, events.last_sequence, write_missing, upto)
        try:
            _run(replay, upto)
        finally:
            replay.close()
        writer.sync()
        position = writer.position
    replayed = upto - base.sequence
    if replayed:
        seconds = time.monotonic() - began_s
        report.append(f"Replayed {replayed} commands from sequence {base.sequence + 1} in {seconds:.1f} s.")
    if missing:
        report.append(f"{missing} of their events were missing in the event journal and are there again.")
    return engine, position


def _run(replay: Replay, last_sequence: int) -> None:
    first = replay.sequence
    with progress("replaying", "commands") as shown:
        while replay.sequence < last_sequence:
            if not replay.step():
                break
            shown(replay.sequence - first, last_sequence - first)
