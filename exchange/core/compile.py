"""How Python becomes machine code here: the decorators of every kernel, and a cache that can not go stale.

Numba's own cache notices an edit of the file a kernel stands in, not of a file it calls. So the cache folder is named
by a hash of all kernel sources and of the versions that shape the code. Must be imported before the first kernel is
defined; `exchange/core/__init__.py` does.

Environment: `EXCHANGE_NUMBA_CACHE` names the folder that holds the caches (default: the user's cache folder),
`NUMBA_DISABLE_JIT=1` runs every kernel as plain Python, `NUMBA_BOUNDSCHECK=1` checks every index.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
import pathlib
import sys
import tempfile
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import numba
import numpy as np

F = TypeVar("F", bound=Callable[..., Any])

if TYPE_CHECKING:

    def i64(value: Any) -> int:
        """A field or number as the 64-bit integer that kernels compute with; to Python it is an int."""

else:
    i64 = np.int64

_config: Any = numba.config  # its attributes are made from the environment, which the stubs do not show
_njit: Any = numba.njit  # the stubs do not know `_nrt`

INTERPRETED: bool = bool(_config.DISABLE_JIT)
"""True when kernels run as plain Python."""

_KERNEL_FOLDERS = ("core", "disruptor", "marketdata")


def _cache_folder() -> pathlib.Path:
    exchange = pathlib.Path(__file__).resolve().parent.parent
    digest = hashlib.sha256(
        repr(
            (
                sys.version_info[:2],
                importlib.metadata.version("numba"),
                importlib.metadata.version("numpy"),
                os.environ.get("NUMBA_CPU_NAME", ""),
                bool(_config.BOUNDSCHECK),
            )
        ).encode()
    )
    for folder in _KERNEL_FOLDERS:
        for source in sorted((exchange / folder).glob("*.py")):
            digest.update(source.read_bytes())
    root = os.environ.get("EXCHANGE_NUMBA_CACHE")
    if root is None:
        home = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser()
        root = str((home if os.access(home, os.W_OK) else pathlib.Path(tempfile.gettempdir())) / "exchange-kernels")
    return pathlib.Path(root) / digest.hexdigest()[:16]


if "NUMBA_CACHE_DIR" not in os.environ:
    _config.CACHE_DIR = str(_cache_folder())


def kernel(function: F) -> F:
    """Compile on first call, cache on disk, run without the GIL. For functions that Python or another kernel calls.

    `_nrt=False` leaves out reference counting, which no kernel needs since none allocates: with it every touch of a
    state array was an atomic increment and decrement, and the engine ran at 0.3 instead of 8.9 M commands/s
    (`bench.engine`).
    """
    compiled: F = _njit(cache=True, nogil=True, error_model="numpy", _nrt=False)(function)
    return compiled


def inlined(function: F) -> F:
    """A helper that is pasted into its callers: 4.1 -> 6.8 M commands/s in the engine (`python -m bench.engine`)."""
    compiled: F = _njit(inline="always", error_model="numpy")(function)
    return compiled


def leaf(function: F) -> F:
    """A small helper on numbers and single records. LLVM inlines it; pasting it would only cost compile time."""
    compiled: F = _njit(nogil=True, error_model="numpy", _nrt=False)(function)
    return compiled
