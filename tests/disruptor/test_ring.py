"""The command ring: what the publisher may write, and what a real consumer thread sees."""

from __future__ import annotations

import os
import threading

import numpy as np
import pytest

from exchange.core.codes import CommandKind
from exchange.disruptor import ring
from exchange.disruptor.ring import CommandRing, advance, new_sequences, wait_beyond
from tests.disruptor.running import Records, array_of, command

TICK = command(CommandKind.TICK)


def test_ring_with_a_slot_count_that_is_no_power_of_two_is_refused() -> None:
    for count in (0, 8, 24, 100):
        with pytest.raises(ValueError, match="power of two"):
            CommandRing(count, new_sequences(), 0, 0)


def test_sequences_lie_on_cache_lines_of_their_own() -> None:
    sequences = new_sequences()
    assert sequences.ctypes.data % 64 == 0
    assert sequences.strides == (8,) and ring.LINE * 8 == 64


def test_room_without_the_reserve_ends_an_eighth_earlier() -> None:
    commands = CommandRing(64, new_sequences(), 0, 0)
    while commands.room(reserve=False) > 0:
        commands.put([TICK], 1)
    assert commands.stamped == 56
    while commands.room(reserve=True) > 0:
        commands.put([TICK], 1)
    assert commands.stamped == 64


def test_put_stamps_sequences_without_a_gap_and_times_that_never_decrease() -> None:
    commands = CommandRing(16, new_sequences(), 100, 5_000)
    for now_ns in (4_000, 6_000, 5_500):
        commands.put([TICK], now_ns)
    stamps = commands.buffer.view(np.int64)[:, :2]
    assert [stamps[s & 15].tolist() for s in (101, 102, 103)] == [[101, 5_000], [102, 6_000], [103, 6_000]]


def test_answered_until_is_the_time_of_the_oldest_command_that_waits_or_now() -> None:
    commands = CommandRing(16, new_sequences(), 100, 5_000)
    assert commands.answered_until_ns(4_000) == 5_000
    commands.put([TICK], 6_000)
    commands.put([TICK], 7_000)
    assert commands.answered_until_ns(9_000) == 6_000
    commands.replied = 101
    assert commands.answered_until_ns(9_000) == 7_000
    commands.replied = 102
    assert commands.answered_until_ns(9_000) == 9_000
    commands.put([TICK], 8_000)  # the clock was set back
    assert commands.answered_until_ns(8_000) == 9_000


def test_put_many_across_the_end_of_the_ring_equals_put() -> None:
    one, many = (CommandRing(16, new_sequences(), 11, 0) for _ in range(2))
    commands = [command(CommandKind.OPEN_ACCOUNT, account=16 + i) for i in range(12)]
    for each in commands:
        one.put([each], 9)
    many.put_many(array_of(commands), 9)
    np.testing.assert_array_equal(one.buffer, many.buffer)
    assert one.stamped == many.stamped == 23


def test_put_of_a_short_command_stamps_nothing() -> None:
    commands = CommandRing(16, new_sequences(), 0, 0)
    with pytest.raises(ValueError):  # noqa: PT011  the sentence is memoryview's
        commands.put([TICK, b"short"], 1)
    assert commands.stamped == 0


class Consumer(threading.Thread):
    """Reads every slot up to the cursor, then gives it back; a real stage of the ring."""

    def __init__(self, commands: CommandRing, wake_fd: int, room_fd: int) -> None:
        super().__init__()
        self.commands, self.wake_fd, self.room_fd = commands, wake_fd, room_fd
        self.seen: list[int] = []

    def run(self) -> None:
        sequences, scratch, done = self.commands.sequences, np.zeros(8, np.uint8), 0
        while True:
            published = wait_beyond(
                sequences, ring.CURSOR, done, ring.JOURNALER_PARKED, ring.JOURNALER_STOP, self.wake_fd, scratch
            )
            if published == done:
                return
            slots: Records = self.commands.buffer
            self.seen += [int(slots[s & self.commands.mask].view(np.int64)[0]) for s in range(done + 1, published + 1)]
            done = published
            advance(sequences, ring.APPLIED, done, ring.LOOP_PARKED, self.room_fd)


def test_consumer_thread_behind_a_wrapping_ring_sees_every_sequence_once_in_order() -> None:
    commands = CommandRing(16, new_sequences(), 0, 0)
    sequences = commands.sequences
    wake_fd, room_fd = os.eventfd(0), os.eventfd(0)
    sequences[ring.LOOP_PARKED] = 1  # the consumer signals after every batch
    consumer = Consumer(commands, wake_fd, room_fd)
    consumer.start()
    generator = np.random.default_rng(3)
    total = 5_000
    while commands.stamped < total:
        run = min(int(generator.integers(1, 6)), total - commands.stamped)
        while commands.room(reserve=True) < run:
            commands.publish(wake_fd)
            os.eventfd_read(room_fd)
            commands.replied = int(sequences[ring.APPLIED])
        commands.put([TICK] * run, commands.stamped)
        if generator.random() < 0.5:
            commands.publish(wake_fd)
    commands.publish(wake_fd)
    advance(sequences, ring.JOURNALER_STOP, 1, ring.JOURNALER_PARKED, wake_fd)
    consumer.join()
    os.close(wake_fd)
    os.close(room_fd)
    assert consumer.seen == list(range(1, total + 1))
