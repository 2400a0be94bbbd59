"""Damage is mended from a copy, with bytes that prove themselves, or not at all."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from journal.errors import Unrepairable
from journal.repair import repair
from journal.scan import scan
from journal.segments import list_segments, retire, segment_name
from tests.journal import journals


@pytest.fixture
def pair(tmpfs_path: Path) -> tuple[Path, Path]:
    """A journal of several segments and a copy of it."""
    ours, copy = tmpfs_path / "ours", tmpfs_path / "copy"
    ours.mkdir()
    journals.write(ours, [10] * 6)
    journals.write(ours, [3, 4, 5])
    shutil.copytree(ours, copy)
    return ours, copy


def bytes_of(place: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in place.glob("*.journal")}


def test_damage_anywhere_is_put_back_byte_for_byte(pair: tuple[Path, Path]) -> None:
    ours, copy = pair
    whole = bytes_of(copy)
    superseded = scan(ours).segments[2].used_bytes
    for segment_id in list_segments(ours):
        path = ours / segment_name(segment_id)
        used = journals.offsets(ours, segment_id)[-1]
        for offset in range(0, used, 97):
            journals.poke(path, offset, bytes([whole[path.name][offset] ^ 255]))
            splices, found = repair(ours, copy)
            assert found.last_sequence == 72
            if segment_id == 3 and offset >= superseded:
                assert splices == []
                journals.poke(path, offset, whole[path.name][offset : offset + 1])
            assert bytes_of(ours) == whole, (segment_id, offset)
            assert len(splices) <= 1


def test_bytes_that_stood_there_are_kept_aside(pair: tuple[Path, Path]) -> None:
    ours, copy = pair
    start, end, _ = journals.offsets(ours)
    journals.poke(ours / segment_name(1), start + 64, b"damage")
    damaged = (ours / segment_name(1)).read_bytes()[start:end]
    ((splice,), _) = repair(ours, copy)
    assert splice.aside is not None
    assert splice.aside.read_bytes() == damaged
    assert (splice.path, splice.offset, splice.length) == (ours / segment_name(1), start, end - start)


def test_several_places_and_a_missing_segment_are_mended(pair: tuple[Path, Path]) -> None:
    ours, copy = pair
    (ours / segment_name(2)).unlink()
    journals.poke(ours / segment_name(1), 0, bytes(256))
    with (ours / segment_name(3)).open("r+b") as file:
        file.truncate(140)
    splices, _ = repair(ours, copy)
    assert len(splices) == 4
    assert journals.read(ours) == journals.expected(72)


def test_torn_last_group_is_completed_where_the_copy_has_it(pair: tuple[Path, Path]) -> None:
    ours, copy = pair
    last = max(list_segments(ours))
    journals.poke(ours / segment_name(last), journals.offsets(ours, last)[-2] + 70, b"\0" * 9)
    assert scan(ours).torn is not None
    repair(ours, copy)
    assert scan(ours).torn is None
    assert bytes_of(ours) == bytes_of(copy)


def test_copy_with_the_same_damage_is_of_no_use(pair: tuple[Path, Path]) -> None:
    ours, copy = pair
    for place in pair:
        journals.poke(place / segment_name(1), journals.offsets(ours)[0] + 64, b"rot")
    before = bytes_of(ours)
    with pytest.raises(Unrepairable, match="no group that fits"):
        repair(ours, copy)
    assert bytes_of(ours) == before


def test_copy_of_another_journal_is_never_taken(pair: tuple[Path, Path], tmpfs_path: Path) -> None:
    ours, _ = pair
    theirs = tmpfs_path / "theirs"
    theirs.mkdir()
    journals.write(theirs, [10] * 6, cluster_id=b"another cluster!")
    start = journals.offsets(ours)[0]
    journals.poke(ours / segment_name(1), start + 64, b"rot")
    before = bytes_of(ours)
    with pytest.raises(Unrepairable, match="another header"):
        repair(ours, theirs)
    journals.poke(ours / segment_name(1), 0, b"rot")
    with pytest.raises(Unrepairable, match="another journal"):
        repair(ours, theirs)
    (ours / segment_name(2)).unlink()
    with pytest.raises(Unrepairable, match="another journal"):
        repair(ours, theirs)
    assert before.keys() - bytes_of(ours).keys() == {segment_name(2)}


def test_header_of_another_history_is_never_taken(tmpfs_path: Path) -> None:
    ours, theirs = tmpfs_path / "ours", tmpfs_path / "theirs"
    for place, counts in ((ours, [3, 4]), (theirs, [5])):
        place.mkdir()
        journals.write(place, counts)
        journals.begin(place)
    retire(ours, 7)
    retire(theirs, 7)
    before = bytes_of(ours)
    journals.poke(ours / segment_name(2), 3, b"rot")
    with pytest.raises(Unrepairable, match="do not fit"):
        repair(ours, theirs)
    journals.poke(ours / segment_name(2), 3, before[segment_name(2)][3:6])
    assert bytes_of(ours) == before


def test_journal_whose_oldest_segments_were_retired_is_mended(pair: tuple[Path, Path]) -> None:
    ours, copy = pair
    retire(ours, 20)
    journals.poke(ours / segment_name(2), journals.offsets(ours, 2)[0] + 5, b"rot")
    splices, found = repair(ours, copy)
    assert len(splices) == 1
    assert (found.first_sequence, found.last_sequence) == (21, 72)


def test_whole_journal_needs_no_copy(pair: tuple[Path, Path], tmpfs_path: Path) -> None:
    ours, _ = pair
    empty = tmpfs_path / "empty"
    empty.mkdir()
    assert repair(ours, empty)[0] == []
