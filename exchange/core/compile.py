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

from exchange.core.linking import KernelCompiler, PartCompiler

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

_KERNEL_SOURCES = ("core/*.py", "disruptor/*.py", "marketdata/*.py", "gateway/unfilled.py")


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
    for pattern in _KERNEL_SOURCES:
        for source in sorted(exchange.glob(pattern)):
            digest.update(source.read_bytes())
    root = os.environ.get("EXCHANGE_NUMBA_CACHE")
    if root is None:
        home = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser()
        root = str((home if os.access(home, os.W_OK) else pathlib.Path(tempfile.gettempdir())) / "exchange-kernels")
    return pathlib.Path(root) / digest.hexdigest()[:16]


_FOLDER = _cache_folder()
KERNELS = _FOLDER.name
"""Stands for the sources of all kernels and the versions that shape their code."""
if "NUMBA_CACHE_DIR" not in os.environ:
    _config.CACHE_DIR = str(_FOLDER)


def kernels_are_cached() -> bool:
    """Whether there is anything in the cache of this version's kernels, or nothing to compile."""
    folder = pathlib.Path(_config.CACHE_DIR)
    return INTERPRETED or (folder.is_dir() and any(folder.iterdir()))


def kernel(function: F) -> F:
    """Compile on first call, cache on disk, run without the GIL. For functions that Python calls.

    `_nrt=False` leaves out reference counting, which no kernel needs since none allocates: with it every touch of a
    state array was an atomic increment and decrement, and the engine ran at 0.3 instead of 8.9 M commands/s
    (`bench.engine`).
    """
    compiled: F = _njit(
        cache=True,
        nogil=True,
        error_model="numpy",
        _nrt=False,
        no_cfunc_wrapper=True,
        forceinline=False,
        pipeline_class=KernelCompiler,
    )(function)
    return compiled


def _within_kernels(function: F, *, forceinline: bool) -> F:
    """Compile without an entry for Python, which would cost compile time. Calling it from Python raises TypeError.

    `forceinline` is always said: not said, it is what it is in the function whose compilation comes upon this one.
    """

    def refuse(*_: Any, **__: Any) -> None:
        raise TypeError(f"{function.__name__} is part of a kernel, so Python can not call it.")

    compiled: Any = _njit(
        error_model="numpy",
        _nrt=False,
        no_cfunc_wrapper=True,
        no_cpython_wrapper=True,
        forceinline=forceinline,
        pipeline_class=PartCompiler,
    )(function)
    if not INTERPRETED:
        # numba would call address zero
        compiled._compile_for_args = refuse  # noqa: SLF001  no public hook
        compiled._insert = lambda *_, **__: None  # noqa: SLF001  no public hook
    entered_by_kernels: F = compiled
    return entered_by_kernels


def part(function: F) -> F:
    """A function that only kernels call: compiled once, and a call of its own."""
    return _within_kernels(function, forceinline=False)


def inlined(function: F) -> F:
    """A `part` that LLVM must inline into its callers: for small functions, and for the hot path."""
    return _within_kernels(function, forceinline=True)
