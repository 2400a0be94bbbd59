"""The compiled journaler writes the journal that the plain writer writes, and never cuts a linked run."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from exchange.core.codes import CommandFlag
from exchange.disruptor import ring
from exchange.disruptor.journaler import Ended, Journaler, whole_runs
from exchange.disruptor.pipeline import _COMMAND_LINES
from exchange.disruptor.ring import CommandRing, new_sequences
from journal import reader, recovery
from journal.format import Stream
from journal.writer import Writer
from tests.disruptor.running import CLUSTER_ID, SEGMENT_BYTES, Records, begin

RING_SLOTS = 64


class Bench:
    """A ring and its journaler; `write` publishes a batch and runs the loop until everything is journaled."""

    def __init__(self, directory: Path, *, synced: bool = True, segment_bytes: int = SEGMENT_BYTES) -> None:
        sequences = new_sequences()
        position = begin(directory, Stream.COMMANDS, segment_bytes)
        self.ring = CommandRing(RING_SLOTS, sequences, position.last_sequence, 0)
        self.fds = (os.eventfd(0), os.eventfd(0), os.eventfd(0))
        self.journaler = Journaler(
            self.ring.buffer,
            sequences,
            _COMMAND_LINES,
            position,
            synced=synced,
            own_fd=self.fds[0],
            next_fd=self.fds[1],
            then_fd=self.fds[2],
        )
        sequences[ring.JOURNALER_STOP] = 1  # the loop returns instead of waiting

    def write(self, commands: Records) -> Ended:
        self.ring.put_many(commands, 1)
        self.ring.publish(self.fds[0])
        while (ended := self.journaler.enter()) == Ended.ROLL:
            self.journaler._roll()
        self.ring.replied = int(self.ring.sequences[ring.JOURNALED])
        return Ended(ended)

    def close(self) -> None:
        self.journaler._finish()
        os.close(int(self.journaler._tail[0].fd))
        for fd in self.fds:
            os.close(fd)


def random_commands(generator: np.random.Generator, count: int, *, linked: bool = False) -> Records:
    commands = generator.integers(0, 256, (count, 128), dtype=np.uint8)
    commands[:, 17] = 0
    if linked:
        commands[:-1, 17] = np.where(generator.random(count - 1) < 0.7, CommandFlag.LINKED, 0)
    return commands


def stamped(commands: Records, first: int) -> Records:
    commands = commands.copy()
    commands.view(np.int64)[:, 0] = np.arange(first, first + len(commands))
    commands.view(np.int64)[:, 1] = 1
    return commands


def test_journaler_writes_the_bytes_of_the_plain_writer_over_rolls_and_wraps(tmp_path: Path) -> None:
    generator = np.random.default_rng(11)
    bench = Bench(tmp_path / "compiled")
    writer = Writer(tmp_path / "plain", begin(tmp_path / "plain", Stream.COMMANDS, SEGMENT_BYTES))
    for _ in range(120):
        commands = random_commands(generator, int(generator.integers(1, RING_SLOTS + 1)))
        first = bench.ring.stamped + 1
        assert bench.write(commands) == Ended.STOPPED
        writer.append(stamped(commands, first))
        writer.sync()
    bench.close()
    writer.close()
    names = sorted(path.name for path in (tmp_path / "plain").iterdir())
    assert len(names) > 5, "the segments must be small enough to roll"
    assert sorted(path.name for path in (tmp_path / "compiled").iterdir()) == names
    for name in names:
        assert (tmp_path / "compiled" / name).read_bytes() == (tmp_path / "plain" / name).read_bytes(), name
    recovered = recovery.recover(
        tmp_path / "compiled", stream=Stream.COMMANDS, cluster_id=CLUSTER_ID, watermarks={"ring": bench.ring.stamped}
    )
    assert recovered.last_sequence == bench.ring.stamped
    assert recovered.chain == bench.journaler.position.chain


def test_group_never_ends_inside_a_linked_run(tmp_path: Path) -> None:
    generator = np.random.default_rng(12)
    segment_bytes = 128 + 64 + 16 * 128  # groups of at most 16 records
    bench = Bench(tmp_path, segment_bytes=segment_bytes)
    for _ in range(60):
        commands = random_commands(generator, int(generator.integers(2, RING_SLOTS + 1)), linked=True)
        flags = commands[:, 17]
        for end in range(10, len(flags), 11):  # no run longer than a group
            flags[end] = 0
        assert bench.write(commands) == Ended.STOPPED
    bench.close()
    groups = list(reader.groups(tmp_path))
    assert max(group.count for group in groups) > 8
    assert sum(group.count for group in groups) == bench.ring.stamped
    assert all(group.payload[-1, 17] & CommandFlag.LINKED == 0 for group in groups)


def test_whole_runs_gives_back_the_open_run() -> None:
    words = np.zeros(16 * 16, np.uint64)
    for slot in (3, 4, 5):
        words[slot * 16 + 2] = CommandFlag.LINKED << 8
    assert whole_runs(words, 15, 1, 2) == 2
    assert whole_runs(words, 15, 1, 3) == 2
    assert whole_runs(words, 15, 1, 5) == 2
    assert whole_runs(words, 15, 1, 6) == 6
    assert whole_runs(words, 15, 3, 2) == 0


def test_group_says_what_was_durable_when_it_was_written(tmp_path: Path) -> None:
    for synced, expected in ((True, [0, 3, 5]), (False, [0, 0, 0])):
        bench = Bench(tmp_path / str(synced), synced=synced)
        for count in (3, 2, 4):
            bench.write(random_commands(np.random.default_rng(1), count))
        assert [group.durable_upto for group in reader.groups(tmp_path / str(synced))] == expected
        bench.close()
        assert bench.ring.sequences[ring.DURABLE] == 9


def test_journaler_with_a_failing_file_fences_and_does_not_advance(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.write(random_commands(np.random.default_rng(1), 5))
    read_only = os.open(bench.journaler.position.path, os.O_RDONLY)
    os.dup2(read_only, int(bench.journaler._tail[0].fd))
    os.close(read_only)
    assert bench.write(random_commands(np.random.default_rng(2), 5)) == Ended.FAILED
    sequences = bench.ring.sequences
    assert (sequences[ring.JOURNALED], sequences[ring.DURABLE], sequences[ring.FENCED]) == (5, 5, 1)
    for fd in (*bench.fds, int(bench.journaler._tail[0].fd)):
        os.close(fd)


def test_segment_that_holds_too_few_records_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="16 records"):
        Bench(tmp_path, segment_bytes=1024)
