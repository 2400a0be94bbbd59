"""The engine's state as a snapshot file, and back.

Owns the names and the meta data of the arrays in a snapshot. A checkpoint is only handed out when the file matched its
digest, its records have the layout of this build, and the state hash computed anew equals the one written beside it.
The follower saves, recovery loads.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

import snapshots
from exchange.core.hashing import state_hash
from exchange.core.state import State, new_state

LAYOUT = 2
"""Version of the state's arrays; a snapshot of another layout is not used, the journal is replayed instead."""


class Checkpoint(NamedTuple):
    """A verified state and where it stands."""

    path: Path | None
    state: State
    sequence: int
    event_count: int


class Unusable(Exception):
    """A snapshot that can not be the start of a replay; a sentence that names the file."""


def genesis() -> Checkpoint:
    """The state before the first command."""
    return Checkpoint(None, new_state(), 0, 0)


def save(directory: Path, state: State) -> Path:
    """Write the state as a snapshot, read it back and compare the hashes; returns its path, durable.

    Raises OSError, and Unusable when what was read back is not what was written (the file is removed then).
    """
    sequence = int(state.header[0].sequence)
    lanes = [int(lane) for lane in state_hash(state)]
    meta: dict[str, str | int] = {
        "layout": LAYOUT,
        "event_count": int(state.header[0].event_count),
        "hash_0": lanes[0],
        "hash_1": lanes[1],
    }
    arrays = {name: np.asarray(array) for name, array in state._asdict().items()}
    path = snapshots.write(directory, sequence, arrays, meta)
    try:
        load(path)
    except Unusable:
        path.unlink()
        raise
    return path


def load(path: Path) -> Checkpoint:
    """Read a snapshot and prove it. Raises Unusable, OSError."""
    try:
        found = snapshots.load(path)
    except snapshots.Corrupt as error:
        raise Unusable(str(error)) from error
    if found.meta.get("layout") != LAYOUT:
        raise Unusable(f"The snapshot {path} has layout {found.meta.get('layout')}; this build reads layout {LAYOUT}.")
    arrays = {}
    for name, fresh in new_state()._asdict().items():
        array = found.arrays.get(name)
        if array is None or array.dtype != np.asarray(fresh).dtype:
            raise Unusable(f"The snapshot {path} has no array {name} of this build's layout.")
        arrays[name] = array.view(np.recarray) if array.dtype.names else array
    state = State(**arrays)
    if [int(lane) for lane in state_hash(state)] != [found.meta.get("hash_0"), found.meta.get("hash_1")]:
        raise Unusable(f"The state in the snapshot {path} does not have the hash that was written beside it.")
    header = state.header[0]
    return Checkpoint(path, state, int(header.sequence), int(header.event_count))


def usable(directory: Path, complaints: list[str]) -> Iterator[Checkpoint]:
    """The checkpoints in a directory, newest first; a sentence for each unusable one is appended to `complaints`."""
    for path in snapshots.list_snapshots(directory):
        try:
            yield load(path)
        except Unusable as error:
            complaints.append(f"{error} An older one is used instead.")
