"""The engine as Python sees it: a state, batches of commands in, batches of events out.

Owns the loop around `apply` and the growth of the state. The live sequencer enters `apply` itself and calls `grow`
when it asks.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from exchange.core.codes import Fault
from exchange.core.engine import Status, apply
from exchange.core.expiry import compact
from exchange.core.growth import enlarge
from exchange.core.records import slots
from exchange.core.state import LEGS_MAX, Room, State, new_state

__all__ = ["Engine", "EngineFault", "Status", "apply"]

Buffer = np.ndarray[Any, np.dtype[np.uint8]]


class EngineFault(Exception):
    """The engine met something that must never happen; nothing after it may be acknowledged."""

    def __init__(self, fault: Fault, sequence: int) -> None:
        super().__init__(f"the engine stopped with {fault.name} after sequence {sequence}")
        self.fault = fault
        self.sequence = sequence


class Engine:
    """A deterministic exchange: `run` commands, get events.

    `state` is replaced when a pool grows, so do not keep a reference across calls.
    """

    def __init__(self, state: State | None = None, event_slots: int = 1 << 12) -> None:
        self.state = new_state() if state is None else state
        self._events = slots(event_slots)

    def run(self, commands: Buffer) -> Buffer:
        """Apply commands, shape (n, 128) u1, that carry sequence and ts_ns; returns their events, (m, 128) u1.

        The result is valid until the next call. Raises EngineFault.
        """
        first = used = 0
        while first < len(commands):
            done, used, status = apply(self.state, commands, first, len(commands) - first, self._events, used)
            first += done
            if status == Status.NEEDS_ROOM:
                self.grow()
            elif status == Status.EVENTS_FULL:
                self._enlarge_events(used)
            elif status == Status.FAULT:
                raise EngineFault(Fault(int(self.state.header[0].fault)), int(self.state.header[0].sequence))
        return self._events[:used]

    def grow(self) -> None:
        """Enlarge the pool that the kernel asked for; meaning and hash of the state stay as they are."""
        room = int(self.state.header[0].room)
        if room == Room.EXPIRIES:
            compact(self.state)
            if 2 * max(int(self.state.header[0].expiries), LEGS_MAX) <= len(self.state.expiries):
                return
        self.state = enlarge(self.state, room)

    def _enlarge_events(self, used: int) -> None:
        needed = used + int(self.state.header[0].events_needed)
        larger = slots(max(2 * len(self._events), 1 << needed.bit_length()))
        larger[:used] = self._events[:used]
        self._events = larger
