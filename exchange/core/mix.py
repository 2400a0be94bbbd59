"""The 64-bit mixing step under the hash tables and the state hash.

Owns the one piece of arithmetic that wraps around on purpose. Compiled it is two multiplications; as plain Python it
masks big integers, because NumPy would warn about the wrap. Source of the constants: the finaliser of SplitMix64.
"""

from __future__ import annotations

import numpy as np

from exchange.core.compile import INTERPRETED, inlined, part

_K0 = 0xBF58476D1CE4E5B9
_K1 = 0x94D049BB133111EB
_MASK = (1 << 64) - 1

if INTERPRETED:

    def mix(seed: int, word: int) -> int:
        """Fold a word into a running hash; any int64 in, an int64 out."""
        value = ((int(seed) ^ int(word)) & _MASK) * _K0 & _MASK
        value = (value ^ (value >> 29)) * _K1 & _MASK
        value ^= value >> 32
        return value - (1 << 64) if value >> 63 else value

    def add(left: int, right: int) -> int:
        """Sum that wraps around at 64 bits."""
        value = (int(left) + int(right)) & _MASK
        return value - (1 << 64) if value >> 63 else value

else:

    @inlined
    def mix(seed: int, word: int) -> int:
        """Fold a word into a running hash; any int64 in, an int64 out."""
        value = np.uint64(seed ^ word) * np.uint64(_K0)
        value = (value ^ (value >> np.uint64(29))) * np.uint64(_K1)
        return np.int64(value ^ (value >> np.uint64(32)))  # type: ignore[return-value]  # int64 is an int to kernels

    @part
    def add(left: int, right: int) -> int:
        """Sum that wraps around at 64 bits."""
        return left + right
