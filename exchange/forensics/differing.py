"""`exchange diff A B`: two data directories down to the first sequence that differs.

Owns the order of the comparison: the bytes of the commands in step; then, where commands are equal, the recorded
events, byte for byte. What differs is told in words, after a replay to the sequence before it: what each side's command
does to the same state, or which of two recorded events this build computes. Equal commands and equal events are an
equal state: the engine is a function.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from exchange import past
from exchange.core.event_records import EVENT_DTYPES
from exchange.core.state import State
from exchange.forensics.command_words import command_fields, command_sentence
from exchange.forensics.event_words import event_sentence
from exchange.forensics.names import Fields, Names, time_text
from exchange.forensics.reading import applied, command_at
from exchange.progress import ShowProgress
from journal.errors import Refused
from journal.format import Bytes
from journal.reader import records


class Sides(NamedTuple):
    """Something of A and of B."""

    a: Path
    b: Path

    @property
    def commands(self) -> tuple[Path, Path]:
        """Their command journals."""
        return past.commands_of(self.a), past.commands_of(self.b)

    @property
    def events(self) -> tuple[Path, Path]:
        """Their event journals."""
        return past.events_of(self.a), past.events_of(self.b)


class Pairs(NamedTuple):
    """How far two journals are equal."""

    first: int
    """Where the comparison began: the first sequence that both still have."""
    equal_upto: int
    ends: tuple[int, int]
    differs: bool
    """Whether both have a record after `equal_upto`, and these differ."""


def _from(journal: Path, first: int) -> Iterator[Bytes]:
    return (batch for _, batch in records(journal, first))


def compare(one: Path, other: Path, progress: ShowProgress) -> Pairs:
    """Compare two journals record by record. Raises Refused, OSError."""
    first = max(past.first_sequence(one), past.first_sequence(other))
    ends = past.last_sequence(one), past.last_sequence(other)
    common = min(ends)
    equal = first - 1
    if common < first:
        return Pairs(first, equal, ends, differs=False)
    streams = _from(one, first), _from(other, first)
    left: list[Bytes | None] = [None, None]
    while equal < common:
        for side, stream in enumerate(streams):
            present = left[side]
            if present is None or not len(present):
                left[side] = next(stream, None)
        a, b = left
        if a is None or b is None:
            break
        count = min(len(a), len(b), common - equal)
        if not np.array_equal(a[:count], b[:count]):
            at = int(np.flatnonzero((a[:count] != b[:count]).any(axis=1))[0])
            return Pairs(first, equal + at, ends, differs=True)
        equal += count
        left = [a[count:], b[count:]]
        progress(equal - first + 1, common - first + 1)
    return Pairs(first, equal, ends, differs=False)


def diff(a: Path, b: Path, progress: ShowProgress) -> Fields:
    """What differs, as plain values. Raises past.ReplayDiffers, Refused, OSError."""
    sides = Sides(a, b)
    commands = compare(*sides.commands, progress)
    found: Fields = {
        "equal": False,
        "compared_from": commands.first,
        "equal_upto": commands.equal_upto,
        "ends": {"a": commands.ends[0], "b": commands.ends[1]},
        "differs": None,
        "at_sequence": None,
        "a": None,
        "b": None,
        "notes": [],
    }
    events = _compare_events(sides, progress, found["notes"])
    if events is not None and events.differs:
        at = _sequences_of(sides, events.equal_upto + 1)
        if min(at) <= commands.equal_upto:
            return found | _events_differ(sides, events.equal_upto + 1, min(at), progress)
    if commands.differs:
        at_sequence = commands.equal_upto + 1
        return found | _commands_differ(sides, at_sequence, progress)
    return found | {"equal": commands.ends[0] == commands.ends[1]}


def _compare_events(sides: Sides, progress: ShowProgress, notes: list[str]) -> Pairs | None:
    """The event journals, None when they can not be compared; that is said, and is no difference."""
    try:
        events = compare(*sides.events, progress)
    except (Refused, FileNotFoundError) as error:
        notes.append(f"The recorded events were not compared: {error}")
        return None
    if events.first > 1:
        notes.append(f"Recorded events were compared from event {events.first} on; older ones are no longer kept.")
    return events


def _sequences_of(sides: Sides, ordinal: int) -> tuple[int, int]:
    a, b = (int.from_bytes(next(_from(journal, ordinal))[0, :8].tobytes(), "little") for journal in sides.events)
    return a, b


def _state_before(sides: Sides, sequence: int, progress: ShowProgress) -> tuple[State | None, str]:
    """The state before a sequence from either side, where commands are equal; else why there is none."""
    why = ""
    for data_dir in sides:
        try:
            return past.state_at(data_dir, sequence - 1, progress), ""
        except (past.ReplayDiffers, Refused, FileNotFoundError) as error:
            why = f"What it does is not known: the state before it can not be computed. {error}"
    return None, why


def _commands_differ(sides: Sides, sequence: int, progress: ShowProgress) -> Fields:
    state, why = _state_before(sides, sequence, progress)
    told = [_told(sequence, command_at(data_dir, sequence), state) for data_dir in sides]
    changed = [
        name
        for name in told[0]["fields"].keys() | told[1]["fields"].keys()
        if told[0]["fields"].get(name) != told[1]["fields"].get(name)
    ]
    notes = [
        f"The fields that differ: {', '.join(sorted(changed)) or 'none that has a name'}.",
        *([why] if why else []),
    ]
    return {"differs": "commands", "at_sequence": sequence, "a": told[0], "b": told[1], "notes": notes}


def _told(sequence: int, command: Bytes, state: State | None) -> Fields:
    """A command in words, and what it does to a state."""
    fields = command_fields(command)
    events: list[str] = []
    names = Names(state)
    if state is not None:
        try:
            moment = applied(sequence, command, state)
            names = moment.names
            events = [event_sentence(names, slot) for slot in moment.events]
        except past.ReplayDiffers as error:
            events = [str(error)]
    time = time_text(fields["ts_ns"])
    return {"time": time, "sentence": command_sentence(names, fields), "events": events, "fields": fields}


def _events_differ(sides: Sides, ordinal: int, sequence: int, progress: ShowProgress) -> Fields:
    """Equal commands, but other recorded events: says which of them this build computes."""
    state, why = _state_before(sides, sequence, progress)
    recorded = [next(_from(journal, ordinal))[0] for journal in sides.events]
    names, computed = Names(state), None
    if state is not None:
        moment = applied(sequence, command_at(sides.a, sequence), state)
        names = moment.names
        at = ordinal - int(state.header[0].event_count) - 1
        computed = moment.events[at] if 0 <= at < len(moment.events) else None
    told = [{"sentence": event_sentence(names, slot), "events": [], "fields": _event_fields(slot)} for slot in recorded]
    notes = [why] if why else []
    if computed is not None:
        right = [word for word, slot in zip("AB", recorded, strict=True) if np.array_equal(slot, computed)]
        whose = f"that of {right[0]}" if right else "neither of them"
        notes.append(f"The commands up to here are equal; of the two events this build computes {whose}.")
    where = {"differs": "events", "at_sequence": sequence, "event": ordinal, "equal_upto": sequence - 1}
    return {**where, "a": told[0], "b": told[1], "notes": notes}


def _event_fields(slot: Bytes) -> Fields:
    dtype = EVENT_DTYPES.get(int(slot[16]))  # type: ignore[call-overload]  # an IntEnum's keys are found by int
    if dtype is None:
        return {"kind": int(slot[16]), "bytes": bytes(slot).hex()}
    record = np.ascontiguousarray(slot).view(dtype)[0]
    return {name: int(record[name]) for name in dtype.names or ()}


def sentences(found: Fields, a: Path, b: Path) -> Iterator[str]:
    """What `diff` found, for people."""
    ends, upto = found["ends"], found["equal_upto"]
    if found["compared_from"] > 1:
        yield f"Compared from sequence {found['compared_from']} on; older commands are no longer kept by both."
    if found["differs"]:
        yield f"Equal up to sequence {upto}; the {found['differs']} of sequence {found['at_sequence']} differ."
        for word, path in (("a", a), ("b", b)):
            yield f"{word.upper()} ({path}): {found[word]['sentence']}"
            yield from (f"    {event}" for event in found[word]["events"])
    elif found["equal"]:
        yield f"Equal: both end at sequence {upto}."
    else:
        longer, word = ("A", "a") if ends["a"] > ends["b"] else ("B", "b")
        yield f"Equal up to sequence {upto}; {longer} goes on to {ends[word]}."
    yield from found["notes"]
