"""The bytes of headers, held against the dtypes that compiled code uses and against numbers written down once."""

import numpy as np
import pytest

from journal.format import (
    GROUP_HEADER_DTYPE,
    GROUP_MAGIC_U4,
    SEGMENT_HEADER_DTYPE,
    Corrupt,
    SegmentHeader,
    pack_group_header,
    pack_segment_header,
    parse_group_header,
    parse_segment_header,
    xxh64,
)

SEGMENT = SegmentHeader(bytes(range(16)), 3, 17, 0xFEDCBA9876543210, 2, 1, 16, 128)
GROUP = pack_group_header(
    count=4, first_sequence=17, epoch=2, durable_upto=16, prev_chain=9, payload_hash=77, segment_id=3
)


def test_xxh64_known_inputs_gives_published_values() -> None:
    assert xxh64(b"") == 0xEF46DB3751D8E999
    assert xxh64(b"a") == 0xD24EC4F1A98C6E5B
    assert xxh64(b"as") == 0x1C330FB2D66BE179


def test_segment_header_packed_reads_back_and_matches_dtype() -> None:
    data = pack_segment_header(SEGMENT)
    assert parse_segment_header(data) == SEGMENT
    fields = np.frombuffer(data, SEGMENT_HEADER_DTYPE)[0]
    named = (fields["segment_id"], fields["first_sequence"], fields["prev_chain"], fields["epoch"], fields["stream"])
    assert tuple(map(int, named)) == (3, 17, 0xFEDCBA9876543210, 2, 1)
    assert (int(fields["durable_upto"]), int(fields["record_bytes"]), int(fields["version"])) == (16, 128, 1)
    assert fields["cluster_id"].tobytes() == SEGMENT.cluster_id
    assert int(fields["check"]) == xxh64(data[:120])


def test_group_header_packed_reads_back_and_matches_dtype() -> None:
    header = parse_group_header(GROUP)
    fields = np.frombuffer(GROUP, GROUP_HEADER_DTYPE)[0]
    assert int(fields["magic"]) == GROUP_MAGIC_U4
    for name in (
        "count",
        "first_sequence",
        "epoch",
        "durable_upto",
        "prev_chain",
        "payload_hash",
        "segment_id",
        "check",
    ):
        assert int(fields[name]) == getattr(header, name), name
    assert header.check == xxh64(GROUP[:56])
    assert header.last_sequence == 20


@pytest.mark.parametrize("bit", range(8))
def test_header_any_bit_flipped_is_corrupt(bit: int) -> None:
    for data, parse in ((pack_segment_header(SEGMENT), parse_segment_header), (GROUP, parse_group_header)):
        for offset in range(len(data)):
            flipped = bytearray(data)
            flipped[offset] ^= 1 << bit
            with pytest.raises(Corrupt):
                parse(flipped)


def test_header_of_another_version_is_refused_by_name() -> None:
    data = bytearray(pack_segment_header(SEGMENT))
    data[8] = 2
    data[120:] = xxh64(data[:120]).to_bytes(8, "little")
    with pytest.raises(Corrupt, match="format version 2"):
        parse_segment_header(data)


def test_header_cut_short_is_corrupt() -> None:
    with pytest.raises(Corrupt, match="127 bytes"):
        parse_segment_header(pack_segment_header(SEGMENT)[:127])
    with pytest.raises(Corrupt, match="63 bytes"):
        parse_group_header(GROUP[:63])


@pytest.mark.parametrize(
    ("header", "sentence"),
    [
        (SEGMENT._replace(cluster_id=b"short"), "A cluster id has 16 bytes"),
        (SEGMENT._replace(record_bytes=100), "multiple of 64"),
    ],
)
def test_header_that_can_not_be_written_is_a_value_error(header: SegmentHeader, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        pack_segment_header(header)
