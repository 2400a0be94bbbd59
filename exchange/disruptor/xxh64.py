"""XXH64 of journal bytes, compiled: the journaler hashes every record and every header without the GIL.

Owns the algorithm for what journals hold: lengths that are a multiple of 8, seed 0. `tests/disruptor/test_xxh64.py`
holds it equal to the `xxhash` library, which every other part of the project uses and which stands in under
`NUMBA_DISABLE_JIT=1`. Source: https://github.com/Cyan4973/xxHash/blob/dev/doc/xxhash_spec.md, section XXH64.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from exchange.core.compile import INTERPRETED, inlined, kernel
from journal.format import xxh64 as _library

Words = np.ndarray[Any, np.dtype[np.uint64]]

_P1 = np.uint64(0x9E3779B185EBCA87)
_P2 = np.uint64(0xC2B2AE3D27D4EB4F)
_P3 = np.uint64(0x165667B19E3779F9)
_P4 = np.uint64(0x85EBCA77C2B2AE63)
_P5 = np.uint64(0x27D4EB2F165667C5)
_START_0 = np.uint64((int(_P1) + int(_P2)) & 0xFFFFFFFFFFFFFFFF)
_START_3 = np.uint64(-int(_P1) & 0xFFFFFFFFFFFFFFFF)


@inlined
def _rotate(value: np.uint64, bits: int) -> np.uint64:
    return (value << np.uint64(bits)) | (value >> np.uint64(64 - bits))


@inlined
def _round(lane: np.uint64, word: np.uint64) -> np.uint64:
    return _rotate(lane + word * _P2, 31) * _P1


@inlined
def _merge(digest: np.uint64, lane: np.uint64) -> np.uint64:
    return (digest ^ _round(np.uint64(0), lane)) * _P1 + _P4


@kernel
def _compiled(words: Words, first: int, count: int) -> np.uint64:
    at = first
    if count >= 4:
        lane_0, lane_1, lane_2, lane_3 = _START_0, _P2, np.uint64(0), _START_3
        for _ in range(count >> 2):
            lane_0 = _round(lane_0, words[at])
            lane_1 = _round(lane_1, words[at + 1])
            lane_2 = _round(lane_2, words[at + 2])
            lane_3 = _round(lane_3, words[at + 3])
            at += 4
        digest = _rotate(lane_0, 1) + _rotate(lane_1, 7) + _rotate(lane_2, 12) + _rotate(lane_3, 18)
        digest = _merge(_merge(_merge(_merge(digest, lane_0), lane_1), lane_2), lane_3)
    else:
        digest = _P5
    digest += np.uint64(count) << np.uint64(3)
    for _ in range(count & 3):
        digest = _rotate(digest ^ _round(np.uint64(0), words[at]), 27) * _P1 + _P4
        at += 1
    digest = (digest ^ (digest >> np.uint64(33))) * _P2
    digest = (digest ^ (digest >> np.uint64(29))) * _P3
    return digest ^ (digest >> np.uint64(32))


def _plain(words: Words, first: int, count: int) -> np.uint64:
    return np.uint64(_library(words[first : first + count].view(np.uint8).data))


xxh64: Callable[[Words, int, int], np.uint64] = _plain if INTERPRETED else _compiled
"""`xxh64(words, first, count)`: the digest of `count` 64-bit words from index `first`."""
