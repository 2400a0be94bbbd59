"""`python -m bench.recovery`: from a data directory to an engine that may serve, with and without a snapshot.

Writes a real data directory first: 2 M commands of the usual flow in a synced command journal, their events in the
event journal. Then measures, each from files on disk: `replay`, which verifies the hash chain and applies the
commands; `recovery`, all that a start does, which also reads the journal once more for the decision table and holds
every event against the recorded one; and the same with a proven snapshot at the middle. Every engine that comes out
must have the state hash of the one that wrote.

Speed is commands a second of the thread's CPU time (`wall_` figures: of the wall clock).
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import pathlib
import sys
import tempfile
import time
from collections.abc import Callable
from typing import Any, NamedTuple

from bench.flow import Shape, cached
from bench.flow_engine import Buffer, Wrong, prepare
from exchange import checkpoint
from exchange.core.hashing import state_hash
from exchange.core.kernel import Engine
from exchange.core.state import State
from exchange.datadir import DataDirectory
from exchange.recovery import COMMANDS, EVENTS, recover
from exchange.settings import Settings, load
from journal import recovery as journals
from journal.reader import groups
from journal.writer import Writer

SHAPE = Shape("touch", commands=2_000_000)
GROUP_COMMANDS = 1_024
Hash = tuple[int, int]


class Written(NamedTuple):
    """What stands in the data directory."""

    sequence: int
    hash: Hash


class Timing(NamedTuple):
    """How long one way took."""

    commands: int
    cpu_s: float
    wall_s: float

    def figures(self, prefix: str) -> dict[str, int]:
        """Commands a second by both clocks."""
        return {
            f"{prefix}commands_per_second": round(self.commands / self.cpu_s),
            f"{prefix}wall_commands_per_second": round(self.commands / self.wall_s),
        }


def _hash(state: State) -> Hash:
    lanes = state_hash(state)
    return int(lanes[0]), int(lanes[1])


def write_history(directory: DataDirectory, settings: Settings, batches: list[Buffer]) -> Written:
    """Run commands through an engine and journal them and their events; a snapshot is saved at the middle."""
    engine = Engine()
    writers = []
    for place, stream in ((directory.commands, COMMANDS), (directory.events, EVENTS)):
        found = journals.recover(place, stream=stream, cluster_id=directory.cluster_id, watermarks={})
        writers.append(Writer(place, journals.begin_epoch(place, found, segment_bytes=settings.segment_bytes)))
    commands, events = writers
    total = sum(len(batch) for batch in batches)
    with commands, events:
        for batch in batches:
            for first in range(0, len(batch), GROUP_COMMANDS):
                part = batch[first : first + GROUP_COMMANDS]
                commands.append(part)
                events.append(engine.run(part))
                if not list(directory.snapshots.iterdir()) and commands.position.last_sequence >= total // 2:
                    checkpoint.save(directory.snapshots, engine.state)
        commands.sync()
        events.sync()
    return Written(int(engine.state.header[0].sequence), _hash(engine.state))


def _timed(run: Callable[[], tuple[int, State]], written: Written) -> Timing:
    """Time a way back to the state; `run` returns how many commands it replayed. Raises Wrong."""
    wall_s, cpu_s = time.perf_counter(), time.thread_time()
    commands, state = run()
    timing = Timing(commands, time.thread_time() - cpu_s, time.perf_counter() - wall_s)
    found = Written(int(state.header[0].sequence), _hash(state))
    if found != written:
        raise Wrong(f"the state at the end is {found}, {written} was written")
    return timing


def _replay(directory: DataDirectory) -> tuple[int, State]:
    engine = Engine()
    count = 0
    for group in groups(directory.commands):
        engine.run(group.payload)
        count += group.count
    return count, engine.state


def _recover(directory: DataDirectory, settings: Settings) -> tuple[int, State]:
    paths = list(directory.snapshots.iterdir())
    base = max((int(path.name.partition(".")[0]) for path in paths), default=0)
    state = recover(directory, settings).engine.state
    return int(state.header[0].sequence) - base, state


def measure(folder: pathlib.Path) -> dict[str, Any]:
    """All figures, in a data directory below `folder`. Raises Wrong."""
    settings = load({}, demo=True, data_dir=folder / "var")
    prepared = prepare(cached(SHAPE))
    with DataDirectory(settings.data_dir) as directory:
        written = write_history(directory, settings, [prepared.setup, prepared.commands])
        replay = _timed(lambda: _replay(directory), written)
        with pathlib.Path(os.devnull).open("w") as nowhere, contextlib.redirect_stderr(nowhere):
            with_snapshot = _timed(lambda: _recover(directory, settings), written)
            for path in directory.snapshots.iterdir():
                path.unlink()
            from_genesis = _timed(lambda: _recover(directory, settings), written)
    return {
        "ok": True,
        "commands": replay.commands,
        **replay.figures(""),
        **from_genesis.figures("recovery_"),
        "recovery_s": round(from_genesis.wall_s, 2),
        "recovery_with_snapshot_s": round(with_snapshot.wall_s, 2),
        "commands_behind_snapshot": with_snapshot.commands,
    }


def main(arguments: list[str] | None = None) -> int:
    """Run; 0 if every check held, 1 if not."""
    parser = argparse.ArgumentParser(prog="python -m bench.recovery", description="Replay and recovery from disk.")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="exchange-bench-") as folder:
        try:
            figures = measure(pathlib.Path(folder))
        except Wrong as error:
            print(json.dumps({"ok": False, "error": str(error)}) if options.json else f"bench.recovery: {error}")
            return 1
    if options.json:
        print(json.dumps(figures))
        return 0
    for name, value in figures.items():
        print(f"{name:<36}{value:>14,}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
