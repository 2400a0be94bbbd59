"""Replay: commands from the journal through an engine, its events held against the event journal.

Owns the walk through both journals in step. The event journal is derived, so replay can prove it: every recorded event
must come out again, byte for byte. What comes out beyond its end is handed to the caller. Never writes.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from exchange.commands import CommandReader
from exchange.core.event_records import event_dict
from exchange.core.kernel import Engine, EngineFault
from exchange.core.records import slots
from journal.format import Bytes
from journal.reader import Tailer

CHUNK_COMMANDS = 4096
"""Commands applied between two looks at the events."""
NO_END = 1 << 62
"""A `recorded_upto` for a journal that still grows."""


class HistoryDiffers(Exception):
    """Replaying the commands does not give what was recorded; a sentence that says where."""


class Poisoned(HistoryDiffers):
    """The engine can not apply a command, which stands in the journal and will be met again."""

    def __init__(self, sequence: int, fault: str) -> None:
        super().__init__(
            f"Replay stopped after sequence {sequence - 1}: {fault}. What follows does not fit the "
            "state before it: this build computes something else than the one that wrote the journal, or no build "
            "can apply the command."
        )
        self.sequence = sequence
        self.fault = fault


class Replay:
    """An engine that follows a command journal and checks its events.

    `engine` starts at some state; `step` goes on from there. Computed events are held against recorded ones up to
    ordinal `recorded_upto`; those beyond it go to `on_new`, as (n, 128) u1. The follower has neither: it waits.
    Commands beyond sequence `upto` are not applied.
    """

    def __init__(
        self,
        engine: Engine,
        commands: Path,
        events: Path,
        recorded_upto: int = NO_END,
        on_new: Callable[[Bytes], None] | None = None,
        upto: int = NO_END,
    ) -> None:
        header = engine.state.header[0]
        self.engine = engine
        self._commands = CommandReader(commands, int(header.sequence) + 1)
        self._upto = upto
        self._events = Tailer(events, int(header.event_count) + 1)
        self._recorded: Bytes = slots(0)
        self._computed: list[Bytes] = []
        self._recorded_left = recorded_upto - int(header.event_count)
        self._on_new = on_new

    @property
    def sequence(self) -> int:
        """The last command applied."""
        return int(self.engine.state.header[0].sequence)

    @property
    def unmatched(self) -> int:
        """Computed events that no recorded one has been held against yet."""
        return sum(len(part) for part in self._computed)

    def step(self) -> int:
        """Apply what is there, a few megabytes at most; returns how many commands that were. Raises HistoryDiffers.

        Also raises journal.errors.Refused and OSError.
        """
        found = self._commands.poll_records()
        if found is None:
            self._match()
            return 0
        began, commands = found
        commands = commands[: max(0, self._upto - began + 1)]
        for first in range(0, len(commands), CHUNK_COMMANDS):
            self._apply(commands[first : first + CHUNK_COMMANDS])
        return len(commands)

    def close(self) -> None:
        """Give the files back."""
        self._commands.close()
        self._events.close()

    def _apply(self, commands: Bytes) -> None:
        try:
            events = self.engine.run(commands)
        except MemoryError:
            raise
        except EngineFault as error:
            raise Poisoned(error.sequence + 1, error.fault.name) from error
        except Exception as error:
            raise Poisoned(self.sequence + 1, type(error).__name__) from error
        self._computed.append(events.copy())
        self._match()

    def _match(self) -> None:
        """Compare computed with recorded events as far as both go."""
        while self._computed:
            computed = self._computed[0]
            if self._recorded_left == 0 and self._on_new is not None:
                self._on_new(self._computed.pop(0))
                continue
            if not len(self._recorded):
                found = self._events.poll_records()
                if found is None:
                    break
                self._recorded = found[1]
            recorded = self._recorded
            count = min(len(computed), len(recorded), self._recorded_left)
            if not np.array_equal(computed[:count], recorded[:count]):
                self._complain(computed[:count], recorded[:count])
            self._recorded_left -= count
            self._recorded = recorded[count:]
            self._computed[0] = computed[count:]
            if count == len(computed):
                self._computed.pop(0)

    def _complain(self, computed: Bytes, recorded: Bytes) -> None:
        differs = np.flatnonzero((computed != recorded).any(axis=1))[0]
        raise HistoryDiffers(
            "Replay gives another event than the event journal has. Computed: "
            f"{event_dict(computed[differs])}. Recorded: {_readable(recorded[differs])}."
        )


def _readable(slot: Bytes) -> str:
    try:
        return str(event_dict(slot))
    except (ValueError, KeyError):
        return bytes(slot).hex()
