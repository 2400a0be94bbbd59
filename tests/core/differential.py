"""Two exchanges, one stream: the engine must give every event and every row that the oracle gives.

Owns the comparison and its reports: a difference names the command, the event and the fields, so that it can be
replayed by hand.
"""

from __future__ import annotations

import os
import random
from collections.abc import Sequence
from typing import Any

import numpy as np
from hypothesis import settings

from exchange.core.codes import CommandKind, EventKind
from exchange.core.compile import INTERPRETED
from exchange.core.event_records import EVENT_DTYPES, event_dict
from exchange.core.hashing import TABLES, canonical, state_hash
from exchange.core.invariants import check_all
from exchange.core.kernel import Engine
from exchange.core.records import RECORD_BYTES, command_dict
from exchange.core.state import TINY, State, new_state
from tests.oracle import Oracle

Slot = np.ndarray[Any, Any]
Dicts = list[dict[str, Any]]
Rows = dict[str, list[tuple[int, ...]]]

SLOW_KERNELS = INTERPRETED or bool(int(os.environ.get("NUMBA_BOUNDSCHECK") or 0))
"""Kernels run as plain Python, or check every index: streams are shorter then."""
NIGHTS = max(1, settings().max_examples // 1_000)
"""How many times as many streams the profile `nightly` wants."""


def told(slot: Slot) -> dict[str, Any]:
    """A command slot as the oracle takes it; of an unknown kind only the head is known."""
    if int(slot[16]) in list(CommandKind):
        return command_dict(slot)
    sequence, ts_ns = slot[:16].view("<i8")
    return {"sequence": int(sequence), "ts_ns": int(ts_ns), "kind": int(slot[16]), "flags": int(slot[17])}


_MASK = (1 << 64) - 1
_LANES = (0x243F6A8885A308D3, 0x13198A2E03707344)


def _fold(lane: int, word: int) -> int:
    value = (lane ^ word) * 0xBF58476D1CE4E5B9 & _MASK
    value = (value ^ value >> 29) * 0x94D049BB133111EB & _MASK
    return value ^ value >> 32


def hash_rows(tables: Rows) -> tuple[int, int]:
    """The state hash of the rows of docs/engine.md section 7, with Python's integers."""
    sums = [0, 0]
    for number, table in enumerate(TABLES):
        for row in tables[table]:
            for lane, seed in enumerate(_LANES):
                value = _fold(seed, number)
                for word in row:
                    value = _fold(value, word & _MASK)
                sums[lane] += value
    first, second = ((value & _MASK) - ((value & 1 << 63) << 1) for value in sums)
    return first, second


class OracleExchange:
    """The oracle behind command slots."""

    def __init__(self) -> None:
        self.checks = False
        self.oracle = Oracle(hash_rows)
        self.told: list[Dicts] = []

    def apply(self, slot: Slot) -> Dicts:
        self.told.append(self.oracle.apply(told(slot)))
        return self.told[-1]

    def canonical(self) -> Rows:
        return self.oracle.canonical()


class EngineExchange:
    """The engine, one command a batch, with its invariants checked after each; it starts with next to no room."""

    def __init__(self, state: State | None = None) -> None:
        self.checks = True
        self.engine = Engine(new_state(TINY) if state is None else state)
        self.told: list[Dicts] = []

    def apply(self, slot: Slot) -> Dicts:
        self.told.append(event_dicts(self.engine.run(slot.reshape(1, RECORD_BYTES))))
        if self.checks:
            check_all(self.engine.state)
        return self.told[-1]

    def canonical(self) -> Rows:
        return canonical(self.engine.state)


def event_dicts(events: Slot) -> Dicts:
    """Events (m, 128) as dicts; refuses an event with a byte that its kind does not name."""
    dicts = [event_dict(slot) for slot in events]
    for slot, shown in zip(events, dicts, strict=True):
        named = np.zeros(RECORD_BYTES, dtype=bool)
        dtype = EVENT_DTYPES[EventKind(shown["kind"])]
        for field, offset, *_ in (dtype.fields or {}).values():
            named[offset : offset + field.itemsize] = True
        if slot[~named].any():
            raise AssertionError(f"{shown} has bytes that no field names: {slot[~named]}")
    return dicts


def difference(expected: dict[str, Any], got: dict[str, Any]) -> str:
    """The fields in which two dicts differ, in words."""
    names = [*expected, *(name for name in got if name not in expected)]
    return "; ".join(
        f"{name}: oracle {expected.get(name)}, engine {got.get(name)}"
        for name in names
        if expected.get(name) != got.get(name)
    )


def compare_events(commands: Sequence[Slot], expected: Sequence[Dicts], events: Slot) -> None:
    """Every event of a batch against the oracle's, command by command."""
    got = event_dicts(events)
    position = 0
    for slot, wanted in zip(commands, expected, strict=True):
        for nth, event in enumerate(wanted):
            shown = got[position] if position < len(got) else {}
            if shown != event:
                kind = EventKind(shown["kind"]).name if shown else "nothing"
                raise AssertionError(
                    f"command {told(slot)}\nevent {nth}: oracle {EventKind(event['kind']).name}, engine {kind}\n"
                    f"{difference(event, shown)}\noracle: {wanted}\n"
                    f"engine: {got[position - nth : position - nth + len(wanted)]}"
                )
            position += 1
    if position != len(got):
        raise AssertionError(
            f"the engine gave {len(got) - position} events more after {told(commands[-1])}: {got[position:]}"
        )


def compare_states(engine: EngineExchange, oracle: OracleExchange, where: str) -> None:
    """Every row, and the hash over them."""
    compare_rows(engine.engine.state, oracle.canonical(), where)


def compare_rows(state: State, expected: Rows, where: str) -> None:
    """The rows of a state against the oracle's, and its hash against one that is computed from those rows."""
    got = canonical(state)
    if got != expected:
        lines = [f"after {where}:"]
        for table in TABLES:
            lines += [f"  {table}: oracle only {row}" for row in expected[table] if row not in got[table]]
            lines += [f"  {table}: engine only {row}" for row in got[table] if row not in expected[table]]
        raise AssertionError("\n".join(lines))
    computed, wanted = state_hash(state), hash_rows(expected)
    if (int(computed[0]), int(computed[1])) != wanted:
        raise AssertionError(f"after {where}: equal rows, but the state hash is {computed} and not {wanted}")


def compare_hashes(state: State, expected: Rows, where: str) -> None:
    """What `compare_rows` compares, by the hash of the state and that of the oracle's rows, which is quick."""
    if state_hash(state) != hash_rows(expected):
        compare_rows(state, expected, where)


class Differential:
    """An engine that follows an oracle through a stream, in batches of random length."""

    def __init__(self, seed: int, engine: Engine, longest_batch: int = 40) -> None:
        self.random = random.Random(seed)
        self.engine = engine
        self.longest_batch = longest_batch
        self.compared = 0

    def follow(self, commands: Slot, expected: Sequence[Dicts], rows_at_end: Rows) -> None:
        """Run all commands (n, 128), comparing events batch by batch, then the whole state."""
        first = 0
        while first < len(commands):
            count = min(self.random.randint(1, self.longest_batch), len(commands) - first)
            batch = commands[first : first + count]
            compare_events(list(batch), expected[first : first + count], self.engine.run(batch))
            check_all(self.engine.state)
            first += count
            self.compared += count
        compare_rows(self.engine.state, rows_at_end, f"sequence {int(self.engine.state.header[0].sequence)}")
