"""A batch of events by kind, and the grouping of rows: what every fold is made of.

Owns the reading of event slots as arrays. Never loops over events.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from exchange.core.codes import EventKind
from exchange.core.event_records import EVENT_DTYPES
from exchange.core.records import ANY, CLIENT_ID_BYTES, RECORD_BYTES
from exchange.persistence.copying import Array

_KIND_AT = 16


class Slots:
    """Events of whole commands, (n, 128) u1; the first has the ordinal `first_event`."""

    def __init__(self, events: Array, first_event: int) -> None:
        self._events = events
        self._first_event = first_event
        self._kinds = events[:, _KIND_AT].copy()
        self._found: dict[EventKind, tuple[Array, Array]] = {}
        last = events[-1].view(ANY)[0]
        self.last_event = first_event + len(events) - 1
        self.last_sequence = int(last["sequence"])
        self.last_ts_ns = int(last["ts_ns"])

    def of(self, kind: EventKind) -> Array:
        """The events of a kind, as records of its dtype, in order."""
        return self._of(kind)[0]

    def ordinals(self, kind: EventKind) -> Array:
        """The ordinals of the events of a kind."""
        return self._of(kind)[1]

    def _of(self, kind: EventKind) -> tuple[Array, Array]:
        if kind not in self._found:
            where = np.flatnonzero(self._kinds == kind)
            records = self._events[where].reshape(-1, RECORD_BYTES).view(EVENT_DTYPES[kind]).reshape(-1)
            self._found[kind] = records, where + self._first_event
        return self._found[kind]


def client_ids(events: Array) -> Array:
    """Client ids as text. The gateway takes printable ASCII; whatever else came in is shown as a question mark."""
    raw = events.view(np.uint8).reshape(-1, RECORD_BYTES)[:, -CLIENT_ID_BYTES:].copy()
    texts = raw.view(f"S{CLIENT_ID_BYTES}").reshape(-1)
    inside = np.arange(CLIENT_ID_BYTES) < np.char.str_len(texts)[:, np.newaxis]
    raw[inside & ((raw == 0) | (raw > 127))] = ord("?")
    return texts


class Groups:
    """Rows with equal keys. Within a group the rows keep their order; groups come in the order of their keys."""

    def __init__(self, *keys: Array) -> None:
        self.count = len(keys[0])
        self._order = np.lexsort(keys[::-1]) if self.count else np.zeros(0, np.int64)
        changes = np.zeros(self.count, np.bool_)
        changes[:1] = True
        for key in keys:
            ordered = key[self._order]
            changes[1:] |= ordered[1:] != ordered[:-1]
        self._starts = np.flatnonzero(changes)
        self._ends = np.append(self._starts, self.count)[1:]

    def __len__(self) -> int:
        return len(self._starts)

    @property
    def sizes(self) -> Array:
        """How many rows each group has."""
        return self._ends - self._starts

    def first(self, values: Array) -> Array:
        """Of each group's first row."""
        return np.asarray(values[self._order[self._starts]])

    def last(self, values: Array) -> Array:
        """Of each group's last row."""
        return np.asarray(values[self._order[self._ends - 1]])

    def reduce(self, function: Any, values: Array) -> Array:
        """One value a group, by a ufunc such as np.add, np.minimum."""
        if not self.count:
            return np.asarray(values[:0])
        return np.asarray(function.reduceat(values[self._order], self._starts))

    def sum(self, values: Array) -> Array:
        """The sum of each group, in 64 bits."""
        return self.reduce(np.add, values.astype(np.int64, copy=False))
