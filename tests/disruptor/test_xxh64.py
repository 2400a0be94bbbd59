"""The compiled hash is the library's."""

from __future__ import annotations

import numpy as np
import pytest
import xxhash

from exchange.disruptor.xxh64 import xxh64

WORDS = np.random.default_rng(7).integers(0, 2**64, 70_000, dtype=np.uint64)


@pytest.mark.parametrize("first", [0, 1, 5])
def test_xxh64_of_every_short_length_equals_the_library(first: int) -> None:
    for count in range(200):
        expected = xxhash.xxh64_intdigest(WORDS[first : first + count].tobytes())
        assert int(xxh64(WORDS, first, count)) == expected


@pytest.mark.parametrize("count", [4_095, 4_096, 4_097, 65_544])
def test_xxh64_of_a_large_group_equals_the_library(count: int) -> None:
    assert int(xxh64(WORDS, 3, count)) == xxhash.xxh64_intdigest(WORDS[3 : 3 + count].tobytes())


def test_xxh64_of_extreme_words_equals_the_library() -> None:
    for value in (0, 1, 2**63 - 1, 2**63, 2**64 - 1):
        words = np.full(37, value, np.uint64)
        assert int(xxh64(words, 0, 37)) == xxhash.xxh64_intdigest(words.tobytes())
