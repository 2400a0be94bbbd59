"""What lies in a data directory, as the tools look at it: one command between two states, and runs of events.

Owns copies of states and the way through both journals. Events are read where they are recorded, and computed where
they are not; both are the same, or the replay says so. Never writes.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from exchange import past
from exchange.checkpoint import Checkpoint
from exchange.core import readers
from exchange.core.codes import EventFlag
from exchange.core.kernel import Engine
from exchange.core.state import State
from exchange.forensics.names import Fields, Names, time_text
from exchange.progress import ShowProgress
from journal.errors import Refused
from journal.format import Bytes
from journal.reader import records


class Moment(NamedTuple):
    """One command with the states around it."""

    sequence: int
    command: Bytes
    """As the engine saw it, shape (128,), u1."""
    journaled: Bytes
    """As it stands in the journal: the same, unless it is passed over."""
    events: Bytes
    before: State
    after: State

    @property
    def names(self) -> Names:
        """Names as they were after the command."""
        return Names(self.after)


def copied(state: State) -> State:
    """A state that shares nothing with another one."""
    return State(*(array.copy() for array in state))


def command_at(data_dir: Path, sequence: int) -> Bytes:
    """The command with a sequence, shape (128,). Raises past.BeyondEnd, Refused, OSError."""
    for _, batch in records(past.commands_of(data_dir), sequence):
        command: Bytes = batch[0]
        return command
    raise past.BeyondEnd(sequence, past.last_sequence(past.commands_of(data_dir)))


def moment(data_dir: Path, sequence: int, progress: ShowProgress) -> Moment:
    """The command with a sequence between two states. Raises past.BeyondEnd, past.ReplayDiffers, Refused, OSError."""
    journaled = command_at(data_dir, sequence)
    before = past.state_at(data_dir, sequence - 1, progress)
    command = next(past.commands_from(data_dir, sequence))[1][0]
    return applied(sequence, command, before)._replace(journaled=journaled)


def applied(sequence: int, command: Bytes, before: State) -> Moment:
    """A command applied to a copy of the state before it. Raises past.ReplayDiffers."""
    engine = Engine(copied(before))
    events = past.apply(engine, command[np.newaxis])
    return Moment(sequence, command, command, events.copy(), before, engine.state)


def state_fields(state: State) -> Fields:
    """Where a state stands and how much is in it, in the order in which it is shown."""
    header = state.header[0]
    sequence, ts_ns = int(header.sequence), int(header.ts_ns)
    return {
        "sequence": sequence,
        "ts_ns": ts_ns,
        "time": time_text(ts_ns),
        "events": int(header.event_count),
        "open_orders": int(header.open_orders),
        "next_order_id": int(header.next_order_id),
        "accounts": len(readers.accounts(state)),
        "trades": int(state.symbols["trades"].sum()),
    }


def event_batches(data_dir: Path, base: Checkpoint, end: int, progress: ShowProgress) -> Iterator[Bytes]:
    """The events after `base` up to command `end`, in batches that end where a command does; (n, 128) u1.

    Raises past.BeyondEnd, past.ReplayDiffers, Refused, OSError.
    """
    reached = base.sequence
    try:
        for batch in _recorded(past.events_of(data_dir), base.event_count + 1):
            reached = _sequence(batch)
            progress(min(reached, end) - base.sequence, end - base.sequence)
            yield batch
    except (Refused, FileNotFoundError):
        # What is damaged, retired or gone in the event journal is computed from the commands below.
        pass
    if reached < end:
        yield from _computed(data_dir, reached, end, progress)


def _sequence(events: Bytes) -> int:
    return int.from_bytes(events[-1, :8].tobytes(), "little")


def _recorded(journal: Path, ordinal: int) -> Iterator[Bytes]:
    """Events from an ordinal on; those of an unfinished command are kept back."""
    kept: list[Bytes] = []
    for _, batch in records(journal, ordinal):
        ends = np.flatnonzero(batch[:, 17] & EventFlag.LAST)
        if not len(ends):
            kept.append(batch)
            continue
        whole = int(ends[-1]) + 1
        yield np.concatenate([*kept, batch[:whole]]) if kept else batch[:whole]
        kept = [batch[whole:]] if whole < len(batch) else []


def _computed(data_dir: Path, reached: int, end: int, progress: ShowProgress) -> Iterator[Bytes]:
    """Events of the commands after `reached` up to `end`, by replay."""
    engine = past.replay_until(data_dir, reached, progress).engine
    for first, commands in past.commands_from(data_dir, reached + 1):
        for at in range(0, min(len(commands), end - first + 1), past.CHUNK_COMMANDS):
            yield past.apply(engine, commands[at : min(at + past.CHUNK_COMMANDS, end - first + 1)]).copy()
        progress(min(first + len(commands) - 1, end) - reached, end - reached)
