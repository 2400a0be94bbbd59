"""The decision table, row by row, and what surrounds it, on real files."""

import shutil
from pathlib import Path

import pytest

from journal.errors import RefusalCode, Refused
from journal.recovery import begin_epoch
from journal.scan import scan
from journal.segments import list_segments, prepare_spare, retire, segment_name
from journal.writer import Writer
from tests.journal import journals

SMALL_SEGMENT = journals.SMALL_SEGMENT


def refused(place: Path, code: RefusalCode, **watermarks: int) -> Refused:
    """Recovery refuses, and refuses again: it has changed nothing."""
    before = {path.name: path.read_bytes() for path in place.iterdir()}
    with pytest.raises(Refused) as caught:
        journals.recover(place, journals.CLUSTER, 1, 128, **watermarks)
    assert {path.name: path.read_bytes() for path in place.iterdir()} == before
    assert caught.value.code == code, str(caught.value)
    assert caught.value.hint
    assert str(caught.value.path) in str(caught.value)
    return caught.value


def test_journal_empty_directory_recovers_to_sequence_zero(tmp_path: Path) -> None:
    recovered = journals.recover(tmp_path)
    assert (recovered.last_sequence, recovered.epoch, recovered.next_segment_id) == (0, 0, 1)
    assert recovered.report == ("The journal is empty.",)
    assert journals.read(tmp_path) == []


def test_journal_empty_directory_with_watermark_is_refused(tmp_path: Path) -> None:
    error = refused(tmp_path, RefusalCode.ACKNOWLEDGED_TAIL_LOST, snapshot=7)
    assert (error.first_sequence, error.last_sequence) == (1, 7)


def test_journal_written_over_epochs_and_segments_reads_back(tmp_path: Path) -> None:
    journals.write(tmp_path, [1, 5, 20, 3, 17, 2])
    journals.write(tmp_path, [4, 30])
    journals.write(tmp_path, [])
    position = journals.write(tmp_path, [1])
    assert position.epoch == 4
    assert journals.read(tmp_path) == journals.expected(83)
    assert journals.read(tmp_path, 40) == journals.expected(83, 40)
    found = scan(tmp_path)
    assert (found.records, found.durable_upto, found.chain) == (83, 82, position.chain)
    assert len(list_segments(tmp_path)) == len(found.segments) >= 6


@pytest.mark.parametrize("count", [1, 3])
def test_last_group_cut_at_every_length_leaves_the_state_before_it(tmpfs_path: Path, count: int) -> None:
    journals.write(tmpfs_path, [2, 3, count])
    name = segment_name(1)
    whole = (tmpfs_path / name).read_bytes()
    *_, start, end = journals.offsets(tmpfs_path)
    for length in range(start, end + 1):
        place = tmpfs_path / f"cut{length}"
        place.mkdir()
        (place / name).write_bytes(whole[:length])
        recovered = journals.recover(place)
        assert recovered.last_sequence == (5 + count if length == end else 5)
        kept = whole[start:length].rstrip(b"\0") if length < end else b""
        assert recovered.torn_bytes == len(kept)
        assert (recovered.tail_path.read_bytes() if recovered.tail_path else b"") == kept
        begin_epoch(place, recovered, segment_bytes=4096)
        assert journals.read(place) == journals.expected(recovered.last_sequence)
        shutil.rmtree(place)


def test_last_group_cut_then_written_on_continues_the_sequence(tmp_path: Path) -> None:
    journals.write(tmp_path, [2, 3])
    start = journals.offsets(tmp_path)[1]
    journals.poke(tmp_path / segment_name(1), start + 70, b"\0\0\0")
    journals.write(tmp_path, [6])
    assert journals.read(tmp_path) == journals.expected(8)


def test_torn_tails_twice_are_kept_in_two_files(tmp_path: Path) -> None:
    for segment_id in (1, 2):
        journals.write(tmp_path, [3])
        last = segment_name(segment_id)
        end = journals.offsets(tmp_path, segment_id)[-1]
        journals.poke(tmp_path / last, end, b"\x5a" * 100)
        recovered = journals.recover(tmp_path)
        assert recovered.torn_bytes == 100
        assert recovered.tail_path is not None
        assert recovered.tail_path.read_bytes() == b"\x5a" * 100
        assert "torn tail of 100 bytes" in " ".join(recovered.report)
    assert sorted(path.name for path in tmp_path.glob("tail-*")) == ["tail-0.bin", "tail-1.bin"]


@pytest.mark.parametrize("record_offset", [0, 4, 63, 64, 64 + 127])
def test_durable_group_damaged_with_later_proof_is_rot(tmp_path: Path, record_offset: int) -> None:
    journals.write(tmp_path, [2, 3, 4])
    start = journals.offsets(tmp_path)[1]
    original = (tmp_path / segment_name(1)).read_bytes()[start + record_offset]
    journals.poke(tmp_path / segment_name(1), start + record_offset, bytes([original ^ 16]))
    error = refused(tmp_path, RefusalCode.ROT)
    assert (error.offset, error.first_sequence, error.last_sequence) == (start, 3, 5)


def test_last_group_damaged_with_watermark_is_acknowledged_data_missing(tmp_path: Path) -> None:
    journals.write(tmp_path, [2, 3])
    journals.poke(tmp_path / segment_name(1), journals.offsets(tmp_path)[1] + 80, b"\xff\x00\xff")
    error = refused(tmp_path, RefusalCode.ACKNOWLEDGED_DATA_MISSING, projection=3, snapshot=2)
    assert "projection at 3" in str(error)
    assert "snapshot" not in error.reason
    assert journals.recover(tmp_path, snapshot=2).last_sequence == 2


def test_clean_end_with_watermark_beyond_it_is_refused(tmp_path: Path) -> None:
    journals.write(tmp_path, [2, 3])
    assert journals.recover(tmp_path, snapshot=5).last_sequence == 5
    refused(tmp_path, RefusalCode.ACKNOWLEDGED_TAIL_LOST, snapshot=6)


def test_unsynced_groups_damaged_in_the_middle_are_cut_from_there(tmp_path: Path) -> None:
    journals.write(tmp_path, [2, 3, 4], sync=False)
    start = journals.offsets(tmp_path)[1]
    journals.poke(tmp_path / segment_name(1), start + 100, b"\0" * 8)
    recovered = journals.recover(tmp_path)
    assert (recovered.last_sequence, recovered.torn_records) == (2, 7)


def test_segment_ending_early_before_its_follower_is_refused(tmp_path: Path) -> None:
    journals.write(tmp_path, [10, 10, 10, 10])
    *_, last_of_first, _ = journals.offsets(tmp_path)
    with (tmp_path / segment_name(1)).open("r+b") as file:
        file.truncate(last_of_first)
    error = refused(tmp_path, RefusalCode.SEGMENT_ENDS_EARLY)
    assert (error.first_sequence, error.last_sequence) == (11, 20)


def test_middle_segment_missing_is_refused(tmp_path: Path) -> None:
    journals.write(tmp_path, [20, 20, 20, 20])
    (tmp_path / segment_name(2)).unlink()
    error = refused(tmp_path, RefusalCode.SEGMENT_MISSING)
    assert error.path.name == segment_name(2)


def test_two_groups_swapped_are_misplaced(tmp_path: Path) -> None:
    journals.write(tmp_path, [3, 3, 3])
    first, second, third, _ = journals.offsets(tmp_path)
    data = (tmp_path / segment_name(1)).read_bytes()
    journals.poke(tmp_path / segment_name(1), first, data[second:third] + data[first:second])
    error = refused(tmp_path, RefusalCode.MISPLACED)
    assert error.offset == first


def test_group_left_out_is_a_gap_and_misplaced(tmp_path: Path) -> None:
    journals.write(tmp_path, [3, 3, 3])
    _, second, third, end = journals.offsets(tmp_path)
    data = (tmp_path / segment_name(1)).read_bytes()
    journals.poke(tmp_path / segment_name(1), second, data[third:end])
    assert "sequence 7 where 4 must follow" in str(refused(tmp_path, RefusalCode.MISPLACED))


def test_group_of_equal_place_and_other_history_is_misplaced(tmp_path: Path) -> None:
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    ours.mkdir()
    theirs.mkdir()
    journals.write(ours, [3, 3])
    with Writer(theirs, journals.begin(theirs)) as writer:
        writer.append(journals.records(100, 3))
        writer.append(journals.records(4, 3))
    _, second, end = journals.offsets(ours)
    journals.poke(ours / segment_name(1), second, (theirs / segment_name(1)).read_bytes()[second:end])
    assert "the chain is" in str(refused(ours, RefusalCode.MISPLACED))


def test_segment_of_another_cluster_is_foreign(tmp_path: Path) -> None:
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    ours.mkdir()
    theirs.mkdir()
    journals.write(ours, [20, 20, 20])
    journals.write(theirs, [20, 20, 20], cluster_id=b"another cluster!")
    shutil.copy(theirs / segment_name(2), ours / segment_name(2))
    assert refused(ours, RefusalCode.FOREIGN).path.name == segment_name(2)
    with pytest.raises(Refused, match="cluster"):
        journals.recover(theirs)


def test_segment_under_another_name_is_foreign(tmp_path: Path) -> None:
    journals.write(tmp_path, [20, 20])
    shutil.copy(tmp_path / segment_name(1), tmp_path / segment_name(3))
    refused(tmp_path, RefusalCode.FOREIGN)


def test_older_backup_next_to_newer_segments_is_refused(tmp_path: Path) -> None:
    live, backup = tmp_path / "live", tmp_path / "backup"
    live.mkdir()
    journals.write(live, [5])
    shutil.copytree(live, backup)
    journals.write(live, [6])
    journals.write(live, [7])
    with Writer(backup, journals.begin(backup)) as writer:
        writer.append(journals.records(100, 6))
        writer.append(journals.records(106, 3))
    shutil.copy(live / segment_name(3), backup / segment_name(3))
    error = refused(backup, RefusalCode.MISPLACED)
    assert error.path.name == segment_name(3)
    assert "two histories" in str(error)
    (backup / segment_name(2)).unlink()
    refused(backup, RefusalCode.SEGMENT_MISSING)


def test_older_copy_of_a_middle_segment_ends_early(tmp_path: Path) -> None:
    journals.write(tmp_path, [5])
    with Writer(tmp_path, journals.begin(tmp_path)) as writer:
        writer.append(journals.records(6, 20))
        writer.sync()
        middle = (tmp_path / segment_name(2)).read_bytes()
        writer.append(journals.records(26, 10))
    journals.write(tmp_path, [1])
    assert journals.read(tmp_path) == journals.expected(36)
    (tmp_path / segment_name(2)).write_bytes(middle[: 128 + 64] + bytes(len(middle) - 192))
    refused(tmp_path, RefusalCode.ROT)
    (tmp_path / segment_name(2)).write_bytes(middle[:128] + bytes(len(middle) - 128))
    assert refused(tmp_path, RefusalCode.SEGMENT_ENDS_EARLY).last_sequence == 25


def test_segment_header_of_any_segment_damaged_is_refused(tmp_path: Path) -> None:
    journals.write(tmp_path, [20, 20, 20])
    for segment_id in list_segments(tmp_path):
        path = tmp_path / segment_name(segment_id)
        original = path.read_bytes()
        for offset in range(128):
            journals.poke(path, offset, bytes([original[offset] ^ 1]))
            assert refused(tmp_path, RefusalCode.SEGMENT_HEADER).path == path
            journals.poke(path, offset, original[offset : offset + 1])
        path.write_bytes(b"")
        refused(tmp_path, RefusalCode.SEGMENT_HEADER)
        path.write_bytes(original)


def test_last_segment_without_a_group_is_a_clean_end(tmp_path: Path) -> None:
    journals.write(tmp_path, [3])
    journals.begin(tmp_path)
    recovered = journals.recover(tmp_path)
    assert (recovered.last_sequence, recovered.epoch, recovered.torn_bytes) == (3, 2, 0)
    assert recovered.durable_upto == 3


def test_last_segment_with_only_garbage_is_cut_to_its_header(tmp_path: Path) -> None:
    journals.write(tmp_path, [3])
    position = journals.begin(tmp_path)
    journals.poke(position.path, position.used_bytes, b"\x01" * 700)
    recovered = journals.recover(tmp_path)
    assert (recovered.last_sequence, recovered.torn_bytes) == (3, 700)


def test_bit_set_in_the_zeros_after_the_last_group_is_a_torn_tail(tmp_path: Path) -> None:
    journals.write(tmp_path, [3, 3])
    path = tmp_path / segment_name(1)
    used = journals.offsets(tmp_path)[-1]
    journals.poke(path, len(path.read_bytes()) - 1, b"\x80")
    recovered = journals.recover(tmp_path)
    assert recovered.last_sequence == 6
    assert recovered.torn_bytes == SMALL_SEGMENT - used
    assert path.stat().st_size == used


def test_rewritten_tail_damaged_in_its_last_group_is_refused(tmp_path: Path) -> None:
    """The file that holds a rewritten tail appeared only when the tail was on disk, so damage to it is rot."""
    journals.write(tmp_path, [3, 4], sync=False)
    position = journals.begin(tmp_path)
    *_, start, end = journals.offsets(tmp_path, 2)
    assert end == position.used_bytes
    whole = position.path.read_bytes()
    journals.poke(position.path, end - 1, bytes([whole[end - 1] ^ 1]))
    error = refused(tmp_path, RefusalCode.ROT)
    assert (error.first_sequence, error.last_sequence, error.offset) == (4, 7, start)
    journals.poke(position.path, start, bytes(end - start))
    refused(tmp_path, RefusalCode.ACKNOWLEDGED_DATA_MISSING)


def test_unconfirmed_tail_is_rewritten_and_the_old_one_superseded(tmp_path: Path) -> None:
    journals.write(tmp_path, [3, 4, 5])
    old = journals.offsets(tmp_path)
    position = journals.begin(tmp_path)
    found = scan(tmp_path)
    assert [(segment.first_sequence, segment.records) for segment in found.segments] == [(1, 7), (8, 5)]
    assert (position.last_sequence, position.durable_upto, found.durable_upto) == (12, 12, 12)
    journals.poke(tmp_path / segment_name(1), old[2], b"rot in a superseded group is harmless")
    assert journals.recover(tmp_path).last_sequence == 12
    assert journals.read(tmp_path) == journals.expected(12)


def test_tail_superseded_from_another_history_is_refused(tmp_path: Path) -> None:
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    ours.mkdir()
    theirs.mkdir()
    journals.write(ours, [3, 4])
    with Writer(theirs, journals.begin(theirs)) as writer:
        writer.append(journals.records(50, 3))
        writer.sync()
        writer.append(journals.records(4, 4))
    journals.begin(theirs)
    shutil.copy(theirs / segment_name(2), ours / segment_name(2))
    refused(ours, RefusalCode.MISPLACED)


def test_epoch_begun_and_killed_before_its_segment_appears_begins_again(tmp_path: Path) -> None:
    journals.write(tmp_path, [3, 4])
    position = journals.begin(tmp_path)
    position.path.rename(tmp_path / f"{position.path.name}.tmp")
    recovered = journals.recover(tmp_path)
    assert recovered.report[0] == "Removed 00000002.journal.tmp, left half-written by a stop."
    assert (recovered.last_sequence, recovered.epoch) == (7, 1)
    assert begin_epoch(tmp_path, recovered, segment_bytes=4096).segment_id == 2
    assert journals.read(tmp_path) == journals.expected(7)


def test_finished_segment_not_yet_cut_is_no_anomaly(tmp_path: Path) -> None:
    """A stop between the new segment's appearance and the cut of the finished one leaves its zeros."""
    journals.write(tmp_path, [10, 10, 10, 10])
    with (tmp_path / segment_name(1)).open("r+b") as file:
        file.truncate(SMALL_SEGMENT)
    assert journals.recover(tmp_path).last_sequence == 40


def test_spare_file_becomes_the_next_segment(tmp_path: Path) -> None:
    with Writer(tmp_path, journals.begin(tmp_path)) as writer:
        prepare_spare(tmp_path, SMALL_SEGMENT)
        prepare_spare(tmp_path, SMALL_SEGMENT)
        spare = (tmp_path / "spare.journal.tmp").stat().st_ino
        writer.append(journals.records(1, 20))
        writer.append(journals.records(21, 20))
    assert (tmp_path / segment_name(2)).stat().st_ino == spare
    assert (tmp_path / segment_name(2)).stat().st_size == SMALL_SEGMENT
    assert journals.read(tmp_path) == journals.expected(40)


def test_tail_larger_than_the_segment_size_gets_a_larger_segment(tmp_path: Path) -> None:
    journals.write(tmp_path, [60], segment_bytes=16384)
    assert journals.begin(tmp_path, 4096).size_bytes > 4096
    assert journals.read(tmp_path) == journals.expected(60)


def test_retire_deletes_whole_covered_segments_and_never_the_last(tmp_path: Path) -> None:
    journals.write(tmp_path, [10] * 9)
    firsts = {segment.segment_id: segment.first_sequence for segment in scan(tmp_path).segments}
    assert firsts == {1: 1, 2: 21, 3: 41, 4: 61, 5: 81}
    second = firsts[3]
    assert retire(tmp_path, second - 2) == [tmp_path / segment_name(1)]
    assert retire(tmp_path, second - 1) == [tmp_path / segment_name(2)]
    assert journals.read(tmp_path, second) == journals.expected(90, second)
    with pytest.raises(Refused, match="does not reach back to sequence 1,"):
        journals.recover(tmp_path)
    recovered = journals.recover(tmp_path, first_needed=second)
    assert (recovered.first_sequence, recovered.last_sequence) == (second, 90)
    retire(tmp_path, 1000)
    assert list_segments(tmp_path) == [max(firsts)]
    with pytest.raises(Refused) as caught:
        journals.read(tmp_path, 5)
    assert caught.value.code == RefusalCode.START_MISSING


def test_writer_after_a_failed_sync_refuses_to_go_on(tmp_path: Path) -> None:
    with Writer(tmp_path, journals.begin(tmp_path)) as writer:
        writer.append(journals.records(1, 2))
        writer._file.close()
        with pytest.raises(OSError, match="Bad file descriptor"):
            writer.sync()
        with pytest.raises(OSError, match="recover the journal"):
            writer.sync()
        with pytest.raises(OSError, match="recover the journal"):
            writer.append(journals.records(3, 1))
        writer._file = writer._storage.open(segment_name(1))
