"""Loads and stores that two threads may share: acquire, release and the full fence between a store and a load.

Owns nothing. Compiled, they are intrinsics: without them LLVM may hoist a load out of the loop that waits for it (x86
pays nothing for acquire and release, ARM gets them right). Under `NUMBA_DISABLE_JIT=1` they are plain accesses, which
the GIL orders. Every array is int64 and one-dimensional; an index names one cache line (`ring.py`).

Invariant of the fence: a thread that announces something with a store and then looks at what another thread announced
must put a `fence` between, or both may miss each other (Dekker). Sources: C11 memory model; LLVM atomics guide.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numba import types
from numba.extending import intrinsic
from numba.np import arrayobj

from exchange.core.compile import INTERPRETED

Sequences = np.ndarray[Any, np.dtype[np.int64]]

_compiled: Any = intrinsic
_array: Any = arrayobj.make_array


def _element(context: Any, builder: Any, array_type: Any, array: Any, index: Any) -> Any:
    return builder.gep(_array(array_type)(context, builder, array).data, [index])


def _load(_typing: Any, array: Any, _index: Any) -> Any:
    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.load_atomic(_element(context, builder, signature.args[0], args[0], args[1]), "acquire", 8)

    return types.int64(array, types.int64), codegen


def _store(_typing: Any, array: Any, _index: Any, _value: Any) -> Any:
    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        pointer = _element(context, builder, signature.args[0], args[0], args[1])
        builder.store_atomic(args[2], pointer, "release", 8)
        return context.get_dummy_value()

    return types.void(array, types.int64, types.int64), codegen


def _fence(_typing: Any) -> Any:
    def codegen(context: Any, builder: Any, _signature: Any, _args: Any) -> Any:
        builder.fence("seq_cst")
        return context.get_dummy_value()

    return types.void(), codegen


def _plain_load(array: Sequences, index: int) -> int:
    return int(array[index])


def _plain_store(array: Sequences, index: int, value: int) -> None:
    array[index] = value


def _plain_fence() -> None:
    """The GIL orders everything."""


load_acquire: Callable[[Sequences, int], int] = _plain_load if INTERPRETED else _compiled(_load)
"""`load_acquire(array, index) -> int`: everything written before the store that it sees is visible after it."""
store_release: Callable[[Sequences, int, int], None] = _plain_store if INTERPRETED else _compiled(_store)
"""`store_release(array, index, value)`: everything written before it is visible to who loads the value."""
fence: Callable[[], None] = _plain_fence if INTERPRETED else _compiled(_fence)
"""`fence()`: no load after it is done before the stores before it are seen by all."""
