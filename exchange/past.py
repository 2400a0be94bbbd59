"""States that a data directory once had: the nearest usable snapshot, and the commands after it up to a sequence.

Owns the way from files to a state, for everybody who looks back: never writes, never locks, never asks the running
engine. Commands go through the engine in large batches, and each HASH record on the way is checked by it. A server
that runs on the directory retires segments behind its snapshots; `retried` begins anew from the newer one then.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np

import snapshots
from exchange import checkpoint
from exchange.checkpoint import Checkpoint
from exchange.commands import CommandReader
from exchange.core.codes import CommandKind, Fault
from exchange.core.kernel import Engine, EngineFault
from exchange.core.records import HASH
from exchange.core.state import State
from exchange.progress import ShowProgress
from journal.errors import RefusalCode, Refused
from journal.format import Bytes
from journal.reader import records
from journal.segments import list_segments, read_header
from journal.storage import Directory

CHUNK_COMMANDS = 4_096
"""Commands that go through the engine at once, at most."""
_ATTEMPTS = 3
_RETIRED = (RefusalCode.START_MISSING, RefusalCode.SEGMENT_MISSING)

Result = TypeVar("Result")
Seen = Callable[[Bytes, Bytes], None]
"""Called with commands and their events, both (n, 128) u1 and valid until it returns."""


class NotThere(Exception):
    """What was asked for is not in the files; a sentence."""


class BeyondEnd(NotThere):
    """A sequence after the last command. `end` is the last one."""

    def __init__(self, sequence: int, end: int) -> None:
        super().__init__(f"Sequence {sequence} is beyond the end: the last command is {end}.")
        self.end = end


class ReplayDiffers(Exception):
    """The engine stopped: what the journal says does not fit the state that was computed; a sentence."""


class Replayed(NamedTuple):
    """An engine at a sequence, and the way there."""

    engine: Engine
    base_sequence: int
    """Of the snapshot it began with; zero: from genesis."""
    hashes: int
    """HASH records on the way that carried the hash of the one before, which was right."""


def commands_of(data_dir: Path) -> Path:
    """Where the commands of a data directory lie."""
    return data_dir / "journal" / "commands"


def events_of(data_dir: Path) -> Path:
    """Where the events of a data directory lie."""
    return data_dir / "journal" / "events"


def first_sequence(journal: Path) -> int:
    """The first sequence that a journal still has, or would have. Raises OSError, journal.format.Corrupt."""
    storage = Directory(journal)
    ids = list_segments(storage)
    return read_header(storage, ids[0]).first_sequence if ids else 1


def last_sequence(journal: Path) -> int:
    """The last sequence of a journal whose group is whole; 0: none. Raises OSError, Refused, journal.format.Corrupt."""
    storage = Directory(journal)
    ids = list_segments(storage)
    if not ids:
        return 0
    last = read_header(storage, ids[-1]).first_sequence - 1
    for first, batch in records(journal, last + 1):
        last = first + len(batch) - 1
    return last


def base_of(data_dir: Path, sequence: int, fits: Callable[[Checkpoint], bool] = lambda _: True) -> Checkpoint:
    """The newest usable snapshot at or before a sequence that fits, else genesis. Raises OSError."""
    for path in snapshots.list_snapshots(data_dir / "snapshots"):
        if snapshots.sequence_of(path) <= sequence:
            try:
                found = checkpoint.load(path)
            except (checkpoint.Unusable, FileNotFoundError):
                continue
            if fits(found):
                return found
    return checkpoint.genesis()


def commands_from(data_dir: Path, sequence: int) -> Iterator[tuple[int, Bytes]]:
    """Commands from a sequence on as an engine is to see them, in batches with the sequence of the first.

    Raises Refused, OSError.
    """
    reader = CommandReader(commands_of(data_dir), sequence)
    try:
        while found := reader.poll_records():
            yield found
    finally:
        reader.close()


def advance(
    engine: Engine,
    data_dir: Path,
    until: int,
    progress: ShowProgress,
    *,
    seen: Seen | None = None,
    every: int = CHUNK_COMMANDS,
) -> int:
    """Apply the commands after the engine's sequence up to `until`; returns how many HASH records carried a hash.

    No batch goes beyond a multiple of `every`. Raises BeyondEnd, ReplayDiffers, Refused, OSError.
    """
    began = reached = int(engine.state.header[0].sequence)
    hashes = 0
    if reached < until:
        for first, commands in commands_from(data_dir, reached + 1):
            wanted = commands[: until - first + 1]
            while len(wanted):
                size = min(len(wanted), CHUNK_COMMANDS, every - reached % every)
                batch, wanted = wanted[:size], wanted[size:]
                events = apply(engine, batch)
                hashes += _hashes(batch)
                reached += size
                if seen is not None:
                    seen(batch, events)
                progress(reached - began, until - began)
            if reached == until:
                break
    if reached < until:
        raise BeyondEnd(until, reached)
    return hashes


def _hashes(commands: Bytes) -> int:
    """How many commands are HASH records that repeat the hash of an earlier one."""
    found = commands[commands[:, 16] == CommandKind.HASH]
    return int(np.count_nonzero(np.ascontiguousarray(found).reshape(-1).view(HASH)["at_sequence"]))


def apply(engine: Engine, commands: Bytes) -> Bytes:
    """The events of commands, valid until the next call. Raises ReplayDiffers."""
    fits = (
        "The state or the commands are not those that the journal was written with, or this build computes something "
        "else than the one that wrote it."
    )
    try:
        return engine.run(commands)
    except MemoryError:
        raise
    except EngineFault as error:
        if error.fault == Fault.HASH_MISMATCH:
            raise ReplayDiffers(
                f"The HASH record at sequence {error.sequence + 1} says that the state at sequence "
                f"{int(engine.state.header[0].hash_sequence)} had another hash than this replay computes. {fits}"
            ) from error
        raise ReplayDiffers(f"Replay stopped after sequence {error.sequence}: {error.fault.name}. {fits}") from error
    except Exception as error:
        last = int(engine.state.header[0].sequence)
        raise ReplayDiffers(
            f"Replay stopped after sequence {last}: the engine can not apply command {last + 1} "
            f"({type(error).__name__})."
        ) from error


def replay_until(
    data_dir: Path,
    sequence: int,
    progress: ShowProgress,
    *,
    from_genesis: bool = False,
    seen: Seen | None = None,
) -> Replayed:
    """The engine after command `sequence`. Raises BeyondEnd, ReplayDiffers, Refused, OSError."""
    base = checkpoint.genesis() if from_genesis else base_of(data_dir, sequence)
    engine = Engine(base.state)
    hashes = advance(engine, data_dir, sequence, progress, seen=seen)
    return Replayed(engine, base.sequence, hashes)


def state_at(data_dir: Path, sequence: int, progress: ShowProgress) -> State:
    """The state after command `sequence`. Raises BeyondEnd, ReplayDiffers, Refused, OSError."""
    return replay_until(data_dir, sequence, progress).engine.state


def retried(task: Callable[[], Result]) -> Result:
    """What `task` returns; it is done again when files were retired under it. Raises what the last attempt raises."""
    for _ in range(_ATTEMPTS - 1):
        try:
            return task()
        except FileNotFoundError:
            continue
        except Refused as error:
            if error.code not in _RETIRED:
                raise
    return task()
