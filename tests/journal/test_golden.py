"""Journals written by format version 1 stay readable for ever.

`golden/v1` is what `write_version_1` below made. After a change of the format, add a folder for the new version beside
it (`python -c "from pathlib import Path; from tests.journal.test_golden import write_version_1 as w; w(Path('DIR'))"`);
never write an old one again.
"""

from __future__ import annotations

from pathlib import Path

from journal.format import VERSION
from journal.scan import scan
from tests.journal import journals

GOLDEN = Path(__file__).parent / "golden"


def write_version_1(place: Path) -> None:
    """Two epochs in three segments, with a rewritten tail."""
    place.mkdir(parents=True)
    journals.write(place, [1, 2, 3, 4, 5], segment_bytes=2048)
    journals.write(place, [2, 1], segment_bytes=2048)


def test_golden_version_1_reads_back() -> None:
    found = scan(GOLDEN / "v1", cluster_id=journals.CLUSTER, stream=1)
    assert [(segment.epoch, segment.first_sequence, segment.records) for segment in found.segments] == [
        (1, 1, 10),
        (1, 11, 0),
        (2, 11, 8),
    ]
    assert found.chain == 0x01003CC484C88BD7
    assert journals.read(GOLDEN / "v1") == journals.expected(18)


def test_golden_of_the_current_version_is_written_byte_for_byte(tmp_path: Path) -> None:
    write_version_1(tmp_path / "v1")
    assert VERSION == 1
    for path in sorted((GOLDEN / "v1").iterdir()):
        assert (tmp_path / "v1" / path.name).read_bytes() == path.read_bytes(), path.name
