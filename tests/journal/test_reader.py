"""Readers beside a live writer: every record once, in order, never half a group."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from journal.errors import RefusalCode, Refused
from journal.format import SEGMENT_HEADER_BYTES
from journal.reader import Tailer, groups, records
from journal.segments import retire, segment_name
from journal.writer import Writer
from tests.journal import journals


def taken(tailer: Tailer) -> list[bytes]:
    found: list[bytes] = []
    while batch := tailer.poll():
        for group in batch:
            assert group.last_sequence - group.first_sequence + 1 == group.count == len(group.payload)
            found += [record.tobytes() for record in group.payload]
    return found


def test_tailer_before_the_first_segment_waits_for_it(tmp_path: Path) -> None:
    tailer = Tailer(tmp_path)
    assert tailer.poll() == []
    journals.write(tmp_path, [3])
    assert taken(tailer) == journals.expected(3)
    tailer.close()


@pytest.mark.parametrize("first", [1, 2, 20, 21, 50])
def test_tailer_follows_a_writer_across_segments_and_epochs(tmp_path: Path, first: int) -> None:
    found: list[bytes] = []
    tailer = Tailer(tmp_path, first)
    for counts in ([7, 1, 12], [20, 20], [], [1, 1, 1]):
        with Writer(tmp_path, journals.begin(tmp_path)) as writer:
            found += taken(tailer)
            for count in counts:
                last = writer.append(journals.records(writer.position.last_sequence + 1, count))
                found += taken(tailer)
                assert found == journals.expected(last, first)
                writer.sync()
    assert tailer.next_sequence == 64
    assert tailer.durable_upto == 62
    tailer.close()


def test_tailer_beside_a_writer_in_another_thread_gets_every_record_once(tmp_path: Path) -> None:
    last = 3_000

    def write() -> None:
        with Writer(tmp_path, journals.begin(tmp_path, 16_384)) as writer:
            while (sequence := writer.position.last_sequence) < last:
                writer.append(journals.records(sequence + 1, min(1 + sequence % 23, last - sequence)))
                if sequence % 7 == 0:
                    writer.sync()

    thread = threading.Thread(target=write)
    thread.start()
    tailer = Tailer(tmp_path)
    found: list[bytes] = []
    while thread.is_alive() or len(found) < last:
        alive = thread.is_alive()
        batch = taken(tailer)
        found += batch
        assert batch or alive or len(found) == last
    thread.join()
    tailer.close()
    assert found == journals.expected(last)


def test_tailer_group_written_byte_by_byte_is_delivered_only_when_whole(tmp_path: Path) -> None:
    journals.write(tmp_path, [2, 2])
    path = tmp_path / segment_name(1)
    whole = path.read_bytes()
    _, start, end = journals.offsets(tmp_path)
    path.write_bytes(whole[:start] + bytes(len(whole) - start))
    tailer = Tailer(tmp_path)
    assert taken(tailer) == journals.expected(2)
    for offset in range(start, end):
        journals.poke(path, offset, whole[offset : offset + 1])
        if offset < end - 1:
            assert tailer.poll() == [], offset
    assert taken(tailer) == journals.expected(4, 3)
    tailer.close()


def test_tailer_past_a_torn_group_goes_on_in_the_next_epoch(tmp_path: Path) -> None:
    journals.write(tmp_path, [2, 3])
    tailer = Tailer(tmp_path)
    end = journals.offsets(tmp_path)[-1]
    journals.poke(tmp_path / segment_name(1), end, b"XGRP" + b"\x01" * 300)
    assert taken(tailer) == journals.expected(5)
    journals.write(tmp_path, [4])
    assert taken(tailer) == journals.expected(9, 6)
    tailer.close()


def test_tailer_with_a_small_limit_delivers_a_part_at_a_time(tmp_path: Path) -> None:
    journals.write(tmp_path, [100] * 12, segment_bytes=1 << 20)
    tailer = Tailer(tmp_path)
    first = tailer.poll(limit_bytes=1)
    assert 1 <= len(first) < 12
    assert len(first) + len(groups_of(tailer)) == 12
    tailer.close()


def groups_of(tailer: Tailer) -> list[int]:
    return [group.count for batch in iter(tailer.poll, []) for group in batch]


def test_tailer_of_a_group_larger_than_its_read_ahead_delivers_it(tmp_path: Path) -> None:
    journals.write(tmp_path, [2_000, 1], segment_bytes=1 << 20)
    assert journals.read(tmp_path) == journals.expected(2_001)


def test_groups_payload_is_writable_and_aligned(tmp_path: Path) -> None:
    journals.write(tmp_path, [3])
    (group,) = groups(tmp_path)
    assert group.payload.flags.writeable
    assert group.payload.ctypes.data % 8 == 0
    assert group.payload.shape == (3, 128)
    assert (group.segment_id, group.offset, group.epoch) == (1, SEGMENT_HEADER_BYTES, 1)


@pytest.mark.parametrize("first", [1, 3, 20, 21, 47, 64])
def test_records_of_many_groups_come_as_one_array(tmp_path: Path, first: int) -> None:
    for counts in ([7, 1, 12], [20, 20], [], [1, 1, 1]):
        journals.write(tmp_path, counts)
    found: list[bytes] = []
    for sequence, batch in records(tmp_path, first):
        assert sequence == first + len(found)
        assert batch.flags.writeable
        found += [record.tobytes() for record in batch]
    assert found == journals.expected(63, first)


def test_tailer_polled_for_records_and_groups_in_turn_delivers_each_once(tmp_path: Path) -> None:
    tailer = Tailer(tmp_path)
    assert tailer.poll_records() is None
    with Writer(tmp_path, journals.begin(tmp_path)) as writer:
        writer.append(journals.records(1, 3))
        writer.append(journals.records(4, 2))
        batch = tailer.poll_records()
        assert batch is not None
        assert (batch[0], len(batch[1])) == (1, 5)
        writer.append(journals.records(6, 1))
        assert taken(tailer) == journals.expected(6, 6)
        assert tailer.poll_records() is None
    tailer.close()


def test_tailer_whose_next_segment_was_retired_is_refused(tmp_path: Path) -> None:
    journals.write(tmp_path, [20])
    tailer = Tailer(tmp_path)
    assert len(taken(tailer)) == 20
    journals.write(tmp_path, [20, 20, 20])
    retire(tmp_path, 60)
    with pytest.raises(Refused, match="retired before it was read"):
        taken(tailer)
    tailer.close()


def test_tailer_damage_in_a_finished_segment_is_refused(tmp_path: Path) -> None:
    journals.write(tmp_path, [20, 20])
    journals.poke(tmp_path / segment_name(1), SEGMENT_HEADER_BYTES + 80, b"\0\0\0\0\0\0\0\0\0")
    with pytest.raises(Refused) as caught:
        journals.read(tmp_path)
    assert caught.value.code == RefusalCode.ROT
    assert (caught.value.first_sequence, caught.value.last_sequence) == (1, 20)


def test_reader_and_writer_agree_with_recovery_on_the_chain(tmp_path: Path) -> None:
    position = journals.write(tmp_path, [2, 3, 4])
    *_, last = groups(tmp_path)
    recovered = journals.recover(tmp_path)
    assert last.chain == recovered.chain == position.chain
